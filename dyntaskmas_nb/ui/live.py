"""The two anywidgets of the panel: `Live`, the picture and all around it, and `Press`, buttons for forms.

Their browser half is bundled from `widgets/`. What they say and hear are messages, never traits: a trait that
changes quickly loses values, and traits would be saved into notebooks.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from importlib import resources
from typing import Any

import anywidget
import traitlets

from dyntaskmas_nb.errors import DynTaskError


@cache
def bundle(name: str) -> str:
    """A script or style sheet that the build made; raises `DynTaskError` when it has not been."""
    try:
        return resources.files("dyntaskmas_nb.ui").joinpath("static", name).read_text(encoding="utf-8")
    except FileNotFoundError:
        raise DynTaskError(
            f"The panel's {name} is not there: this copy was not built. Run `pip install -e .` once more."
        ) from None


class Messages(anywidget.AnyWidget):
    """A widget that hands every message of its browser half to `hear`."""

    _esm = traitlets.Unicode().tag(sync=True)
    _css = traitlets.Unicode().tag(sync=True)

    def __init__(self, hear: Callable[[Any], None], **traits: Any) -> None:
        self._hear = hear
        super().__init__(**traits)
        self.on_msg(lambda _, content, buffers: self._hear(content))


class Live(Messages):
    """Graph, table, timeline, figures, context, history and controls of one run."""

    math = traitlets.Unicode("").tag(sync=True)

    def __init__(self, hear: Callable[[Any], None], math: Any) -> None:
        super().__init__(
            hear, math=f"IPY_MODEL_{math.model_id}", _esm=bundle("panel.js"), _css=bundle("panel.css")
        )


class Press(Messages):
    """A row of buttons, and what came of the one pressed.

    `buttons` are (name, label, tip). A press arrives as ``{id, name}`` and is answered by `answer`.
    """

    buttons: traitlets.List[Any] = traitlets.List().tag(sync=True)

    def __init__(self, hear: Callable[[Any], None], buttons: list[tuple[str, str, str]]) -> None:
        rows = [list(button) for button in buttons]
        super().__init__(hear, buttons=rows, _esm=bundle("press.js"), _css=bundle("press.css"))

    def answer(self, id: str, ok: bool, text: str, call: str = "") -> None:
        """Say what came of press `id`; `call` is the Python that does the same."""
        self.send({"id": id, "ok": ok, "text": text, "call": call})


def answer_while_busy(*widgets: Any) -> None:
    """Let what a browser sends be read while a cell runs.

    ipykernel 7.4 hands it to the thread that last wrote to the widget, which in a busy cell is the one that
    waits, instead of the subshell that the browser chose. The hook is private: used only where it is found.
    """
    for widget in widgets:
        if hasattr(widget.comm, "_reply_subshell_for"):
            widget.comm._reply_subshell_for = lambda data, default: default
