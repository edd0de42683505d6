"""The machine under random edits, commands, outcomes and timers, checked after every step."""

from __future__ import annotations

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from dyntaskmas_nb.core.codec import decode
from dyntaskmas_nb.core.command import CancelRun, Command, Pause, StepOnce
from dyntaskmas_nb.core.delta import Batch, Delta
from dyntaskmas_nb.core.event import (
    BreakpointHit,
    CommandApplied,
    DeltaApplied,
    DeltaRejected,
    MonitorDecided,
    PlanFailed,
    ResultsShared,
    RunEnded,
    RunReopened,
    TaskDone,
    TaskFailed,
    TaskStopped,
    Woke,
)
from dyntaskmas_nb.core.graph import TaskGraph
from dyntaskmas_nb.core.settings import AgentSpec, Budget, Settings
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
        delay=st.sampled_from([0.0, 0.5]),
        monitored=st.booleans(),
        budget=st.none() | st.integers(0, 12),
    )
    def start(
        self,
        graph: TaskGraph,
        team: list[tuple[list[str], int]],
        policy: str,
        transfers: bool,
        planning: bool,
        delay: float,
        monitored: bool,
        budget: int | None,
    ) -> None:
        agents = [
            AgentSpec(id=f"agent {n}", roles=tuple(roles), slots=slots)
            for n, (roles, slots) in enumerate(team)
        ]
        rules = Settings(
            policy=policy,
            modelled_transfers=transfers,
            agents_per_role=2,
            retry_delay=delay,
            monitor="judge" if monitored else "",
            budget=Budget(attempts=budget),
        )
        self.driver = Driver(graph, agents, rules, planning=planning)
        self.machine = self.driver.machine

    @rule(edit=deltas(), base=st.none() | st.integers(0, 60), by=st.sampled_from(["user", "user", "planner"]))
    def edit(self, edit: Delta, base: int | None, by: str) -> None:
        before, states = self.machine.graph.copy(), self.driver.states()
        answer = self.driver.submit(edit, base, by)
        if isinstance(answer, DeltaRejected):
            assert answer.reason
            assert self.machine.graph == before
            assert self.machine.graph.version == before.version
            assert self.driver.states() == states
        else:
            for id in answer.reruns:
                record = self.machine.records[id]
                assert record.stopping or not record.state.ended or record.state == "done", (
                    f"{id} is to run again"
                )

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
            here = self.machine.records.get(id)
            wanted = here is not None and here.attempt == attempt and not here.stopping
            self.driver.feed(TaskDone(t, id, attempt, result))
            assert not wanted or self.machine.records[id].result == result
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

    @precondition(lambda self: self.driver.questions)
    @rule(decision=st.sampled_from(["retry", "reassign", "skip", "ask", "rule"]))
    def monitor(self, decision: str) -> None:
        question = self.driver.questions.pop()
        self.driver.feed(MonitorDecided(self.driver.t, question.task.id, question.attempt, decision))  # type: ignore[arg-type]

    @rule(shared=st.dictionaries(ids, results, max_size=2))
    def shared(self, shared: dict[str, object]) -> None:
        self.driver.feed(ResultsShared(self.driver.t, "other", shared))

    @rule(id=ids)
    def woken_for_nothing(self, id: str) -> None:
        self.driver.feed(Woke(self.driver.t, id))

    @rule()
    def turn(self) -> None:
        free = self.machine.credits if self.machine.paused else 99
        paused = self.machine.paused
        seen = len(self.machine.log)
        started = self.driver.turn()
        assert len(started) <= free
        reset = any(isinstance(event, BreakpointHit | RunEnded) for event in self.machine.log[seen:])
        if paused and not reset:
            assert self.machine.credits == free - len(started)

    @rule(steps=st.integers(0, 2))
    def step_through(self, steps: int) -> None:
        self.driver.tell(Pause())
        for _ in range(steps):
            self.driver.tell(StepOnce())
        if not self.machine.ended and not self.machine.stopping:
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
        ended = self.machine.ended
        assert isinstance(self.driver.submit(Batch(deltas=())), DeltaApplied)
        self.driver.turn()
        assert self.machine.ended is not ended, "an edit goes on with the run, and this one changes nothing"


TestAnything = Anything.TestCase
#: About 30 steps of the machine an example: more than 20,000 in all, each with `check` after it.
TestAnything.settings = settings(max_examples=max(800, settings().max_examples), stateful_step_count=25)
