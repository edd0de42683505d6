"""The fields that forms are made of, a form of them, and what they say as a task has it."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import ipywidgets as w

from dyntaskmas_nb.core.task import SHARED, Task, TaskId
from dyntaskmas_nb.errors import InvalidInput
from dyntaskmas_nb.ui.inbox import Answer
from dyntaskmas_nb.ui.live import Press
from dyntaskmas_nb.view.html import foreign
from dyntaskmas_nb.view.words import tag

if TYPE_CHECKING:
    from dyntaskmas_nb.ui.panel import Panel

Args = Callable[[], dict[str, Any]]
#: The buttons that serve whichever edit is chosen.
TRIO = ("apply", "preview", "draft")


class Look:
    """Makes the widgets of one panel; those that look alike share their `layout` and `style`.

    Every panel has its own: what one closes, another must not be using.
    """

    def __init__(self) -> None:
        self._shared: dict[tuple[Any, ...], Any] = {}
        self.flow = self._one(w.Layout, flex_flow="row wrap", align_items="center")
        self.hidden = self._one(w.Layout, display="none")

    def _one(self, kind: Any, **traits: str) -> Any:
        key = kind, *traits.items()
        if key not in self._shared:
            self._shared[key] = kind(**traits)
        return self._shared[key]

    def field(self, kind: Any, label: str, value: Any, width: str = "170px", **more: Any) -> Any:
        """One labelled field; a list is given its options later.

        It says what was typed when that is complete: keystrokes are held back from a busy kernel, and a
        press would overtake them.
        """
        given = {"options": value} if value == () else {"value": value}
        if hasattr(kind, "continuous_update"):
            given["continuous_update"] = False
        layout = self._one(w.Layout, width=width, max_width="98%")
        style = self._one(kind.style.klass, description_width="initial")
        return kind(**given, **more, description=label, style=style, layout=layout)

    def note(self) -> Any:
        """A place for words, empty at first."""
        return w.HTML(style=self._one(w.HTML.style.klass), layout=self._one(w.Layout))

    def row(self, *widgets: Any) -> Any:
        """Widgets in a row that breaks where it is too narrow."""
        return w.HBox(list(widgets), layout=self.flow)

    def pile(self, kind: Any, *widgets: Any) -> Any:
        """Widgets one below the other, in a box of some kind."""
        return kind(list(widgets), layout=self._one(w.Layout))

    def close(self) -> None:
        """Take what is shared out of the kernel."""
        for widget in self._shared.values():
            widget.close()


class Way(NamedTuple):
    """An edit that a form offers: its name, its arguments, and the fields that not all edits ask for."""

    label: str
    args: Args
    fields: Collection[str] = ()


class Form:
    """Fields with their refusals beside them, a choice of what to do with them, and a row of buttons.

    The buttons of `TRIO` apply, try or collect whichever of `edits` is chosen, by the name of its command;
    any other gives the command that it is named after, with the arguments in `others`. `done` is told of each
    command that was carried out or collected.
    """

    def __init__(
        self,
        panel: Panel,
        look: Look,
        fields: Mapping[str, Any],
        edits: Mapping[str, Way],
        buttons: list[tuple[str, str, str]],
        others: Mapping[str, Args] | None = None,
        done: Callable[[str], None] = lambda command: None,
    ) -> None:
        self._panel, self._look, self._edits, self._done = panel, look, edits, done
        self._ways = {command: way.args for command, way in edits.items()} | dict(others or {})
        self.fields = fields
        self.refusals = {name: look.note() for name in fields}
        self.press = Press(self._pressed, buttons)
        self.rows = {name: look.row(one, self.refusals[name]) for name, one in fields.items()}
        self.edit: Any = None
        if len(edits) > 1:
            options = [(way.label, command) for command, way in edits.items()]
            self.edit = look.field(w.Dropdown, "Edit", self.command, "340px", options=options)
            self.edit.observe(lambda _: self._reshape(), names="value")
        self._reshape()
        top = [self.edit] if self.edit else []
        self.root = look.pile(w.VBox, look.row(*top, *self.rows.values()), self.press)

    @property
    def command(self) -> str:
        """The edit that is chosen."""
        return str(self.edit.value if self.edit else next(iter(self._edits)))

    def _reshape(self) -> None:
        """Show the fields that the chosen edit asks for."""
        wanted = self._edits[self.command].fields
        needless = {name for way in self._edits.values() for name in way.fields if name not in wanted}
        for name, row in self.rows.items():
            row.layout = self._look.hidden if name in needless else self._look.flow

    def _pressed(self, said: Any) -> None:
        try:
            match said:
                case {"id": str(id), "name": str(name)}:
                    self._give(id, name)
        except Exception as error:  # noqa: BLE001  the border to the browser's click
            self._panel.failed(error)

    def _give(self, id: str, name: str) -> None:
        command = self.command if name in TRIO else name
        args = self._ways[command]
        for note in self.refusals.values():
            note.value = ""
        try:
            given = args()
        except InvalidInput as error:
            self.press.answer(id, False, str(error))
        else:
            mode = name if name in ("preview", "draft") else ""
            self._panel.press(command, given, lambda answer: self._answered(id, answer, command, mode), mode)

    def _answered(self, id: str, answer: Answer, command: str, mode: str) -> None:
        text = answer.what if mode == "preview" else answer.what.partition("\n")[0]
        self.press.answer(id, answer.ok, text if answer.ok else answer.reason, answer.call)
        if not answer.ok and (blamed := self.blamed(answer.reason)):
            look = {"class": "dt-refused", "role": "alert"}
            self.refusals[blamed].value = tag("span", "✗ ", foreign(answer.reason, 600), **look)
        if answer.ok and mode != "preview":
            self._done(command)

    def blamed(self, reason: str) -> str:
        """The field that a refusal speaks of, "" for none of them."""
        found = {name: re.search(rf"\b{name}\b", reason) for name in self.fields}
        return min([(match.start(), name) for name, match in found.items() if match], default=(0, ""))[1]


def task_fields(look: Look) -> dict[str, Any]:
    """A field for all of a task but its name, description and join, by that name."""
    return {
        "role": look.field(w.Text, "Role", "general", "240px"),
        "complexity": look.field(w.FloatText, "Complexity", 1.0),
        "boost": look.field(w.FloatText, "Priority boost", 0.0),
        "critical": look.field(w.Checkbox, "the run fails without it", True, "260px"),
        "timeout": look.field(w.FloatText, "Timeout in s (0: none)", 0.0, "240px"),
        "attempts": look.field(w.BoundedIntText, "Attempts", 1, min=1, max=1000),
        "resources": look.field(w.Text, f"Resources, alone or{SHARED}, by name", "", "480px"),
        "approval": look.field(w.Checkbox, "waits for approval", False, "260px"),
    }


def values(fields: Mapping[str, Any]) -> dict[str, Any]:
    """What `task_fields` say, as a task has it."""
    given = {name: fields[name].value for name in "role complexity boost critical attempts approval".split()}
    names = [part.strip() for part in fields["resources"].value.split(",")]
    return given | {"timeout": fields["timeout"].value or None, "resources": list(filter(None, names))}


def values_of(task: Task) -> dict[str, Any]:
    """What `task_fields` and its description show of a task."""
    names = "description role complexity boost critical attempts approval".split()
    held = ", ".join(one.key if one.exclusive else f"{one.key}{SHARED}" for one in task.resources)
    return {name: getattr(task, name) for name in names} | {"timeout": task.timeout or 0.0, "resources": held}


def chosen(chooser: Any) -> TaskId:
    """The task that a list has chosen; refused where none is."""
    if chooser.value is None:
        raise InvalidInput(f"Choose a task first: {chooser.description}.")
    return str(chooser.value)
