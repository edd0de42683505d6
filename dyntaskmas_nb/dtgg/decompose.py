"""Eq. 2, D(t) = {s₁, …, s_k}, and Alg. 1: a task is replaced by its subtasks, and these by theirs.

`decompose` returns subtasks **and their dependencies** as one Δ, spliced as Alg. 1 needs it: the entries of
a decomposition inherit the predecessors of what it replaces, its exits the successors. Line 13 of Alg. 1
returns {t}, which is None here: there is nothing to change.

Deviation: lines 5-7 as printed link every ordered pair of subtasks, a total order without parallelism; only
declared dependencies are kept.
Paper silent: when a task is atomic; we chose complexity ≤ 2 (or fixed inputs, which are a function's
# arguments), and fewer than two subtasks count as the task itself.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Sequence
from dataclasses import dataclass, replace
from hashlib import blake2b

import anyio

from dyntaskmas_nb.core.delta import ExpandTask
from dyntaskmas_nb.core.graph import TaskGraph
from dyntaskmas_nb.core.task import MAX_NAME, Task, TaskId
from dyntaskmas_nb.dtgg.planner import MAX_SENTENCE, plan
from dyntaskmas_nb.dtgg.update import apply
from dyntaskmas_nb.errors import InvalidInput, PlanningFailed
from dyntaskmas_nb.llm.protocol import Backend

ATOMIC_COMPLEXITY = 2.0
MAX_SUBTASKS = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Split:
    """One application of D: subtasks and their dependencies (before, after, I), ids local to the split."""

    tasks: tuple[Task, ...]
    dependencies: tuple[tuple[TaskId, TaskId, float], ...] = ()


Splitter = Callable[[Task, int], Awaitable[Split | None]]
"""Splits a task at a depth (from 1), or returns None when it is best left whole."""


def is_simple(task: Task) -> bool:
    """Whether `task` is atomic as long as nobody says otherwise."""
    return task.complexity <= ATOMIC_COMPLEXITY or task.inputs is not None


async def decompose(
    task: Task,
    split: Splitter,
    *,
    max_depth: int = 2,
    is_atomic: Callable[[Task], bool] = is_simple,
    taken: Collection[TaskId] = (),
) -> ExpandTask | None:
    """Return the Δ that replaces `task` by its subtasks, or None when it stays whole.

    Splits of one depth are asked for at the same time. A subtask is called ``task.subtask``; it inherits
    what its task must keep: `critical`, `boost`, resources and, where it is an entry, the join rule.

    Parameters
    ----------
    split : Splitter
        How to split one task, for instance `asking(backend, request)`.
    max_depth : int
        How often a subtask of a subtask may be split, ≥ 0. At most 200 subtasks come out.
    is_atomic : callable
        Tasks that are not to be split.
    taken : collection of str
        Ids of the graph that the Δ is for; subtasks get others.

    Raises
    ------
    InvalidInput
        `max_depth` is no whole number ≥ 0, or a split names an unknown task or closes a cycle.
    DynTaskError
        Whatever `split` raises.

    References
    ----------
    arXiv:2503.07675, Eq. 2 and Alg. 1.
    """
    if isinstance(max_depth, bool) or not isinstance(max_depth, int) or max_depth < 0:
        raise InvalidInput(f"max_depth must be a whole number of at least 0, not {max_depth!r}.")
    graph = TaskGraph.of([task])
    level = [task]
    for depth in range(1, max_depth + 1):
        asked = [part for part in level if not is_atomic(part)]
        level = []
        for parent, found in zip(asked, await _split_all(asked, split, depth), strict=True):
            if found is None or len(found.tasks) < 2 or len(graph) - 1 + len(found.tasks) > MAX_SUBTASKS:
                continue
            delta = _expansion(parent, found, {*taken, *graph, task.id})
            apply(graph, delta)
            level.extend(delta.tasks)
    if task.id in graph:
        return None
    return ExpandTask(id=task.id, tasks=tuple(graph.tasks.values()), dependencies=tuple(graph.dependencies()))


def asking(backend: Backend, request: str, *, max_tasks: int = 6, seed: int = 0) -> Splitter:
    """The splitter that asks the planner; a task that the model cannot split is left whole."""

    async def split(task: Task, depth: int) -> Split | None:
        sentence = f"{task.description.strip()[:1_000] or task.id} (part {task.id} of: {request})"[
            :MAX_SENTENCE
        ]
        try:
            found = await plan(sentence, backend, max_tasks=max_tasks, seed=seed + depth)
        except PlanningFailed:
            return None
        return Split(tasks=tuple(found.graph.tasks.values()), dependencies=tuple(found.graph.dependencies()))

    return split


async def _split_all(tasks: Sequence[Task], split: Splitter, depth: int) -> list[Split | None]:
    found: dict[TaskId, Split | None] = {}

    async def one(task: Task) -> None:
        found[task.id] = await split(task, depth)

    try:
        async with anyio.create_task_group() as group:
            for task in tasks:
                group.start_soon(one, task)
    except ExceptionGroup as several:
        first: Exception = several
        while isinstance(first, ExceptionGroup):
            first = first.exceptions[0]
        raise first from None
    return [found[task.id] for task in tasks]


def _expansion(parent: Task, found: Split, taken: set[TaskId]) -> ExpandTask:
    """`found` in place of `parent`: ids made unique, what the parent must keep handed down."""
    part = TaskGraph.of(found.tasks, found.dependencies)
    names: dict[TaskId, TaskId] = {}
    for id in part:
        names[id] = _inside(parent.id, id, taken)
        taken.add(names[id])
    return ExpandTask(
        id=parent.id,
        tasks=tuple(_child(parent, names[id], part[id], entry=not part.after(id)) for id in part),
        dependencies=tuple((names[u], names[v], information) for u, v, information in part.dependencies()),
    )


def _child(parent: Task, id: TaskId, task: Task, *, entry: bool) -> Task:
    held = {resource.key for resource in task.resources}
    return replace(
        task,
        id=id,
        critical=task.critical and parent.critical,
        boost=task.boost + parent.boost,
        resources=(*task.resources, *(r for r in parent.resources if r.key not in held)),
        join=parent.join if entry else task.join,
    )


def _inside(parent: TaskId, child: TaskId, taken: Collection[TaskId]) -> TaskId:
    """An id for `child` of `parent` that is not taken: ``parent.child``, shortened where it is too long."""
    name = f"{parent}.{child}"
    if len(name) > MAX_NAME:
        name = f"{name[: MAX_NAME - 20].strip()}~{blake2b(name.encode(), digest_size=4).hexdigest()}"
    unique, number = name, 2
    while unique in taken:
        unique, number = f"{name}~{number}", number + 1
    return unique
