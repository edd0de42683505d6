"""The states of all tasks, and the counters that say when one may start (Alg. 2: ``Pred(v) = ∅``).

A task counts the predecessors whose result has arrived and those that will never come; both are kept up to
date from one neighbour to the next and counted afresh only where an edit touched the graph.

Every result knows what it was made from: the task as it was, and the versions of its predecessors' results.
An edit after which that no longer holds makes the task pending again, and so on downstream; when it is ready
and everything is as it was after all (an undo, a predecessor that gave the same again), it keeps its result
and does not run.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from heapq import heapify, heappop, heappush
from typing import Any

import orjson

from dyntaskmas_nb.apee.queue import ReadyQueue
from dyntaskmas_nb.core.effect import Effect, StopTask, WakeAt
from dyntaskmas_nb.core.event import Event, StateChanged
from dyntaskmas_nb.core.graph import TaskGraph
from dyntaskmas_nb.core.task import ALL, DEFINING, ENDED, SATISFIED, Task, TaskId, TaskState

PENDING, READY, RUNNING = TaskState.PENDING, TaskState.READY, TaskState.RUNNING
DONE, FAILED, SKIPPED = TaskState.DONE, TaskState.FAILED, TaskState.SKIPPED
CANCELLED, BLOCKED = TaskState.CANCELLED, TaskState.BLOCKED

#: States of a task that waits.
WAITING = frozenset({PENDING, READY, BLOCKED})
#: States that never satisfy a successor.
DEAD = frozenset({FAILED, CANCELLED, BLOCKED})
#: States of which a successor counts nothing yet.
UNSETTLED = frozenset(TaskState) - SATISFIED - DEAD


@dataclass(slots=True)
class Record:
    """What is known of one task beyond the graph; `order` is that of becoming ready.

    Attributes
    ----------
    since : when it came into its present state, in seconds; for a running task, when it became ready.
    task, inputs : what the latest attempt works from: the task as it was, its predecessors' result versions.
    made_for, made_from : the same of the result; None without one, or if it is not to be used again.
    version : attempt that first gave `result`; 0 before there is one, -1 when another run gave it.
    stopping : why a running attempt is being stopped: "cancel", "again" (queue it; a result may be kept),
        "afresh" (queue it whatever it gives), or "".
    hold : what a ready task waits for beside an agent: approval, retry, monitor, ask, resources, or "".
    due : when its retry is, in seconds.
    avoid : agents that failed at it.
    """

    state: TaskState = PENDING
    attempt: int = 0
    failures: int = 0
    agent: str = ""
    order: int = 0
    since: float = 0.0
    arrived: int = 0
    dead: int = 0
    reason: str = ""
    result: Any = None
    version: int = 0
    task: Task | None = None
    inputs: Mapping[TaskId, int] | None = None
    made_for: Task | None = None
    made_from: Mapping[TaskId, int] | None = None
    stopping: str = ""
    hold: str = ""
    due: float = 0.0
    approved: bool = False
    avoid: tuple[str, ...] = ()

    def copy(self, *, approved: bool = False) -> Record:
        """The same again, `approved` or as it is."""
        new = object.__new__(Record)
        for name in Record.__slots__:
            setattr(new, name, getattr(self, name))
        new.approved = approved or self.approved
        return new


class Ledger:
    """Records of all tasks of `graph`; facts go to `log`, timers and stops to `effects`.

    Attributes
    ----------
    leaving : running attempts of tasks that were removed; they hold their agent until they have stopped.
    newly_ready : tasks that became ready since the machine last looked.
    open : tasks that have not ended.
    timers : how many timers are set.
    transfer_seconds : T_t of Eq. 3 where transfers are modelled, else 0.
    """

    def __init__(self, graph: TaskGraph, queue: ReadyQueue, log: list[Event], effects: list[Effect]) -> None:
        self.records: dict[TaskId, Record] = {}
        self.leaving: dict[TaskId, Record] = {}
        self.newly_ready: list[TaskId] = []
        self.open = self.timers = 0
        self.transfer_seconds = 0.0
        self._removed: dict[TaskId, Record] = {}
        self._graph = graph
        self._queue = queue
        self._log = log
        self._effects = effects
        self._order = 0

    # -- edits ---------------------------------------------------------------------------------------

    def adopt(self, ids: Iterable[TaskId], t: float) -> list[TaskId]:
        """Bring records and states in line with the graph around the touched `ids`; return what reruns."""
        records, tasks, preds = self.records, self._graph._tasks, self._graph._pred
        known: list[TaskId] = []
        new: list[TaskId] = []
        gone: list[TaskId] = []
        for id in ids:
            if id in records:
                (known if id in tasks else gone).append(id)
            elif id in tasks:
                new.append(id)
        for id in sorted(gone):
            self._remove(id)
        new.sort(key=self._graph._position.__getitem__)
        for id in new:  # predecessors first
            records[id] = record = self._removed.pop(id, None) or Record()
            self.open += record.state is PENDING
            for before in preds[id]:
                if records[before].state not in UNSETTLED:
                    self._review(id, t)
                    break
            else:
                if not preds[id]:
                    self._review(id, t)
        return self.settle(known, t)

    def _remove(self, id: TaskId) -> None:
        """Keep what a removed task has, for the edit that brings it back."""
        record = self.records.pop(id, None)
        if record is None:
            return
        self._queue.discard(id)
        self.open -= not record.state.ended
        if record.state is RUNNING:
            self.stop(id, record, "again")
            self.leaving[id] = record
        if record.version or record.attempt or record.state is CANCELLED:
            self._removed[id] = Record(
                state=CANCELLED if record.state is CANCELLED else PENDING,
                attempt=record.attempt,
                result=record.result,
                version=record.version,
                made_for=record.made_for,
                made_from=record.made_from,
            )

    def settle(
        self, ids: Iterable[TaskId], t: float, reason: str = "what it was made from changed"
    ) -> list[TaskId]:
        """Look at `ids` and at all that depends on what changes there; return the tasks that will rerun."""
        position, reruns = self._graph.position, []
        heap = [(position(id), id) for id in dict.fromkeys(ids)]
        heapify(heap)
        seen: set[TaskId] = set()
        while heap:
            _, id = heappop(heap)
            if id in seen:
                continue
            seen.add(id)
            record = self.records[id]
            before = record.state
            if before in WAITING:
                self._review(id, t)
            elif self._stale(id, record):
                reruns.append(id)
                self.reopen(id, record, t, reason)
            if record.state is not before:
                for after in self._graph._succ[id]:
                    heappush(heap, (position(after), after))
        return reruns

    def reopen(self, id: TaskId, record: Record, t: float, reason: str) -> None:
        """Let a task that runs or has ended run again when it may."""
        record.failures, record.avoid, record.approved = 0, (), False
        if record.state is RUNNING:
            self.stop(id, record, "again")
        else:
            self.set(id, record, PENDING, t, reason)
            self._review(id, t)

    def stop(self, id: TaskId, record: Record, why: str) -> None:
        """Have a running attempt stopped; a cancellation is not taken back by wanting it again."""
        if not record.stopping:
            self._effects.append(StopTask(id, record.attempt))
        if record.stopping != "cancel":
            record.stopping = why

    def _stale(self, id: TaskId, record: Record) -> bool:
        """Whether what the task ran with, or made its result from, is no longer so."""
        if record.state is CANCELLED:
            return False
        if record.stopping:
            return False
        if record.state is DONE:
            return not self.holds(id, record.made_for, record.made_from)
        return record.task is not None and not self.holds(id, record.task, record.inputs)

    def holds(self, id: TaskId, was: Task | None, inputs: Mapping[TaskId, int] | None) -> bool:
        """Whether a task is what it `was`, and would be given now the `inputs` that it was given."""
        if was is None or inputs is None:
            return False
        task, before = self._graph._tasks[id], self._graph._pred[id]
        if task is not was and any(getattr(task, name) != getattr(was, name) for name in DEFINING):
            return False
        for other, version in inputs.items():
            if other not in before or self.version(self.records[other]) != version:
                return False
        return len(inputs) >= task.join.needed(len(before))

    @staticmethod
    def version(record: Record) -> int | None:
        """Version of the result a successor would be given: 0 for a skipped task, None without one."""
        if record.state is DONE:
            return record.version
        return 0 if record.state is SKIPPED else None

    def inputs(self, id: TaskId) -> Mapping[TaskId, int]:
        """The predecessors' results that a task is given now, by version; 0 for one that was skipped."""
        records, given = self.records, {}
        for before in self._graph._pred[id]:
            record = records[before]
            if record.state is DONE:
                given[before] = record.version
            elif record.state is SKIPPED:
                given[before] = 0
        return given

    # -- time ----------------------------------------------------------------------------------------

    def timer(self, t: float, id: TaskId = "") -> None:
        """Ask to be woken at `t` for `id`."""
        self.timers += 1
        self._effects.append(WakeAt(t, id))

    def wake(self, id: TaskId, t: float) -> None:
        """A timer rang: a transfer to `id` is over, or its retry is due; "" is the run's own."""
        if not id:
            return
        self.timers = max(0, self.timers - 1)
        if record := self.records.get(id):
            if record.hold == "retry" and record.due <= t:
                record.hold = ""
                self.newly_ready.append(id)
            self._review(id, t, timers=False)
            if record.state is DONE:
                self.settle(self._graph._succ[id], t)

    def rearm(self, t: float) -> None:
        """Ask again for the timers of a process that ended."""
        self.timers = 0
        for id, record in self.records.items():
            self._review(id, t)
            if record.hold == "retry":
                self.timer(max(t, record.due), id)

    # -- states --------------------------------------------------------------------------------------

    def set(self, id: TaskId, record: Record, state: TaskState, t: float, reason: str = "") -> None:
        """Put a task into `state` and write it down, unless other events say so already."""
        if record.state is READY:
            self._queue.discard(id)
            record.hold = ""
        self.open += (state not in ENDED) - (record.state not in ENDED)
        record.state, record.reason, record.since = state, reason, t
        if reason or (state is not DONE and state is not READY):
            self._log.append(StateChanged(t, id, state, reason))

    def make_ready(self, id: TaskId, record: Record, t: float, reason: str = "") -> None:
        """The task may start."""
        self.set(id, record, READY, t, reason)
        self._line_up(id, record)
        if self._graph._tasks[id].join.kind == "first_valid":
            self._drop_losers(id, t)

    def _line_up(self, id: TaskId, record: Record) -> None:
        self._order += 1
        record.order = self._order
        self.newly_ready.append(id)

    def finish(self, id: TaskId, record: Record, result: Any, t: float, reason: str = "") -> None:
        """The task is done."""
        self.keep(record, result)
        self.close(id, record, DONE, t, reason)

    @staticmethod
    def keep(record: Record, result: Any) -> None:
        """Remember a result and what it was made from; one equal to the one before keeps its version."""
        if (
            not record.version
            or record.result != result
            or orjson.dumps(record.result) != orjson.dumps(result)
        ):
            record.result, record.version = result, record.attempt or -1
        record.made_for, record.made_from = record.task, record.inputs

    def close(self, id: TaskId, record: Record, state: TaskState, t: float, reason: str = "") -> None:
        """End a task and pass the news to what waits for it."""
        self.set(id, record, state, t, reason)
        records, tasks, preds = self.records, self._graph._tasks, self._graph._pred
        news = [(id, state)]
        for cause, how in news:  # grows: a blocked task blocks others, one that keeps its result passes on
            for after, information in self._graph._succ[cause].items():
                follower = records[after]
                if follower.state is not PENDING and follower.state is not BLOCKED:
                    continue
                if how not in SATISFIED:
                    follower.dead += 1
                elif information and (delay := information * self.transfer_seconds):
                    self.timer(t + delay, after)
                    continue
                else:
                    follower.arrived += 1
                    if tasks[after].join is ALL:
                        if follower.arrived < len(preds[after]):
                            continue
                        if follower.made_from is None and follower.state is PENDING:  # the usual: no question
                            follower.state, follower.since = READY, t
                            self._line_up(after, follower)
                            continue
                new = self._assess(after, t, cause=cause)
                if new is BLOCKED or new is DONE:
                    news.append((after, new))

    def _review(self, id: TaskId, t: float, *, timers: bool = True) -> None:
        """Count a waiting task afresh; `timers` False where transfers under way have theirs already."""
        record = self.records[id]
        if record.state not in WAITING:
            return
        record.arrived = record.dead = 0
        for before, information in self._graph._pred[id].items():
            earlier = self.records[before]
            if earlier.state in SATISFIED:
                due = earlier.since + information * self.transfer_seconds
                if due <= t:
                    record.arrived += 1
                elif timers:
                    self.timer(due, id)
            elif earlier.state in DEAD:
                record.dead += 1
        self._assess(id, t)

    def _assess(self, id: TaskId, t: float, cause: TaskId = "") -> TaskState | None:
        """Put a waiting task into the state its counters call for; return the state if it is a new one.

        A task that is ready and has a result made from just what it would be given now is done instead.
        """
        record = self.records[id]
        total, join = len(self._graph._pred[id]), self._graph._tasks[id].join
        needed = total if join.kind == "all" else join.needed(total)
        new = READY if record.arrived >= needed else BLOCKED if total - record.dead < needed else PENDING
        if (
            new is READY
            and record.made_from is not None
            and self.holds(id, record.made_for, record.made_from)
        ):
            record.task, record.inputs = record.made_for, record.made_from
            self.set(id, record, DONE, t, "kept its result: everything is as it was")
            return DONE
        if new is record.state:
            return None
        if new is READY:
            self.make_ready(id, record, t)
        elif new is BLOCKED:
            cause = cause or next(u for u in self._graph._pred[id] if self.records[u].state in DEAD)
            self.set(id, record, BLOCKED, t, f"waits for {cause!r}, which is {self.records[cause].state}")
        else:
            self.set(id, record, PENDING, t)
        return new

    def _drop_losers(self, winner: TaskId, t: float) -> None:
        """Cancel what only a `first_valid` task that has its result would still have waited for."""
        position, dropped = self._graph.position, {winner}
        heap = [(-position(id), id) for id in self._graph._pred[winner]]
        heapify(heap)
        while heap:  # from the back: a task comes after all that waits for it
            _, id = heappop(heap)
            record = self.records[id]
            if id in dropped or record.state.ended or not dropped.issuperset(self._graph._succ[id]):
                continue
            dropped.add(id)
            reason = f"not needed any more: {winner!r} has its result"
            if record.state is RUNNING:
                self.stop(id, record, "cancel")
                record.reason = reason
            else:
                self.set(id, record, CANCELLED, t, reason)
            for before in self._graph._pred[id]:
                heappush(heap, (-position(before), before))
