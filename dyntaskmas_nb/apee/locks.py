"""Resources that running tasks hold: shared by many, or by one alone (dynamic mutual exclusion).

All of a task's resources are taken together when it is dispatched, so no two tasks can wait for each other.
What a task waits for is kept free from those that became ready after it, so none starves: such a claim names
the resources and the order of the first who wants just these.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from dyntaskmas_nb.core.task import Resource, Task

Wanted = tuple[Resource, ...]


class Locks:
    """Counts holders by resource key and whether they are exclusive."""

    def __init__(self) -> None:
        self._held: Counter[tuple[str, bool]] = Counter()

    def free(self, wanted: Wanted) -> bool:
        """True when all that is `wanted` can be taken now."""
        held = self._held
        return not any(held[r.key, True] or (r.exclusive and held[r.key, False]) for r in wanted)

    def available(self, task: Task, order: int = 0, claims: Mapping[Wanted, int] = {}) -> bool:
        """True when `task` can have all it needs now and nobody who came before `order` claims any of it."""
        earlier = (wanted for wanted, since in claims.items() if since < order)
        return self.free(task.resources) and not any(_clash(task.resources, wanted) for wanted in earlier)

    def holders(self, task: Task) -> list[str]:
        """Keys of `task` that are held."""
        held = {key for (key, _), n in self._held.items() if n}
        return sorted({resource.key for resource in task.resources} & held)

    def take(self, task: Task) -> None:
        """Hold what `task` needs."""
        for resource in task.resources:
            self._held[resource.key, resource.exclusive] += 1

    def release(self, task: Task) -> None:
        """Let go of what `task` held."""
        for resource in task.resources:
            self._held[resource.key, resource.exclusive] -= 1

    def take_over(self, other: Locks) -> None:
        """Hold what `other` holds."""
        self._held.update(other._held)


def _clash(mine: Wanted, others: Wanted) -> bool:
    keys = {resource.key: resource.exclusive for resource in others}
    return any(r.key in keys and (r.exclusive or keys[r.key]) for r in mine)
