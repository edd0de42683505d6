"""Resources that running tasks hold: shared by many, or by one alone (dynamic mutual exclusion).

All of a task's resources are taken together when it is dispatched, so that no two tasks can wait for each
other.
"""

from __future__ import annotations

from dyntaskmas_nb.core.task import Task


class Locks:
    """Counts of shared and exclusive holders by resource key."""

    def __init__(self) -> None:
        self._held: dict[str, list[int]] = {}

    def available(self, task: Task) -> bool:
        """True when everything `task` needs can be taken now."""
        for resource in task.resources:
            shared, exclusive = self._held.get(resource.key, (0, 0))
            if exclusive or (shared and resource.exclusive):
                return False
        return True

    def take(self, task: Task) -> None:
        """Hold what `task` needs."""
        for resource in task.resources:
            self._held.setdefault(resource.key, [0, 0])[resource.exclusive] += 1

    def release(self, task: Task) -> None:
        """Let go of what `task` held."""
        for resource in task.resources:
            self._held[resource.key][resource.exclusive] -= 1
