"""From a JSON value that a model wrote to a valid task graph: repaired where the repair is obvious.

Obvious is what has one sensible reading: an id in capitals, a dependency on oneself, a missing role. Each
such repair is recorded as one sentence. What could be meant in two ways (a cycle, an id used twice that
others depend on), or not at all, is `Broken`, with the reason that the planner tells the model.

Laws, tested on arbitrary JSON: the outcome is a graph of 1 to `max_tasks` valid tasks or a `Broken`, and a
repaired plan needs no repair.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from difflib import get_close_matches
from typing import Any

from dyntaskmas_nb.core.graph import TaskGraph
from dyntaskmas_nb.core.task import Task, TaskId
from dyntaskmas_nb.dtgg.reading import Broken
from dyntaskmas_nb.dtgg.subtask import Subtask, read_subtask, show, slug
from dyntaskmas_nb.errors import CycleError

#: A model may fail or be cut off: the planner's tasks are tried twice.
ATTEMPTS = 2
_ROWS = 1_000
_STRANGERS = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Repaired:
    """A valid graph, and the sentences that say what was changed on the way to it."""

    graph: TaskGraph
    repairs: tuple[str, ...]


def repair(value: object, *, max_tasks: int, title: str = "") -> Repaired | Broken:
    """Return the graph that the plan `value` describes.

    Parameters
    ----------
    value : any JSON value, usually ``{"subtasks": […]}``.
    max_tasks : the most tasks a plan may have.

    Examples
    --------
    >>> rows = [{"id": "Buy Food"}, {"id": "cook", "role": "chef", "depends_on": ["Buy Food", "cook"]}]
    >>> repaired = repair({"subtasks": rows}, max_tasks=9)
    >>> repaired.graph.predecessors("cook"), repaired.repairs[-1]
    (('buy_food',), "'cook' depended on itself; that was dropped.")
    """
    notes: list[str] = []
    rows = _rows(value, notes)
    if isinstance(rows, Broken):
        return rows
    found: list[Subtask] = []
    names: dict[str, TaskId] = {}
    for number, row in enumerate(rows):
        subtask = read_subtask(row, number, names, notes)
        if isinstance(subtask, Broken):
            return subtask
        found.append(subtask)
    subtasks = _linked(found, notes)
    if not isinstance(subtasks, Broken):
        subtasks = _distinct(subtasks, notes)
    if isinstance(subtasks, Broken):
        return subtasks
    if len(subtasks) > max_tasks:
        return Broken(reason=f"The plan has {len(subtasks)} subtasks; at most {max_tasks} are allowed.")
    try:
        graph = _graph(subtasks, title)
    except CycleError as error:
        return Broken(reason=str(error))
    return Repaired(graph=graph, repairs=tuple(dict.fromkeys(notes)))


def _graph(subtasks: list[Subtask], title: str) -> TaskGraph:
    tasks = [
        Task(id=s.id, description=s.description, role=s.role, complexity=s.complexity, attempts=ATTEMPTS)
        for s in subtasks
    ]
    return TaskGraph.of(
        tasks, ((before, s.id, 0.0) for s in subtasks for before in s.depends_on), title=title
    )


def _rows(value: object, notes: list[str]) -> list[Any] | Broken:
    """The list of subtasks: under "subtasks", or bare, or the only list of objects under another name."""
    rows: object = None
    if isinstance(value, dict) and "subtasks" in value:
        rows = value["subtasks"]
    elif isinstance(value, list):
        rows = value
        notes.append('The plan was a bare list; it was read as its "subtasks".')
    elif isinstance(value, dict):
        lists = [
            key
            for key, part in value.items()
            if isinstance(part, list) and part and isinstance(part[0], dict)
        ]
        if len(lists) == 1:
            rows = value[lists[0]]
            notes.append(f'{show(lists[0])} was read as "subtasks".')
    if not isinstance(rows, list):
        return Broken(reason='The answer has no list "subtasks".')
    if not rows:
        return Broken(reason='The plan is empty: "subtasks" needs at least one subtask.')
    if len(rows) > _ROWS:
        return Broken(reason=f"The plan has {len(rows):,} subtasks, which is far too many.")
    return rows


def _linked(subtasks: list[Subtask], notes: list[str]) -> list[Subtask] | Broken:
    """Dependencies by id: normalised, matched to a close name or dropped; none twice, none on oneself."""
    ids = list(dict.fromkeys(subtask.id for subtask in subtasks))
    known = {id: id for id in ids} | {subtask.written: subtask.id for subtask in subtasks}
    guesses: dict[str, TaskId | None] = {}
    linked = []
    for subtask in subtasks:
        kept: dict[TaskId, None] = {}
        for name in subtask.depends_on:
            meant = known.get(name) or known.get(slug(name) or "")
            if meant is None:
                if len(guesses) == _STRANGERS and name not in guesses:
                    return Broken(reason=f"More than {_STRANGERS} dependencies name no subtask of the plan.")
                meant = guesses.setdefault(name, _close(slug(name), ids))
                instead = "that was dropped" if meant is None else f"{meant!r} was taken instead"
                notes.append(f"{subtask.id!r} depended on {show(name)}, which is no subtask; {instead}.")
            _keep(subtask.id, meant, kept, notes)
        linked.append(replace(subtask, depends_on=tuple(kept)))
    return linked


def _keep(id: TaskId, meant: TaskId | None, kept: dict[TaskId, None], notes: list[str]) -> None:
    """Add the dependency of `id` on `meant` to `kept`, or note why not."""
    if meant == id:
        notes.append(f"{id!r} depended on itself; that was dropped.")
    elif meant in kept:
        notes.append(f"{id!r} named its dependency {meant!r} twice; one was dropped.")
    elif meant is not None:
        kept[meant] = None


def _close(id: str | None, ids: list[TaskId]) -> TaskId | None:
    """The one id that looks like `id`, or None when there is none or more than one."""
    close = get_close_matches(id, ids, n=2, cutoff=0.8) if id else []
    return close[0] if len(close) == 1 else None


def _distinct(subtasks: list[Subtask], notes: list[str]) -> list[Subtask] | Broken:
    """Every id once: the same subtask twice is merged, others are renamed if nobody depends on the id."""
    merged: dict[tuple[object, ...], Subtask] = {}
    for subtask in subtasks:
        same = (
            subtask.id,
            subtask.description,
            subtask.role,
            subtask.complexity,
            frozenset(subtask.depends_on),
        )
        if merged.setdefault(same, subtask) is not subtask:
            notes.append(f"{subtask.id!r} was there twice; one was dropped.")
    counts = Counter(subtask.id for subtask in merged.values())
    needed = {before for subtask in merged.values() for before in subtask.depends_on}
    for id, count in counts.items():
        if count > 1 and id in needed:
            return Broken(
                reason=f"Id {id!r} is used for {count} different subtasks, and others depend on it; "
                "give every subtask its own id."
            )
    return _renamed(list(merged.values()), counts, notes)


def _renamed(subtasks: list[Subtask], counts: Mapping[TaskId, int], notes: list[str]) -> list[Subtask]:
    taken: set[TaskId] = set()
    distinct = []
    for subtask in subtasks:
        id, number = subtask.id, 2
        while id in taken or (id != subtask.id and id in counts):
            id, number = f"{subtask.id[:35]}_{number}", number + 1
        if id != subtask.id:
            notes.append(f"Id {subtask.id!r} was used twice; the later subtask became {id!r}.")
        taken.add(id)
        distinct.append(replace(subtask, id=id))
    return distinct
