"""The states of all tasks, and the counters that say when one may start (Alg. 2: ``Pred(v) = ∅``).

A task counts the predecessors whose result has arrived and those that will never come; both are kept up to
date from one neighbour to the next and counted afresh only where an edit touched the graph.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from dyntaskmas_nb.apee.queue import ReadyQueue
from dyntaskmas_nb.core.effect import Effect, WakeAt
from dyntaskmas_nb.core.event import Event, StateChanged
from dyntaskmas_nb.core.graph import TaskGraph
from dyntaskmas_nb.core.task import SATISFIED, TaskId, TaskState

PENDING, READY, RUNNING = TaskState.PENDING, TaskState.READY, TaskState.RUNNING
DONE, FAILED, SKIPPED = TaskState.DONE, TaskState.FAILED, TaskState.SKIPPED
CANCELLED, BLOCKED = TaskState.CANCELLED, TaskState.BLOCKED

#: States in which a task may still be edited.
EDITABLE = frozenset({PENDING, READY, BLOCKED})
#: States that never satisfy a successor.
DEAD = frozenset({FAILED, CANCELLED, BLOCKED})


@dataclass(slots=True)
class Record:
    """What is known of one task beyond the graph. `ended` in seconds; `order` is that of becoming ready."""

    state: TaskState = PENDING
    attempt: int = 0
    failures: int = 0
    agent: str = ""
    order: int = 0
    ended: float = 0.0
    arrived: int = 0
    dead: int = 0
    reason: str = ""
    result: Any = None
    stopping: bool = False


class Ledger:
    """Records of all tasks of `graph`; facts go to `log`, timers to `effects`.

    Attributes
    ----------
    newly_ready : tasks that became ready since the machine last looked.
    open : tasks that have not ended.
    transfer_seconds : T_t of Eq. 3 where transfers are modelled, else 0.
    """

    def __init__(self, graph: TaskGraph, queue: ReadyQueue, log: list[Event], effects: list[Effect]) -> None:
        self.records: dict[TaskId, Record] = {}
        self.newly_ready: list[TaskId] = []
        self.open = 0
        self.transfer_seconds = 0.0
        self._graph = graph
        self._queue = queue
        self._log = log
        self._effects = effects
        self._order = 0

    def adopt(self, ids: Iterable[TaskId], t: float) -> None:
        """Bring records and states in line with the graph around the touched `ids`."""
        for id in sorted(ids):
            if id in self._graph:
                if id not in self.records:
                    self.records[id] = Record()
                    self.open += 1
            elif gone := self.records.pop(id, None):
                self._queue.discard(id)
                self.open -= not gone.state.ended
        pending = sorted((id for id in ids if id in self._graph), key=self._graph.position)
        for id in pending:  # grows: a task that is or was blocked changes what follows it
            was_dead = self.records[id].state in DEAD
            self._review(id, t)
            if was_dead is not (self.records[id].state in DEAD):
                pending.extend(self._graph._succ[id])

    def wake(self, id: TaskId, t: float) -> None:
        """A transfer to `id` is over."""
        if id in self.records:
            self._review(id, t, timers=False)

    def rearm(self, t: float) -> None:
        """Ask again for the timers of transfers under way: those of a process that ended are lost."""
        for id in self.records:
            self._review(id, t)

    def set(self, id: TaskId, record: Record, state: TaskState, t: float, reason: str = "") -> None:
        """Put a task into `state` and write it down, unless its outcome in the log says so already."""
        if record.state is READY:
            self._queue.discard(id)
        self.open += (not state.ended) - (not record.state.ended)
        record.state, record.reason = state, reason
        if state is not DONE:
            self._log.append(StateChanged(t, id, state, reason))

    def make_ready(self, id: TaskId, record: Record, t: float, reason: str = "") -> None:
        """The task may start."""
        self.set(id, record, READY, t, reason)
        self._order += 1
        record.order = self._order
        self.newly_ready.append(id)

    def close(self, id: TaskId, record: Record, state: TaskState, t: float, reason: str = "") -> None:
        """End a task and pass the news to what waits for it."""
        record.ended = t
        self.set(id, record, state, t, reason)
        news = [(id, state)]
        for cause, how in news:  # grows: a blocked task blocks others
            for after, information in self._graph._succ[cause].items():
                follower = self.records[after]
                if follower.state is not PENDING and follower.state is not BLOCKED:
                    continue
                if how not in SATISFIED:
                    follower.dead += 1
                elif delay := information * self.transfer_seconds:
                    self._effects.append(WakeAt(t + delay, after))
                    continue
                else:
                    follower.arrived += 1
                if self._assess(after, t, cause=cause) is BLOCKED:
                    news.append((after, BLOCKED))

    def _review(self, id: TaskId, t: float, *, timers: bool = True) -> None:
        """Count a waiting task afresh; `timers` False where transfers under way have theirs already."""
        record = self.records[id]
        if record.state not in EDITABLE:
            return
        record.arrived = record.dead = 0
        for before, information in self._graph._pred[id].items():
            earlier = self.records[before]
            if earlier.state in SATISFIED:
                due = earlier.ended + information * self.transfer_seconds
                if due <= t:
                    record.arrived += 1
                elif timers:
                    self._effects.append(WakeAt(due, id))
            elif earlier.state in DEAD:
                record.dead += 1
        self._assess(id, t)

    def _assess(self, id: TaskId, t: float, cause: TaskId = "") -> TaskState | None:
        """Put a waiting task into the state its counters call for; return the state if it is a new one."""
        record = self.records[id]
        total = len(self._graph._pred[id])
        needed = self._graph.tasks[id].join.needed(total)
        new = BLOCKED if total - record.dead < needed else PENDING
        if record.arrived >= needed:
            new = READY
        if new is record.state:
            return None
        if new is READY:
            self.make_ready(id, record, t)
        elif new is BLOCKED:
            cause = cause or next(u for u in self._graph._pred[id] if self.records[u].state in DEAD)
            record.ended = t
            self.set(id, record, BLOCKED, t, f"waits for {cause!r}, which is {self.records[cause].state}")
        else:
            self.set(id, record, PENDING, t)
        return new
