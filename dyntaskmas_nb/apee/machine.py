"""The run as a state machine: `Machine.step(event) -> effects` is the only thing that changes a run.

Sans-IO: no clock, no randomness, no awaiting. Time, seeds and ids arrive in events. Engine (`engine.py`)
and simulator (`simulate.py`) drive the same machine, so whatever is previewed is what will happen; feeding
the inputs of a log again gives the same log.

The life of a task (fact in brackets where a task is not simply told so by its outcome)::

    pending ──predecessors satisfied──▶ ready ──[dispatched]──▶ running ──▶ done
       │  ▲                               │ ▲                     │ │
       │  └──an edit adds a predecessor───┘ └──failed, tries left─┘ ├─▶ failed   (critical)
       │                                                            ├─▶ skipped  (not critical)
       └──a predecessor cannot come──▶ blocked                      └─▶ cancelled (on command)

Dispatch happens in `TurnEnded`, after all events of one moment are in. In this version an edit of a running
or ended task is rejected with its reason.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from dyntaskmas_nb.apee.ledger import DEAD, Ledger, Record
from dyntaskmas_nb.apee.locks import Locks
from dyntaskmas_nb.apee.pool import Agent, Pool
from dyntaskmas_nb.apee.priority import Policy, Ranking, policy_of
from dyntaskmas_nb.apee.queue import ReadyQueue
from dyntaskmas_nb.apee.rebase import closed, outdated
from dyntaskmas_nb.core import event as events
from dyntaskmas_nb.core.command import CancelRun, CancelTask, Pause, Resume, SetPolicy, StepOnce
from dyntaskmas_nb.core.delta import changed, touched
from dyntaskmas_nb.core.effect import Answer, Effect, StartTask, StopTask
from dyntaskmas_nb.core.event import Event, Input, RunStatus
from dyntaskmas_nb.core.graph import TaskGraph
from dyntaskmas_nb.core.settings import Settings
from dyntaskmas_nb.core.task import TaskId, TaskState
from dyntaskmas_nb.dtgg.update import apply
from dyntaskmas_nb.errors import DynTaskError


class Machine:
    """The state of one run. Read it freely on its own thread; change it through `step` only.

    Parameters
    ----------
    run : name of the run, which no event carries, so that equal runs have equal logs.
    policy : the user's own priority rule, where the settings say "custom".

    Attributes
    ----------
    graph, records, pool, queue : present state.
    log : every event so far; its index is the sequence number.
    """

    def __init__(self, run: str = "", policy: Policy | None = None) -> None:
        self.graph = TaskGraph()
        self.pool = Pool()
        self.queue = ReadyQueue()
        self.log: list[Event] = []
        self.settings = Settings()
        self.run, self.request = run, ""
        self.planning = self.paused = False
        self.credits = 0
        self.ended: events.RunEnded | None = None
        self._custom = policy
        self._ranking = Ranking(self.graph, policy or policy_of("upward_rank"), self.settings)
        self._effects: list[Effect] = []
        self._ledger = Ledger(self.graph, self.queue, self.log, self._effects)
        self.records = self._ledger.records
        self._changed_at: dict[TaskId, int] = {}
        self._locks = Locks()
        self._running = 0
        self._hiring = True
        self._ending: tuple[RunStatus, str] | None = None
        self._handlers: dict[type, Callable[[Any], None]] = {
            events.RunStarted: self._on_start,
            events.RunReopened: self._on_reopen,
            events.DeltaSubmitted: self._on_delta,
            events.CommandSubmitted: self._on_command,
            events.PlanFailed: self._on_plan_failed,
            events.TaskDone: self._on_outcome,
            events.TaskFailed: self._on_outcome,
            events.TaskStopped: self._on_outcome,
            events.Woke: lambda woke: self._ledger.wake(woke.task, woke.t),
            events.TurnEnded: self._on_turn,
        }

    def step(self, event: Input) -> list[Effect]:
        """Take in one event and return what is to be done about it. Never raises for a bad edit."""
        self.log.append(event)
        self._handlers[type(event)](event)
        effects = self._effects.copy()
        self._effects.clear()
        return effects

    @property
    def status(self) -> RunStatus:
        """Where the run stands."""
        if self.ended:
            return self.ended.status
        if self.planning:
            return "planning"
        return "paused" if self.paused else "running"

    @property
    def winding_up(self) -> bool:
        """True when the run is being stopped or nothing is left to do: the next turn may end it."""
        return self._ending is not None or not (self._ledger.open or self.planning)

    def priority(self, id: TaskId) -> float:
        """The task's priority as of the last turn (boost included); 0 before its first ranking."""
        return self._ranking[id]

    def _on_start(self, event: events.RunStarted) -> None:
        self.request, self.settings = event.request, event.settings
        self.planning = event.planning
        self._hiring = not event.agents
        if self.settings.modelled_transfers:
            self._ledger.transfer_seconds = self.settings.seconds_per_information
        for spec in event.agents:
            self.pool.add(spec)
        policy = self._custom or policy_of(event.settings.policy, event.settings.seed)
        self._ranking = Ranking(self.graph, policy, self.settings)

    def _on_reopen(self, event: events.RunReopened) -> None:
        for id, record in self.records.items():
            if record.state is TaskState.RUNNING:
                self._free(id, record, event.t)
                if record.stopping:
                    self._ledger.close(id, record, TaskState.CANCELLED, event.t, "cancelled while it ran")
                else:
                    self._ledger.make_ready(id, record, event.t, "the run was interrupted")
        self._ledger.rearm(event.t)

    def _on_delta(self, event: events.DeltaSubmitted) -> None:
        t, id, delta, version = event.t, event.id, event.delta, len(self.log)
        if reason := self._refusal(event):
            self._answer(id, events.DeltaRejected(t, id, reason))
            return
        try:
            inverse = apply(self.graph, delta, version=version)
        except DynTaskError as error:
            self._answer(id, events.DeltaRejected(t, id, str(error)))
            return
        self._answer(id, events.DeltaApplied(t, id, version, inverse))
        ids = touched(delta) | touched(inverse)
        self._ranking.touch(ids)
        self._ledger.adopt(ids, t)
        self._changed_at.update(dict.fromkeys(changed(delta), version))
        self.planning = self.planning and event.by != "planner"

    def _on_command(self, event: events.CommandSubmitted) -> None:
        t, id = event.t, event.id
        reason = self._command(event)
        self._answer(id, events.CommandRejected(t, id, reason) if reason else events.CommandApplied(t, id))

    def _on_plan_failed(self, event: events.PlanFailed) -> None:
        if self.planning:
            self._wind_down("failed", event.reason, event.t)

    def _on_outcome(self, event: events.TaskDone | events.TaskFailed | events.TaskStopped) -> None:
        id, t, record = event.task, event.t, self.records.get(event.task)
        if not record or record.state is not TaskState.RUNNING or record.attempt != event.attempt:
            return  # it came too late
        self._free(id, record, t, completed=isinstance(event, events.TaskDone))
        if isinstance(event, events.TaskFailed):
            record.failures += 1
        if isinstance(event, events.TaskDone):
            record.result = event.result
            self._ledger.close(id, record, TaskState.DONE, t)
        elif record.stopping or isinstance(event, events.TaskStopped):
            self._ledger.close(id, record, TaskState.CANCELLED, t, "cancelled while it ran")
        elif event.retryable and record.failures < self.graph.tasks[id].attempts:
            self._ledger.make_ready(id, record, t, event.error)
        else:
            self._give_up(id, t, event.error)

    def _on_turn(self, event: events.TurnEnded) -> None:
        t = event.t
        if self.ended:
            return
        try:
            ranked = self._ranking.refresh()
        except DynTaskError as error:
            self._wind_down("failed", str(error), t)
            ranked = []
        fresh = self._ledger.newly_ready
        fresh.extend(ranked)
        for id in fresh:  # grows: a task given up may let another start
            if id in self.records and self.records[id].state is TaskState.READY:
                if reason := self._hopeless(id):
                    self._give_up(id, t, reason)
                else:
                    self._enqueue(id)
        fresh.clear()
        self._dispatch(t)
        if self._ending:
            if not self._running:
                self._end(t, *self._ending)
        elif not self._ledger.open and not self.planning:
            bad = [id for id, record in self.records.items() if record.state in DEAD]
            self._end(t, "failed" if bad else "done", self._blame(bad))

    # -- edits and commands --------------------------------------------------------------------------

    def _refusal(self, event: events.DeltaSubmitted) -> str:
        if self.ended:
            return "The run has ended; start a new one with the changed graph (run.graph.to_plan())."
        if self._ending:
            return "The run is being stopped."
        return closed(event.delta, self.records) or outdated(event.delta, event.base, self._changed_at)

    def _command(self, event: events.CommandSubmitted) -> str:
        """Carry a command out; return why not, or nothing."""
        t = event.t
        if self.ended:
            return f"The run has ended ({self.ended.status})."
        match event.command:
            case Pause():
                self.paused, self.credits = True, 0
            case Resume():
                self.paused, self.credits = False, 0
            case StepOnce():
                self.paused = True
                self.credits += 1
            case SetPolicy(policy=name):
                return self._set_policy(name)
            case CancelTask(id=id):
                return self._cancel_task(id, t)
            case CancelRun(reason=reason):
                self._wind_down("cancelled", reason, t)
        return ""

    def _set_policy(self, name: str) -> str:
        try:
            policy = policy_of(name, self.settings.seed)
        except DynTaskError as error:
            return str(error)
        self.settings = replace(self.settings, policy=name)
        self._ranking = Ranking(self.graph, policy, self.settings)
        self._ranking.touch(self.graph)
        return ""

    def _cancel_task(self, id: TaskId, t: float) -> str:
        record = self.records.get(id)
        if record is None:
            return f"There is no task {id[:80]!r}."
        if record.state.ended:
            return f"Task {id!r} is {record.state} already."
        if record.state is TaskState.RUNNING:
            self._stop(id, record)
        else:
            self._ledger.close(id, record, TaskState.CANCELLED, t, "cancelled before it started")
        return ""

    def _wind_down(self, status: RunStatus, reason: str, t: float) -> None:
        """Stop everything; the run ends with `status` once nothing runs."""
        self._ending = (status, reason)
        self.planning = False
        for id, record in self.records.items():
            if record.state is TaskState.RUNNING:
                self._stop(id, record)
            elif not record.state.ended:
                self._ledger.set(id, record, TaskState.CANCELLED, t, reason)

    def _stop(self, id: TaskId, record: Record) -> None:
        if not record.stopping:
            record.stopping = True
            self._effects.append(StopTask(id, record.attempt))

    # -- dispatch --------------------------------------------------------------------------------------

    def _free(self, id: TaskId, record: Record, t: float, *, completed: bool = False) -> None:
        self.pool.release(record.agent, id, t, completed=completed)
        self._running -= 1
        self._locks.release(self.graph.tasks[id])

    def _enqueue(self, id: TaskId) -> None:
        self.queue.push(id, self.graph.tasks[id].role, self._ranking[id], self.records[id].order)

    def _dispatch(self, t: float) -> None:
        """Give ready tasks to free agents, best priority first over all roles."""
        if self._ending:
            return
        held: list[TaskId] = []
        while len(self.queue) and (not self.paused or self.credits):
            served = [front for front in self.queue.fronts() if self._agent_for(front[1])]
            if not served:
                break
            first, role = min(served)
            id = self.queue.pop(role)
            if self._locks.available(self.graph.tasks[id]):
                self._start(id, role, -first[0], t)
            else:
                held.append(id)
        for id in held:
            self._enqueue(id)

    def _agent_for(self, role: str) -> bool:
        return self.pool.pick(role) is not None or (
            self._hiring and self.pool.count(role) < self.settings.agents_per_role
        )

    def _hire(self, role: str, t: float) -> Agent:
        spec = self.pool.newcomer(role)
        self.log.append(events.AgentHired(t, spec))
        return self.pool.add(spec)

    def _start(self, id: TaskId, role: str, priority: float, t: float) -> None:
        agent = self.pool.pick(role) or self._hire(role, t)
        task, record = self.graph.tasks[id], self.records[id]
        self._locks.take(task)
        self.credits -= self.paused
        record.state, record.agent, record.reason = TaskState.RUNNING, agent.spec.id, ""
        record.attempt += 1
        self._running += 1
        self.pool.take(agent, id, t)
        self.log.append(events.TaskDispatched(t, id, record.attempt, agent.spec.id, priority))
        self._effects.append(StartTask(task, record.attempt, agent.spec.id, priority))

    def _hopeless(self, id: TaskId) -> str:
        """Why nothing would ever happen to a ready task: no agent has its role, none can be hired."""
        role = self.graph.tasks[id].role
        if self._hiring or self.pool.count(role):
            return ""
        has = ", ".join(sorted({role for agent in self.pool for role in agent.spec.roles}))
        return f"no agent can take the role {role!r}; there are: {has}"

    def _give_up(self, id: TaskId, t: float, reason: str) -> None:
        state = TaskState.FAILED if self.graph.tasks[id].critical else TaskState.SKIPPED
        self._ledger.close(id, self.records[id], state, t, reason)

    def _answer(self, id: int, outcome: Any) -> None:
        self.log.append(outcome)
        self._effects.append(Answer(id, outcome))

    def _blame(self, bad: list[TaskId]) -> str:
        causes = [id for id in bad if self.records[id].state is not TaskState.BLOCKED] or bad
        return "; ".join(f"{id}: {self.records[id].reason}" for id in causes[:5])

    def _end(self, t: float, status: RunStatus, reason: str = "") -> None:
        self.ended = events.RunEnded(t, status, reason)
        self.log.append(self.ended)
