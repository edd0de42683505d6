"""What a forecast says of each attempt that is still to end, and of whose attempts they are."""

from __future__ import annotations

import pytest

from dyntaskmas_nb.apee.forecast import preview
from dyntaskmas_nb.core.command import CancelTask
from dyntaskmas_nb.core.delta import AddTask, ReviseTask
from dyntaskmas_nb.core.snapshot import Entry
from dyntaskmas_nb.core.task import Task
from tests.apee.driving import Driver, driver


class Usual:
    """Every attempt takes its complexity in seconds, and succeeds."""

    def __call__(self, task: Task, number: int, agent: str) -> tuple[float, bool]:
        return task.complexity, True

    def left(self, task: Task, number: int, agent: str, since: float) -> tuple[float, bool]:
        return task.complexity - since, True

    def seconds(self, task: Task) -> float:
        return task.complexity


@pytest.fixture
def run() -> Driver:
    """At 1.5 s: a is done, b runs since the beginning, c since a second; d and e are to come."""
    run = driver("a>c", "b>d", "c>d", "d>e", agents=2, b={"complexity": 4.0}, c={"complexity": 2.0})
    run.t = 1.0
    run.done("a")
    run.t = 1.5
    return run


def attempts(run: Driver, change: object = None) -> list[tuple[str, int, float, float | None, str]]:
    found = preview(run.machine, change, run.t, Usual()).after.attempts  # type: ignore[arg-type]
    return [(one.task, one.attempt, one.start, one.end, one.outcome) for one in found]


def test_what_runs_and_what_is_to_come_is_there_and_what_is_over_is_not(run: Driver) -> None:
    ahead = [
        ("b", 1, 0.0, 4.0, "done"),
        ("c", 1, 1.0, 3.0, "done"),
        ("d", 1, 4.0, 5.0, "done"),
        ("e", 1, 5.0, 6.0, "done"),
    ]
    assert attempts(run) == ahead
    agents = {one.task: one.agent for one in preview(run.machine, None, run.t, Usual()).before.attempts}
    assert agents["b"] == run.machine.records["b"].agent


def test_it_is_what_then_happens(run: Driver) -> None:
    foretold = preview(run.machine, None, run.t, Usual()).before
    for t, id in ((3.0, "c"), (4.0, "b"), (5.0, "d"), (6.0, "e")):
        run.t = t
        run.done(id)
    from dyntaskmas_nb.apee.history import entries_of

    happened = [entry for entry in entries_of(run.machine.log) if entry.task != "a"]
    assert list(foretold.attempts) == happened
    assert foretold.makespan == max(entry.end for entry in foretold.attempts if entry.end)


def test_a_change_shows_in_them_and_in_the_graph(run: Driver) -> None:
    found = preview(run.machine, AddTask(task=Task(id="x"), after={"c": 0.0}), run.t, Usual())
    assert Entry(task="x", agent="agent 1", start=3.0, end=4.0) in [
        Entry(task=one.task, agent="agent 1", start=one.start, end=one.end) for one in found.after.attempts
    ]
    assert ("x" in found.before.graph, "x" in found.after.graph) == (False, True)
    assert found.after.graph.predecessors("x") == ("c",)
    assert "x" not in run.machine.graph


def test_what_a_change_stops_ends_now_and_runs_again(run: Driver) -> None:
    again = attempts(run, ReviseTask(id="b", changes={"description": "another"}))
    assert [one for one in again if one[0] == "b"] == [
        ("b", 1, 0.0, 1.5, "stopped"),
        ("b", 2, 1.5, 5.5, "done"),
    ]
    gone = attempts(run, CancelTask(id="b"))
    assert [one for one in gone if one[0] in "bde"] == [("b", 1, 0.0, 1.5, "stopped")]


def test_they_count_neither_in_its_looks_nor_when_forecasts_are_compared(run: Driver) -> None:
    one, other = (preview(run.machine, None, run.t, Usual()).before for _ in range(2))
    assert one == other
    assert one.graph is not other.graph
    assert hash(one) == hash(other)
    assert "attempts" not in repr(one)
    assert "graph" not in repr(one)
    assert one.order == ("d", "e"), "what runs has begun already"
