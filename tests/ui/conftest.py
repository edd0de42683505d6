"""Kits whose runs live in virtual time: they stand still while nobody moves them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import ipywidgets
import pytest

from dyntaskmas_nb import Kit
from tests.ui.fakes import PLAN, work
from tests.ui.stage import Stage


@pytest.fixture
def kit() -> Iterator[Kit]:
    with Kit(clock="virtual", home=None, agents={"*": work}) as kit:
        yield kit


@pytest.fixture
def run(kit: Kit) -> Any:
    """Four tasks, nothing started."""
    return kit.start(PLAN, paused=True)


@pytest.fixture
def widgets() -> Iterator[None]:
    """Afterwards no widget is left."""
    yield
    ipywidgets.Widget.close_all()


@pytest.fixture
def stage(monkeypatch: pytest.MonkeyPatch, widgets: None) -> Stage:
    """Where a panel is looked at from all sides."""
    return Stage(monkeypatch)
