"""Undo and redo of a user's edits, found in the log alone, so that they outlive the process.

Each is a new Δ: the inverse of an edit, then the inverse of that inverse. Where the planner or the AWM has
changed the same tasks since, it is refused: it would take back their work too.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from dyntaskmas_nb.apee.history import accepted
from dyntaskmas_nb.apee.story import said
from dyntaskmas_nb.core.delta import Delta, ExpandTask, RemoveTask, RemoveTasks, changed, primitive, touched
from dyntaskmas_nb.core.event import DeltaApplied, DeltaSubmitted, Event
from dyntaskmas_nb.core.task import TaskId


@dataclass(slots=True)
class Edit:
    """A user's edit in words and the Δ that takes it back; `against` says what stands in the way."""

    what: str
    delta: Delta
    against: str = ""


def edits_of(log: Sequence[Event]) -> tuple[list[Edit], list[Edit], int]:
    """What a user can undo and redo, the next one last in each, and the version at which that is so."""
    done: list[Edit] = []
    undone: list[Edit] = []
    version = 0
    for cause, applied in accepted(log):
        if not isinstance(applied, DeltaApplied) or not isinstance(cause, DeltaSubmitted):
            continue
        version = applied.version
        if cause.by == "undo" and done:
            undone.append(Edit(done.pop().what, applied.inverse))
        elif cause.by == "redo" and undone:
            done.append(Edit(undone.pop().what, applied.inverse))
        elif cause.by == "user":
            done.append(Edit(said(cause.delta), applied.inverse))
            undone.clear()
        else:
            for edit in done + undone:
                if touched(edit.delta) & changed(cause.delta) or _removed(edit.delta) & touched(cause.delta):
                    edit.against = edit.against or f"the {cause.by} has {said(cause.delta)}"
    return done, undone, version


def _removed(delta: Delta) -> frozenset[TaskId]:
    parts = list(primitive(delta))
    several = [id for part in parts if isinstance(part, RemoveTasks) for id in part.ids]
    return frozenset([*several, *(part.id for part in parts if isinstance(part, RemoveTask | ExpandTask))])
