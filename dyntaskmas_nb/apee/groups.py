"""Which task each task was expanded from (Alg. 1): what lets a face draw a task's parts together.

An expansion is remembered and never forgotten; it holds for a part that is in the graph while no task is that
it came from. So an undo ends a group, and a redo, whose Δ names no expansion, brings it back.
"""

from __future__ import annotations

from dyntaskmas_nb.core.delta import Batch, Delta, ExpandTask, primitive
from dyntaskmas_nb.core.graph import TaskGraph
from dyntaskmas_nb.core.task import TaskId


class Groups:
    """The expansions of one run: part → the task that it was expanded from, without cycles."""

    def __init__(self) -> None:
        self._parent: dict[TaskId, TaskId] = {}
        self._kept: set[TaskId] = set()  # parts of a task that is one of its own parts

    def note(self, delta: Delta) -> None:
        """Remember the expansions in an accepted `delta`."""
        if isinstance(delta, ExpandTask | Batch):
            for part in primitive(delta):
                if isinstance(part, ExpandTask):
                    self._expanded(part)

    def _expanded(self, expansion: ExpandTask) -> None:
        whole, parts = expansion.id, [task.id for task in expansion.tasks]
        above = whole
        while above in self._parent:
            if self._parent[above] in parts:  # a part is named like what this came from: no cycles
                del self._parent[above]
            else:
                above = self._parent[above]
        for part in parts:
            if part != whole:
                self._parent[part] = whole
                (self._kept.add if whole in parts else self._kept.discard)(part)

    def of(self, graph: TaskGraph) -> dict[TaskId, TaskId]:
        """What holds of the tasks in `graph`, and of the tasks that these were expanded from in turn."""
        found: dict[TaskId, TaskId] = {}
        for part in self._parent:
            chain, id = dict[TaskId, TaskId](), part if part in graph else ""
            while (whole := self._parent.get(id)) is not None:
                chain[id] = whole
                if whole in graph:  # it was taken back, and all below it, unless it is a part itself
                    if id not in self._kept:
                        chain.clear()
                    break
                id = whole
            found |= chain
        return found
