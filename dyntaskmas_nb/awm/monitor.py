"""Performance Monitor (§III-D, Alg. 4): M(t), a pure fold over the events of a run.

The same log gives the same M(t), in whatever parts it is taken in. An event costs O(1) amortised, beside what
an edit costs the graph that is kept here too (`dtgg.update.apply`, 1 to 3 µs a task: the one way to know
exactly what a task waits for after any edit). Memory is by agent, role and present task, and a window of the
last `WINDOW` attempts. Measured on one core, 5,000 tasks: 1.7 µs an event and 0.5 kB a task, the
estimator left out, and 0.2 ms to tell all figures.

==================  =========================================================================================
figure              what it is
==================  =========================================================================================
coordination time   of an attempt: from when nothing but the scheduler kept its task from starting until it
                    was dispatched, and `TaskDone.overhead` (context handed in, result handed out)
nothing kept it     since the latest of: the task was ready; it was let go on (a timer, an approval, a
                    rejection, a retry by hand, the monitor's word); its agent had a slot again, joined or
                    got other roles; a resource that it holds was given back; the run was resumed, stepped or
                    reopened
context switch      an agent's call has another role than its call before, or what it is given to read begins
                    with another node, where both were given something
retry               an attempt at a task whose attempt before failed
the run's own time  seconds since it began, without those between its end and an edit that goes on with it;
                    pauses count
utilisation         busy slot-seconds ÷ (slots × the run's own time since the agent joined)
window              the last `WINDOW` attempts that are over, and the time since the one before them was
==================  =========================================================================================

Every figure but utilisation and an agent's present state is of attempts that are over. An attempt of a task
removed meanwhile was stopped, whatever became of it; what it spent was spent. One that fails while it is
being stopped has failed: the log does not always say that it was.

Paper silent on what M(t) holds and on what Table III counts as coordination and as a context switch: we chose
what an event log can tell exactly. Waiting for a free agent is no coordination, it is load.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from math import fsum
from typing import Any

from dyntaskmas_nb.awm.estimate import Estimates
from dyntaskmas_nb.awm.figures import AgentFigures, Attempts, machine_figures, role_figures
from dyntaskmas_nb.awm.metrics import Metrics
from dyntaskmas_nb.awm.tally import WINDOW, Attempt, Call, Worker
from dyntaskmas_nb.core import command as commands
from dyntaskmas_nb.core import event as events
from dyntaskmas_nb.core.command import Command
from dyntaskmas_nb.core.delta import Delta, ExpandTask, RemoveTask, RemoveTasks, primitive
from dyntaskmas_nb.core.event import Event
from dyntaskmas_nb.core.graph import TaskGraph
from dyntaskmas_nb.core.settings import AgentSpec
from dyntaskmas_nb.core.task import TaskId
from dyntaskmas_nb.dtgg.update import apply

Outcome = events.TaskDone | events.TaskFailed | events.TaskStopped


class Monitor:
    """What a log shows, kept up to date event by event.

    Attributes
    ----------
    seq : how many events were taken in.
    estimates : what durations, failures, costs and transfers teach.
    """

    def __init__(self) -> None:
        self.seq = 0
        self.estimates = Estimates()
        self._latest = self._idle = self._resumed = 0.0
        self._ended: float | None = None
        self._graph = TaskGraph()
        self._asked: Delta | Command | None = None  # answered by one of the next events, before another comes
        self._workers: dict[str, Worker] = {}
        self._running: dict[TaskId, Attempt] = {}
        self._failed: set[TaskId] = set()  # whose latest attempt failed
        self._let_go: dict[TaskId, float] = {}
        self._given_back: dict[str, float] = {}
        self._over = Attempts()
        self._samples: deque[events.MachineSampled] = deque(maxlen=WINDOW)

    @property
    def completed(self) -> int:
        """Attempts that were done."""
        return self._over.tally.done

    def catch_up(self, log: Sequence[Event]) -> None:
        """Take in what is new in `log`."""
        for event in log[self.seq :]:
            self.take(event)

    def take(self, event: Event) -> None:
        """Take in one event."""
        self.seq += 1
        self._latest = event.t
        if known := _TAKEN.get(type(event)):
            known(self, event)

    def metrics(self, t: float) -> Metrics:
        """Every figure as of `t` (s since the run began), or of the latest event where that is later."""
        over, now = self._over, self._own(max(t, self._latest))
        since = over.since
        busy = {id: worker.busy for id, worker in self._workers.items()}
        recently = dict.fromkeys(busy, 0.0)
        for attempt in self._running.values():
            busy[attempt.agent] += now - attempt.start
            recently[attempt.agent] += now - max(attempt.start, since)
        for attempt in over.recent:
            recently[attempt.agent] += attempt.end - max(attempt.start, since)
        agents = [
            AgentFigures.of(worker, busy[id], recently[id], now, since)
            for id, worker in self._workers.items()
        ]
        there, there_recently = fsum(a.available for a in agents), fsum(a.recently_available for a in agents)
        return Metrics(
            t=now,
            seq=self.seq,
            whole=over.figures(now, fsum(busy.values()), there),
            recent=over.recently(now - since, fsum(recently.values()), there_recently),
            agents=tuple(agents),
            roles=role_figures(self.estimates),
            seconds_per_information=self.estimates.seconds_per_information,
            machine=machine_figures(self._samples),
        )

    # -- the run ---------------------------------------------------------------------------------------

    def _own(self, t: float) -> float:
        """Time `t` in seconds of the run's own time."""
        return (t if self._ended is None else self._ended) - self._idle

    def _on_start(self, event: events.RunStarted) -> None:
        self.estimates = Estimates(event.settings.seconds_per_unit)
        self._idle = event.t
        for spec in event.agents:
            self._set_agent(spec, event.t)

    def _on_reopen(self, event: events.RunReopened) -> None:
        self._resumed = event.t
        for id in list(self._running):
            self._end(id, event.t)

    def _on_end(self, event: events.RunEnded) -> None:
        self._go_on(event.t)
        self._ended = event.t

    def _go_on(self, t: float) -> None:
        if self._ended is not None:
            self._idle += t - self._ended
            self._ended = None

    def _on_sample(self, event: events.MachineSampled) -> None:
        self._samples.append(event)

    def _set_agent(self, spec: AgentSpec, t: float) -> None:
        worker = self._workers.get(spec.id)
        if worker is None:
            worker = self._workers[spec.id] = Worker(spec, t)
        elif worker.spec.roles != spec.roles or worker.spec.slots <= worker.running:
            worker.free_since = t
        worker.spec = spec
        worker.resize(self._own(t))

    # -- edits and commands ----------------------------------------------------------------------------

    def _on_delta(self, event: events.DeltaSubmitted) -> None:
        self._asked = event.delta

    def _on_command(self, event: events.CommandSubmitted) -> None:
        self._asked = event.command

    def _on_refused(self, event: events.DeltaRejected | events.CommandRejected) -> None:
        self._asked = None

    def _on_applied(self, event: events.DeltaApplied) -> None:
        delta, self._asked = self._asked, None
        assert isinstance(delta, Delta)
        self._go_on(event.t)
        apply(self._graph, delta, version=event.version)
        for part in primitive(delta):
            match part:
                case RemoveTask(id=id) | ExpandTask(id=id):
                    self._forget(id)
                case RemoveTasks(ids=ids):
                    for id in ids:
                        self._forget(id)

    def _forget(self, id: TaskId) -> None:
        if id in self._graph:
            return  # removed and added again in one edit
        self._failed.discard(id)
        self._let_go.pop(id, None)
        if attempt := self._running.get(id):
            attempt.removed = True

    def _on_carried_out(self, event: events.CommandApplied) -> None:
        match self._asked:
            case commands.Resume() | commands.StepOnce():
                self._resumed = event.t
            case commands.Approve(id=id) | commands.Reject(id=id) | commands.RetryTask(id=id):
                self._let_go[id] = event.t
            case commands.SetAgent(agent=spec):
                self._set_agent(spec, event.t)
        self._asked = None

    def _on_state(self, event: events.StateChanged) -> None:
        if self._ended is not None and isinstance(self._asked, Command):
            self._go_on(event.t)  # a command that changes a task's state goes on with an ended run

    def _on_word(self, event: events.Woke | events.MonitorDecided) -> None:
        if event.task in self._graph:
            self._let_go[event.task] = event.t

    def _on_hired(self, event: events.AgentHired) -> None:
        self._set_agent(event.agent, event.t)

    # -- attempts --------------------------------------------------------------------------------------

    def _on_dispatch(self, event: events.TaskDispatched) -> None:
        id, t, task = event.task, event.t, self._graph._tasks[event.task]
        worker = self._workers[event.agent]
        keys = tuple([resource.key for resource in task.resources])
        possible = max(event.ready, self._let_go.pop(id, 0.0), worker.free_since, self._resumed)
        for key in keys:
            possible = max(possible, self._given_back.get(key, 0.0))
        before, worker.call = worker.call, Call(task.role)
        self._running[id] = Attempt(
            event.attempt,
            event.agent,
            task.role,
            task.complexity,
            self._own(t),
            t - event.ready,
            t - possible,
            sum(self._graph._pred[id].values()),
            id in self._failed,
            worker.call,
            before,
            keys,
        )
        self._failed.discard(id)
        worker.running += 1

    def _on_context(self, event: events.ContextGiven) -> None:
        attempt = self._running.get(event.task)
        if attempt and attempt.number == event.attempt and event.items and not event.pushed:
            attempt.call.first = event.items[0].id

    def _on_outcome(self, event: Outcome) -> None:
        attempt = self._running.get(event.task)
        if attempt is None or attempt.number != event.attempt:
            return  # it came too late
        if not isinstance(event, events.TaskStopped):
            attempt.tokens, attempt.cost = event.tokens, event.cost
            if not attempt.removed:
                attempt.outcome = "done" if isinstance(event, events.TaskDone) else "failed"
        if isinstance(event, events.TaskDone):
            attempt.handing_over, attempt.waited = event.overhead, event.waited
            attempt.cached = event.cached
            if event.overhead > 0 and attempt.information > 0:
                self.estimates.observe_transfer(attempt.information, event.overhead)
        if attempt.outcome == "failed":
            self._failed.add(event.task)
        self._end(event.task, event.t)

    def _end(self, id: TaskId, t: float) -> None:
        attempt = self._running.pop(id)
        worker, attempt.end = self._workers[attempt.agent], self._own(t)
        attempt.switched = attempt.call.differs(attempt.before)
        seconds = attempt.end - attempt.start
        if worker.running == worker.spec.slots:
            worker.free_since = t
        worker.running -= 1
        worker.busy += seconds
        if worker.running >= worker.spec.slots:
            worker.resize(attempt.end)
        for key in attempt.resources:
            self._give_back(key, t)
        worker.tally.add(attempt)
        self._over.add(attempt)
        if attempt.outcome == "stopped":
            return
        self.estimates.observe(
            attempt.role,
            attempt.agent,
            attempt.complexity,
            max(0.0, seconds - attempt.handing_over - attempt.waited),  # the agent's own
            success=attempt.outcome == "done",
            cost=attempt.cost,
        )

    def _give_back(self, key: str, t: float) -> None:
        """Remember when a resource was given back: the last `WINDOW` of them, older ones keep nobody."""
        self._given_back.pop(key, None)
        self._given_back[key] = t
        if len(self._given_back) > WINDOW:
            del self._given_back[next(iter(self._given_back))]


_TAKEN: dict[type, Callable[[Monitor, Any], None]] = {
    events.RunStarted: Monitor._on_start,
    events.RunReopened: Monitor._on_reopen,
    events.RunEnded: Monitor._on_end,
    events.MachineSampled: Monitor._on_sample,
    events.AgentHired: Monitor._on_hired,
    events.DeltaSubmitted: Monitor._on_delta,
    events.DeltaApplied: Monitor._on_applied,
    events.DeltaRejected: Monitor._on_refused,
    events.CommandSubmitted: Monitor._on_command,
    events.CommandApplied: Monitor._on_carried_out,
    events.CommandRejected: Monitor._on_refused,
    events.StateChanged: Monitor._on_state,
    events.MonitorDecided: Monitor._on_word,
    events.Woke: Monitor._on_word,
    events.TaskDispatched: Monitor._on_dispatch,
    events.ContextGiven: Monitor._on_context,
    events.TaskDone: Monitor._on_outcome,
    events.TaskFailed: Monitor._on_outcome,
    events.TaskStopped: Monitor._on_outcome,
}
