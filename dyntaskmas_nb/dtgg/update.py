"""U of Eq. 4, G_{t+1} = U(G_t, Δ_t): the one and only way a graph changes.

`apply` is atomic: it changes the graph and returns the inverse Δ, or raises and has changed nothing. Its
cost is that of what the Δ touches, not of the graph.

What an edit of a task v means while the graph runs (`apee.ledger` carries it out; one test row a cell):

================  ==============  ========  ==============  =========  =========  =========
v is              pending, ready  running   done            failed     skipped    cancelled
================  ==============  ========  ==============  =========  =========  =========
AddTask before v  waits           again ¹   again ¹ ²       again ¹    again ¹ ²  stays so
AddTask after v   ...             ...       starts ³        blocked ³  starts ³   blocked ³
AddTasks          as AddTask before v, and after v
RemoveTask        removed         stopped   removed ²       removed    removed ²  removed
AddDependency     waits           again ¹   again ¹ ²       again ¹    again ¹ ²  stays so
RemoveDependency  waits less      again     again ²         again      again ²    stays so
ReviseDependency  ranks change    ranks     ranks           ranks      ranks      ranks
ReviseTask ⁴      changed         again     again ²         again      again ²    stays so
ReviseTask ⁵      changed         goes on   stays so        again      again ²    stays so
SetJoin           waits otherwise if its inputs no longer do: again ²             stays so
ExpandTask        its parts wait, or start; v is stopped and its result dropped ²
================  ==============  ========  ==============  =========  =========  =========

RemoveTasks is RemoveTask of each; blocked is as pending. Again: v is stopped where it runs and becomes
pending; its result is kept, and adopted without running, should v be given the same as before once it is
ready. ¹ when the new predecessor is done.
² and so on for every task whose result was made from v's, once v's new one differs; until then they are
pending. ³ the new task. ⁴ of description, role or inputs. ⁵ of attempts, timeout, resources, approval; a
failed one that is made uncritical is skipped; complexity, boost and uncritical change ranks only. A Batch is
all of its parts or none. Refused, with the reason, is what `apply` refuses, an edit made against a version
since which a task it touches was changed, and any edit of a run that is being stopped.

Deviation from print: Alg. 1 lines 5-7 link every ordered pair of subtasks, a total order without any
parallelism; we link only what a decomposition declares.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import assert_never

from dyntaskmas_nb.core.delta import (
    AddDependency,
    AddTask,
    AddTasks,
    Batch,
    Delta,
    ExpandTask,
    RemoveDependency,
    RemoveTask,
    RemoveTasks,
    ReviseDependency,
    ReviseTask,
    SetJoin,
)
from dyntaskmas_nb.core.graph import TaskGraph
from dyntaskmas_nb.core.task import Task, TaskId, check_information, check_join, check_task, revised
from dyntaskmas_nb.dtgg.order import between, make_room
from dyntaskmas_nb.errors import DynTaskError, InvalidInput


def apply(graph: TaskGraph, delta: Delta, *, version: int | None = None) -> Delta:
    """Apply `delta` to `graph` in place and return the Δ that undoes it (Eq. 4).

    Parameters
    ----------
    version : what the graph's version becomes; by default one more than it was.

    Raises
    ------
    InvalidInput
        An unknown or duplicate task, a dependency that is or is not there, a field out of range.
    CycleError
        The Δ would close a cycle; the message names it. Nothing has changed in either case.

    Examples
    --------
    >>> graph = TaskGraph.from_plan({"subtasks": [{"id": "a"}, {"id": "b"}]})
    >>> inverse = apply(graph, AddDependency(before="a", after="b"))
    >>> graph.successors("a"), inverse
    (('b',), RemoveDependency(before='a', after='b'))
    """
    inverse = _apply(graph, delta)
    graph.version = graph.version + 1 if version is None else version
    return inverse


def as_delta(graph: TaskGraph) -> AddTasks:
    """The Δ that builds `graph` from nothing, tasks in topological order."""
    order = graph.topological()
    edges = [(before, id, information) for id in order for before, information in graph._pred[id].items()]
    return AddTasks(tasks=tuple([graph._tasks[id] for id in order]), dependencies=tuple(edges))


def _apply(graph: TaskGraph, delta: Delta) -> Delta:
    match delta:
        case AddTask():
            return _add_task(graph, delta)
        case RemoveTask():
            return _remove_task(graph, delta.id)
        case AddTasks():
            return _add_tasks(graph, delta)
        case RemoveTasks(ids=ids):
            return _all_or_none(graph, [RemoveTask(id=id) for id in ids])
        case AddDependency(before=before, after=after, information=information):
            _add_edge(graph, before, after, information)
            return RemoveDependency(before=before, after=after)
        case RemoveDependency(before=before, after=after):
            return AddDependency(before=before, after=after, information=_remove_edge(graph, before, after))
        case ReviseDependency(before=before, after=after, information=information):
            old = graph.information(before, after)
            value = check_information(information, f"Dependency {before!r} → {after!r}")
            graph._succ[before][after] = graph._pred[after][before] = value
            return ReviseDependency(before=before, after=after, information=old)
        case ReviseTask(id=id, changes=changes):
            task = graph[id]
            graph._tasks[id] = revised(task, dict(changes))
            return ReviseTask(id=id, changes={name: getattr(task, name) for name in changes})
        case SetJoin(id=id, join=join):
            task = graph[id]
            check_join(join, f"Task {id!r}")
            graph._tasks[id] = replace(task, join=join)
            return SetJoin(id=id, join=task.join)
        case ExpandTask():
            return _expand(graph, delta)
        case Batch(deltas=deltas):
            return _all_or_none(graph, deltas)
        case _:
            assert_never(delta)


def _all_or_none(graph: TaskGraph, deltas: Sequence[Delta]) -> Batch:
    done: list[Delta] = []
    try:
        for delta in deltas:
            done.append(_apply(graph, delta))
    except DynTaskError:
        _take_back(graph, done)
        raise
    return Batch(deltas=tuple(reversed(done)))


def _take_back(graph: TaskGraph, done: list[Delta]) -> None:
    for inverse in reversed(done):
        _apply(graph, inverse)


def _add_task(graph: TaskGraph, delta: AddTask, place: float | None = None) -> RemoveTask:
    task = delta.task
    _check_new(graph, task)
    for other in (*delta.after, *delta.before):
        graph[other]
    _insert(graph, task, _place(graph, delta) if place is None else place)
    try:
        _connect(graph, task.id, delta.after, delta.before)
    except DynTaskError:
        _remove_task(graph, task.id)
        raise
    return RemoveTask(id=task.id)


def _add_tasks(graph: TaskGraph, delta: AddTasks) -> RemoveTasks:
    ids: dict[TaskId, None] = {}
    try:
        for task in delta.tasks:
            _check_new(graph, task)
            _insert(graph, task)
            ids[task.id] = None
        for before, after, information in delta.dependencies:
            _add_edge(graph, before, after, information)
            if before not in ids and after not in ids:
                _remove_edge(graph, before, after)
                raise InvalidInput(
                    f"{before!r} → {after!r} joins two tasks that are there; use AddDependency."
                )
    except DynTaskError:
        for id in ids:
            _remove_task(graph, id)
        raise
    return RemoveTasks(ids=tuple(reversed(ids)))


def _check_new(graph: TaskGraph, task: Task) -> None:
    check_task(task)
    if task.id in graph._tasks:
        raise InvalidInput(f"There is already a task {task.id!r}; choose another id, or revise that one.")


def _connect(
    graph: TaskGraph, id: TaskId, after: Mapping[TaskId, float], before: Mapping[TaskId, float]
) -> None:
    for other, information in after.items():
        _add_edge(graph, other, id, information)
    for other, information in before.items():
        _add_edge(graph, id, other, information)


def _place(graph: TaskGraph, delta: AddTask) -> float | None:
    """Where a new task stands so that nothing has to be reordered for it; None for the end."""
    position = graph._position
    if not delta.before:
        return None
    high = min(position[other] for other in delta.before)
    low = max((position[other] for other in delta.after), default=high - 1.0)
    return between(graph._places, low, high, delta.task.id)


def _insert(graph: TaskGraph, task: Task, place: float | None = None) -> None:
    if place is None:
        place = graph._next_position
        graph._next_position += 1
    else:
        graph._places.add(place)
    id = task.id
    graph._tasks[id] = task
    graph._pred[id] = {}
    graph._succ[id] = {}
    graph._position[id] = place


def _remove_task(graph: TaskGraph, id: TaskId) -> AddTask:
    task = graph[id]
    after, before = graph._pred.pop(id), graph._succ.pop(id)
    for other in after:
        del graph._succ[other][id]
    for other in before:
        del graph._pred[other][id]
    graph._places.discard(graph._position.pop(id))
    del graph._tasks[id]
    return AddTask(task=task, after=after, before=before)


def _add_edge(graph: TaskGraph, before: TaskId, after: TaskId, information: float) -> None:
    position = graph._position
    if before not in position or after not in position:
        graph[before], graph[after]
    followers = graph._succ[before]
    if after in followers:
        raise InvalidInput(f"{after!r} already depends on {before!r}.")
    if information:
        information = check_information(information, f"Dependency {before!r} → {after!r}")
    if position[before] >= position[after]:
        make_room(position, graph._pred, graph._succ, before, after)
    followers[after] = graph._pred[after][before] = information


def _remove_edge(graph: TaskGraph, before: TaskId, after: TaskId) -> float:
    graph[before], graph[after]
    information = graph.information(before, after)
    del graph._succ[before][after], graph._pred[after][before]
    return information


def _expand(graph: TaskGraph, delta: ExpandTask) -> Batch:
    """Splice a decomposition in (Alg. 1): entries inherit the predecessors, exits the successors."""
    if not delta.tasks:
        raise InvalidInput(f"Expanding {delta.id!r} needs at least one subtask.")
    graph[delta.id]
    part = TaskGraph.of(delta.tasks, delta.dependencies)
    after, before = dict(graph._pred[delta.id]), dict(graph._succ[delta.id])
    low = max((graph._position[u] for u in after), default=-1.0)
    high = min((graph._position[v] for v in before), default=None)
    done: list[Delta] = [_remove_task(graph, delta.id)]
    try:
        for id in part.topological():
            place = None if high is None else between(graph._places, low, high, id)
            low = low if place is None else place
            inside = dict(part.after(id))
            new = AddTask(task=part[id], after=inside or after, before={} if part.before(id) else before)
            done.append(_add_task(graph, new, place))
    except DynTaskError:
        _take_back(graph, done)
        raise
    return Batch(deltas=tuple(reversed(done)))
