"""Δ_t: the closed union of graph edits (paper Eq. 4). Each has an inverse, which `dtgg.update.apply` returns.

Edits are data. Nothing here changes a graph; `dtgg.update` is the one place that does.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import chain
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
    | AddDependency
    | RemoveDependency
    | ReviseDependency
    | ReviseTask
    | SetJoin
    | ExpandTask
    | Batch
)


def touched(delta: Delta) -> set[TaskId]:
    """Ids of the tasks that `delta` names: what must be untouched since its base for it to be rebased."""
    match delta:
        case AddTask(task=task, after=after, before=before):
            return {task.id, *after, *before}
        case ExpandTask(id=id, tasks=tasks):
            return {id, *(task.id for task in tasks)}
        case Batch(deltas=deltas):
            return set(chain.from_iterable(map(touched, deltas)))
        case RemoveTask() | ReviseTask() | SetJoin():
            return {delta.id}
        case AddDependency() | RemoveDependency() | ReviseDependency():
            return {delta.before, delta.after}


def changed(delta: Delta) -> set[TaskId]:
    """Ids of existing tasks whose own definition or predecessors `delta` changes."""
    match delta:
        case AddTask(before=before):
            return set(before)
        case AddDependency() | RemoveDependency() | ReviseDependency():
            return {delta.after}
        case RemoveTask() | ReviseTask() | SetJoin() | ExpandTask():
            return {delta.id}
        case Batch(deltas=deltas):
            return set(chain.from_iterable(map(changed, deltas)))
