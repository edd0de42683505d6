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

and back to pending from everywhere but cancelled when an edit changes what the task ran or runs with (the
table in `dtgg.update`). Dispatch happens in `TurnEnded`, after all events of one moment are in.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from dyntaskmas_nb.apee.budget import over_budget, watch_budget
from dyntaskmas_nb.apee.controls import carry_out
from dyntaskmas_nb.apee.dispatch import Dispatcher
from dyntaskmas_nb.apee.failures import on_failure, on_monitor, stopped_reason
from dyntaskmas_nb.apee.groups import Groups
from dyntaskmas_nb.apee.ledger import (
    BLOCKED,
    CANCELLED,
    FAILED,
    PENDING,
    READY,
    RUNNING,
    SKIPPED,
    Ledger,
    Record,
)
from dyntaskmas_nb.apee.pool import Pool
from dyntaskmas_nb.apee.priority import Policy, Ranking, policy_of
from dyntaskmas_nb.apee.queue import ReadyQueue
from dyntaskmas_nb.apee.rebase import outdated
from dyntaskmas_nb.apee.routing import Routing
from dyntaskmas_nb.apee.standstill import deadlock
from dyntaskmas_nb.core import event as events
from dyntaskmas_nb.core.delta import Batch, Delta, RemoveTasks, ReviseTask, changed, touched
from dyntaskmas_nb.core.effect import Answer, AskMonitor, Effect
from dyntaskmas_nb.core.event import Event, Input, RunStatus
from dyntaskmas_nb.core.graph import TaskGraph
from dyntaskmas_nb.core.settings import Settings
from dyntaskmas_nb.core.task import SATISFIED, TaskId
from dyntaskmas_nb.dtgg.update import apply
from dyntaskmas_nb.errors import DynTaskError

#: Changes of a task that give one that failed no other chance.
INCIDENTAL = frozenset({"complexity", "boost", "critical"})


