"""Resources that running tasks hold: shared by many, or by one alone (dynamic mutual exclusion).

All of a task's resources are taken together when it is dispatched, so no two tasks can wait for each other.
What a task waits for is kept free from those that became ready after it, so none starves.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Container, Iterable

from dyntaskmas_nb.core.task import Resource, Task, TaskId


class Locks:
    """Counts holders by resource key and whether they are exclusive; remembers who waits."""

    def __init__(self) -> None:
        self._held: Counter[tuple[str, bool]] = Counter()
        self._waiting: dict[TaskId, tuple[int, tuple[Resource, ...]]] = {}

    def available(self, task: Task, order: int = 0) -> bool:
        """True when everything `task` needs can be taken now; if not, it is in line by its `order`."""
        wanted = [Resource(key=key, exclusive=alone) for (key, alone), n in self._held.items() if n]
        for id, (since, resources) in self._waiting.items():
            if since < order and id != task.id:
                wanted += resources
        if _clash(task.resources, wanted):
            self._waiting[task.id] = (order, task.resources)
            return False
        return True

    def take_over(self, other: Locks) -> None:
        """Hold what `other` holds."""
        self._held.update(other._held)

    def prune(self, ready: Container[TaskId]) -> None:
        """Keep nothing free for tasks that are not `ready` any more."""
        for id in [id for id in self._waiting if id not in ready] if self._waiting else ():
            del self._waiting[id]

    def holders(self, task: Task) -> list[str]:
        """Keys that `task` waits for."""
        held = {key for (key, _), n in self._held.items() if n}
        return sorted({resource.key for resource in task.resources} & held)

    def take(self, task: Task) -> None:
        """Hold what `task` needs."""
        self._waiting.pop(task.id, None)
        for resource in task.resources:
            self._held[resource.key, resource.exclusive] += 1

    def release(self, task: Task) -> None:
        """Let go of what `task` held."""
        for resource in task.resources:
            self._held[resource.key, resource.exclusive] -= 1


def _clash(mine: Iterable[Resource], others: Iterable[Resource]) -> bool:
    exclusive = {resource.key for resource in others if resource.exclusive}
    keys = exclusive.union(resource.key for resource in others)
    return any(resource.key in (keys if resource.exclusive else exclusive) for resource in mine)
