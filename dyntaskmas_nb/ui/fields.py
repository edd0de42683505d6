"""The fields that forms are made of, and what they say as a task has it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import ipywidgets as w

from dyntaskmas_nb.core.task import TaskId
from dyntaskmas_nb.errors import InvalidInput


def task_fields() -> dict[str, Any]:
    """A field for all of a task but its name, description and join, by that name."""
    return {
        "role": field(w.Text, "Role", "general", "240px"),
        "complexity": field(w.FloatText, "Complexity", 1.0),
        "boost": field(w.FloatText, "Priority boost", 0.0),
        "critical": field(w.Checkbox, "the run fails without it", True, "260px"),
        "timeout": field(w.FloatText, "Timeout in s (0: none)", 0.0, "240px"),
        "attempts": field(w.BoundedIntText, "Attempts", 1, "150px", min=1, max=1000),
        "resources": field(w.Text, "Resources it holds alone, by name", "", "480px"),
        "approval": field(w.Checkbox, "waits for approval", False, "240px"),
    }


def values(fields: Mapping[str, Any]) -> dict[str, Any]:
    """What `task_fields` say, as a task has it."""
    given = {name: fields[name].value for name in "role complexity boost critical attempts approval".split()}
    names = [part.strip() for part in fields["resources"].value.split(",")]
    return given | {"timeout": fields["timeout"].value or None, "resources": list(filter(None, names))}


def values_of(row: Mapping[str, Any]) -> dict[str, Any]:
    """What `task_fields` and its description show of a task."""
    given = {
        name: row[name] for name in "description role complexity boost critical attempts approval".split()
    }
    held = ", ".join(part.removesuffix(" (shared)") for part in row["resources"])
    return given | {"timeout": row["timeout"] or 0.0, "resources": held}


def chosen(chooser: Any) -> TaskId:
    """The task that a list has chosen; refused where none is."""
    if chooser.value is None:
        raise InvalidInput(f"Choose a task first: {chooser.description}.")
    return str(chooser.value)


def field(kind: Any, label: str, value: Any, width: str = "170px", **more: Any) -> Any:
    """One labelled field; a list is given its options later."""
    given = {"options": value} if value == () else {"value": value}
    look = w.Layout(width=width, max_width="98%")
    return kind(**given, **more, description=label, style={"description_width": "initial"}, layout=look)


def wrap(*widgets: Any) -> Any:
    """Widgets in a row that breaks where it is too narrow."""
    return w.HBox(list(widgets), layout=w.Layout(flex_flow="row wrap", align_items="center"))
