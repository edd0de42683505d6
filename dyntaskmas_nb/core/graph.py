"""The task graph G = (V, E, W) (paper Eq. 1): a directed acyclic graph of tasks.

Slim adjacency inside (two dicts a task), networkx at its face. Reading is open to all; changing it is
left to `dtgg.update`, the one place where G_{t+1} = U(G_t, Δ_t) happens. W is computed
(`dtgg.weights`), never stored; what is stored on an edge is I, the information that moves along it.
"""

from __future__ import annotations

import graphlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from dyntaskmas_nb.core.task import Task, TaskId, check_information, check_task
from dyntaskmas_nb.errors import CycleError, InvalidInput

if TYPE_CHECKING:
    import networkx as nx

_NONE: Mapping[TaskId, float] = MappingProxyType({})


class TaskGraph:
    """A read-only view of tasks and dependencies, with a topological order kept beside them.

    Attributes
    ----------
    version : counts the Δs applied; equal versions of one history are equal graphs.

    Examples
    --------
    >>> graph = TaskGraph.from_plan({"subtasks": [{"id": "a"}, {"id": "b", "depends_on": ["a"]}]})
    >>> list(graph), graph.successors("a"), graph.topological()
    (['a', 'b'], ('b',), ['a', 'b'])
    """

    __slots__ = (
        "_next_position",
        "_places",
        "_position",
        "_pred",
        "_succ",
        "_tasks",
        "tasks",
        "title",
        "version",
    )

    def __init__(self, title: str = "") -> None:
        self.title = title
        self.version = 0
        self._tasks: dict[TaskId, Task] = {}
        self.tasks: Mapping[TaskId, Task] = MappingProxyType(self._tasks)
        self._pred: dict[TaskId, dict[TaskId, float]] = {}
        self._succ: dict[TaskId, dict[TaskId, float]] = {}
        self._position: dict[TaskId, float] = {}
        self._places: set[float] = set()
        self._next_position = 0

    # -- reading -----------------------------------------------------------------------------------

    def __len__(self) -> int:
        return len(self._tasks)

    def __iter__(self) -> Iterator[TaskId]:
        return iter(self._tasks)

    def __contains__(self, id: object) -> bool:
        return id in self._tasks

    def __getitem__(self, id: TaskId) -> Task:
        """The task called `id`; raises `InvalidInput` when there is none, naming close matches."""
        try:
            return self._tasks[id]
        except KeyError:
            raise unknown_task(id, self._tasks) from None

    def after(self, id: TaskId) -> Mapping[TaskId, float]:
        """What `id` waits for: predecessor → information I."""
        self[id]
        return MappingProxyType(self._pred[id])

    def before(self, id: TaskId) -> Mapping[TaskId, float]:
        """What waits for `id`: successor → information I."""
        self[id]
        return MappingProxyType(self._succ[id])

    def predecessors(self, id: TaskId) -> tuple[TaskId, ...]:
        """Ids that `id` waits for, in the order they were declared."""
        return tuple(self.after(id))

    def successors(self, id: TaskId) -> tuple[TaskId, ...]:
        """Ids that wait for `id`."""
        return tuple(self.before(id))

    def information(self, before: TaskId, after: TaskId) -> float:
        """I(before, after); raises `InvalidInput` when there is no such dependency."""
        try:
            return self._succ[before][after]
        except KeyError:
            raise InvalidInput(f"There is no dependency {before!r} → {after!r}.") from None

    def dependencies(self) -> Iterator[tuple[TaskId, TaskId, float]]:
        """Every edge as (before, after, I)."""
        for before, successors in self._succ.items():
            for after, information in successors.items():
                yield before, after, information

    def has_dependency(self, before: TaskId, after: TaskId) -> bool:
        """True when `after` waits directly for `before`."""
        return after in self._succ.get(before, _NONE)

    def sources(self) -> list[TaskId]:
        """Tasks that wait for nothing."""
        return [id for id, pred in self._pred.items() if not pred]

    def sinks(self) -> list[TaskId]:
        """Tasks that nothing waits for."""
        return [id for id, succ in self._succ.items() if not succ]

    def topological(self) -> list[TaskId]:
        """All ids, predecessors first; kept up to date by the updates, so this only sorts by position."""
        return sorted(self._tasks, key=self._position.__getitem__)

    def position(self, id: TaskId) -> float:
        """Place of `id` in the topological order: smaller than that of any successor. Gaps occur."""
        return self._position[id]

    def ancestors(self, ids: Iterable[TaskId]) -> set[TaskId]:
        """Everything that must end before any of `ids`, themselves left out unless reached."""
        return _reach(ids, self._pred)

    def descendants(self, ids: Iterable[TaskId]) -> set[TaskId]:
        """Everything that waits, directly or not, for any of `ids`."""
        return _reach(ids, self._succ)

    def __eq__(self, other: object) -> bool:
        """Same tasks and dependencies; the version and the order they came in do not count."""
        if not isinstance(other, TaskGraph):
            return NotImplemented
        return self._tasks == other._tasks and self._succ == other._succ

    __hash__ = None  # type: ignore[assignment]  # mutable through dtgg.update

    def __repr__(self) -> str:
        title = f"{self.title!r}, " if self.title else ""
        edges = sum(map(len, self._succ.values()))
        return f"<TaskGraph {title}{len(self)} tasks, {edges} dependencies, version {self.version}>"

    # -- faces -------------------------------------------------------------------------------------

    @classmethod
    def of(
        cls,
        tasks: Iterable[Task],
        dependencies: Iterable[tuple[TaskId, TaskId, float]] = (),
        *,
        title: str = "",
    ) -> TaskGraph:
        """Build a graph whole; raises `InvalidInput` for a duplicate or unknown id, `CycleError`."""
        graph = cls(title)
        for task in tasks:
            if task.id in graph._tasks:
                raise InvalidInput(f"Task id {task.id!r} is used twice; give every task its own id.")
            check_task(task)
            graph._tasks[task.id] = task
            graph._pred[task.id] = {}
            graph._succ[task.id] = {}
        for before, after, information in dependencies:
            for id in (before, after):
                if id not in graph._tasks:
                    raise unknown_task(id, graph._tasks)
            value = check_information(information, f"Dependency {before!r} → {after!r}")
            graph._succ[before][after] = graph._pred[after][before] = value
        graph._sort()
        return graph

    def _sort(self) -> None:
        """Number all tasks in topological order, keeping the order they came in where it can."""
        sorter = graphlib.TopologicalSorter(dict.fromkeys(self._tasks, ()))
        for id, pred in self._pred.items():
            sorter.add(id, *pred)
        try:
            order = list(sorter.static_order())
        except graphlib.CycleError as error:
            raise cycle_error(error.args[1]) from None
        self._position = {id: place for place, id in enumerate(order)}
        self._places = set()
        self._next_position = len(order)

    def copy(self) -> TaskGraph:
        """An independent copy (tasks themselves are immutable and shared)."""
        new = TaskGraph(self.title)
        new.version = self.version
        new._tasks.update(self._tasks)
        new._pred = {id: dict(edges) for id, edges in self._pred.items()}
        new._succ = {id: dict(edges) for id, edges in self._succ.items()}
        new._position = dict(self._position)
        new._places = set(self._places)
        new._next_position = self._next_position
        return new

    def to_networkx(self) -> nx.DiGraph:
        """A networkx DiGraph: node attribute `task`, edge attribute `information`."""
        import networkx as nx

        graph: nx.DiGraph = nx.DiGraph(title=self.title, version=self.version)
        graph.add_nodes_from((id, {"task": task}) for id, task in self._tasks.items())
        graph.add_edges_from((u, v, {"information": i}) for u, v, i in self.dependencies())
        return graph

    @classmethod
    def from_networkx(cls, graph: nx.DiGraph) -> TaskGraph:
        """Build from a networkx DiGraph; node attributes (or a `task`) become the task's fields.

        Raises `InvalidInput` for a cyclic graph, an undirected one, or attributes that make no task.
        """
        from dyntaskmas_nb.core.plan import graph_from_networkx

        return graph_from_networkx(graph)

    def to_plan(self) -> dict[str, Any]:
        """The plan file of this graph (see `from_plan`)."""
        from dyntaskmas_nb.core.plan import graph_to_plan

        return graph_to_plan(self)

    @classmethod
    def from_plan(cls, plan: Mapping[str, Any]) -> TaskGraph:
        """Build from a plan: ``{"task": …, "subtasks": [{"id": …, "depends_on": […], …}]}``.

        Every subtask needs an `id`; `description`, `role`, `complexity`, `depends_on`, `information`
        (predecessor → I), `critical`, `boost`, `timeout`, `attempts`, `resources`, `join` and `inputs`
        may be left out.

        Raises `InvalidInput` naming the subtask and the field; `CycleError` when dependencies close a cycle.
        """
        from dyntaskmas_nb.core.plan import graph_from_plan

        return graph_from_plan(plan)


