"""Every kind of edit on a task in every state: one row a cell, as the table in `dtgg.update` has it.

The task is v in p → v → c, beside q. What c has done by then depends on v, so that an edit that gives v
another result, or none, runs c again, too.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest

from dyntaskmas_nb.core.command import CancelRun, CancelTask, Pause, Resume, RetryTask
from dyntaskmas_nb.core.delta import (
    AddDependency,
    AddTask,
    AddTasks,
    Batch,
    Delta,
    ExpandTask,
    RemoveDependency,
    RemoveTask,
    RemoveTasks,
    ReviseDependency,
    ReviseTask,
    SetJoin,
)
from dyntaskmas_nb.core.event import CommandRejected, DeltaApplied, DeltaRejected, MonitorDecided, RunReopened
from dyntaskmas_nb.core.settings import Settings
from dyntaskmas_nb.core.task import Join, Resource, Task
from dyntaskmas_nb.dtgg import update
from tests.apee.driving import Driver, driver

INSTANT = Settings(modelled_transfers=False)


def make(state: str) -> Driver:
    """A run in which v is in `state`; p is done, but where v waits for it; c is done where it could."""
    critical = {"critical": state != "skipped"}
    run = driver("p>v>c", "q", v=critical, q={"complexity": 9}, agents=3, settings=INSTANT)
    if state == "pending":
        return run
    if state == "blocked":
        run.fail("p")
        return run
    if state == "ready":
        run.tell(Pause())
    run.done("p", result="p1")
    if state == "ready" or state == "running":
        return run
    if state == "done":
        run.done("v", result="v1")
        run.done("c", result="c1")
    elif state == "cancelled":
        run.tell(CancelTask(id="v"))
        run.finish_stopping()
    else:
        run.fail("v")
        if state == "skipped":
            run.done("c", result="c1")
    assert run.states()["v"] == state
    return run


STATES = ("pending", "ready", "running", "done", "failed", "skipped", "cancelled", "blocked")
EDITS: dict[str, Delta] = {
    "AddTask before": AddTask(task=Task(id="x"), before={"v": 0.0}),
    "AddTask after": AddTask(task=Task(id="x"), after={"v": 0.0}),
    "RemoveTask": RemoveTask(id="v"),
    "AddTasks": AddTasks(tasks=(Task(id="x"), Task(id="y")), dependencies=(("x", "v", 0.0), ("v", "y", 0.0))),
    "RemoveTasks": RemoveTasks(ids=("c", "v")),
    "AddDependency": AddDependency(before="q", after="v"),
    "RemoveDependency": RemoveDependency(before="p", after="v"),
    "ReviseDependency": ReviseDependency(before="p", after="v", information=2.0),
    "ReviseTask what": ReviseTask(id="v", changes={"description": "otherwise"}),
    "ReviseTask attempts": ReviseTask(id="v", changes={"attempts": 5}),
    "ReviseTask boost": ReviseTask(id="v", changes={"boost": 5.0}),
    "ReviseTask critical": ReviseTask(id="v", changes={"critical": False}),
    "SetJoin": SetJoin(id="v", join=Join(kind="any")),
    "ExpandTask": ExpandTask(id="v", tasks=(Task(id="v1"), Task(id="v2")), dependencies=(("v1", "v2", 0.0),)),
    "Batch": Batch(
        deltas=(ReviseTask(id="v", changes={"description": "otherwise"}), AddTask(task=Task(id="x")))
    ),
}
#: v's state after an edit in each of STATES, then what runs again. "stopping": it runs and is being stopped.
TABLE = """
AddTask before|pending|pending|stopping v|pending v c|pending v|pending v c|cancelled|blocked
AddTask after|pending|ready|running|done|failed|skipped|cancelled|blocked
RemoveTask|gone|gone|gone|gone c|gone|gone c|gone|gone
AddTasks|pending|pending|stopping v|pending v c|pending v|pending v c|cancelled|blocked
RemoveTasks|gone|gone|gone|gone|gone|gone|gone|gone
AddDependency|pending|pending|stopping v|pending v c|pending v|pending v c|cancelled|blocked
RemoveDependency|ready|ready|stopping v|ready v c|ready v|ready v c|cancelled|ready
ReviseDependency|pending|ready|running|done|failed|skipped|cancelled|blocked
ReviseTask what|pending|ready|stopping v|ready v c|ready v|ready v c|cancelled|blocked
ReviseTask attempts|pending|ready|running|done|ready v|ready v c|cancelled|blocked
ReviseTask boost|pending|ready|running|done|failed|skipped|cancelled|blocked
ReviseTask critical|pending|ready|running|done|skipped|skipped|cancelled|blocked
SetJoin|pending|ready|running|done|failed|skipped|cancelled|blocked
ExpandTask|gone|gone|gone|gone c|gone|gone c|gone|gone
Batch|pending|ready|stopping v|ready v c|ready v|ready v c|cancelled|blocked
"""
ROWS = [row.split("|") for row in TABLE.split("\n") if row]
CELLS = [(kind, *cell) for kind, *row in ROWS for cell in zip(STATES, row, strict=True)]


@pytest.mark.parametrize(("kind", "state", "cell"), CELLS, ids=[f"{k}-{s}" for k, s, _ in CELLS])
def test_every_edit_in_every_state(kind: str, state: str, cell: str) -> None:
    run = make(state)
    expected, *reruns = cell.split()
    answer = run.submit(EDITS[kind])
    assert isinstance(answer, DeltaApplied)
    assert list(answer.reruns) == reruns
    now = run.machine.records.get("v")
    found = "gone" if now is None else "stopping" if now.stopping else str(now.state)
    assert found == expected
    assert ("v" in run.stopping) == (state == "running" and expected in ("stopping", "gone"))
    run.finish()


def test_the_table_names_every_kind_and_is_the_one_in_the_docs() -> None:
    kinds = {type(edit).__name__ for edit in EDITS.values()}
    assert kinds == {kind.__name__ for kind in Delta.__args__}
    text = update.__doc__ or ""
    for kind in kinds:
        assert kind in text
    for state in STATES:
        assert state in text


def run_done() -> Driver:
    run = driver("p>v>c", "q")
    run.done("p", result=1)
    run.done("v", result=2)
    run.done("c", result=3)
    return run


def test_the_same_result_again_runs_nothing_more() -> None:
    run = run_done()
    run.submit(ReviseTask(id="v", changes={"description": "otherwise"}))
    assert run.states()["c"] == "pending"
    assert run.turn() == ["v"]
    assert run.done("v", result=2) == [], "c is given what it was given before"
    assert run.states()["c"] == "done"
    run.submit(ReviseTask(id="v", changes={"description": "once more"}))
    run.turn()
    assert run.done("v", result=99) == ["c"]


@pytest.mark.parametrize("when", ["before it ran again", "while it runs again", "after it ran again"])
def test_undoing_brings_the_result_back_without_running(when: str) -> None:
    run = run_done()
    edit = run.submit(ReviseTask(id="v", changes={"description": "otherwise"}))
    assert isinstance(edit, DeltaApplied)
    if when != "before it ran again":
        run.turn()
    if when == "after it ran again":
        run.done("v", result=99)
        run.done("c", result=100)
    seen = len(run.started)
    run.submit(edit.inverse)
    run.finish()
    if when == "after it ran again":  # only the latest result is kept
        assert [id for id, _, _ in run.started[seen:]] == ["v", "c"]
    else:
        assert (run.machine.records["v"].result, run.machine.records["c"].result) == (2, 3)
        assert run.started[seen:] == []


def test_removing_and_bringing_back_runs_nothing() -> None:
    run = run_done()
    seen = len(run.started)
    gone = run.submit(RemoveTask(id="v"))
    assert isinstance(gone, DeltaApplied)
    assert run.states()["c"] == "ready"
    run.submit(gone.inverse)
    run.turn()
    assert run.states() == {"p": "done", "q": "running", "c": "done", "v": "done"}
    assert run.started[seen:] == []


def test_a_removed_task_holds_its_agent_until_it_has_stopped() -> None:
    run = driver("a", "b", agents=1)
    back = run.submit(RemoveTask(id="a"))
    assert run.turn() == []
    assert isinstance(back, DeltaApplied)
    run.submit(back.inverse)
    assert run.turn() == [], "its namesake has not stopped"
    run.finish_stopping()
    assert run.turn() == ["b"] or run.running.keys() == {"a"}
    run.finish()
    assert run.machine.status == "done"


@pytest.mark.parametrize(
    "again",
    [
        lambda run: run.submit(AddTask(task=Task(id="x"), after={"c": 0.0})),
        lambda run: run.tell(RetryTask(id="c")),
        lambda run: run.submit(ReviseTask(id="c", changes={"description": "otherwise"})),
    ],
)
def test_a_run_that_ended_goes_on_with_what_is_new(again: Callable[[Driver], object]) -> None:
    run = run_done()
    run.done("q")
    assert run.machine.status == "done"
    again(run)
    assert run.machine.status == "running"
    assert run.turn() in (["x"], ["c"])
    run.finish()
    assert run.machine.status == "done"
    assert [id for id, _, _ in run.started].count("p") == 1


def test_a_run_that_failed_is_done_when_its_failure_is_removed() -> None:
    run = driver("a", "b")
    run.done("a")
    run.fail("b")
    assert run.machine.status == "failed"
    run.submit(RemoveTask(id="b"))
    run.turn()
    assert run.machine.status == "done"


def test_the_losers_of_a_race_are_cancelled() -> None:
    run = driver("s>a>z", "b>z", "s>c>z", "c>k", z={"join": Join(kind="first_valid")})
    run.done("s")
    assert run.done("b", result="won") == ["z"]
    assert (run.stopping, run.states()["c"]) == ({"a"}, "running"), "c is wanted by k as well"
    run.finish_stopping()
    assert run.states()["a"] == "cancelled"
    run.finish()
    assert run.machine.status == "done"


def test_retrying_says_what_it_cannot() -> None:
    run = make("blocked")
    answer = run.tell(RetryTask(id="v"))
    assert isinstance(answer, CommandRejected)
    assert "waits for 'p'; retry that" in answer.reason
    run.tell(RetryTask(id="p"))
    assert run.states()["v"] == "pending"
    ready = make("ready")
    answer = ready.tell(RetryTask(id="v"))
    assert isinstance(answer, CommandRejected)
    ready.tell(Resume())
    ready.finish()


def test_a_run_being_stopped_takes_no_edit() -> None:
    run = driver("a")
    run.tell(CancelRun())
    answer = run.submit(AddTask(task=Task(id="x")))
    assert isinstance(answer, DeltaRejected)
    assert "being stopped" in answer.reason


def test_a_cancelled_task_has_no_result_of_another_definition() -> None:
    run = driver("a")
    run.tell(CancelTask(id="a"))
    run.submit(ReviseTask(id="a", changes={"description": "otherwise"}))
    run.done("a", result="of before")
    assert run.states() == {"a": "cancelled"}


def test_a_retry_while_it_runs_or_is_being_cancelled_runs_it_again() -> None:
    for first in (None, CancelTask(id="a")):
        run = driver("a")
        if first:
            run.tell(first)
        run.tell(RetryTask(id="a"))
        assert run.done("a", result="too fast") == ["a"]
        run.done("a", result="again")
        assert run.machine.records["a"].result == "again"


def test_a_namesake_of_a_removed_task_survives_the_process() -> None:
    run = driver("a>b")
    gone = run.submit(RemoveTask(id="a"))
    assert isinstance(gone, DeltaApplied)
    run.submit(gone.inverse)
    run.running.clear()
    run.stopping.clear()
    run.feed(RunReopened(0.0))
    assert run.turn() == ["a"]


def test_a_run_being_stopped_is_not_taken_back_by_a_retry() -> None:
    run = driver("a", "b")
    run.done("a")
    run.tell(CancelRun())
    assert isinstance(run.tell(RetryTask(id="a")), CommandRejected)
    run.finish()
    assert run.machine.status == "cancelled"


def test_a_monitor_is_not_heard_on_a_task_that_is_another_by_now() -> None:
    run = driver("a", settings=Settings(monitor="judge"))
    run.fail("a")
    run.questions.clear()
    run.submit(ReviseTask(id="a", changes={"description": "otherwise"}))
    assert run.turn() == ["a"]
    run.feed(MonitorDecided(0.0, "a", 1, "skip"))
    assert run.states()["a"] == "running"


def test_bringing_back_a_cancelled_task_leaves_it_cancelled() -> None:
    run = driver("a", "b")
    run.tell(CancelTask(id="a"))
    run.finish_stopping()
    gone = run.submit(RemoveTask(id="a"))
    assert isinstance(gone, DeltaApplied)
    run.submit(gone.inverse)
    assert run.states()["a"] == "cancelled"
    run.finish()


def test_tasks_that_wait_for_one_resource_are_served_in_their_order() -> None:
    alone = {"resources": (Resource(key="disk"),)}
    names = [f"t{n:03}" for n in range(300)]
    run = driver(*names, agents=4, **dict.fromkeys(names, alone))
    assert len(run.machine.dispatcher.parked) == 1
    for name in names:
        assert run.running.keys() == {name}, "in the order in which they became ready"
        run.done(name)
    assert run.machine.status == "done"
