"""The widgets of one panel: what is shown, what can be pressed and filled in. They decide nothing.

Whatever comes from a run reaches them as escaped HTML, or in a list, whose options browsers take as text.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import ipywidgets as w

from dyntaskmas_nb.core.event import RunStatus
from dyntaskmas_nb.core.task import TaskId
from dyntaskmas_nb.view.html import asset

if TYPE_CHECKING:
    from dyntaskmas_nb.ui.panel import Panel

#: Tasks that a list offers at most.
CHOICES = 500
CSS = """.dyntask-panel .widget-html-content { line-height: 1.4; overflow-wrap: anywhere; }
.dyntask-panel table { width: 100%; } .dyntask-panel th[scope=col] { white-space: nowrap; }
.dyntask-panel th small { display: block; font-weight: 400; opacity: .8; }
.dyntask-panel td:last-child { min-width: 12em; }
.dyntask-panel .refused { color: var(--jp-error-color0, #b3261e); font-weight: 600; }"""
_CONTROLS: tuple[tuple[str, str, dict[str, Any], str], ...] = (
    ("Pause", "pause", {}, "Start nothing new; what runs may finish"),
    ("Stop and pause", "pause", {"hard": True}, "Pause, stop what runs and queue it again"),
    ("Step", "step", {}, "Pause, and start the one task that is next"),
    ("Resume", "resume", {}, "Start tasks again"),
    ("Undo", "undo", {}, "Take the last edit back"),
    ("Redo", "redo", {}, "Make the edit again that was taken back"),
    ("Cancel the run", "cancel", {}, "Stop everything"),
)


class Face:
    """All widgets of `panel`, `root` around them; they know it by `press`, `failed` and `complexity_of`."""

    def __init__(self, panel: Panel) -> None:
        self._panel = panel
        self.head, self.table, self.errors, self.note, self.edit_note = (w.HTML() for _ in range(5))
        self.choices: list[Any] = []
        self.buttons = {
            label: self._button(label, command, lambda args=args: dict(args), tip, self.note)  # type: ignore[misc]
            for label, command, args, tip in _CONTROLS
        }
        self.buttons["Cancel the run"].button_style = "danger"
        forms = w.Accordion([self._adding(), self._dependencies(), self._one_task()])
        forms.titles = ("Add a task", "Dependencies", "One task")
        style = w.HTML(f"<style>{asset('fragment.css')}{CSS}</style>", layout=w.Layout(display="none"))
        table = w.Box([self.table], layout=w.Layout(max_height="420px", overflow="auto", display="block"))
        parts = style, self.head, _wrap(*self.buttons.values()), self.note, table, forms, self.edit_note
        self.root = w.VBox([*parts, self.errors]).add_class("dyntask").add_class("dyntask-panel")
        answer_while_busy(self.root)

    def _button(
        self,
        label: str,
        command: str,
        args: Callable[[], dict[str, Any]],
        tip: str = "",
        note: Any = None,
        done: Callable[[], None] = lambda: None,
    ) -> Any:
        def clicked(_: object) -> None:
            try:
                answer, given = note or self.edit_note, args()
                if None in given.values():
                    answer.value = "Choose a task first."
                else:
                    self._panel.press(command, given, answer, done)
            except Exception as error:  # noqa: BLE001  the border to the browser's click
                self._panel.failed(error)

        look = w.Layout(width="auto", align_self="flex-start")
        button = w.Button(description=label, tooltip=tip, layout=look)
        button.on_click(clicked)
        return button

    def _adding(self) -> Any:
        what, role = _field(w.Text, "What to do", "", "480px"), _field(w.Text, "Role", "general", "240px")
        cost = _field(w.FloatText, "Complexity", 1.0)
        after, before = self._choice(w.SelectMultiple, "After"), self._choice(w.SelectMultiple, "Before")

        def args() -> dict[str, Any]:
            texts = {"description": what.value, "role": role.value, "complexity": cost.value}
            return texts | {"after": list(after.value), "before": list(before.value)}

        def empty() -> None:
            what.value, after.value, before.value = "", (), ()

        button = self._button("Add the task", "add_task", args, "Ctrl or ⌘ chooses several", done=empty)
        return w.VBox([what, _wrap(role, cost), _wrap(after, before), button])

    def _dependencies(self) -> Any:
        first, second = self._choice(w.Dropdown, "Task"), self._choice(w.Dropdown, "comes before")
        moved = _field(w.FloatText, "Information", 0.0)

        def edge() -> dict[str, Any]:
            return {"before": first.value, "after": second.value}

        def weighed() -> dict[str, Any]:
            return edge() | {"information": moved.value}

        add = self._button("Add the dependency", "add_dependency", weighed)
        remove = self._button("Remove the dependency", "remove_dependency", edge)
        return w.VBox([_wrap(first, second, moved), _wrap(add, remove)])

    def _one_task(self) -> Any:
        which, cost = self._choice(w.Dropdown, "Task"), _field(w.FloatText, "Complexity", 1.0)

        def chosen(change: Any) -> None:
            cost.value = self._panel.complexity_of(change["new"])

        def id() -> dict[str, Any]:
            return {"id": which.value}

        which.observe(chosen, names="value")
        revise = self._button("Revise", "revise", lambda: id() | {"complexity": cost.value})
        remove = self._button("Remove", "remove_task", id, "Take it and its dependencies out of the graph")
        others = [self._button(name.capitalize(), name, id) for name in "cancel retry approve reject".split()]
        return w.VBox([_wrap(which, cost, revise), _wrap(remove, *others)])

    def _choice(self, kind: Any, label: str) -> Any:
        self.choices.append(chooser := _field(kind, label, (), "340px"))
        return chooser

    def offer(self, ids: Sequence[TaskId]) -> None:
        """Let the lists offer the first `CHOICES` of these tasks; what is chosen stays chosen."""
        ids = tuple(ids[:CHOICES])
        for chooser in self.choices:
            if chooser.options != ids:
                kept, chooser.options = chooser.value, ids
                if isinstance(kept, tuple):
                    chooser.value = tuple(id for id in kept if id in ids)
                else:
                    chooser.value = kept if kept in ids else None

    def allow(self, status: RunStatus) -> None:
        """Grey out what makes no sense now; a control that comes too late is refused by the run."""
        senseless = {"Pause" if status == "paused" else "Resume"}
        if status not in ("planning", "running", "paused"):
            senseless = set(self.buttons) - {"Undo", "Redo"}
        for label, button in self.buttons.items():
            button.disabled = label in senseless

    def close(self) -> None:
        """Take the panel from the screen and its widgets out of the kernel."""
        for widget in every(self.root):
            widget.close()


def every(widget: Any) -> Iterator[Any]:
    """A widget and all it is made of."""
    for child in getattr(widget, "children", ()):
        yield from every(child)
    yield from (getattr(widget, name) for name in ("layout", "style") if hasattr(widget, name))
    yield widget


def answer_while_busy(root: Any) -> None:
    """Let what a browser sends be read while a cell runs.

    ipykernel 7.4 hands it to the thread that last wrote to the widget, which in a busy cell is the one that
    waits, instead of the subshell that the browser chose. The hook is private: used only where it is found.
    """
    for widget in every(root):
        if hasattr(widget.comm, "_reply_subshell_for"):
            widget.comm._reply_subshell_for = lambda data, default: default


def _field(kind: Any, label: str, value: Any, width: str = "170px") -> Any:
    given = {"options" if value == () else "value": value}
    look = w.Layout(width=width, max_width="98%")
    return kind(**given, description=label, style={"description_width": "initial"}, layout=look)


def _wrap(*widgets: Any) -> Any:
    return w.HBox(list(widgets), layout=w.Layout(flex_flow="row wrap"))
