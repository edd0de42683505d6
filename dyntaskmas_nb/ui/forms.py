"""The widgets of one panel: the live picture, and a form for every edit Δ. They decide nothing.

Whatever comes from a run reaches them as escaped HTML, in a field, or in a list, whose options browsers take
as text.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import ipywidgets as w

from dyntaskmas_nb.core.task import TaskId
from dyntaskmas_nb.errors import InvalidInput
from dyntaskmas_nb.ui.fields import Form, Look, Way, chosen, task_fields, values, values_of
from dyntaskmas_nb.ui.live import Live, answer_while_busy, bundle

if TYPE_CHECKING:
    from dyntaskmas_nb.ui.panel import Panel

#: Tasks that a list offers at most.
CHOICES = 500
_APPLY = ("apply", "Apply", "")
_TRY = ("preview", "Preview", "What it would do, drawn as ghosts; nothing is changed")
_COLLECT = ("draft", "Collect", "Note it, to be applied together with others")
_JOINS = ("all", "any", "k_of_n", "first_valid")


class Face:
    """All widgets of `panel`, `root` around them."""

    def __init__(self, panel: Panel) -> None:
        bundle("panel.js")  # where there is none it is said before any widget is made
        self._panel, self._look = panel, Look()
        self._offering = False
        self.choices: list[Any] = []
        self.math = w.HTMLMath()
        self.live = Live(panel.hear, self.math)
        self._change = Change(panel, self._look, self._choice(w.Dropdown, "Task"))
        self._change.fields["id"].observe(lambda _: self._chosen(), names="value")
        self.forms = {
            "Add a task": self._adding(),
            "Dependencies": self._dependencies(),
            "Change a task": self._change.form,
        }
        forms = self._look.pile(w.Accordion, *(form.root for form in self.forms.values()))
        forms.titles = tuple(self.forms)
        self.root = self._look.pile(w.VBox, self.live, forms).add_class("dyntask").add_class("dyntask-panel")
        answer_while_busy(*every(self.root))

    def _adding(self) -> Form:
        field = self._look.field
        fields = {
            "description": field(w.Textarea, "What to do", "", "480px", rows=2),
            "id": field(w.Text, "Name", "", "240px"),
            "after": self._choice(w.SelectMultiple, "After"),
            "before": self._choice(w.SelectMultiple, "Before"),
            **task_fields(self._look),
            "join": field(w.Dropdown, "Starts when", "all", "240px", options=("all", "any", "first_valid")),
        }

        def args() -> dict[str, Any]:
            given = {"description": fields["description"].value, "join": fields["join"].value}
            given |= {side: list(fields[side].value) for side in ("after", "before")}
            named = fields["id"].value.strip()
            return given | values(fields) | ({"id": named} if named else {})

        def empty(_: str) -> None:
            fields["description"].value = fields["id"].value = ""
            fields["after"].value = fields["before"].value = ()

        tip = "Ctrl or ⌘ chooses several tasks in a list"
        buttons = [("apply", "Add the task", tip), _TRY, _COLLECT]
        edits = {"add_task": Way("Add the task", args)}
        return Form(self._panel, self._look, fields, edits, buttons, done=empty)

    def _dependencies(self) -> Form:
        fields = {
            "before": self._choice(w.Dropdown, "Task"),
            "after": self._choice(w.Dropdown, "comes before"),
            "information": self._look.field(w.FloatText, "Information", 0.0),
        }

        def edge() -> dict[str, Any]:
            return {side: chosen(fields[side]) for side in ("before", "after")}

        def weighed() -> dict[str, Any]:
            return edge() | {"information": fields["information"].value}

        moved = ("information",)
        edits = {
            "add_dependency": Way("Add the dependency", weighed, moved),
            "revise_dependency": Way("Change its information", weighed, moved),
            "remove_dependency": Way("Remove the dependency", edge),
        }
        return Form(self._panel, self._look, fields, edits, [_APPLY, _TRY, _COLLECT])

    def _choice(self, kind: Any, label: str) -> Any:
        self.choices.append(chooser := self._look.field(kind, label, (), "340px"))
        return chooser

    def _chosen(self) -> None:
        """Fill the form that changes a task, unless a list only seems to choose another."""
        if not self._offering:
            self._change.show(self._change.fields["id"].value or "")

    def offer(self, ids: Sequence[TaskId]) -> None:
        """Let the lists offer the first `CHOICES` of these tasks; what is chosen stays chosen."""
        ids = tuple(ids[:CHOICES])
        self._offering = True  # new options choose the first of them, for a moment
        try:
            for chooser in self.choices:
                if chooser.options != ids:
                    with chooser.hold_sync():
                        _renew(chooser, ids)
        finally:
            self._offering = False
        self._chosen()

    def selected(self, id: TaskId) -> None:
        """Put the task that was selected in the picture into the form that changes one."""
        chooser = self._change.fields["id"]
        if id in chooser.options:
            chooser.value = id

    def add(self, widget: Any) -> None:
        """Show another panel below."""
        self.root.children = (*self.root.children, widget)

    def close(self) -> None:
        """Take the panel from the screen and its widgets out of the kernel."""
        for widget in (*every(self.root), *every(self.math), self._look):
            widget.close()


class Change:
    """The form that changes a task: it shows what the task has, and sends what was made different."""

    def __init__(self, panel: Panel, look: Look, task: Any) -> None:
        self._panel = panel
        self._shown = ""
        self._told: dict[str, Any] = {}
        self._sent: dict[str, Any] = {}
        revised = {
            "description": look.field(w.Textarea, "What to do", "", "480px", rows=4),
            **task_fields(look),
        }
        start = {
            "kind": look.field(w.Dropdown, "Starts when", "all", "240px", options=_JOINS),
            "k": look.field(w.BoundedIntText, "k of n", 1, min=1, max=1000),
        }
        why = {"why": look.field(w.Text, "Why rejected", "", "340px")}
        self.fields = {"id": task, **revised, **start, **why}
        self._revised = tuple(revised)
        edits = {
            "revise": Way("Change its fields", self._changes, revised),
            "set_join": Way("Change when it starts", lambda: self._one() | _values(start), start),
            "remove_task": Way("Remove it and its dependencies", self._one),
        }
        others = {
            **dict.fromkeys(("cancel", "retry", "approve"), self._one),
            "reject": lambda: self._one() | _values(why),
        }
        buttons = [_APPLY, _TRY, _COLLECT, *((name, name.capitalize(), "") for name in others)]
        self.form = Form(panel, look, self.fields, edits, buttons, others, self._done)

    def show(self, id: TaskId) -> None:
        """Fill the fields with what a task has; where they show it already, what is being typed stays."""
        task = self._panel.task(id) if id != self._shown else None
        if task is None:
            return
        for name, value in values_of(task).items():
            self.fields[name].value = value
        self.fields["kind"].value, self.fields["k"].value = task.join.kind, task.join.k
        self._shown, self._told = id, self._typed()
        self._sent = self._told

    def _typed(self) -> dict[str, Any]:
        return {name: self.fields[name].value for name in self._revised}

    def _changes(self) -> dict[str, Any]:
        """What was not touched is not sent, even where the task has become another since."""
        one, typed = self._one(), self._typed()
        now = values(self.fields) | {"description": typed["description"]}
        new = {name: value for name, value in now.items() if typed[name] != self._told.get(name)}
        if not new:
            raise InvalidInput("Nothing is different from what the task has; change a field first.")
        self._sent = typed
        return one | new

    def _one(self) -> dict[str, Any]:
        return {"id": chosen(self.fields["id"])}

    def _done(self, command: str) -> None:
        if command == "revise":
            self._told = self._sent


def _values(fields: dict[str, Any]) -> dict[str, Any]:
    return {name: field.value for name, field in fields.items()}


def _renew(chooser: Any, ids: tuple[TaskId, ...]) -> None:
    kept, chooser.options = chooser.value, ids
    if isinstance(kept, tuple):
        chooser.value = tuple(id for id in kept if id in ids)
    else:
        chooser.value = kept if kept in ids else None


def every(widget: Any) -> Iterator[Any]:
    """A widget and all it is made of."""
    for child in getattr(widget, "children", ()):
        yield from every(child)
    yield from (getattr(widget, name) for name in ("layout", "style") if hasattr(widget, name))
    yield widget
