"""A machine under test: every step checked, everything it asked for remembered."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence

from dyntaskmas_nb.apee.check import check
from dyntaskmas_nb.apee.machine import Machine
from dyntaskmas_nb.apee.priority import Policy
from dyntaskmas_nb.core.codec import encode
from dyntaskmas_nb.core.command import Approve, Command, Resume
from dyntaskmas_nb.core.delta import Delta
from dyntaskmas_nb.core.effect import Answer, AskMonitor, Effect, GiveContext, StopTask, WakeAt
from dyntaskmas_nb.core.event import (
    CommandApplied,
    CommandRejected,
    CommandSubmitted,
    DeltaApplied,
    DeltaRejected,
    DeltaSubmitted,
    Event,
    Input,
    MonitorDecided,
    RunStarted,
    TaskDispatched,
    TaskDone,
    TaskFailed,
    TaskStopped,
    TurnEnded,
    Woke,
)
from dyntaskmas_nb.core.graph import TaskGraph
from dyntaskmas_nb.core.settings import AgentSpec, Settings, universal_agents
from dyntaskmas_nb.core.task import Task
from dyntaskmas_nb.dtgg.update import apply, as_delta

INPUTS = Input.__args__


class Driver:
    """Feeds a machine and holds it to its word."""

    def __init__(
        self,
        graph: TaskGraph | None = None,
        agents: Sequence[AgentSpec] = (),
        settings: Settings = Settings(),
        policy: Policy | None = None,
        planning: bool = False,
    ) -> None:
        self.machine = Machine("run", policy)
        self.t = 0.0
        self.running: dict[str, int] = {}
        self.stopping: set[str] = set()
        self.started: list[tuple[str, int, str]] = []
        self.timers: list[tuple[float, str]] = []
        self.answers: dict[int, object] = {}
        self.questions: list[AskMonitor] = []
        self.given: list[str] = []
        self.number = 0
        self.replica = TaskGraph()
        self.feed(RunStarted(0.0, "", settings, tuple(agents), planning))
        if graph is not None:
            self.submit(as_delta(graph))
            self.turn()

    def feed(self, event: Input) -> None:
        seen = len(self.machine.log)
        effects = self.machine.step(event)
        if (
            isinstance(event, TaskDone | TaskFailed | TaskStopped)
            and self.running.get(event.task) == event.attempt
        ):
            del self.running[event.task]
            self.stopping.discard(event.task)
        for effect in effects:
            self._note(effect)
        for fact in self.machine.log[seen + 1 :]:
            if isinstance(fact, DeltaApplied):
                assert self.machine.log[fact.version] is fact, (
                    "a version is the place of its event in the log"
                )
                assert isinstance(event, DeltaSubmitted)
                apply(self.replica, event.delta, version=fact.version)
        assert self.replica == self.machine.graph, "the graph is the fold of the applied Δs"
        assert self.replica.version == self.machine.graph.version
        check(self.machine)

    def _note(self, effect: Effect) -> None:
        match effect:
            case TaskDispatched(task=id, attempt=attempt, agent=agent, ready=ready):
                assert id not in self.running, "started twice"
                assert (id, attempt) not in {(other, n) for other, n, _ in self.started}, "an attempt is new"
                assert id in self.machine.graph
                assert ready <= self.t
                self.running[id] = attempt
                self.started.append((id, attempt, agent))
            case StopTask(task=id, attempt=attempt):
                assert self.running[id] == attempt
                assert id not in self.stopping, "stopped twice"
                self.stopping.add(id)
            case GiveContext(task=id, attempt=attempt, text=text):
                assert self.running[id] == attempt
                self.given.append(text)
            case AskMonitor():
                self.questions.append(effect)
            case WakeAt(t=t, task=id):
                assert t > self.t, "a timer lies ahead"
                self.timers.append((t, id))
            case Answer(id=number, outcome=outcome):
                assert number not in self.answers, "answered twice"
                self.answers[number] = outcome

    def submit(self, delta: Delta, base: int | None = None, by: str = "user") -> DeltaApplied | DeltaRejected:
        self.number += 1
        self.feed(DeltaSubmitted(self.t, self.number, delta, base, by))
        answer = self.answers[self.number]
        assert isinstance(answer, DeltaApplied | DeltaRejected)
        return answer

    def tell(self, command: Command) -> CommandApplied | CommandRejected:
        self.number += 1
        self.feed(CommandSubmitted(self.t, self.number, command))
        answer = self.answers[self.number]
        assert isinstance(answer, CommandApplied | CommandRejected)
        return answer

    def turn(self) -> list[str]:
        """End the moment; return what was started."""
        before = len(self.started)
        self.feed(TurnEnded(self.t))
        return [id for id, _, _ in self.started[before:]]

    def done(self, *ids: str, result: object = None) -> list[str]:
        for id in ids:
            self.feed(TaskDone(self.t, id, self.running[id], result))
        return self.turn()

    def fail(self, id: str, error: str = "broke", retryable: bool = True) -> list[str]:
        self.feed(TaskFailed(self.t, id, self.running[id], error, retryable))
        return self.turn()

    def ring(self) -> None:
        """Go to the next timer and let it ring."""
        self.timers.sort()
        t, id = self.timers.pop(0)
        self.t = max(self.t, t)
        self.feed(Woke(self.t, id))

    def finish_stopping(self) -> None:
        """What is being stopped has stopped."""
        for id in sorted(self.stopping):
            self.feed(TaskStopped(self.t, id, self.running[id]))

    def finish(self) -> None:
        """Let everything that runs end; the run must come to its end by itself."""
        for _ in range(1_000):
            if self.machine.paused and not self.machine.ended:
                self.tell(Resume())
            self.turn()
            if self.machine.ended:
                assert not self.running
                return
            for id, attempt in sorted(self.running.items()):
                outcome = (
                    TaskStopped(self.t, id, attempt)
                    if id in self.stopping
                    else TaskDone(self.t, id, attempt, 1)
                )
                self.feed(outcome)
            for question in self.questions:
                self.feed(MonitorDecided(self.t, question.task.id, question.attempt, "rule"))
            self.questions.clear()
            for id, record in self.machine.records.items():
                if record.hold in ("approval", "ask"):
                    self.tell(Approve(id=id))
            if not self.running and self.timers:
                self.ring()
        raise AssertionError(f"the run does not end: {self.states()}")

    def states(self) -> dict[str, str]:
        return {id: str(record.state) for id, record in self.machine.records.items()}

    def reason(self, id: str) -> str:
        return self.machine.records[id].reason


def graph(*edges: str, **fields: dict[str, object]) -> TaskGraph:
    """`graph("a>c", "b>c:2", "d")`: tasks by first mention; `a={...}` gives fields of a task."""
    found: dict[str, None] = {}
    pairs = []
    for edge in edges:
        path, _, information = edge.partition(":")
        ends = path.split(">")
        found.update(dict.fromkeys(ends))
        pairs += [(u, v, float(information or 0)) for u, v in itertools.pairwise(ends)]
    return TaskGraph.of([Task(id=id, **fields.get(id, {})) for id in found], pairs)  # type: ignore[arg-type]


def driver(
    *edges: str, agents: int = 9, settings: Settings = Settings(), **fields: dict[str, object]
) -> Driver:
    return Driver(graph(*edges, **fields), universal_agents(agents), settings)


def replay(log: Iterable[Event], policy: Policy | None = None) -> Machine:
    """A fresh machine fed with the inputs of `log`."""
    machine = Machine("run", policy)
    for event in log:
        if isinstance(event, INPUTS):
            machine.step(event)
    return machine


def written(log: Iterable[Event]) -> list[bytes]:
    """The log as it is journaled."""
    return [encode(event) for event in log]
