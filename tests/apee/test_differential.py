"""Engine ≡ simulator: on the virtual clock both write the same log, byte for byte.

Durations, timeouts and moments are multiples of a quarter second and often collide.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import anyio
import trio
from anyio.abc import TaskGroup
from hypothesis import given, settings
from hypothesis import strategies as st

from dyntaskmas_nb.agents.outcome import Answer
from dyntaskmas_nb.apee.assignment import Assignment
from dyntaskmas_nb.apee.check import check
from dyntaskmas_nb.apee.clock import VirtualClock
from dyntaskmas_nb.apee.engine import Engine
from dyntaskmas_nb.apee.journal import Journal, RunInfo
from dyntaskmas_nb.apee.machine import Machine
from dyntaskmas_nb.apee.simulate import Simulator
from dyntaskmas_nb.core.command import CancelRun, CancelTask, Command, Configure, Pause, Resume, StepOnce
from dyntaskmas_nb.core.delta import AddTask, Delta
from dyntaskmas_nb.core.event import (
    CommandSubmitted,
    DeltaSubmitted,
    Input,
    RunEnded,
    RunStarted,
    TaskDispatched,
    TaskFailed,
)
from dyntaskmas_nb.core.graph import TaskGraph
from dyntaskmas_nb.core.settings import AgentSpec, Settings, universal_agents
from dyntaskmas_nb.core.task import Task
from dyntaskmas_nb.dtgg.update import as_delta
from dyntaskmas_nb.errors import AgentError
from tests.apee.driving import written
from tests.strategies import deltas, graphs, ids, quarters

Change = tuple[float, Delta | Command]


@dataclass
class Scenario:
    """A graph, who works on it, how long each attempt takes and whether it fails, and who interferes when."""

    graph: TaskGraph
    agents: tuple[AgentSpec, ...] = ()
    settings: Settings = field(default_factory=Settings)
    seconds: Sequence[float] = (1.0,)
    failing: frozenset[str] = frozenset()
    changes: Sequence[Change] = field(default_factory=list)

    def duration(self, task: Task, attempt: int) -> float:
        return self.seconds[(ord(task.id[0]) + attempt) % len(self.seconds)]

    def fails(self, task: Task, attempt: int) -> bool:
        return f"{task.id}{attempt}" in self.failing

    def opening(self) -> list[Input]:
        return [
            RunStarted(0.0, self.graph.title, self.settings, self.agents),
            DeltaSubmitted(0.0, 0, as_delta(self.graph)),
        ]

    def events(self) -> list[Input]:
        """The changes as inputs, numbered in the order of their moments."""
        events: list[Input] = []
        for number, (t, change) in enumerate(sorted(self.changes, key=lambda item: item[0]), 1):
            if isinstance(change, Command):
                events.append(CommandSubmitted(t, number, change))
            else:
                events.append(DeltaSubmitted(t, number, change))
        return events


class Failing(Simulator):
    """A simulator some of whose attempts fail."""

    scenario: Scenario

    def _outcome(self, task: Task, attempt: int, agent: str, t: float) -> Input:
        outcome = super()._outcome(task, attempt, agent, t)
        if self.scenario.fails(task, attempt) and not isinstance(outcome, TaskFailed):
            return TaskFailed(outcome.t, task.id, attempt, "broke")
        return outcome


def simulated(scenario: Scenario) -> Machine:
    simulator = Failing(Machine("run"), lambda task, number, agent: (scenario.duration(task, number), True))
    simulator.scenario = scenario
    simulator.submit(scenario.opening())
    simulator.submit(scenario.events())
    simulator.run()
    return simulator.machine


def engine_of(scenario: Scenario, clock: VirtualClock) -> Engine:
    async def perform(job: Assignment) -> Answer:
        await anyio.sleep(scenario.duration(job.task, job.attempt))
        if scenario.fails(job.task, job.attempt):
            raise AgentError("broke")
        return Answer(result=None)

    journal = Journal()
    journal.open_run(RunInfo(run="run", created="", request="", status="running", clock="virtual"))
    engine = Engine(Machine("run"), perform, clock, journal)
    for event in scenario.opening():
        engine.post(event)
    return engine


def engineered(scenario: Scenario) -> Machine:
    clock = VirtualClock()

    async def interfere(engine: Engine, group: TaskGroup) -> None:
        for event in scenario.events():
            await trio.sleep_until(event.t)
            change = event.delta if isinstance(event, DeltaSubmitted) else event.command  # type: ignore[union-attr]
            group.start_soon(engine.submit, change)
            await trio.lowlevel.checkpoint()

    async def main() -> Machine:
        engine = engine_of(scenario, clock)
        with clock.move():
            async with anyio.create_task_group() as group:
                group.start_soon(interfere, engine, group)
                await engine.run()
                group.cancel_scope.cancel()
        assert not engine.failure
        assert engine._journal.events("run") == engine.machine.log
        engine._journal.close()
        return engine.machine

    return trio.run(main, clock=clock.trio)


def agree(scenario: Scenario) -> Machine:
    there, here = simulated(scenario), engineered(scenario)
    assert written(here.log) == written(there.log)
    for machine in (there, here):
        check(machine)
        assert machine.ended
    return here


interference = st.one_of(
    deltas(),
    st.sampled_from(
        [
            Pause(),
            Resume(),
            StepOnce(),
            Configure(changes={"policy": "fifo"}),
            Configure(changes={"policy": "as_printed"}),
        ]
    ),
    st.builds(CancelTask, id=ids),
)
whole = st.integers(0, 6).map(float)


@settings(max_examples=80)
@given(
    graph=graphs(min_size=1),
    agents=st.integers(0, 3),
    policy=st.sampled_from(["upward_rank", "as_printed", "fifo", "random"]),
    transfers=st.booleans(),
    seconds=st.lists(quarters | whole, min_size=1, max_size=5),
    failing=st.frozensets(st.builds("{}{}".format, ids, st.integers(1, 3)), max_size=5),
    changes=st.lists(st.tuples(quarters | whole, interference), max_size=6),
)
def test_engine_and_simulator_write_the_same_log(
    graph: TaskGraph,
    agents: int,
    policy: str,
    transfers: bool,
    seconds: list[float],
    failing: frozenset[str],
    changes: list[Change],
) -> None:
    pool = universal_agents(agents) if agents else ()
    rules = Settings(policy=policy, seed=3, modelled_transfers=transfers, agents_per_role=2)
    # What is paused goes on at last, and what could go on for ever is stopped: every run ends.
    changes = [*changes, (40.0, Resume()), (90.0, CancelRun())]
    agree(Scenario(graph, pool, rules, seconds, failing, changes))


def test_an_edit_that_meets_a_completion_comes_after_it() -> None:
    graph = TaskGraph.of([Task(id="a"), Task(id="b", complexity=3)], [("a", "b", 0.0)])
    late = AddTask(task=Task(id="c"), after={"a": 0.0}, before={"b": 0.0})
    machine = agree(Scenario(graph, universal_agents(2), changes=[(1.0, late)]))
    starts = {event.task: event.t for event in machine.log if isinstance(event, TaskDispatched)}
    assert starts == {"a": 0.0, "c": 1.0, "b": 2.0}


def test_a_deadline_that_meets_the_result_wins() -> None:
    graph = TaskGraph.of([Task(id="a", timeout=1.0, attempts=2)])
    machine = agree(Scenario(graph, universal_agents(1)))
    assert machine.ended
    assert machine.ended == RunEnded(2.0, "failed", "a: no result within 1 s")


def test_cancelling_while_others_finish() -> None:
    graph = TaskGraph.of([Task(id=id) for id in "abcd"])
    machine = agree(
        Scenario(graph, universal_agents(4), seconds=(1.0, 2.0), changes=[(1.0, CancelRun(reason="no"))])
    )
    assert (
        sorted(str(record.state) for record in machine.records.values()) == ["cancelled"] * 2 + ["done"] * 2
    )


def test_while_the_clock_stands_still_edits_are_taken_and_nothing_starts() -> None:
    clock = VirtualClock()
    chain = TaskGraph.of([Task(id=id) for id in "abc"], [("a", "b", 0.0), ("b", "c", 0.0)])
    scenario = Scenario(chain, universal_agents(2))

    async def main() -> Machine:
        engine = engine_of(scenario, clock)
        async with anyio.create_task_group() as group:
            group.start_soon(engine.run)
            first = await engine.submit(AddTask(task=Task(id="x"), before={"c": 0.0}))
            assert "x" in engine.machine.graph
            assert (first.t, clock.now()) == (0.0, 0.0)
            assert not any(isinstance(event, TaskDispatched) for event in engine.machine.log)
            with clock.move():
                engine.nudge()
                await engine.until(lambda: engine.machine.records["b"].state == "running")
            now = clock.now()
            second = await engine.submit(AddTask(task=Task(id="y"), before={"c": 0.0}))
            assert (second.t, clock.now()) == (now, now)
            assert (now, str(engine.machine.records["y"].state)) == (1.0, "ready")
            with clock.move():
                engine.nudge()
                await engine.until(lambda: False)
        engine._journal.close()
        return engine.machine

    machine = trio.run(main, clock=clock.trio)
    starts = {event.task: event.t for event in machine.log if isinstance(event, TaskDispatched)}
    assert starts == {"a": 0.0, "x": 0.0, "b": 1.0, "y": 1.0, "c": 2.0}
