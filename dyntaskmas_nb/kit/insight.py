"""What a run can say of itself: why things are as they are, and what a change would do."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from dyntaskmas_nb.apee.explain import Explanation, explain
from dyntaskmas_nb.apee.forecast import Durations, Preview, preview, slack
from dyntaskmas_nb.apee.machine import Machine
from dyntaskmas_nb.core.command import Command, Configure
from dyntaskmas_nb.core.delta import Delta
from dyntaskmas_nb.core.task import TaskId
from dyntaskmas_nb.errors import InvalidInput


class Insight:
    """Explanations and previews; nothing is changed by them."""

    _machine: Machine
    _read: Callable[..., object]
    _now: Callable[[], float]

    def explain(self, id: TaskId) -> Explanation:
        """Why task `id` has its priority and its agent, and why it has not started.

        Raises
        ------
        InvalidInput
            There is no such task.
        """
        found = self._read(lambda: explain(self._machine, self._machine.graph[id].id))
        assert isinstance(found, Explanation)
        return found

    def preview(self, change: Delta | Command | None = None, **settings: object) -> Preview:
        """What a Δ, a command or settings would do: makespan, critical path and order, before and after.

        Examples
        --------
        ``run.preview(AddDependency(before="a", after="b"))``, ``run.preview(policy="fifo")``.
        """
        if settings:
            if change is not None:
                raise InvalidInput("Preview an edit or settings, not both at once.")
            change = Configure(changes=settings)
        found = self._read(partial(self._preview, change))
        assert isinstance(found, Preview)
        return found

    def _preview(self, change: Delta | Command | None) -> Preview:
        return preview(self._machine, change, self._now())

    def critical_path(self) -> tuple[TaskId, ...]:
        """The chain of tasks that sets the makespan: as measured where done, as expected where not."""
        return self.preview().before.critical_path

    def routing(self) -> dict[str, Any]:
        """What learned routing knows by role and agent; `Kit.start(…, routing_table=…)` starts from it."""
        found = self._read(self._machine.dispatcher.routing.export)
        assert isinstance(found, dict)
        return found

    def slack(self) -> dict[TaskId, float]:
        """Seconds that each task may take longer, or start later, before the critical path grows."""
        found = self._read(lambda: slack(self._machine.graph, Durations(self._machine)))
        assert isinstance(found, dict)
        return found
