"""The life of a task, case by case: joins, failures, blocking, edits while running."""

from __future__ import annotations

import pytest

from dyntaskmas_nb.core.delta import (
    AddDependency,
    AddTask,
    Batch,
    RemoveDependency,
    ReviseTask,
    SetJoin,
)
from dyntaskmas_nb.core.event import (
    DeltaApplied,
    DeltaRejected,
)
from dyntaskmas_nb.core.task import Join, Task
from tests.apee.driving import driver


def test_a_task_waits_for_all_its_predecessors() -> None:
    run = driver("a>c", "b>c")
    assert run.running.keys() == {"a", "b"}
    assert run.done("a") == []
    assert run.done("b") == ["c"]
    run.done("c", result=21)
    assert run.machine.ended
    assert (run.machine.status, run.machine.records["c"].result) == ("done", 21)


@pytest.mark.parametrize(
    ("join", "needed"),
    [
        (Join(kind="any"), 1),
        (Join(kind="first_valid"), 1),
        (Join(kind="k_of_n", k=2), 2),
        (Join(kind="k_of_n", k=9), 3),
        (Join(), 3),
    ],
)
def test_joins(join: Join, needed: int) -> None:
    ids = ["a", "b", "c"]
    run = driver("a>z", "b>z", "c>z", z={"join": join})
    for count, id in enumerate(ids, 1):
        assert run.done(id) == (["z"] if count == needed else [])
    lost = driver("a>z", "b>z", "c>z", z={"join": join})
    for count, id in enumerate(ids, 1):
        lost.fail(id)
        assert lost.states()["z"] == ("blocked" if 3 - count < needed else "pending")
    assert lost.machine.status == "failed"


def test_a_failed_task_blocks_what_follows_and_is_blamed() -> None:
    run = driver("a>b>c", "d")
    run.fail("a", "no flights")
    assert run.states() == {"a": "failed", "b": "blocked", "c": "blocked", "d": "running"}
    assert run.reason("b") == "waits for 'a', which is failed"
    assert run.reason("c") == "waits for 'b', which is blocked"
    run.done("d")
    assert run.machine.ended
    assert (run.machine.ended.status, run.machine.ended.reason) == ("failed", "a: no flights")


def test_what_is_not_critical_is_skipped() -> None:
    run = driver("a>b", a={"critical": False})
    assert run.fail("a") == ["b"]
    assert run.states()["a"] == "skipped"
    run.done("b")
    assert run.machine.status == "done"


def test_attempts_are_used_up_and_no_more() -> None:
    run = driver("a", a={"attempts": 3})
    assert run.fail("a", "one") == ["a"]
    assert run.fail("a", "two") == ["a"]
    assert run.running == {"a": 3}
    assert run.fail("a", "three") == []
    assert run.machine.status == "failed"
    fatal = driver("a", a={"attempts": 3})
    fatal.fail("a", retryable=False)
    assert fatal.machine.status == "failed"


def test_an_edit_unblocks() -> None:
    run = driver("a>b>c", "k")
    run.fail("a")
    assert isinstance(run.submit(RemoveDependency(before="a", after="b")), DeltaApplied)
    assert run.states() == {"a": "failed", "b": "ready", "c": "pending", "k": "running"}
    other = driver("a>b>c", "k")
    other.fail("a")
    other.submit(
        Batch(deltas=(AddTask(task=Task(id="a2"), before={"b": 0.0}), SetJoin(id="b", join=Join(kind="any"))))
    )
    assert other.states()["b"] == other.states()["c"] == "pending"
    assert other.turn() == ["a2"]
    assert other.done("a2") == ["b"]


def test_what_is_added_behind_a_failure_is_blocked_at_once() -> None:
    run = driver("a", "k")
    run.fail("a")
    run.submit(AddTask(task=Task(id="b"), after={"a": 0.0}))
    run.submit(AddTask(task=Task(id="c"), after={"b": 0.0}))
    assert run.states() == {"a": "failed", "k": "running", "b": "blocked", "c": "blocked"}


def test_a_ready_task_can_be_sent_back() -> None:
    run = driver("a", "b", agents=1)
    assert run.running.keys() == {"a"}
    run.submit(AddDependency(before="a", after="b"))
    assert run.states()["b"] == "pending"
    run.submit(RemoveDependency(before="a", after="b"))
    assert run.states()["b"] == "ready"
    assert run.done("a") == ["b"]


def test_something_can_be_added_after_what_ended() -> None:
    run = driver("a", "k")
    run.done("a", result=1)
    assert isinstance(run.submit(AddTask(task=Task(id="b"), after={"a": 0.0})), DeltaApplied)
    assert run.turn() == ["b"]


def test_an_edit_is_rebased_when_what_it_touches_is_as_it_was() -> None:
    run = driver("k", "a", "b", agents=1)
    base = run.machine.graph.version
    first = run.submit(ReviseTask(id="a", changes={"boost": 1.0}), base)
    assert isinstance(first, DeltaApplied)
    assert isinstance(run.submit(ReviseTask(id="b", changes={"boost": 2.0}), base), DeltaApplied)
    late = run.submit(AddDependency(before="b", after="a"), base)
    assert isinstance(late, DeltaRejected)
    assert f"'a' was changed at version {first.version}, after version {base}" in late.reason
    assert isinstance(
        run.submit(AddDependency(before="b", after="a"), run.machine.graph.version), DeltaApplied
    )
    assert isinstance(run.submit(AddDependency(before="k", after="b"), None), DeltaApplied)


def test_a_cycle_is_refused_with_its_name() -> None:
    run = driver("k", "a>b")
    answer = run.submit(AddDependency(before="b", after="a"))
    assert isinstance(answer, DeltaRejected | DeltaApplied)
    run = driver("k>a>b")
    answer = run.submit(AddDependency(before="b", after="a"))
    assert isinstance(answer, DeltaRejected)
    assert "close a cycle: " in answer.reason
