"""Moving plans: subtasks that start while later ones are still being written, a plan that replaces another.

After "Parallelized Planning-Acting": a planner streams tasks, a newer plan supersedes queued parts of an
older one. What was handed on early is a promise, not the plan: the whole answer still goes through `repair`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection
from dataclasses import replace
from typing import Any

from dyntaskmas_nb.core.delta import Batch
from dyntaskmas_nb.core.graph import TaskGraph
from dyntaskmas_nb.core.task import TaskId
from dyntaskmas_nb.dtgg.difference import delta_between
from dyntaskmas_nb.dtgg.repair import free_id

MAX_SUBTASK = 8_000
"""Characters of one subtask, and up to the first: what is longer is not handed on early."""

_BEGIN = re.compile(r'[^{]*\{\s*"subtasks"\s*:\s*\[')
_GAP = re.compile(r"[\s,]*")
_DECODER = json.JSONDecoder()


class SubtaskReader:
    r"""Finds the complete subtasks of a plan that arrives piece by piece, wherever the pieces are cut.

    Reads only an answer whose first brace opens the plan, up to an entry that is no object, or is too long.

    Examples
    --------
    >>> reader = SubtaskReader()
    >>> reader.feed('{"subtasks": [{"id": "a'), reader.feed('}"}, {"id"'), reader.feed(': "b"}')
    ([], [{'id': 'a}'}], [{'id': 'b'}])
    """

    def __init__(self) -> None:
        self._text = ""
        self._begun = self._over = False

    def feed(self, text: str) -> list[dict[str, Any]]:
        """Take the next piece and return the subtasks that are complete with it, in order."""
        found: list[dict[str, Any]] = []
        if self._over:
            return found
        self._text, at = self._text + text, 0
        if not self._begun and (begin := _BEGIN.match(self._text, 0, MAX_SUBTASK)):
            self._begun, at = True, begin.end()
        while self._begun and (gap := _GAP.match(self._text, at)):
            at = gap.end()
            self._over = at < len(self._text) and self._text[at] != "{"
            try:
                row, end = _DECODER.raw_decode(self._text, at) if "}" in text else ({}, at)
            except (ValueError, RecursionError):
                break
            if self._over or not 0 < end - at <= MAX_SUBTASK:
                break
            found.append(row)
            at = end
        self._text = self._text[at:]
        self._over = self._over or len(self._text) > MAX_SUBTASK
        return found


def supersede(
    old: TaskGraph,
    new: TaskGraph,
    present: TaskGraph,
    *,
    fixed: Collection[TaskId] = (),
    spent: Collection[TaskId] = (),
) -> tuple[Batch, list[str]]:
    """The Δ that makes the plan `new` of `old` in a graph that others edit too; a note for each new name.

    Parameters
    ----------
    old : the planners' part of `present`, as they made it; what others added, removed or linked stays so.
    fixed : ids of tasks that run or are done, and stay. One of `old` does for a task of `new` that is the
        same and waits for the same; else that one gets another name, as it does where others took it.
    spent : ids of tasks that ended without a result: those of `old` go, and their names with them.
    """
    names: dict[TaskId, TaskId] = {}
    notes: list[str] = []
    for id in new.topological():
        if id in old and id not in present:
            continue  # somebody removed it
        names[id] = id
        free = id not in present or (id in old and id not in spent)
        if free and id in old and id in fixed:
            waits = {names[before] for before in new.after(id) if before in names}
            free = old[id] == new[id] and waits <= present.after(id).keys()
        if not free:
            names[id] = free_id(id, {*present, *new, *names.values()})
            notes.append(f"Task {id!r} of the plan became {names[id]!r}, since another has that name.")
    kept = {id: task for id, task in old.tasks.items() if id in present}
    tasks = {id: task for id, task in kept.items() if id in fixed}
    tasks |= {name: replace(new[id], id=name) for id, name in names.items()}
    planned = {(names[u], names[v]): i for u, v, i in new.dependencies() if u in names and v in names}
    links = {(u, v): i for u, v, i in present.dependencies() if u in old and v in old}
    here = {edge: i for edge, i in links.items() if old.has_dependency(*edge) or edge in planned}
    held = {(u, v): i for (u, v), i in here.items() if v in fixed and u in tasks}
    edges = {edge: i for edge, i in planned.items() if edge in here or not old.has_dependency(*edge)}
    before, after = (((u, v, i) for (u, v), i in each.items()) for each in (here, held | edges))
    return delta_between(TaskGraph.of(kept.values(), before), TaskGraph.of(tasks.values(), after)), notes