class Machine:
    """The state of one run. Read it freely on its own thread; change it through `step` only.

    Parameters
    ----------
    run : name of the run, which no event carries, so that equal runs have equal logs.
    policy : the user's own priority rule, where the settings say "custom".

    Attributes
    ----------
    graph, records, pool, queue : present state; `groups` are what tasks were expanded from.
    running : attempts under way, those of removed tasks too.
    stopped_at : the breakpoint that paused the run, in words, or "".
    tokens, cost, attempts : what the run has spent; `limited` says whether there is a budget.
    log : every event so far; its index is the sequence number.
    """

    def __init__(self, run: str = "", policy: Policy | None = None) -> None:
        self.graph = TaskGraph()
        self.pool = Pool()
        self.queue = ReadyQueue()
        self.log: list[Event] = []
        self.effects: list[Effect] = []
        self.settings = Settings()
        self.run, self.request = run, ""
        self.planning = self.paused = self.to_completion = self.limited = False
        self.stopped_at = ""
        self.credits = self.running = self.tokens = self.attempts = 0
        self.cost = 0.0
        self.ended: events.RunEnded | None = None
        self.ledger = Ledger(self.graph, self.queue, self.log, self.effects)
        self.records = self.ledger.records
        self.dispatcher = Dispatcher(self)
        self.groups = Groups()
        self._custom = policy
        self.ranking = Ranking(self.graph, policy or policy_of("upward_rank"), self.settings)
        self._changed_at: dict[TaskId, int] = {}
        self._ending: tuple[RunStatus, str] | None = None
        self._handlers: dict[type, Callable[[Any], None]] = {
            events.RunStarted: self._on_start,
            events.RunReopened: self._on_reopen,
            events.ResultsShared: self._on_shared,
            events.DeltaSubmitted: self._on_delta,
            events.CommandSubmitted: self._on_command,
            events.PlanFailed: self._on_plan_failed,
            events.TaskDone: self._on_done,
            events.TaskFailed: self._on_outcome,
            events.TaskStopped: self._on_outcome,
            events.MonitorDecided: lambda event: on_monitor(self, event),
            events.ContextGiven: lambda event: None,  # these three are for whoever reads the log
            events.MachineSampled: lambda event: None,
            events.WorkflowDecided: lambda event: None,
            events.Woke: lambda event: self.ledger.wake(event.task, event.t),
            events.TurnEnded: self._on_turn,
        }

    def step(self, event: Input) -> list[Effect]:
        """Take in one event and return what is to be done about it. Never raises for a bad edit."""
        self.log.append(event)
        self._handlers[type(event)](event)
        if not self.effects:
            return []
        effects = self.effects.copy()
        self.effects.clear()
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
        return self._ending is not None or not (self.ledger.open or self.planning or self.running)

    def priority(self, id: TaskId) -> float:
        """The task's priority as of the last turn (boost included); 0 before its first ranking."""
        return self.ranking[id]

    def running_tasks(self) -> list[tuple[TaskId, Record]]:
        """Tasks that run, with their records."""
        return [(id, record) for id, record in self.records.items() if record.state is RUNNING]

    # -- the run ---------------------------------------------------------------------------------------

    def _on_start(self, event: events.RunStarted) -> None:
        self.request, self.settings = event.request, event.settings
        self.planning = event.planning
        self.dispatcher.hiring = not event.agents
        self.dispatcher.routing = Routing(self.settings.routing_table)
        self.dispatcher.routing.frozen = self.settings.routing == "frozen"
        if self.settings.modelled_transfers:
            self.ledger.transfer_seconds = self.settings.seconds_per_information
        for spec in event.agents:
            self.pool.add(spec)
        self.ranking = Ranking(self.graph, self._custom or self.policy(event.settings), self.settings)
        watch_budget(self, event.t)

    def policy(self, settings: Settings) -> Policy:
        """The priority rule that `settings` name: the user's own where they say so."""
        if self._custom and settings.policy == self._custom.name:
            return self._custom
        return policy_of(settings.policy, settings.seed)

    def _on_reopen(self, event: events.RunReopened) -> None:
        t = event.t
        for id, record in self.ledger.leaving.items():
            self.dispatcher.free(id, record, t)
        self.ledger.newly_ready += [id for id in self.ledger.leaving if id in self.records]
        self.ledger.leaving.clear()
        for id, record in self.running_tasks():
            self.dispatcher.free(id, record, t)
            why, record.stopping = record.stopping, ""
            if why == "cancel":
                self.ledger.close(id, record, CANCELLED, t, "cancelled while it ran")
            elif why:
                self._again(id, record, t, "the run was interrupted")
            else:
                self.ledger.make_ready(id, record, t, "the run was interrupted")
        for id, record in self.records.items():
            if record.hold == "monitor":
                self.effects.append(
                    AskMonitor(self.settings.monitor, self.graph._tasks[id], record.attempt, record.reason)
                )
        self.ledger.rearm(t)
        watch_budget(self, t)

    def _on_shared(self, event: events.ResultsShared) -> None:
        for id in self.graph.topological():
            record = self.records[id]
            if id not in event.results or record.state.ended or record.state is RUNNING:
                continue
            task, inputs = self.graph._tasks[id], self.ledger.inputs(id)
            if self.ledger.holds(id, task, inputs):
                record.task, record.inputs = task, inputs
                self.ledger.finish(id, record, event.results[id], event.t, f"shared by {event.source}")

    def _on_plan_failed(self, event: events.PlanFailed) -> None:
        if self.planning:
            self.wind_down("failed", event.reason, event.t)

    def wind_down(self, status: RunStatus, reason: str, t: float) -> None:
        """Stop everything; the run ends with `status` once nothing runs."""
        if self._ending or self.ended:
            return
        self._ending = (status, reason)
        self.planning = False
        for id, record in self.records.items():
            if record.state is RUNNING:
                self.ledger.stop(id, record, "cancel")
            elif not record.state.ended:
                self.ledger.set(id, record, CANCELLED, t, reason)
        blocked = [id for id, record in self.records.items() if record.state is BLOCKED]
        self.ledger.settle(blocked, t)  # they count one more that will not come

    def go_on(self, t: float) -> None:
        """Something is to be done in a run that has ended."""
        if self.ended:
            self.ended = self._ending = None
            self.ledger.timers = 0  # those set before its end will not ring
            watch_budget(self, t)

    @property
    def stopping(self) -> bool:
        """Whether the run is being stopped."""
        return self._ending is not None and not self.ended

    # -- edits and commands --------------------------------------------------------------------------

    def _on_delta(self, event: events.DeltaSubmitted) -> None:
        t, id, delta, version = event.t, event.id, event.delta, len(self.log)
        reason = outdated(delta, event.base, self._changed_at)
        if self.stopping:
            reason = "The run is being stopped."
        try:
            if reason:
                raise DynTaskError(reason)
            inverse = apply(self.graph, delta, version=version)
        except DynTaskError as error:
            self._answer(id, events.DeltaRejected(t, id, str(error)))
            return
        applied = events.DeltaApplied(t, id, version, inverse)
        self._answer(id, applied)
        self.go_on(t)
        self.groups.note(delta)
        ids = touched(delta) | touched(inverse)
        self.ranking.touch(ids)
        reruns = self.ledger.adopt(ids, t) + self._reconsider(delta, t)
        applied.reruns = tuple(dict.fromkeys(reruns))
        altered = changed(delta) if isinstance(inverse, RemoveTasks) else changed(delta) | changed(inverse)
        self._changed_at.update(dict.fromkeys(altered, version))  # what is new was not altered
        self.planning = self.planning and event.by != "planner"

    def _reconsider(self, delta: Delta, t: float) -> list[TaskId]:
        """A failed task gets another chance when revised; one that is not critical any more is skipped."""
        if isinstance(delta, Batch):
            return [id for part in delta.deltas for id in self._reconsider(part, t)]
        if not isinstance(delta, ReviseTask) or (record := self.records.get(delta.id)) is None:
            return []
        telling = not INCIDENTAL.issuperset(delta.changes)
        if telling and record.hold in ("monitor", "ask", "retry"):  # what was decided was on another task
            record.hold, record.failures, record.avoid = "", 0, ()
            self.ledger.newly_ready.append(delta.id)
        if telling and record.state in (FAILED, SKIPPED):
            self.ledger.reopen(delta.id, record, t, "it was revised")
            reruns = [delta.id]
        elif record.state is FAILED and not self.graph._tasks[delta.id].critical:
            self.ledger.set(delta.id, record, SKIPPED, t, record.reason)
            reruns = []
        else:
            return []
        return reruns + self.ledger.settle(self.graph._succ[delta.id], t)

    def _on_command(self, event: events.CommandSubmitted) -> None:
        t, id = event.t, event.id
        reason = carry_out(self, event.command, t)
        self._answer(id, events.CommandRejected(t, id, reason) if reason else events.CommandApplied(t, id))

    def _answer(self, id: int, outcome: Any) -> None:
        self.log.append(outcome)
        self.effects.append(Answer(id, outcome))

    # -- outcomes ------------------------------------------------------------------------------------

    def _on_done(self, event: events.TaskDone) -> None:
        """The usual outcome; whatever is unusual about it is left to `_on_outcome`."""
        id, t, ledger = event.task, event.t, self.ledger
        record = ledger.records.get(id)
        unusual = ledger.leaving or self.to_completion or record is None or record.stopping
        if record is None or unusual or record.state is not RUNNING or record.attempt != event.attempt:
            self._on_outcome(event)
        else:
            self.dispatcher.free(id, record, t, success=True)
            self.tokens += event.tokens
            self.cost += event.cost
            ledger.finish(id, record, event.result, t)
            if self.dispatcher.breakpoints:
                self.dispatcher.hit(id, "after", t)

    def _on_outcome(self, event: events.TaskDone | events.TaskFailed | events.TaskStopped) -> None:
        id, t = event.task, event.t
        left, record = self.ledger.leaving.get(id), self.records.get(id)
        if left and left.attempt == event.attempt:  # the task was removed while it ran
            del self.ledger.leaving[id]
            self.dispatcher.free(id, left, t)
            self.ledger.newly_ready += [id] if record else []
        if not record or record.state is not RUNNING or record.attempt != event.attempt:
            return  # it came too late
        why, record.stopping = record.stopping, ""
        done = isinstance(event, events.TaskDone)
        counts = done or not (why or isinstance(event, events.TaskStopped))
        self.dispatcher.free(id, record, t, success=done if counts else None)
        if not isinstance(event, events.TaskStopped):
            self.tokens += event.tokens
            self.cost += event.cost
        if isinstance(event, events.TaskDone):
            if why in ("", "cancel") and self.ledger.holds(id, record.task, record.inputs):
                self.ledger.finish(id, record, event.result, t)
            else:  # it was faster than the request to stop; perhaps the edit is undone meanwhile
                self.ledger.keep(record, event.result)
                record.made_from = None if why == "afresh" else record.made_from
                if why == "cancel":
                    self.ledger.close(id, record, CANCELLED, t, "cancelled while it ran")
                else:
                    self._again(id, record, t)
        elif why in ("again", "afresh"):
            self._again(id, record, t, stopped_reason(event, "stopped to run again"))
        elif why or isinstance(event, events.TaskStopped):
            reason = stopped_reason(event, record.reason or "cancelled while it ran")
            self.ledger.close(id, record, CANCELLED, t, reason)
        else:
            on_failure(self, record, event)
        if self.to_completion and not isinstance(event, events.TaskStopped):
            self.paused, self.to_completion = True, False
        if record.state.ended:
            self.dispatcher.hit(id, "after", t)

    def hold(self, id: TaskId, record: Record, hold: str, reason: str, t: float) -> None:
        """A ready task has to wait for something beside an agent."""
        self.queue.discard(id)
        record.hold, record.reason = hold, reason
        self.log.append(events.StateChanged(t, id, READY, reason))

    def give_up(self, id: TaskId, t: float, reason: str) -> None:
        """A task has failed for good: it is skipped, or what waits for it is blocked."""
        state = FAILED if self.graph._tasks[id].critical else SKIPPED
        self.ledger.close(id, self.records[id], state, t, reason)

    def _again(self, id: TaskId, record: Record, t: float, reason: str = "") -> None:
        self.ledger.set(id, record, PENDING, t, reason)
        self.ledger.settle([id], t)

    # -- turns ---------------------------------------------------------------------------------------

    def _on_turn(self, event: events.TurnEnded) -> None:
        t, fresh = event.t, self.ledger.newly_ready
        if self.ended:
            return
        try:
            fresh += self.ranking.refresh()
        except DynTaskError as error:
            self.wind_down("failed", str(error), t)
        for id in fresh:  # grows: a task given up may let another start
            self.dispatcher.admit(id, t)
        fresh.clear()
        if not self._ending and not (self.winding_up or over_budget(self, t)):
            self.dispatcher.dispatch(t)
        if self._ending:
            if not self.running:
                self._end(t, *self._ending)
        elif self.winding_up:
            self._conclude(t)
        elif not (self.running or self.planning or self.paused or self.ledger.timers):
            self._watch(t)

    def _watch(self, t: float) -> None:
        """Nothing moves by itself: unless somebody is asked, say what waits for what, and end."""
        if reason := deadlock(self):
            self.wind_down("failed", reason, t)
            self._end(t, *(self._ending or ("failed", "")))

    def _conclude(self, t: float) -> None:
        """The run is done when all that it was to give is there: every task that nothing waits for."""
        records = self.records
        if all(records[id].state in SATISFIED for id in self.graph.sinks()):
            self._end(t, "done")
            return
        failed = [id for id, record in records.items() if record.state is FAILED]
        causes = failed or [id for id, record in records.items() if record.state is CANCELLED]
        reason = "; ".join(f"{id}: {records[id].reason}" for id in causes[:5])
        self._end(t, "failed" if failed else "cancelled", reason)

    def _end(self, t: float, status: RunStatus, reason: str = "") -> None:
        self._ending, self.paused, self.credits = None, False, 0
        self.ended = events.RunEnded(t, status, reason)
        self.log.append(self.ended)
