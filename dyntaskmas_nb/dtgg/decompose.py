"""Eq. 2, D(t) = {s₁, …, s_k}, and Alg. 1: a task is replaced by its subtasks, and these by theirs.

A split is itself a graph: subtasks **and their dependencies**, spliced as Alg. 1 needs it (`update`): its
entries inherit the predecessors of what it replaces, its exits the successors. Line 13 of Alg. 1 returns {t},
which is None here: there is nothing to change.

Deviation: lines 5-7 as printed link every ordered pair of subtasks, a total order without parallelism; only
declared dependencies are kept. Paper silent: when a task is atomic; we chose complexity ≤ 2, or fixed inputs
(a function's arguments), and fewer than two subtasks count as the task itself.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection
from dataclasses import replace

from dyntaskmas_nb.core.delta import ExpandTask
from dyntaskmas_nb.core.graph import TaskGraph
from dyntaskmas_nb.core.task import Task, TaskId
from dyntaskmas_nb.dtgg.planner import MAX_SENTENCE, plan
from dyntaskmas_nb.dtgg.repair import free_id
from dyntaskmas_nb.dtgg.update import apply
from dyntaskmas_nb.errors import BackendError, InvalidInput, PlanningFailed
from dyntaskmas_nb.llm.protocol import Backend

MAX_SUBTASKS = 200

Splitter = Callable[[Task, int, int], Awaitable[TaskGraph | None]]
"""One application of D to a task at a depth (from 1), in at most so many parts; None to leave it whole."""


def is_simple(task: Task) -> bool:
    """Whether `task` is atomic as long as nobody says otherwise."""
    return task.complexity <= 2 or task.inputs is not None


async def decompose(
    task: Task,
    split: Splitter,
    *,
    max_depth: int = 2,
    max_tasks: int = MAX_SUBTASKS,
    is_atomic: Callable[[Task], bool] = is_simple,
    taken: Collection[TaskId] = (),
) -> ExpandTask | None:
    """The Δ that replaces `task` by `max_tasks` subtasks at most, or None (arXiv:2503.07675, Alg. 1).

    Parameters
    ----------
    split : how to split one task, for instance `asking(backend, request)`; what it raises comes through.
    max_depth : how often a subtask of a subtask may be split, a whole number ≥ 0, else `InvalidInput`.
    is_atomic : which tasks are not to be split.
    taken : ids of the graph that the Δ is for; subtasks, called ``task.subtask``, get others.
    """
    if not isinstance(max_depth, int) or max_depth < 0:
        raise InvalidInput(f"max_depth must be a whole number of at least 0, not {max_depth!r}.")
    graph, level = TaskGraph.of([task]), [task]
    used = {*taken, task.id}
    for depth in range(1, max_depth + 1):
        parents, level = level, []
        for parent in parents:
            room = max_tasks + 1 - len(graph)
            part = None if room < 2 or is_atomic(parent) else await split(parent, depth, room)
            if part is None or not 2 <= len(part) <= room:
                continue
            delta = _expansion(parent, part, used)
            apply(graph, delta)
            level.extend(delta.tasks)
    if task.id in graph:
        return None
    return ExpandTask(id=task.id, tasks=tuple(graph.tasks.values()), dependencies=tuple(graph.dependencies()))


def asking(
    backend: Backend, request: str, *, max_tasks: int = 6, seed: int = 0, notes: list[str] | None = None
) -> Splitter:
    """The splitter that asks the planner; a task that the model cannot split is left whole.

    `notes` gets a sentence for each repair of a model's answer, and for each task left whole.
    """
    said = [] if notes is None else notes

    async def split(task: Task, depth: int, room: int) -> TaskGraph | None:
        what = f"{task.description.strip()[:1_000] or task.id} (part {task.id} of: {request})"[:MAX_SENTENCE]
        try:
            made = await plan(what, backend, max_tasks=min(max_tasks, room), seed=seed + depth)
        except (PlanningFailed, BackendError) as error:
            said.append(f"{task.id!r} was left whole. {error}")
            return None
        said.extend(f"In {task.id!r}: {repair}" for repair in made.repairs)
        return made.graph

    return split


def _expansion(parent: Task, part: TaskGraph, used: set[TaskId]) -> ExpandTask:
    """`part` in place of `parent`: ids made unique, and what the parent must keep handed down."""
    names: dict[TaskId, TaskId] = {}
    for id in part:
        name = f"{parent.id[:90]}.{id[:90]}".strip()
        names[id] = free_id(name, used)
        used.add(names[id])
    tasks = (
        replace(
            task,
            id=names[id],
            critical=task.critical and parent.critical,
            boost=task.boost + parent.boost,
            resources=tuple({r.key: r for r in (*task.resources, *parent.resources)}.values()),
            join=task.join if part.after(id) else parent.join,
        )
        for id, task in part.tasks.items()
    )
    links = ((names[u], names[v], information) for u, v, information in part.dependencies())
    return ExpandTask(id=parent.id, tasks=tuple(tasks), dependencies=tuple(links))
