"""Δ_t: the closed union of graph edits (paper Eq. 4). Each has an inverse, which `dtgg.update.apply` returns.

Edits are data. Nothing here changes a graph; `dtgg.update` is the one place that does.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from dyntaskmas_nb.core.task import Join, Task, TaskId


@dataclass(frozen=True, slots=True, kw_only=True)
class AddTask:
    """Add `task` after `after` and before `before`; both map a task id to the information I moved."""

    task: Task
    after: Mapping[TaskId, float] = field(default_factory=dict)
    before: Mapping[TaskId, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoveTask:
    """Remove a task and every dependency that touches it."""

    id: TaskId


@dataclass(frozen=True, slots=True, kw_only=True)
class AddTasks:
    """Add a plan at once: tasks, and (before, after, information) of which one at least is among them."""

    tasks: tuple[Task, ...]
    dependencies: tuple[tuple[TaskId, TaskId, float], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoveTasks:
    """Remove several tasks at once."""

    ids: tuple[TaskId, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class AddDependency:
    """`after` may start only when `before` is done; `information` I ≥ 0 moves between them."""

    before: TaskId
    after: TaskId
    information: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoveDependency:
    """`after` no longer waits for `before`."""

    before: TaskId
    after: TaskId


@dataclass(frozen=True, slots=True, kw_only=True)
class ReviseDependency:
    """Change the information I that moves along a dependency."""

    before: TaskId
    after: TaskId
    information: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ReviseTask:
    """Change fields of a task (see `core.task.REVISABLE`)."""

    id: TaskId
    changes: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class SetJoin:
    """Change when a task with several predecessors may start."""

    id: TaskId
    join: Join


@dataclass(frozen=True, slots=True, kw_only=True)
class ExpandTask:
    """Replace a task by a subgraph (Alg. 1): entries inherit its predecessors, exits its successors.

    `dependencies` are (before, after, information) among `tasks`.
    """

    id: TaskId
    tasks: tuple[Task, ...]
    dependencies: tuple[tuple[TaskId, TaskId, float], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """Several edits applied in order, all or none."""

    deltas: tuple[Delta, ...]


Delta: TypeAlias = (
    AddTask
    | RemoveTask
    | AddTasks
    | RemoveTasks
    | AddDependency
    | RemoveDependency
    | ReviseDependency
    | ReviseTask
    | SetJoin
    | ExpandTask
    | Batch
)


def primitive(delta: Delta) -> Iterator[Delta]:
    """The edits that `delta` is made of, batches taken apart."""
    if isinstance(delta, Batch):
        for part in delta.deltas:
            if isinstance(part, Batch):
                yield from primitive(part)
            else:
                yield part
    else:
        yield delta


def touched(delta: Delta) -> set[TaskId]:
    """Ids of the tasks that `delta` names: what must be untouched since its base for it to be rebased."""
    ids: set[TaskId] = set()
    for part in primitive(delta):
        match part:
            case AddTask():
                ids.add(part.task.id)
                ids.update(part.after, part.before)
            case AddTasks(tasks=tasks, dependencies=dependencies):
                ids.update([task.id for task in tasks])
                for before, after, _ in dependencies:
                    ids.update((before, after))
            case RemoveTasks():
                ids.update(part.ids)
            case ExpandTask(id=id, tasks=tasks):
                ids.add(id)
                ids.update([task.id for task in tasks])
            case RemoveTask() | ReviseTask() | SetJoin():
                ids.add(part.id)
            case AddDependency() | RemoveDependency() | ReviseDependency():
                ids.update((part.before, part.after))
    return ids


def changed(delta: Delta) -> set[TaskId]:
    """Ids of existing tasks whose own definition or predecessors `delta` changes."""
    ids: set[TaskId] = set()
    for part in primitive(delta):
        match part:
            case AddTask():
                ids.update(part.before)
            case AddTasks(tasks=tasks, dependencies=dependencies):
                ids.update([after for _, after, _ in dependencies])
                ids.difference_update([task.id for task in tasks])
            case RemoveTasks():
                ids.update(part.ids)
            case AddDependency() | RemoveDependency() | ReviseDependency():
                ids.add(part.after)
            case RemoveTask() | ReviseTask() | SetJoin() | ExpandTask():
                ids.add(part.id)
    return ids
