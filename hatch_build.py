"""Hatch's build hook: no wheel, sdist or editable install without a current bundle of the panel."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from hatchling.builders.config import BuilderConfig
from hatchling.builders.hooks.plugin.interface import BuildHookInterface

sys.path.insert(0, str(Path(__file__).resolve().parent))  # pip runs the hook without the project on the path

from tools import front_end


class PanelBundle(BuildHookInterface[BuilderConfig]):
    """Builds the bundle when it is missing or stale; a current one needs no Node.js."""

    def dependencies(self) -> list[str]:
        """Node.js from PyPI, where it is needed and the machine has none."""
        return [] if front_end.current() or front_end.find_node() else [front_end.WHEEL]

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Build before files are chosen."""
        try:
            front_end.bundle()
        except front_end.FrontEndError as error:
            self.app.abort(f"Front end: {error}")
