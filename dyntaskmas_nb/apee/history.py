"""Reading a run's log: the timeline, a snapshot of any moment, and what a run that forks off starts with.

The log alone rebuilds a run: its inputs, fed to a fresh machine, give the same facts. A coordinate of history
is an event's place in the log; an edit's version is the place of its `DeltaApplied`.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from typing import get_args

from dyntaskmas_nb.apee.machine import Machine
from dyntaskmas_nb.apee.priority import Policy
from dyntaskmas_nb.core import event as events
from dyntaskmas_nb.core.event import Event, RunReopened, TaskDispatched, TaskDone, TaskFailed, TaskStopped
from dyntaskmas_nb.core.snapshot import AgentView, Entry, Snapshot, TaskView
from dyntaskmas_nb.core.task import TaskId, TaskState, shown
from dyntaskmas_nb.dtgg.update import as_delta
from dyntaskmas_nb.errors import InvalidInput

Submission = events.DeltaSubmitted | events.CommandSubmitted
_INPUTS = frozenset(get_args(events.Input))
_OUTCOME: dict[type, str] = {TaskDone: "done", TaskFailed: "failed", TaskStopped: "stopped"}


def entries_of(log: Iterable[Event]) -> list[Entry]:
    """Every attempt in the log, ordered by start; attempts still running have no end."""
    begun: dict[tuple[TaskId, int], TaskDispatched] = {}
    ended: dict[tuple[TaskId, int], tuple[float, str]] = {}
    for event in log:
        kind = type(event)
        if kind is TaskDispatched:
            begun[event.task, event.attempt] = event  # type: ignore[union-attr, assignment]
        elif kind in _OUTCOME:
            key = event.task, event.attempt  # type: ignore[union-attr]
            if key in begun:
                ended.setdefault(key, (event.t, _OUTCOME[kind]))
        elif kind is RunReopened:
            for key, start in begun.items():
                ended.setdefault(key, (max(start.t, event.t), "stopped"))
    return [
        Entry(task=key[0], agent=start.agent, start=start.t, end=end, attempt=key[1], outcome=outcome)
        for key, start in begun.items()
        for end, outcome in (ended.get(key, (None, "running")),)
    ]


def snapshot_of(machine: Machine, t: float) -> Snapshot:
    """The machine at time `t`, copied so that another thread may keep it."""
    tasks = {
        id: TaskView(
            state=record.state,
            priority=machine.priority(id),
            attempt=record.attempt,
            agent=record.agent,
            reason="it is being stopped" if record.stopping else record.reason,
            result=record.result,
        )
        for id, record in machine.records.items()
    }
    agents = tuple(
        AgentView(
            id=agent.spec.id,
            roles=agent.spec.roles,
            slots=agent.spec.slots,
            running=tuple(agent.running),
            completed=agent.completed,
            busy=agent.busy + sum(t - since for since in agent.running.values()),
            access=agent.spec.access,
        )
        for agent in machine.pool
    )
    return Snapshot(
        run=machine.run,
        request=machine.request,
        status=machine.status,
        t=machine.ended.t if machine.ended else t,
        seq=len(machine.log),
        settings=machine.settings,
        graph=machine.graph.copy(),
        tasks=tasks,
        agents=agents,
        entries=entries_of(machine.log),
        reason=machine.ended.reason if machine.ended else "",
        breakpoints=_breakpoints(machine),
        groups=machine.groups.of(machine.graph),
    )


def _breakpoints(machine: Machine) -> dict[TaskId, str]:
    found: dict[TaskId, str] = {}
    for id, when in machine.dispatcher.breakpoints:
        if id in machine.records:
            found[id] = "both" if id in found else when
    return found


def replay(run: str, log: Iterable[Event], policy: Policy | None = None) -> Machine:
    """A fresh machine fed the inputs of `log`; `policy` is the user's own rule, for a run that had one."""
    machine = Machine(run, policy)
    for event in log:
        if type(event) in _INPUTS:
            machine.step(event)  # type: ignore[arg-type]
    return machine


def snapshot_at(
    run: str, log: Sequence[Event], policy: Policy | None, version: int | None, time: float | None, now: float
) -> Snapshot:
    """The run at event `version`, or at `time` (seconds, at most `now`).

    It is as it was when the input to which that event belongs had just been taken in, with all its facts.
    Tasks start at the end of a turn, so straight after an edit what it made ready has not started yet.
    Raises `InvalidInput` where there is no such moment.
    """
    if (version is None) is (time is None):
        raise InvalidInput("Give one of version=… (an event's number) and time=… (seconds).")
    if time is not None:
        if isinstance(time, bool) or not isinstance(time, int | float) or not 0 <= time <= now:
            raise InvalidInput(f"There is no time {shown(time)} here; choose seconds from 0 to {now:g}.")
        version = bisect_right(log, time, key=lambda event: event.t) - 1
    elif type(version) is not int or not 0 <= version < len(log):
        raise InvalidInput(f"There is no version {shown(version)}; choose one from 0 to {len(log) - 1}.")
    t = log[version].t if time is None else time
    return snapshot_of(replay(run, log[: version + 1], policy), t)


def fork_inputs(then: Snapshot, first: Event) -> list[events.Input]:
    """What makes a run that goes on from `then`; `first` is the log's first event, which names the agents.

    Raises `InvalidInput` while there is no graph yet.
    """
    if not then.graph:
        raise InvalidInput(f"Run {then.run!r} had no tasks at that moment; fork it from a later version.")
    assert isinstance(first, events.RunStarted)
    results = {id: view.result for id, view in then.tasks.items() if view.state is TaskState.DONE}
    return [
        events.RunStarted(0.0, then.request, then.settings, first.agents),
        events.DeltaSubmitted(0.0, 0, as_delta(then.graph), by="planner"),
        events.ResultsShared(0.0, then.run, results),
    ]


def taken_in(log: Sequence[Event]) -> Iterator[tuple[int, Event, Sequence[Event]]]:
    """Every input with its place in the log and the facts that came of it."""
    places = [seq for seq, event in enumerate(log) if type(event) in _INPUTS]
    for seq, following in pairwise([*places, len(log)]):
        yield seq, log[seq], log[seq + 1 : following]


def accepted(
    log: Sequence[Event],
) -> Iterator[tuple[Submission, events.DeltaApplied | events.CommandApplied]]:
    """Every edit and command that took effect, with the fact that says so."""
    for _, cause, facts in taken_in(log):
        if isinstance(cause, Submission):
            for fact in facts:
                if isinstance(fact, events.DeltaApplied | events.CommandApplied):
                    yield cause, fact