def unknown_task(id: object, known: Iterable[TaskId]) -> InvalidInput:
    """The error for an id that names no task, with the closest names there are."""
    from difflib import get_close_matches

    names = list(known)
    if close := get_close_matches(str(id), names[:2000], n=3):
        hint = f"Did you mean {' or '.join(map(repr, close))}?"
    elif names:
        hint = f"The tasks are {', '.join(names[:8])}{', …' if len(names) > 8 else ''}."
    else:
        hint = "The graph is empty."
    return InvalidInput(f"There is no task {str(id)[:80]!r}. {hint}")


def cycle_error(cycle: Sequence[TaskId]) -> CycleError:
    """The error that names a cycle, first = last."""
    shown = " → ".join(cycle if len(cycle) <= 8 else [*cycle[:4], "…", *cycle[-3:]])
    return CycleError(f"The dependencies close a cycle: {shown}. Remove one of them.", tuple(cycle))


def _reach(ids: Iterable[TaskId], edges: Mapping[TaskId, Mapping[TaskId, float]]) -> set[TaskId]:
    seen: set[TaskId] = set()
    stack = list(ids)
    while stack:
        for neighbour in edges[stack.pop()]:
            if neighbour not in seen:
                seen.add(neighbour)
                stack.append(neighbour)
    return seen
