"""Preview by simulation: what a change would do to a run, from how it stands now (§III-D: "what if").

A copy of the machine is played to its end by the simulator, once as it is and once with the change. How
long attempts take and whether they succeed is an `Outlook`; what runs has been running since it started.
Pauses, breakpoints and approvals are taken as passed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

from dyntaskmas_nb.apee.history import entries_of
from dyntaskmas_nb.apee.machine import Machine
from dyntaskmas_nb.apee.priority import Ranking
from dyntaskmas_nb.apee.rebase import outdated
from dyntaskmas_nb.apee.routing import Routing
from dyntaskmas_nb.apee.simulate import Simulator
from dyntaskmas_nb.core import event as events
from dyntaskmas_nb.core.command import Command
from dyntaskmas_nb.core.delta import Delta
from dyntaskmas_nb.core.event import Event, TaskDispatched
from dyntaskmas_nb.core.graph import TaskGraph
from dyntaskmas_nb.core.measures import critical_path
from dyntaskmas_nb.core.snapshot import Entry
from dyntaskmas_nb.core.task import SATISFIED, Task, TaskId, TaskState
from dyntaskmas_nb.view.words import duration as seconds_text
from dyntaskmas_nb.view.words import printable

#: Shortest time that an attempt which has outlived its forecast is expected to go on, in seconds.
SOON = 1e-3


@dataclass(frozen=True, slots=True, kw_only=True)
class Forecast:
    """How a run is expected to go on: `makespan` in seconds from its start, tasks in order of starting.

    `attempts` are those that have not ended, by start: when, by whom and how they are expected to end (s from
    the run's start). `graph` is what they are tasks of.
    """

    makespan: float
    critical_path: tuple[TaskId, ...]
    order: tuple[TaskId, ...]
    tokens: int
    cost: float
    unfinished: tuple[TaskId, ...] = ()
    attempts: tuple[Entry, ...] = field(default=(), repr=False, compare=False)
    graph: TaskGraph = field(default_factory=TaskGraph, repr=False, compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Preview:
    """A change tried out, not made. Where `accepted` is False, `reason` says why and `after` is `before`."""

    before: Forecast
    after: Forecast
    accepted: bool = True
    reason: str = ""
    reruns: tuple[TaskId, ...] = ()

    @property
    def gain(self) -> float:
        """Seconds by which the run would end sooner; negative when later."""
        return self.before.makespan - self.after.makespan

    def __bool__(self) -> bool:
        return self.accepted

    def __repr__(self) -> str:
        old, new = self.before, self.after
        if not self.accepted:
            return printable(f"✗ would be refused. {self.reason}", 2000)
        sooner = f"{seconds_text(abs(self.gain))} {'sooner' if self.gain > 0 else 'later'}"
        rows = [
            ("makespan", f"{seconds_text(old.makespan)} → {seconds_text(new.makespan)}"),
            ("", f"({sooner})" if self.gain else "(the same)"),
            ("critical path", _path(old.critical_path)),
            ("    afterwards", _path(new.critical_path)),
            ("starts next", ", ".join(old.order[:6]) or "nothing"),
            ("    afterwards", ", ".join(new.order[:6]) or "nothing"),
            ("tokens, cost", f"{old.tokens:,}, {old.cost:.4g} → {new.tokens:,}, {new.cost:.4g}"),
            ("to run again", ", ".join(self.reruns)),
            ("not done", ", ".join(new.unfinished[:6])),
        ]
        return "\n".join(f"{label:<15}{printable(text, 200)}" for label, text in rows if text)


def _path(ids: tuple[TaskId, ...]) -> str:
    shown = ids if len(ids) <= 8 else (*ids[:4], "…", *ids[-3:])
    return " → ".join(shown)


class Outlook(Protocol):
    """What is expected of attempts, as far as the run shows."""

    def __call__(self, task: Task, number: int, agent: str) -> tuple[float, bool]:
        """Seconds of an attempt from its start, and whether it succeeds."""

    def left(self, task: Task, number: int, agent: str, since: float) -> tuple[float, bool]:
        """Seconds that an attempt still takes after `since` of them, and whether it succeeds."""

    def seconds(self, task: Task) -> float:
        """Seconds of an attempt by an agent as good as any."""


def slack(graph: TaskGraph, outlook: Outlook) -> dict[TaskId, float]:
    """Seconds by which each task could take longer without the longest path through `graph` growing."""
    first, after = longest_paths(graph, outlook)
    longest = max((first[id] + after[id] for id in first), default=0.0)
    return {id: longest - first[id] - after[id] for id in first}


def longest_paths(graph: TaskGraph, outlook: Outlook) -> tuple[dict[TaskId, float], dict[TaskId, float]]:
    """Seconds on the longest path from the beginning to each task, and from its start to the end."""
    first: dict[TaskId, float] = {}
    after: dict[TaskId, float] = {}
    order = graph.topological()
    took = {id: outlook.seconds(graph[id]) for id in order}
    for id in order:
        first[id] = max((first[u] + took[u] for u in graph.predecessors(id)), default=0.0)
    for id in reversed(order):
        after[id] = took[id] + max((after[v] for v in graph.successors(id)), default=0.0)
    return first, after


def preview(
    machine: Machine,
    change: Delta | Command | None,
    t: float,
    outlook: Outlook,
    before: Forecast | None = None,
    base: int | None = None,
) -> Preview:
    """Compare how the run goes on from time `t` with and without `change`; nothing is changed.

    To be called where the machine may be read. `before` is what the same machine's last preview began with,
    `base` the version that a Δ was made against.
    """
    before = before or _played(machine, outlook, None, t)[0]
    if change is None:
        return Preview(before=before, after=before)
    if isinstance(change, Delta) and (reason := outdated(change, base, machine._changed_at)):
        return Preview(before=before, after=before, accepted=False, reason=reason)
    after, answer = _played(machine, outlook, change, t)
    if isinstance(answer, events.DeltaRejected | events.CommandRejected):
        return Preview(before=before, after=before, accepted=False, reason=answer.reason)
    reruns = answer.reruns if isinstance(answer, events.DeltaApplied) else ()
    return Preview(before=before, after=after, reruns=reruns)


def _played(
    machine: Machine, outlook: Outlook, change: Delta | Command | None, t: float
) -> tuple[Forecast, Event | None]:
    """Play a twin of `machine` to its end with `change` made first; say what the machine answered."""
    simulator = player(machine, outlook, t, () if change is None else (change,))
    twin = simulator.machine
    answer = twin.log[1] if change is not None else None
    simulator.run()
    so_far = entries_of(machine.log)
    under_way = [TaskDispatched(e.start, e.task, e.attempt, e.agent, 0.0) for e in so_far if e.end is None]
    to_end = entries_of([*under_way, *twin.log])
    ahead = to_end[len(under_way) :]
    entries = [*so_far, *ahead]
    seconds = {e.task: e.end - e.start for e in entries if e.end is not None and e.outcome == "done"}
    seconds |= {id: outlook.seconds(twin.graph[id]) for id in twin.graph if id not in seconds}
    attempts = sum(entry.outcome == "done" for entry in ahead)
    made = max(1, machine.attempts)
    return Forecast(
        makespan=twin.log[-1].t,
        critical_path=tuple(critical_path(twin.graph, seconds)),
        order=tuple(event.task for event in twin.log if isinstance(event, TaskDispatched)),
        tokens=machine.tokens + round(machine.tokens / made * attempts),
        cost=machine.cost + machine.cost / made * attempts,
        unfinished=tuple(id for id, record in twin.records.items() if record.state not in SATISFIED),
        attempts=tuple(to_end),
        graph=twin.graph,
    ), answer


def player(
    machine: Machine, outlook: Outlook, t: float, changes: Sequence[Delta | Command] = ()
) -> Simulator:
    """A simulator that will play a twin of `machine` on from time `t`, with `changes` made."""
    twin = twin_of(machine)
    simulator = Simulator(twin, outlook)
    for id, record in [*twin.running_tasks(), *twin.ledger.leaving.items()]:
        assert record.task is not None
        number, agent = record.attempt, twin.pool.agents[record.agent]
        seconds, good = outlook.left(record.task, number, record.agent, t - agent.running[id])
        end = t + max(seconds, SOON)
        ends = events.TaskDone(end, id, number, None) if good else events.TaskFailed(end, id, number, "")
        simulator.submit([events.TaskStopped(t, id, number) if record.stopping else ends])
    twin.ledger.rearm(t)
    for change in changes or (None,):
        event: events.Input = events.Woke(t, "")
        if isinstance(change, Command):
            event = events.CommandSubmitted(t, 0, change)
        elif change is not None:
            event = events.DeltaSubmitted(t, 0, change)
        simulator.perform(twin.step(event), t)
    twin.paused = twin.to_completion = False
    for record in twin.records.values():
        record.approved = True
    simulator.submit([events.Woke(t, "")])
    return simulator


def twin_of(machine: Machine) -> Machine:
    """A copy to be played on by itself; its log begins empty, and nothing holds it up."""
    twin = Machine(machine.run, machine._custom)
    twin.graph = twin.ledger._graph = machine.graph.copy()
    for name in (
        "request",
        "settings",
        "credits",
        "running",
        "limited",
        "tokens",
        "cost",
        "attempts",
        "ended",
        "_ending",
    ):
        setattr(twin, name, getattr(machine, name))
    twin.ranking = Ranking(twin.graph, machine.ranking.policy, machine.settings)
    twin.ranking.take_over(machine.ranking)
    ledger, theirs = twin.ledger, machine.ledger
    ledger.open, ledger._order, ledger.transfer_seconds = theirs.open, theirs._order, theirs.transfer_seconds
    ledger.records.update({id: record.copy(approved=True) for id, record in theirs.records.items()})
    ledger.leaving.update({id: record.copy() for id, record in theirs.leaving.items()})
    ledger._removed.update(theirs._removed)
    for agent in machine.pool:
        twin.pool.copy(agent)
    twin.dispatcher.hiring = machine.dispatcher.hiring
    twin.dispatcher.locks.take_over(machine.dispatcher.locks)
    twin.dispatcher.routing = Routing(machine.dispatcher.routing.export(), frozen=True)
    for record in ledger.records.values():
        if record.hold in ("approval", "monitor", "ask", "resources"):
            record.hold = ""
    ledger.newly_ready += [id for id, record in ledger.records.items() if record.state is TaskState.READY]
    return twin
