"""Steering a machine, case by case: pauses, breakpoints, approval, retries, the monitor, budgets."""

from __future__ import annotations

import pytest

from dyntaskmas_nb.apee.standstill import waits_for_somebody
from dyntaskmas_nb.core.command import (
    Approve,
    Break,
    CancelTask,
    Configure,
    Inject,
    Pause,
    Reject,
    Resume,
    RetryTask,
    StepOnce,
)
from dyntaskmas_nb.core.event import (
    BreakpointHit,
    CommandRejected,
    MonitorDecided,
    TaskDone,
    TaskFailed,
    TaskStopped,
)
from dyntaskmas_nb.core.settings import Budget, Settings
from dyntaskmas_nb.core.task import Resource
from tests.apee.driving import Driver, driver


def ended(run: Driver) -> tuple[str, str]:
    assert run.machine.ended
    return run.machine.ended.status, run.machine.ended.reason


def test_a_hard_pause_stops_what_runs_and_starts_it_again_afterwards() -> None:
    run = driver("a>b", "c", agents=2)
    run.tell(Pause(hard=True))
    assert run.stopping == {"a", "c"}
    run.finish_stopping()
    assert (run.turn(), run.states()["a"]) == ([], "ready")
    run.tell(Resume())
    assert run.turn() == ["a", "c"]
    assert run.running == {"a": 2, "c": 2}


def test_a_result_that_beats_a_hard_pause_counts() -> None:
    run = driver("a>b")
    run.tell(Pause(hard=True))
    run.feed(TaskDone(0.0, "a", 1, "here"))
    assert run.states() == {"a": "done", "b": "ready"}


def test_stepping_to_the_next_completion() -> None:
    run = driver("a>b", "c>d", agents=2)
    run.tell(Pause())
    run.tell(StepOnce(until="completion"))
    run.turn()
    assert run.machine.status == "running"
    assert run.done("a") == []
    assert run.machine.status == "paused"
    run.tell(Resume())
    assert run.turn() == ["b"]


def test_breakpoints_before_and_after() -> None:
    run = driver("a>b>c")
    run.tell(Break(id="b"))
    run.tell(Break(id="b", when="after", once=True))
    assert run.done("a") == []
    assert run.machine.log[-1] == BreakpointHit(0.0, "b", "before")
    assert run.machine.status == "paused"
    run.tell(Resume())
    assert run.turn() == ["b"], "the same breakpoint does not stop it twice"
    assert run.done("b") == []
    run.tell(Resume())
    assert run.turn() == ["c"]
    run.tell(RetryTask(id="b"))
    assert (run.turn(), run.machine.status) == ([], "paused"), "it is still there for another run of b"
    assert isinstance(run.tell(Break(id="b", when="after", on=False)), CommandRejected)
    assert isinstance(run.tell(Break(id="x")), CommandRejected)


def test_a_task_waits_for_approval() -> None:
    run = driver("a>b>c", "k", b={"approval": True, "attempts": 2})
    run.done("a")
    run.done("k")
    assert (run.states()["b"], run.reason("b")) == ("ready", "waits for approval")
    assert "approve('b')" in waits_for_somebody(run.machine)
    assert isinstance(run.tell(RetryTask(id="b")), CommandRejected)
    run.tell(Approve(id="b"))
    assert run.turn() == ["b"]
    assert run.fail("b") == ["b"], "another attempt needs no other approval"
    assert isinstance(run.tell(Approve(id="a")), CommandRejected)
    run.finish()
    early = driver("a>b", b={"approval": True})
    early.tell(Approve(id="b"))
    assert early.done("a") == ["b"]
    no = driver("b>c", b={"approval": True})
    no.tell(Reject(id="b", why="too dear"))
    no.turn()
    assert ended(no) == ("failed", "b: rejected: too dear")


def test_a_retry_waits_longer_each_time_and_can_be_had_at_once() -> None:
    run = driver("a", a={"attempts": 4}, settings=Settings(retry_delay=1.0))
    waits = []
    for _ in range(2):
        run.fail("a")
        waits.append(run.timers[0][0] - run.t)
        assert "waits: its retry" not in run.reason("a")
        run.ring()
        assert run.turn() == ["a"]
    assert waits == [1.0, 2.0]
    run.fail("a")
    run.tell(RetryTask(id="a"))
    assert run.turn() == ["a"]
    drawn = driver("a", a={"attempts": 2}, settings=Settings(retry_delay=1.0, retry_jitter=0.5))
    drawn.fail("a")
    assert 1.0 < drawn.timers[0][0] < 1.5


def test_another_agent_tries_what_one_failed_at() -> None:
    run = driver("a", agents=3, a={"attempts": 4})
    agents = [run.started[-1][2]]
    for _ in range(3):
        run.fail("a")
        agents.append(run.started[-1][2])
    assert len(set(agents[:3])) == 3
    alone = driver("a", agents=1, a={"attempts": 2})
    assert alone.fail("a") == ["a"], "there is nobody else"


def test_a_retry_waits_for_a_different_agent_that_is_busy() -> None:
    run = driver("a", "b", agents=2, a={"attempts": 2})
    assert run.fail("a") == []
    assert run.done("b") == ["a"]
    assert run.started[-1][2] == "agent 2"


