"""Resources that running tasks hold: shared by many, or by one alone (dynamic mutual exclusion).

All of a task's resources are taken together when it is dispatched, so that no two tasks can wait for each
other.
"""

from __future__ import annotations

from collections import Counter

from dyntaskmas_nb.core.task import Task


class Locks:
    """Counts holders by resource key and whether they are exclusive."""

    def __init__(self) -> None:
        self._held: Counter[tuple[str, bool]] = Counter()

    def available(self, task: Task) -> bool:
        """True when everything `task` needs can be taken now."""
        held = self._held
        return not any(held[r.key, True] or (r.exclusive and held[r.key, False]) for r in task.resources)

    def take(self, task: Task) -> None:
        """Hold what `task` needs."""
        for resource in task.resources:
            self._held[resource.key, resource.exclusive] += 1

    def release(self, task: Task) -> None:
        """Let go of what `task` held."""
        for resource in task.resources:
            self._held[resource.key, resource.exclusive] -= 1
