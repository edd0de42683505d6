"""The machine under random edits, commands, outcomes and timers, checked after every step."""

from __future__ import annotations

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from dyntaskmas_nb.apee.ledger import EDITABLE
from dyntaskmas_nb.core.codec import decode
from dyntaskmas_nb.core.command import CancelRun, Command, Pause, StepOnce
from dyntaskmas_nb.core.delta import Batch, Delta, changed
from dyntaskmas_nb.core.event import (
    CommandApplied,
    DeltaApplied,
    DeltaRejected,
    PlanFailed,
    RunReopened,
    TaskDone,
    TaskFailed,
    TaskStopped,
    Woke,
)
from dyntaskmas_nb.core.graph import TaskGraph
from dyntaskmas_nb.core.settings import AgentSpec, Settings
from tests.apee.driving import Driver, replay, written
from tests.strategies import ROLES, commands, deltas, graphs, ids, quarters, results

teams = st.lists(
    st.tuples(st.lists(st.sampled_from([*ROLES, "*"]), min_size=1, unique=True), st.integers(1, 2)),
    max_size=3,
)


class Anything(RuleBasedStateMachine):
    """Whatever may come in, in any order."""

    @initialize(
        graph=graphs(),
        team=teams,
        policy=st.sampled_from(["upward_rank", "as_printed", "fifo", "random"]),
        transfers=st.booleans(),
        planning=st.booleans(),
    )
    def start(
        self,
        graph: TaskGraph,
        team: list[tuple[list[str], int]],
        policy: str,
        transfers: bool,
        planning: bool,
    ) -> None:
        agents = [
            AgentSpec(id=f"agent {n}", roles=tuple(roles), slots=slots)
            for n, (roles, slots) in enumerate(team)
        ]
        rules = Settings(policy=policy, modelled_transfers=transfers, agents_per_role=2)
        self.driver = Driver(graph, agents, rules, planning=planning)
        self.machine = self.driver.machine

    @rule(edit=deltas(), base=st.none() | st.integers(0, 60), by=st.sampled_from(["user", "user", "planner"]))
    def edit(self, edit: Delta, base: int | None, by: str) -> None:
        before, states = self.machine.graph.copy(), self.driver.states()
        records = self.machine.records
        closed = any(records[id].state not in EDITABLE for id in changed(edit) if id in records)
        answer = self.driver.submit(edit, base, by)
        if isinstance(answer, DeltaRejected):
            assert answer.reason
            assert self.machine.graph == before
            assert self.machine.graph.version == before.version
            assert self.driver.states() == states
        else:
            assert not closed, "a task that runs or ended was edited"

    @precondition(lambda self: len(self.machine.graph))
    @rule(data=st.data())
    def undo(self, data: st.DataObject) -> None:
        applied = [event for event in self.machine.log if isinstance(event, DeltaApplied)]
        if applied:
            self.driver.submit(data.draw(st.sampled_from(applied)).inverse)

    @rule(command=commands.filter(lambda command: not isinstance(command, CancelRun)))
    def command(self, command: Command) -> None:
        self.driver.tell(command)

    @precondition(lambda self: len(self.machine.log) > 25)
    @rule()
    def cancel_run(self) -> None:
        answer = self.driver.tell(CancelRun(reason="enough"))
        assert isinstance(answer, CommandApplied) == (not self.machine.ended)

    @precondition(lambda self: self.driver.running)
    @rule(data=st.data(), how=st.sampled_from(["done", "done", "failed", "fatal", "stopped"]), result=results)
    def outcome(self, data: st.DataObject, how: str, result: object) -> None:
        id = data.draw(st.sampled_from(sorted(self.driver.running)))
        attempt, t = self.driver.running[id], self.driver.t
        if how == "done":
            self.driver.feed(TaskDone(t, id, attempt, result))
            assert self.machine.records[id].result == result
        elif how == "stopped":
            self.driver.feed(TaskStopped(t, id, attempt))
        else:
            self.driver.feed(TaskFailed(t, id, attempt, "broke", how == "failed"))

    @rule(id=ids, attempt=st.integers(0, 9), done=st.booleans())
    def late_outcome(self, id: str, attempt: int, done: bool) -> None:
        if self.driver.running.get(id) == attempt:
            return
        states, seen = self.driver.states(), len(self.machine.log)
        late = (
            TaskDone(self.driver.t, id, attempt, "late") if done else TaskStopped(self.driver.t, id, attempt)
        )
        self.driver.feed(late)
        assert self.driver.states() == states
        assert len(self.machine.log) == seen + 1

    @rule(by=quarters)
    def time_passes(self, by: float) -> None:
        until = self.driver.t + by
        while self.driver.timers and min(self.driver.timers)[0] <= until:
            self.driver.ring()
        self.driver.t = until

    @rule(id=ids)
    def woken_for_nothing(self, id: str) -> None:
        self.driver.feed(Woke(self.driver.t, id))

    @rule()
    def turn(self) -> None:
        free = self.machine.credits if self.machine.paused else 99
        paused = self.machine.paused
        started = self.driver.turn()
        assert len(started) <= free
        if paused:
            assert self.machine.credits == free - len(started)

    @rule(steps=st.integers(0, 2))
    def step_through(self, steps: int) -> None:
        self.driver.tell(Pause())
        for _ in range(steps):
            self.driver.tell(StepOnce())
        if not self.machine.ended:
            assert self.machine.credits == steps
        self.turn()

    @rule()
    def interrupted(self) -> None:
        """The process dies and the run is read back: timers and attempts are lost, the log is not."""
        self.driver.timers.clear()
        self.driver.running.clear()
        self.driver.stopping.clear()
        self.driver.feed(RunReopened(self.driver.t))

    @precondition(lambda self: self.machine.planning)
    @rule()
    def planning_fails(self) -> None:
        self.driver.feed(PlanFailed(self.driver.t, "PlanningFailed", "no idea"))

    def teardown(self) -> None:
        if not hasattr(self, "driver"):
            return
        lines = written(self.machine.log)
        assert written(replay(self.machine.log).log) == lines
        assert written(replay([decode(line) for line in lines]).log) == lines
        if self.machine.planning:
            self.planning_fails()
        self.driver.finish()
        assert self.machine.ended
        seen = len(self.machine.log)
        assert isinstance(self.driver.submit(Batch(deltas=())), DeltaRejected)
        assert len(self.machine.log) == seen + 2


TestAnything = Anything.TestCase
TestAnything.settings = settings(max_examples=60, stateful_step_count=25)
