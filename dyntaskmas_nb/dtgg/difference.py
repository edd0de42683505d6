"""What lies between two graphs: in words for people, and as the Δ that makes one of the other."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from dyntaskmas_nb.core import delta
from dyntaskmas_nb.core.graph import TaskGraph
from dyntaskmas_nb.core.task import REVISABLE, Task, TaskId, shown
from dyntaskmas_nb.view.words import printable

Edge = tuple[TaskId, TaskId]


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class GraphDiff:
    """What became of a graph: pairs are (old, new), dependencies (before, after), their values I."""

    added: Mapping[TaskId, Task]
    removed: Mapping[TaskId, Task]
    revised: Mapping[TaskId, Mapping[str, tuple[Any, Any]]]
    dependencies_added: Mapping[Edge, float]
    dependencies_removed: Mapping[Edge, float]
    dependencies_revised: Mapping[Edge, tuple[float, float]]

    def __bool__(self) -> bool:
        return any(getattr(self, name) for name in GraphDiff.__slots__)

    def __repr__(self) -> str:
        return "\n".join(printable(line, 300) for line in self._lines()) or "no difference"

    def _lines(self) -> Iterator[str]:
        for sign, tasks in (("+", self.added), ("-", self.removed)):
            yield from (f"{sign} {id!r} {task.description}" for id, task in tasks.items())
        for id, fields in self.revised.items():
            yield from (f"~ {id!r} {name}: {shown(a)} → {shown(b)}" for name, (a, b) in fields.items())
        for sign, edges in (("+", self.dependencies_added), ("-", self.dependencies_removed)):
            yield from (f"{sign} {u!r} → {v!r}, information {value:g}" for (u, v), value in edges.items())
        for (u, v), (i, j) in self.dependencies_revised.items():
            yield f"~ {u!r} → {v!r}, information: {i:g} → {j:g}"


def graph_diff(a: TaskGraph, b: TaskGraph) -> GraphDiff:
    """What has to be done to `a` to have `b`; titles and versions do not count."""
    old, new = ({(u, v): i for u, v, i in graph.dependencies()} for graph in (a, b))
    revised = {id: fields for id in a if id in b and (fields := _revised(a[id], b[id]))}
    return GraphDiff(
        added={id: b[id] for id in b.topological() if id not in a},
        removed={id: a[id] for id in a if id not in b},
        revised=revised,
        dependencies_added={edge: i for edge, i in new.items() if edge not in old},
        dependencies_removed={edge: i for edge, i in old.items() if edge not in new},
        dependencies_revised={edge: (old[edge], i) for edge, i in new.items() if old.get(edge, i) != i},
    )


def _revised(old: Task, new: Task) -> dict[str, tuple[Any, Any]]:
    if old is new:
        return {}
    pairs = {name: (getattr(old, name), getattr(new, name)) for name in (*REVISABLE, "join")}
    return {name: pair for name, pair in pairs.items() if repr(pair[0]) != repr(pair[1])}  # 1 is not True


def delta_between(a: TaskGraph, b: TaskGraph) -> delta.Batch:
    """The Δ that makes `b` of `a`.

    What `b` has not goes first; from then on every graph on the way is part of `b`, so none has a cycle.

    >>> a = TaskGraph.from_plan({"subtasks": [{"id": "x"}, {"id": "y", "depends_on": ["x"]}]})
    >>> b = TaskGraph.from_plan({"subtasks": [{"id": "y"}, {"id": "x", "depends_on": ["y"]}]})
    >>> [type(step).__name__ for step in delta_between(a, b).deltas]
    ['RemoveDependency', 'AddDependency']
    """
    diff = graph_diff(a, b)
    steps: list[delta.Delta] = [
        delta.RemoveDependency(before=u, after=v) for u, v in diff.dependencies_removed if u in b and v in b
    ]
    steps += [delta.RemoveTask(id=id) for id in diff.removed]
    for id, task in diff.added.items():
        before = {v: i for v, i in b.before(id).items() if v in a}
        steps.append(delta.AddTask(task=task, after=dict(b.after(id)), before=before))
    for (u, v), i in diff.dependencies_added.items():
        if u in a and v in a:
            steps.append(delta.AddDependency(before=u, after=v, information=i))
    for (u, v), (_, i) in diff.dependencies_revised.items():
        steps.append(delta.ReviseDependency(before=u, after=v, information=i))
    for id, fields in diff.revised.items():
        if changes := {name: new for name, (_, new) in fields.items() if name != "join"}:
            steps.append(delta.ReviseTask(id=id, changes=changes))
        if "join" in fields:
            steps.append(delta.SetJoin(id=id, join=b[id].join))
    return delta.Batch(deltas=tuple(steps))
