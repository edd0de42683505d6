"""Commands, resources, transfers, priorities, hiring, planning and reopening, case by case."""

from __future__ import annotations

import pytest

from dyntaskmas_nb.apee.priority import policy_of
from dyntaskmas_nb.core.command import CancelRun, CancelTask, Configure, Pause, Resume, StepOnce
from dyntaskmas_nb.core.delta import (
    AddTask,
)
from dyntaskmas_nb.core.event import (
    CommandRejected,
    DeltaRejected,
    PlanFailed,
    RunReopened,
    TaskDone,
)
from dyntaskmas_nb.core.graph import TaskGraph
from dyntaskmas_nb.core.settings import AgentSpec, Settings, universal_agents
from dyntaskmas_nb.core.task import Resource, Task
from tests.apee.driving import Driver, driver, graph


def test_cancelling_a_task() -> None:
    run = driver("a>b", "c>d", "k", agents=3)
    run.tell(CancelTask(id="a"))
    assert (run.states()["a"], run.stopping) == ("running", {"a"}), "it has not stopped yet"
    run.tell(CancelTask(id="a"))
    run.tell(CancelTask(id="d"))
    assert run.states()["d"] == "cancelled"
    run.finish()
    assert run.states() == {"a": "cancelled", "b": "blocked", "c": "done", "d": "cancelled", "k": "done"}
    answer = run.tell(CancelTask(id="c"))
    assert isinstance(answer, CommandRejected)
    assert "has ended" in answer.reason


def test_a_result_that_beats_the_cancel_counts() -> None:
    run = driver("a>b")
    run.tell(CancelTask(id="a"))
    assert run.done("a", result=1) == ["b"]
    failing = driver("a", a={"attempts": 5})
    failing.tell(CancelTask(id="a"))
    assert failing.fail("a") == []
    assert failing.states() == {"a": "cancelled"}, "what was cancelled is not tried again"


def test_what_cannot_be_cancelled_says_why() -> None:
    run = driver("a>b")
    run.done("a")
    for id, words in (("a", "'a' is done already"), ("q", "no task 'q'")):
        answer = run.tell(CancelTask(id=id))
        assert isinstance(answer, CommandRejected)
        assert words in answer.reason


def test_cancelling_the_run_stops_everything() -> None:
    run = driver("a>b", "c", agents=1)
    run.tell(CancelRun(reason="enough"))
    assert run.turn() == []
    assert not run.machine.ended
    assert isinstance(run.submit(AddTask(task=Task(id="x"))), DeltaRejected)
    run.finish()
    assert run.machine.ended
    assert (run.machine.ended.status, run.machine.ended.reason) == ("cancelled", "enough")
    assert run.states() == {"a": "cancelled", "b": "cancelled", "c": "cancelled"}


def test_pausing_and_stepping() -> None:
    run = driver("a", "b", "c", "d", agents=2)
    run.tell(Pause())
    assert (run.done("a"), run.machine.status) == ([], "paused")
    run.tell(StepOnce())
    assert run.turn() == ["c"]
    assert run.turn() == []
    run.done("b")
    run.done("c")
    run.tell(StepOnce())
    run.tell(StepOnce())
    assert run.turn() == ["d"]
    assert run.machine.credits == 1, "a step not used waits for the next ready task"
    run.tell(Pause())
    assert run.machine.credits == 0
    run.tell(Resume())
    run.finish()
    assert run.machine.status == "done"


def test_resources_are_taken_together_and_passed_over_when_held() -> None:
    alone = {"resources": (Resource(key="disk"),)}
    sharing = {"resources": (Resource(key="disk", exclusive=False),)}
    run = driver("a", "b", "c", "d", "e", a=sharing, b=sharing, c={**alone, "boost": 5.0}, d={**alone}, e={})
    assert run.running.keys() == {"c", "e"}, "the best goes first, who needs nothing is not held up"
    assert run.done("c") == ["a", "b"]
    assert run.done("a") == []
    assert run.done("b") == ["d"]


def test_transfers_take_their_time() -> None:
    run = driver("a>c:4", "b>c:1", settings=Settings(seconds_per_information=0.5))
    run.done("a", "b")
    assert sorted(run.timers) == [(0.5, "c"), (2.0, "c")]
    run.ring()
    assert run.turn() == []
    run.ring()
    assert (run.t, run.turn()) == (2.0, ["c"])
    real = driver("a>c:4", settings=Settings(modelled_transfers=False))
    assert real.done("a") == ["c"]


def test_many_transfers_need_one_timer_each() -> None:
    run = driver(*(f"t{n}>z:{n + 1}" for n in range(16)), agents=16)
    run.done(*(f"t{n}" for n in range(16)))
    rung = 0
    while run.timers:
        run.ring()
        run.turn()
        rung += 1
    assert (rung, run.t, run.running.keys()) == (16, 16.0, {"z"})


