"""The widgets of one panel: the live picture, and a form for every edit Δ. They decide nothing.

Whatever comes from a run reaches them as escaped HTML, or in a list, whose options browsers take as text.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import ipywidgets as w

from dyntaskmas_nb.core.task import TaskId
from dyntaskmas_nb.errors import InvalidInput
from dyntaskmas_nb.ui.fields import chosen, field, task_fields, values, values_of, wrap
from dyntaskmas_nb.ui.inbox import Answer
from dyntaskmas_nb.ui.live import Live, Press, answer_while_busy, bundle
from dyntaskmas_nb.view.html import foreign
from dyntaskmas_nb.view.words import tag

if TYPE_CHECKING:
    from dyntaskmas_nb.ui.panel import Panel

#: Tasks that a list offers at most.
CHOICES = 500
_TRY = ("preview", "Preview", "What it would do, drawn as ghosts; nothing is changed")
_COLLECT = ("draft", "Collect", "Note it, to be applied together with others")
_JOINS = ("all", "any", "k_of_n", "first_valid")


class Form:
    """Fields with their refusals beside them, and a row of buttons.

    `ways` says for each button which command it gives, with which arguments; a button called "preview" or
    "draft" gives the first one's in that mode. `done` is told of each that was carried out.
    """

    def __init__(
        self,
        panel: Panel,
        fields: Mapping[str, Any],
        ways: Mapping[str, tuple[str, Callable[[], dict[str, Any]]]],
        buttons: list[tuple[str, str, str]],
        done: Callable[[str], None] = lambda name: None,
    ) -> None:
        self._panel, self._ways, self._done = panel, ways, done
        self.fields = fields
        self.refusals = {name: w.HTML() for name in fields}
        self.press = Press(self._pressed, buttons)
        rows = [wrap(one, self.refusals[name]) for name, one in fields.items()]
        self.root = w.VBox([wrap(*rows), self.press])

    def _pressed(self, said: Any) -> None:
        try:
            match said:
                case {"id": str(id), "name": str(name)}:
                    self._give(id, name)
        except Exception as error:  # noqa: BLE001  the border to the browser's click
            self._panel.failed(error)

    def _give(self, id: str, name: str) -> None:
        mode = name if name in ("preview", "draft") else ""
        command, args = self._ways[next(iter(self._ways)) if mode else name]
        for note in self.refusals.values():
            note.value = ""
        try:
            given = args()
        except InvalidInput as error:
            self.press.answer(id, False, str(error))
        else:
            self._panel.press(command, given, lambda answer: self._answered(id, answer, name), mode)

    def _answered(self, id: str, answer: Answer, name: str) -> None:
        text = answer.what if name == "preview" else answer.what.partition("\n")[0]
        self.press.answer(id, answer.ok, text if answer.ok else answer.reason, answer.call)
        if not answer.ok and (blamed := self.blamed(answer.reason)):
            look = {"class": "dt-refused", "role": "alert"}
            self.refusals[blamed].value = tag("span", "✗ ", foreign(answer.reason, 600), **look)
        if answer.ok and name != "preview":
            self._done(name)

    def blamed(self, reason: str) -> str:
        """The field that a refusal speaks of, "" for none of them."""
        found = {name: re.search(rf"\b{name}\b", reason) for name in self.fields}
        return min([(match.start(), name) for name, match in found.items() if match], default=(0, ""))[1]


class Face:
    """All widgets of `panel`, `root` around them."""

    def __init__(self, panel: Panel) -> None:
        bundle("panel.js")  # where there is none it is said before any widget is made
        self._panel = panel
        self.choices: list[Any] = []
        self.math = w.HTMLMath()
        self.live = Live(panel.hear, self.math)
        self.forms = {
            "Add a task": self._adding(),
            "Dependencies": self._dependencies(),
            "Change a task": self._changing(),
        }
        forms = w.Accordion([form.root for form in self.forms.values()])
        forms.titles = tuple(self.forms)
        self.root = w.VBox([self.live, forms]).add_class("dyntask").add_class("dyntask-panel")
        answer_while_busy(*every(self.root))

    def _adding(self) -> Form:
        fields = {
            "description": field(w.Text, "What to do", "", "480px"),
            "id": field(w.Text, "Name", "", "240px"),
            "after": self._choice(w.SelectMultiple, "After"),
            "before": self._choice(w.SelectMultiple, "Before"),
            **task_fields(),
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
        return Form(self._panel, fields, {"apply": ("add_task", args)}, buttons, empty)

    def _dependencies(self) -> Form:
        fields = {
            "before": self._choice(w.Dropdown, "Task"),
            "after": self._choice(w.Dropdown, "comes before"),
            "information": field(w.FloatText, "Information", 0.0),
        }

        def edge() -> dict[str, Any]:
            return {side: chosen(fields[side]) for side in ("before", "after")}

        def weighed() -> dict[str, Any]:
            return edge() | {"information": fields["information"].value}

        ways = {
            "add": ("add_dependency", weighed),
            "revise": ("revise_dependency", weighed),
            "remove": ("remove_dependency", edge),
        }
        buttons = [
            ("add", "Add the dependency", ""),
            ("revise", "Change its information", "How much moves along it, in information units"),
            ("remove", "Remove the dependency", ""),
            _TRY,
            _COLLECT,
        ]
        return Form(self._panel, fields, ways, buttons)

    def _changing(self) -> Form:
        fields = {
            "id": self._choice(w.Dropdown, "Task"),
            "description": field(w.Text, "What to do", "", "480px"),
            **task_fields(),
            "kind": field(w.Dropdown, "Starts when", "all", "240px", options=_JOINS),
            "k": field(w.BoundedIntText, "k of n", 1, "140px", min=1, max=1000),
            "why": field(w.Text, "Why rejected", "", "340px"),
        }

        told: dict[str, Any] = {}

        def noted(name: str) -> None:
            if name in ("apply", "draft"):
                told.update({name: fields[name].value for name in told})

        def show(_: object) -> None:
            row = self._panel.row(fields["id"].value or "")
            if row is not None:
                told.update(values_of(row))
                for name, value in told.items():
                    fields[name].value = value
                noted("apply")
                fields["kind"].value, _, k = row["join"].partition(" ")
                fields["k"].value = int(k or 1)

        def changes() -> dict[str, Any]:
            id = chosen(fields["id"])
            # What was not touched is not sent, even where the task has become another since.
            now = values(fields) | {"description": fields["description"].value}
            new = {name: value for name, value in now.items() if fields[name].value != told.get(name)}
            if not new:
                raise InvalidInput("Nothing is different from what the task has; change a field first.")
            return {"id": id} | new

        def one() -> dict[str, Any]:
            return {"id": chosen(fields["id"])}

        fields["id"].observe(show, names="value")
        ways = {
            "apply": ("revise", changes),
            "join": ("set_join", lambda: one() | {"kind": fields["kind"].value, "k": fields["k"].value}),
            "remove": ("remove_task", one),
            **{name: (name, one) for name in ("cancel", "retry", "approve")},
            "reject": ("reject", lambda: one() | {"why": fields["why"].value}),
        }
        buttons = [
            ("apply", "Apply the changes", "Only the fields that are different"),
            _TRY,
            _COLLECT,
            ("join", "Set when it starts", ""),
            ("remove", "Remove", "Take it and its dependencies out of the graph"),
            ("cancel", "Cancel", ""),
            ("retry", "Retry", ""),
            ("approve", "Approve", ""),
            ("reject", "Reject", ""),
        ]
        return Form(self._panel, fields, ways, buttons, noted)

    def _choice(self, kind: Any, label: str) -> Any:
        self.choices.append(chooser := field(kind, label, (), "340px"))
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

    def selected(self, id: TaskId) -> None:
        """Put the task that was selected in the picture into the form that changes one."""
        chooser = self.forms["Change a task"].fields["id"]
        if id in chooser.options:
            chooser.value = id

    def add(self, widget: Any) -> None:
        """Show another panel below."""
        self.root.children = (*self.root.children, widget)

    def close(self) -> None:
        """Take the panel from the screen and its widgets out of the kernel."""
        for widget in (*every(self.root), *every(self.math)):
            widget.close()


def every(widget: Any) -> Iterator[Any]:
    """A widget and all it is made of."""
    for child in getattr(widget, "children", ()):
        yield from every(child)
    yield from (getattr(widget, name) for name in ("layout", "style") if hasattr(widget, name))
    yield widget
