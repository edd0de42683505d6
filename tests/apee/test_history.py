"""Reading a log: the timeline of attempts, and a snapshot that later steps do not reach."""

from __future__ import annotations

from dyntaskmas_nb.apee.history import entries_of, snapshot_of
from dyntaskmas_nb.core.command import CancelTask
from dyntaskmas_nb.core.delta import AddTask
from dyntaskmas_nb.core.event import RunReopened, TaskStopped
from dyntaskmas_nb.core.snapshot import Entry
from dyntaskmas_nb.core.task import Task
from tests.apee.driving import driver


def test_every_attempt_is_an_entry() -> None:
    run = driver("a", "b", "c", agents=3, a={"attempts": 2})
    run.t = 1.0
    run.fail("a")
    run.tell(CancelTask(id="b"))
    run.t = 2.0
    run.feed(TaskStopped(2.0, "b", 1))
    run.done("a")
    entries = {(entry.task, entry.attempt): entry for entry in entries_of(run.machine.log)}
    assert entries["a", 1] == Entry(task="a", agent="agent 1", start=0.0, end=1.0, outcome="failed")
    assert (entries["a", 2].start, entries["a", 2].end, entries["a", 2].outcome) == (1.0, 2.0, "done")
    assert (entries["b", 1].end, entries["b", 1].outcome) == (2.0, "stopped")
    assert (entries["c", 1].end, entries["c", 1].outcome) == (None, "running")
    run.running.clear()
    run.t = 3.0
    run.feed(RunReopened(3.0))
    assert [(e.end, e.outcome) for e in entries_of(run.machine.log) if e.task == "c"] == [(3.0, "stopped")]


def test_a_snapshot_stays_as_it_was() -> None:
    run = driver("a>b", "c", agents=1)
    run.t = 2.0
    before = snapshot_of(run.machine, 2.0)
    run.done("a", result={"x": 1})
    run.submit(AddTask(task=Task(id="d")))
    assert (before.status, before.t, before.seq < len(run.machine.log)) == ("running", 2.0, True)
    assert set(before.graph) == set(before.tasks) == {"a", "b", "c"}
    assert before.counts() == {"running": 1, "pending": 1, "ready": 1}
    assert (before.agents[0].running, before.agents[0].busy) == (("a",), 2.0)
    after = snapshot_of(run.machine, 5.0)
    assert (after.tasks["a"].result, after.tasks["a"].agent, after.tasks["a"].attempt) == (
        {"x": 1},
        "agent 1",
        1,
    )
    assert (after.agents[0].completed, after.agents[0].busy) == (1, 2.0 + 3.0)
    assert after.tasks["b"].priority == 1.0
    run.finish()
    assert (snapshot_of(run.machine, 99.0).t, snapshot_of(run.machine, 99.0).status) == (2.0, "done")