def test_the_best_priority_goes_first_and_a_boost_is_its_own() -> None:
    run = driver("k", "a>x", "b", "c", agents=1, b={"complexity": 1.5}, c={"boost": 9.0})
    order = []
    while not run.machine.ended:
        (id,) = run.running
        order.append(id)
        run.done(id)
    assert order == ["c", "a", "b", "k", "x"]


def test_the_policy_can_be_changed() -> None:
    run = driver("k", "a", "b", agents=1, k={"complexity": 9}, b={"complexity": 2})
    answer = run.tell(Configure(changes={"policy": "best"}))
    assert isinstance(answer, CommandRejected)
    assert "Choose from" in answer.reason
    run.tell(Configure(changes={"policy": "fifo"}))
    assert run.done("k") == ["a"]
    assert run.machine.priority("b") == 0.0


@pytest.mark.parametrize(
    ("rule", "words"),
    [
        (lambda *_: 1 / 0, "'custom' raised ZeroDivisionError: division by zero for task 'b'"),
        (lambda *_: float("nan"), "'custom' gave nan for task 'b'; it must return a finite number"),
        (lambda *_: "high", "'custom' gave 'high' for task 'b'"),
        (lambda *_: 10**400, "'custom' gave 1000"),
    ],
)
def test_a_broken_rule_ends_the_run_as_failed(rule: object, words: str) -> None:
    run = Driver(graph("a>b"), universal_agents(1), policy=policy_of(rule))  # type: ignore[arg-type]
    assert run.machine.ended
    assert run.machine.ended.status == "failed"
    assert words in run.machine.ended.reason


def test_a_rule_that_breaks_later_lets_what_runs_stop() -> None:
    def moody(task: Task, successors: object, weights: object) -> float:
        return 1 / 0 if task.id == "x" else 1.0

    run = Driver(graph("a", "b"), universal_agents(1), policy=policy_of(moody))
    run.submit(AddTask(task=Task(id="x")))
    run.turn()
    assert (run.machine.status, run.stopping) == ("running", {"a"})
    run.finish()
    assert run.machine.status == "failed"


def test_a_role_that_nobody_takes() -> None:
    cook = [AgentSpec(id="c", roles=("cook",))]
    tasks = [
        Task(id="a", role="pilot", critical=False),
        Task(id="b", role="cook"),
        Task(id="z", role="pilot"),
    ]
    run = Driver(TaskGraph.of(tasks, [("a", "b", 0.0), ("b", "z", 0.0)]), cook)
    assert run.running.keys() == {"b"}, "what is not critical is skipped, what follows starts"
    run.done("b")
    assert run.machine.status == "failed"
    assert run.reason("z") == "no agent can take the role 'pilot'; there are: cook"


def test_agents_are_hired_by_role_up_to_the_limit() -> None:
    fields = {id: {"role": "cook" if id < "d" else "pilot"} for id in "abcde"}
    run = Driver(graph(*"abcde", **fields), (), Settings(agents_per_role=2))
    assert run.started == [("a", 1, "cook"), ("b", 1, "cook 2"), ("d", 1, "pilot"), ("e", 1, "pilot 2")]
    run.done("a")
    assert run.started[-1] == ("c", 1, "cook")


def test_planning_goes_before_everything() -> None:
    run = Driver(None, universal_agents(1), planning=True)
    run.turn()
    assert run.machine.status == "planning"
    run.submit(AddTask(task=Task(id="mine")))
    assert run.machine.status == "planning"
    run.submit(AddTask(task=Task(id="a")), by="planner")
    assert run.turn() == ["mine"]
    run.finish()
    lost = Driver(None, universal_agents(1), planning=True)
    lost.feed(PlanFailed(0.0, "PlanningFailed", "no idea"))
    lost.turn()
    assert lost.machine.ended
    assert (lost.machine.ended.status, lost.machine.ended.reason) == ("failed", "no idea")


def test_reopening_queues_what_ran_and_keeps_what_was_cancelled() -> None:
    run = driver("a", "b>c:2", "d>c:9", d={"complexity": 0})
    run.done("b", "d")
    run.tell(CancelTask(id="a"))
    run.running.clear()
    run.stopping.clear()
    run.timers.clear()
    run.feed(RunReopened(run.t))
    assert run.states() == {"a": "cancelled", "b": "done", "c": "pending", "d": "done"}
    assert sorted(run.timers) == [(2.0, "c"), (9.0, "c")], "transfers under way are waited for again"
    again = driver("a", "b", agents=1, a={"complexity": 2})
    again.running.clear()
    again.feed(RunReopened(0.0))
    assert again.turn() == ["a"]
    assert again.running == {"a": 2}
    again.feed(TaskDone(0.0, "a", 1, "from before"))
    assert again.states()["a"] == "running"