@pytest.mark.parametrize(
    ("decision", "then"),
    [
        ("retry", "running"),
        ("reassign", "running"),
        ("skip", "skipped"),
        ("ask", "ready"),
        ("rule", "failed"),
    ],
)
def test_a_monitor_decides(decision: str, then: str) -> None:
    run = driver("a", "k", agents=2, settings=Settings(monitor="judge"))
    assert run.fail("a") == []
    (question,) = run.questions
    assert (question.task.id, question.error) == ("a", "broke")
    run.questions.clear()
    run.feed(MonitorDecided(0.0, "a", 1, decision, "why"))  # type: ignore[arg-type]
    run.turn()
    if decision == "reassign":  # the other agent is busy
        assert run.states()["a"] == "ready"
        run.done("k")
    assert run.states()["a"] == then
    if decision == "ask":
        assert run.reason("a") == "waits for a decision: why"
        run.tell(Reject(id="a"))
        assert run.states()["a"] == "failed"


def test_context_is_given_to_running_tasks_only() -> None:
    run = driver("a>b")
    run.tell(Inject(id="a", text="the museum is closed"))
    assert run.given == ["the museum is closed"]
    assert isinstance(run.tell(Inject(id="b", text="x")), CommandRejected)


@pytest.mark.parametrize(
    ("budget", "words"),
    [
        (Budget(tokens=15), "The budget of 15 tokens is spent (20 used)."),
        (Budget(cost=0.5), "The budget of 0.5 cost is spent (1 used)."),
        (Budget(attempts=2), "The budget of 2 attempts is spent (2 made)."),
    ],
)
def test_a_budget_stops_the_run_and_says_so(budget: Budget, words: str) -> None:
    run = driver("a>b>c>d", settings=Settings(budget=budget))
    for id in "ab":
        run.feed(TaskDone(run.t, id, run.running[id], None, 10, 0.5))
        run.turn()
    run.finish()
    assert ended(run) == ("failed", words)
    assert run.states()["b"] == "done"


def test_a_run_has_its_time() -> None:
    run = driver("a>b", settings=Settings(budget=Budget(seconds=5.0)))
    run.ring()
    run.turn()
    assert run.stopping == {"a"}
    run.finish()
    assert ended(run)[1] == "The budget of 5 seconds is spent (5 used)."


def test_a_larger_budget_and_a_retry_go_on() -> None:
    run = driver("a>b", settings=Settings(budget=Budget(attempts=1)))
    run.done("a")
    assert run.machine.status == "failed"
    run.tell(Configure(changes={"budget": {"attempts": 9}}))
    run.tell(RetryTask(id="b"))
    assert run.turn() == ["b"]


def test_an_exclusive_task_is_not_starved_by_sharers() -> None:
    sharing = {"resources": (Resource(key="disk", exclusive=False),), "boost": 5.0}
    run = driver("a>c", "b>d", "x", a=sharing, b=sharing, c=sharing, d=sharing,
                 x={"resources": (Resource(key="disk"),)})  # fmt: skip
    assert run.running.keys() == {"a", "b"}
    assert run.done("a") == [], "c became ready after x did, so it has to let x go first"
    assert run.done("b") == ["x"]
    assert run.done("x") == ["c", "d"]


def test_an_agent_that_does_not_stop_is_reported() -> None:
    run = driver("a")
    run.tell(CancelTask(id="a"))
    run.feed(TaskStopped(0.0, "a", 1, abandoned=True))
    assert run.reason("a") == "cancelled while it ran; its agent did not stop and was abandoned"


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"colour": "red"}, "has no setting 'colour'"),
        ({"seed": 3}, "has no setting 'seed'"),
        ({"retry_delay": -1}, "retry_delay must be a finite number of at least 0"),
        ({"routing": "maybe"}, "routing is 'off', 'on' or 'frozen'"),
        ({"budget": {"coins": 3}}, "A budget has no 'coins'"),
        ({"agents_per_role": "many"}, "agents_per_role must be a whole number"),
        ({"policy": "best"}, "There is no priority policy 'best'"),
    ],
)
def test_settings_that_make_no_sense_are_refused_by_name(changes: dict[str, object], words: str) -> None:
    run = driver("a")
    before = run.machine.settings
    answer = run.tell(Configure(changes=changes))
    assert isinstance(answer, CommandRejected)
    assert words in answer.reason
    assert run.machine.settings is before


def test_what_is_not_to_be_repeated_is_not_when_the_monitor_leaves_it_to_the_rule() -> None:
    run = driver("a", a={"attempts": 5}, settings=Settings(monitor="judge"))
    run.fail("a", retryable=False)
    run.feed(MonitorDecided(0.0, "a", 1, "rule"))
    run.turn()
    assert run.states()["a"] == "failed"


def test_a_failed_attempt_has_spent_too() -> None:
    run = driver("a>b", settings=Settings(budget=Budget(tokens=15)), a={"attempts": 3})
    run.feed(TaskFailed(run.t, "a", 1, "an empty answer", tokens=20))
    run.turn()
    assert ended(run) == ("failed", "The budget of 15 tokens is spent (20 used).")
