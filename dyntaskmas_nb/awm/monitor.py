"""Performance Monitor (§III-D): M(t), a pure fold over the events of a run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from dyntaskmas_nb.awm.estimate import Estimates
from dyntaskmas_nb.core import delta as deltas
from dyntaskmas_nb.core import event as events
from dyntaskmas_nb.core.delta import Delta
from dyntaskmas_nb.core.event import Event
from dyntaskmas_nb.core.task import Task, TaskId


class Monitor:
    """What a log shows, kept up to date event by event."""

    def __init__(self) -> None:
        self.seq = 0
        self.estimates = Estimates()
        self.completed = 0
        self._tasks: dict[TaskId, Task] = {}
        self._asked: dict[int, Delta] = {}
        self._running: dict[TaskId, tuple[int, str, float, Task]] = {}

    def catch_up(self, log: Sequence[Event]) -> None:
        """Take in what is new in `log`."""
        for event in log[self.seq :]:
            self.take(event)

    def take(self, event: Event) -> None:
        """Take in one event."""
        self.seq += 1
        match event:
            case events.RunStarted(settings=settings):
                self.estimates = Estimates(settings.seconds_per_unit)
            case events.DeltaSubmitted(id=id, delta=delta):
                self._asked[id] = delta
            case events.DeltaRejected(id=id):
                self._asked.pop(id, None)
            case events.DeltaApplied(id=id):
                self._edit(self._asked.pop(id))
            case events.TaskDispatched(task=id, attempt=number, agent=agent, t=t):
                self._running[id] = number, agent, t, self._tasks[id]
            case events.TaskDone() | events.TaskFailed() | events.TaskStopped():
                self._outcome(event)
            case events.RunReopened():
                self._running.clear()

    def _outcome(self, event: events.TaskDone | events.TaskFailed | events.TaskStopped) -> None:
        known = self._running.get(event.task)
        if known is None or known[0] != event.attempt:
            return
        _, agent, since, task = self._running.pop(event.task)
        if isinstance(event, events.TaskStopped):
            return
        done = isinstance(event, events.TaskDone)
        self.completed += done
        self.estimates.observe(
            task.role,
            agent,
            task.complexity,
            event.t - since,
            success=done,
            cost=event.cost,
            tokens=event.tokens,
        )

    def _edit(self, delta: Delta) -> None:
        match delta:
            case deltas.AddTask(task=task):
                self._tasks[task.id] = task
            case deltas.AddTasks(tasks=tasks) | deltas.ExpandTask(tasks=tasks):
                self._tasks.update((task.id, task) for task in tasks)
            case deltas.ReviseTask(id=id, changes=changes):
                self._tasks[id] = replace(self._tasks[id], **changes)
            case deltas.Batch(deltas=parts):
                for part in parts:
                    self._edit(part)
