"""Reading a log: the timeline of attempts, snapshots that later steps do not reach, moments of the past."""

from __future__ import annotations

import pytest

from dyntaskmas_nb.apee.history import entries_of, fork_inputs, replay, snapshot_at, snapshot_of, taken_in
from dyntaskmas_nb.apee.machine import Machine
from dyntaskmas_nb.core.command import CancelTask, Configure, Pause, Resume
from dyntaskmas_nb.core.delta import AddTask, RemoveTask, ReviseTask
from dyntaskmas_nb.core.event import RunReopened, TaskStopped, TurnEnded
from dyntaskmas_nb.core.snapshot import Entry, Snapshot
from dyntaskmas_nb.core.task import Task
from dyntaskmas_nb.errors import InvalidInput
from tests.apee.driving import Driver, driver, written


def test_every_attempt_is_an_entry() -> None:
    run = driver("a", "b", "c", agents=3, a={"attempts": 2})
    run.t = 1.0
    run.fail("a")
    run.tell(CancelTask(id="b"))
    run.t = 2.0
    run.feed(TaskStopped(2.0, "b", 1))
    run.turn()
    run.t = 2.5
    run.done("a")
    entries = {(entry.task, entry.attempt): entry for entry in entries_of(run.machine.log)}
    assert entries["a", 1] == Entry(task="a", agent="agent 1", start=0.0, end=1.0, outcome="failed")
    assert (entries["a", 2].start, entries["a", 2].end, entries["a", 2].outcome) == (2.0, 2.5, "done")
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


class Watched(Driver):
    """A driver that keeps a snapshot of every moment."""

    def __init__(self, *given: object, **named: object) -> None:
        self.moments: list[Snapshot] = []
        super().__init__(*given, **named)  # type: ignore[arg-type]

    def feed(self, event: object) -> None:
        super().feed(event)  # type: ignore[arg-type]
        self.moments.append(snapshot_of(self.machine, self.t))


def lived() -> Watched:
    """A run in which much happened: edits of what ran, a failure, a new policy, an end and what came next."""
    run = Watched(driver("a>b", "c", a={"attempts": 2}).machine.graph)
    run.t = 1.0
    run.fail("a")
    run.submit(ReviseTask(id="c", changes={"complexity": 4.0, "inputs": 3}))
    run.tell(Pause())
    run.t = 2.0
    run.tell(Configure(changes={"policy": "fifo"}))
    run.submit(RemoveTask(id="b"))
    run.submit(AddTask(task=Task(id="d"), after={"a": 0.5}))
    run.tell(Resume())
    run.finish()
    run.submit(AddTask(task=Task(id="e"), after={"d": 0.0}))
    run.finish()
    return run


def test_every_moment_of_the_past_is_as_it_was() -> None:
    run = lived()
    log = tuple(run.machine.log)
    inputs = [(seq, 1 + len(facts)) for seq, _, facts in taken_in(log)]
    assert len(inputs) == len(run.moments)
    for (first, count), then in zip(inputs, run.moments, strict=True):
        for seq in range(first, first + count):
            assert snapshot_at("run", log, None, seq, None, 0.0) == then, "any event of an input names it"
    latest = {then.t: then for then in run.moments}
    for t in sorted(latest):
        assert snapshot_at("run", log, None, None, t, 9.0) == latest[t], "a time names its last event"
    assert snapshot_at("run", log, None, None, 1.5, 9.0).tasks == latest[1.0].tasks
    assert written(replay("run", log).log) == written(log)


@pytest.mark.parametrize(("version", "time"), [(99, None), (True, None), (None, 9.5), (None, None), (1, 1.0)])
def test_a_moment_that_never_was_is_refused(version: int | None, time: float | None) -> None:
    with pytest.raises(InvalidInput):
        snapshot_at("run", tuple(driver("a").machine.log), None, version, time, 9.0)


def test_a_fork_has_the_results_and_does_the_rest_itself() -> None:
    run = driver("a>b>c", "d", agents=2)
    run.done("a", result={"x": 1})
    then = snapshot_of(run.machine, 0.0)
    run.finish()
    fork = Machine("fork")
    for event in [*fork_inputs(then, run.machine.log[0]), TurnEnded(0.0)]:
        fork.step(event)
    assert {id: record.state.value for id, record in fork.records.items()} == {
        "a": "done", "b": "running", "c": "pending", "d": "running",
    }  # fmt: skip
    assert (fork.records["a"].result, fork.graph) == ({"x": 1}, then.graph)
    assert [agent.spec.id for agent in fork.pool] == [agent.id for agent in then.agents]
    with pytest.raises(InvalidInput, match="no tasks"):
        fork_inputs(snapshot_of(Machine("empty"), 0.0), run.machine.log[0])
