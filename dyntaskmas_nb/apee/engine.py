"""Asynchronous Parallel Execution Engine (§III-B): the shell that lets a machine's decisions happen.

One inbox takes what users, planner, AWM and agents send. A turn drains it, steps the machine, journals the
new events and only then carries out the effects. Agents are long-lived workers, one cancel scope a running
task, no polling. The engine decides nothing.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from typing import assert_never

import anyio
import anyio.lowlevel
from anyio.abc import TaskGroup

from dyntaskmas_nb.apee.assignment import Assignment, Decide, Perform
from dyntaskmas_nb.apee.clock import Clock, Signal
from dyntaskmas_nb.apee.hints import steps_to_next_use
from dyntaskmas_nb.apee.journal import Keeper
from dyntaskmas_nb.apee.machine import Machine
from dyntaskmas_nb.apee.raised import Raised, said_of
from dyntaskmas_nb.apee.submissions import Outcome, Pending, Submissions
from dyntaskmas_nb.core import event as events
from dyntaskmas_nb.core.command import Command
from dyntaskmas_nb.core.delta import Delta
from dyntaskmas_nb.core.effect import Answer, AskMonitor, Effect, GiveContext, StopTask, WakeAt
from dyntaskmas_nb.core.event import Input, TaskDispatched, arrival_key
from dyntaskmas_nb.core.task import TaskId
from dyntaskmas_nb.errors import AgentError, StoreError

Other = StopTask | GiveContext | AskMonitor | WakeAt | Answer
log = logging.getLogger(__name__)

#: Events of one turn in real time: of a thousand agents that end together, the first go on while the others
#: are seen to. Shares of the ideal at 256 and 1,024 agents: 0.98 and 0.93; at once: 0.92 and 0.88.
AT_ONCE = 16
#: Seconds after which what could not be stored for want of space is tried again.
RETRY = 1.0


@dataclass(slots=True)
class _Worker:
    """A long-lived agent process of the engine: its job, what cancels that, and what calls it to the next."""

    scope: anyio.CancelScope
    job: Assignment | None = None
    call: Signal | None = None


class Engine:
    """Runs one machine to its end. All methods are for the engine's own event loop."""

    def __init__(
        self, machine: Machine, perform: Perform, clock: Clock, journal: Keeper, decide: Decide | None = None
    ) -> None:
        self.machine = machine
        self.failure = self.trouble = ""
        self.finished, self.raised = anyio.Event(), Raised()
        self._perform = perform
        self._decide = decide
        self._clock = clock
        self._journal = journal
        self._inbox: list[Input] = []
        self._call: Signal | None = None
        self._nudged = False
        self._idle: list[_Worker] = []
        self._running: dict[tuple[TaskId, int], _Worker] = {}
        self._stopping: dict[tuple[TaskId, int], anyio.Event] = {}
        self._submissions = Submissions()
        self._watches: list[tuple[Callable[[], bool], anyio.Event]] = []
        self._watchers: dict[Callable[[], None], None] = {}
        self._saved = 0
        self._latest = 0.0
        self._origin: float | None = None
        self._reopened = False

    # -- the face ------------------------------------------------------------------------------------

    def now(self) -> float:
        """Seconds since the run began (for a resumed run, since it first began, pauses between left out)."""
        if self._origin is None:
            self._origin = self._clock.now() - (self.machine.log[-1].t if self.machine.log else 0.0)
        return self._clock.now() - self._origin

    def reopen(self) -> None:
        """Be ready to `run` again after the run's end; the time between is left out."""
        self.finished = anyio.Event()
        self._origin, self._reopened = None, True
        self._inbox.clear()  # what came from agents that were abandoned
        self._idle.clear()

    def saved(self, count: int) -> None:
        """The first `count` events are in the journal already (a run that was read back)."""
        self._saved = count

    def post(self, event: Input) -> None:
        """Put an input into the inbox."""
        self._inbox.append(event)
        if self._call and not self._call.done():
            self._call.set_result(None)

    @property
    def quiet(self) -> bool:
        """Whether it waits for something to arrive, no turn being under way."""
        return self._call is not None and not self._call.done() and not self._inbox

    def nudge(self) -> None:
        """Have a turn even though nothing arrived."""
        self._nudged = True
        if self._call and not self._call.done():
            self._call.set_result(None)

    async def submit(
        self,
        change: Delta | Command,
        *,
        base: int | None = None,
        by: str = "user",
        notes: tuple[str, ...] = (),
    ) -> Outcome:
        """Hand in a Δ or a command and wait for what the machine made of it."""
        return await self.hand_in(change, base=base, by=by, notes=notes)

    def hand_in(
        self,
        change: Delta | Command,
        *,
        base: int | None = None,
        by: str = "user",
        notes: tuple[str, ...] = (),
    ) -> Pending:
        """Hand in a Δ or a command at once; what is returned waits for what the machine made of it."""
        closed, ended = f"{self.trouble} Nothing was changed." if self.trouble else "", self.finished.is_set()
        if ended:
            closed = f"The run has ended ({self.machine.status}); nothing was changed."
        pending, event = self._submissions.take(
            change, self.now(), base, by, notes, closed=closed, ended=ended
        )
        if event:
            self.post(event)
        return pending

    def watch(self, changed: Callable[[], None]) -> Callable[[], None]:
        """Have `changed` called after every turn and at the end, on this loop; return what ends that."""
        self._watchers[changed] = None
        return partial(self._watchers.pop, changed, None)

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait until `condition` holds after a turn, or the run has ended."""
        if self.finished.is_set() or (self._saved == len(self.machine.log) and condition()):
            return
        watch = (condition, anyio.Event())
        self._watches.append(watch)
        try:
            await watch[1].wait()
        finally:
            self._watches = [other for other in self._watches if other is not watch]

    async def run(self) -> None:
        """Drive the machine until the run has ended; raises only when cancelled from outside."""
        finished = self.finished  # an edit may go on with the run while a rude agent is waited for
        try:
            if self.machine.ended and not self._reopened:
                return
            async with anyio.create_task_group() as group:
                self._reopened = True
                while self._reopened or self._inbox or not self.machine.ended:
                    self._reopened = False
                    await self._wait()
                    await self._turn(group)
                self._release_all()
                group.cancel_scope.cancel()
        except Exception as error:
            log.exception("run %s stopped", self.machine.run)
            cause = error.exceptions[0] if isinstance(error, BaseExceptionGroup) else error
            kind = "" if isinstance(cause, StoreError) else f"{type(cause).__name__}: "
            self.failure = f"{kind}{cause}"
        finally:
            if self.finished is finished:
                self._release_all()

    # -- turns ---------------------------------------------------------------------------------------

    async def _wait(self) -> None:
        if self._inbox:  # too many for one turn: those that it started begin before the next
            await anyio.lowlevel.checkpoint()
        elif not self._nudged:
            self._call = self._clock.signal()
            await self._call
        await self._clock.settle()
        self._nudged = False  # after settling: what arrived meanwhile is part of this turn

    async def _turn(self, group: TaskGroup) -> None:
        most = len(self._inbox) if self._clock.virtual else AT_ONCE
        arrived, self._inbox = self._inbox[:most], self._inbox[most:]
        if any(earlier.t >= later.t for earlier, later in pairwise(arrived)):
            arrived.sort(key=arrival_key)
        t = max(self.now(), self._latest, arrived[-1].t if arrived else 0.0)
        effects: list[Effect] = []
        for event in arrived:
            event.t = self._latest = max(event.t, self._latest)
            effects += self.machine.step(event)
        if self._clock.moving:
            self._latest = t
            effects += self.machine.step(events.TurnEnded(t))
        await self._save()
        for effect in effects:
            if isinstance(effect, TaskDispatched):
                self._start(effect, group)
            else:
                self._carry_out(effect, group)
        if self._watches:
            for watch in [watch for watch in self._watches if watch[0]()]:
                watch[1].set()
                self._watches.remove(watch)
        self._tell()

    def _tell(self) -> None:
        for changed in tuple(self._watchers):
            try:
                changed()
            except Exception:  # whoever looks on must not stop the run
                log.exception("a watcher of run %s failed and is not told any more", self.machine.run)
                self._watchers.pop(changed, None)

    async def _save(self) -> None:
        """Journal what is new; nothing leaves the process before this returns. Without space it waits."""
        new = self.machine.log[self._saved :]
        while True:
            try:
                self._journal.append(self.machine.run, self._saved, new)
                break
            except StoreError as error:
                if self._clock.virtual or not error.retryable:
                    raise
                self.trouble = f"{error} It is tried again every second; nothing is lost meanwhile."
                self._tell()
                await anyio.sleep(RETRY)
        self.trouble = ""
        self._saved += len(new)

    def _carry_out(self, effect: Other, group: TaskGroup) -> None:
        match effect:
            case StopTask(task=id, attempt=attempt):
                if worker := self._running.get((id, attempt)):
                    worker.scope.cancel()
                    stopped = self._stopping[id, attempt] = anyio.Event()
                    group.start_soon(self._see_it_stop, id, attempt, stopped)
            case GiveContext(task=id, attempt=attempt, text=text):
                if (worker := self._running.get((id, attempt))) and worker.job:
                    worker.job.given.append(text)
            case AskMonitor():
                group.start_soon(self._ask_monitor, effect)
            case WakeAt(t=t, task=id):
                group.start_soon(self._wake_at, t, id)
            case Answer(id=number, outcome=outcome):
                self._submissions.answer(number, outcome)
            case _:
                assert_never(effect)

    def _release_all(self) -> None:
        """Nobody may wait for a run that is over."""
        self.finished.set()
        self._tell()
        for _, met in self._watches:
            met.set()
        self._watches.clear()
        reason = self.failure or "The run ended before this could be taken in."
        self._submissions.refuse_all(self._latest, reason)

    # -- agents --------------------------------------------------------------------------------------

    def assignment(self, id: TaskId, attempt: int, agent: str, priority: float = 0.0) -> Assignment:
        """What `agent` is given for the attempt at task `id` that has just begun."""
        machine, records = self.machine, self.machine.records
        task, versions = records[id].task or machine.graph[id], records[id].inputs or {}
        results = {before: records[before].result for before in versions}
        access, t = machine.pool.agents[agent].spec.access, self._latest
        job = Assignment(
            machine.run, machine.request, task, attempt, agent, access, priority, t, results, versions
        )
        job.token_share = machine.settings.token_shares.get(agent)
        job.next_use = partial(steps_to_next_use, machine, task.role)
        return job

    def _start(self, effect: TaskDispatched, group: TaskGroup) -> None:
        job = self.assignment(effect.task, effect.attempt, effect.agent, effect.priority)
        if self._idle:
            worker = self._idle.pop()
            worker.job = job
            assert worker.call
            worker.call.set_result(None)
        else:
            worker = _Worker(anyio.CancelScope(), job)
            group.start_soon(self._work, worker)
        self._running[effect.task, effect.attempt] = worker

    async def _work(self, worker: _Worker) -> None:
        """Take one job after another; a scope serves until it was cancelled."""
        while True:
            with worker.scope as scope:
                while not scope.cancel_called:  # too late for its job, and not to reach the next one
                    if (job := worker.job) is None:
                        worker.call = self._clock.signal()
                        self._idle.append(worker)
                        await worker.call
                        continue
                    task, attempt = job.task, job.attempt
                    if task.timeout is not None:
                        scope.deadline = anyio.current_time() + task.timeout
                    try:  # whatever happens becomes one event
                        answer = await self._perform(job)
                        now, over = self.now(), 0.0
                        if job.worked is not None:
                            over = max(0.0, round(now - job.t - job.worked, 6))
                        outcome: Input = events.TaskDone(
                            now,
                            task.id,
                            attempt,
                            answer.result,
                            answer.tokens,
                            answer.cost,
                            over,
                            answer.waited,
                            answer.cached,
                        )
                    except AgentError as error:
                        self.raised.keep(task.id, error)
                        said, spent = said_of(error), (error.tokens, error.cost)
                        outcome = events.TaskFailed(
                            self.now(), task.id, attempt, said, error.retryable, *spent
                        )
                    except Exception as error:
                        self.raised.keep(task.id, error)
                        log.exception("task %s failed unexpectedly", task.id)
                        said = f"{type(error).__name__}: {said_of(error)}"
                        outcome = events.TaskFailed(self.now(), task.id, attempt, said)
                    self._over(worker, job, outcome)
            if worker.job:
                self._over(worker, worker.job, None)
            worker.scope = anyio.CancelScope()

    def _over(self, worker: _Worker, job: Assignment, outcome: Input | None) -> None:
        """An attempt is over; without an outcome it was cut off."""
        task, attempt = job.task, job.attempt
        worker.job = None
        if task.timeout is not None:
            worker.scope.deadline = math.inf
        self._running.pop((task.id, attempt), None)
        if self._stopping and (stopping := self._stopping.pop((task.id, attempt), None)):
            stopping.set()
            outcome = outcome or events.TaskStopped(self.now(), task.id, attempt)
        if outcome is None:
            late = f"no result within {task.timeout or 0:g} s"
            outcome = events.TaskFailed(self.now(), task.id, attempt, late)
        self.post(outcome)

    async def _see_it_stop(self, id: TaskId, attempt: int, stopped: anyio.Event) -> None:
        """Wait for a cancelled attempt, but not for ever: one that will not stop is abandoned."""
        with anyio.move_on_after(self.machine.settings.stop_grace):
            await stopped.wait()
            return
        self._running.pop((id, attempt), None)
        log.warning("task %s did not stop and was abandoned", id)
        self.post(events.TaskStopped(self.now(), id, attempt, abandoned=True))

    async def _ask_monitor(self, question: AskMonitor) -> None:
        id, attempt, answer = question.task.id, question.attempt, None
        try:
            answer = await self._decide(question) if self._decide else None
        except Exception:  # a monitor that breaks down leaves it to the rule
            log.exception("the monitor broke down on task %s", id)
        self.post(answer or events.MonitorDecided(self.now(), id, attempt, "rule"))

    async def sleep_until(self, t: float, stop: Callable[[], bool]) -> None:
        """Wait until `t` seconds after the start and what happens then is in, `stop`, or the end."""
        async with anyio.create_task_group() as group:

            async def sleep() -> None:
                await self._clock.sleep_until((self._origin or 0.0) + t)
                await self._clock.settle()
                group.cancel_scope.cancel()

            group.start_soon(sleep)
            await self.until(stop)
            group.cancel_scope.cancel()

    async def _wake_at(self, t: float, id: TaskId) -> None:
        await self._clock.sleep_until((self._origin or 0.0) + t)
        self.post(events.Woke(max(self.now(), t), id))  # rounding must not make the timer early
