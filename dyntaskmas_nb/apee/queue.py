"""Execution Queue Manager (§III-B, Alg. 2): ready tasks, best first, one heap a role.

Entries are never moved inside a heap: a task whose priority changed is pushed again and its old entry
skipped when it surfaces. Equal priorities are served in the order in which the tasks became ready.
"""

from __future__ import annotations

from heapq import heappop, heappush
from itertools import islice

from dyntaskmas_nb.core.task import TaskId

Entry = tuple[float, int, TaskId]


class ReadyQueue:
    """Ready tasks by role. An entry is (-priority, order of becoming ready, id): smallest first."""

    def __init__(self) -> None:
        self._heaps: dict[str, list[Entry]] = {}
        self._live: dict[TaskId, Entry] = {}

    def __len__(self) -> int:
        return len(self._live)

    def __contains__(self, id: object) -> bool:
        return id in self._live

    def push(self, id: TaskId, role: str, priority: float, order: int) -> None:
        """Enqueue `id`, or move it when its priority or role changed."""
        entry = (-priority, order, id)
        self._live[id] = entry
        heappush(self._heaps.setdefault(role, []), entry)

    def discard(self, id: TaskId) -> None:
        """Take `id` out if it is in."""
        self._live.pop(id, None)

    def ids(self, most: int) -> list[TaskId]:
        """Up to `most` of the ready tasks, those first that became ready first."""
        return list(islice(self._live, most))

    def roles(self) -> list[str]:
        """Roles that may have ready tasks."""
        return list(self._heaps)

    def first(self, role: str) -> Entry | None:
        """Best entry of `role` without taking it."""
        heap = self._heaps.get(role)
        while heap:
            entry = heap[0]
            if self._live.get(entry[2]) is entry:
                return entry
            heappop(heap)
        self._heaps.pop(role, None)
        return None

    def pop(self, role: str) -> TaskId:
        """Take the best ready task of `role`, which `first` has just shown."""
        id = heappop(self._heaps[role])[2]
        del self._live[id]
        return id
