"""Δ_t: the closed union of graph edits (paper Eq. 4). Each has an inverse, which `dtgg.update.apply` returns.

Edits are data. Nothing here changes a graph; `dtgg.update` is the one place that does.
"""

from __future__ import annotations

from collections.abc import Mapping
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


def touched(delta: Delta) -> frozenset[TaskId]:
    """Ids of the tasks that `delta` names: what must be untouched since its base for it to be rebased."""
    match delta:
        case AddTask(task=task, after=after, before=before):
            return frozenset({task.id, *after, *before})
        case ExpandTask(id=id, tasks=tasks):
            return frozenset({id, *(task.id for task in tasks)})
        case Batch(deltas=deltas):
            return frozenset().union(*map(touched, deltas))
        case RemoveTask() | ReviseTask() | SetJoin():
            return frozenset({delta.id})
        case AddDependency() | RemoveDependency() | ReviseDependency():
            return frozenset({delta.before, delta.after})


def changed(delta: Delta) -> frozenset[TaskId]:
    """Ids of existing tasks whose own definition or predecessors `delta` changes.

    These may not be running or finished; what is merely named (the predecessor in `AddTask.after`) may.
    """
    match delta:
        case AddTask(before=before):
            return frozenset(before)
        case AddDependency() | RemoveDependency() | ReviseDependency():
            return frozenset({delta.after})
        case RemoveTask() | ReviseTask() | SetJoin() | ExpandTask():
            return frozenset({delta.id})
        case Batch(deltas=deltas):
            return frozenset().union(*map(changed, deltas))
