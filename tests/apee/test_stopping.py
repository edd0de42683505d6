"""Stopping an attempt for real: soon, whatever it does; one that will not stop is given up, and reported."""

from __future__ import annotations

import time

import anyio
import pytest

from dyntaskmas_nb.agents.outcome import Answer
from dyntaskmas_nb.apee.assignment import Assignment
from dyntaskmas_nb.core.command import CancelRun, CancelTask, Configure, Inject, Pause, Resume
from dyntaskmas_nb.core.event import CommandSubmitted, MonitorDecided, TaskStopped
from dyntaskmas_nb.core.graph import TaskGraph
from dyntaskmas_nb.core.task import Task
from dyntaskmas_nb.errors import AgentError
from tests.apee.engines import engine_of, going

ONE = TaskGraph.of([Task(id="a"), Task(id="b")], [("a", "b", 0.0)])


async def test_an_attempt_that_will_not_stop_is_abandoned_and_the_run_ends() -> None:
    release, finished = anyio.Event(), anyio.Event()

    async def rude(job: Assignment) -> Answer:
        with anyio.CancelScope(shield=True):
            await release.wait()
        finished.set()
        return Answer(result="too late")

    engine = engine_of(ONE, rude)
    async with anyio.create_task_group() as group:
        group.start_soon(engine.run)
        await engine.until(lambda: bool(engine.machine.running))
        await engine.submit(Configure(changes={"stop_grace": 0.02}))
        await engine.submit(CancelTask(id="a"))
        await engine.finished.wait()
        assert TaskStopped in map(type, engine.machine.log)
        assert "did not stop and was abandoned" in engine.machine.records["a"].reason
        assert engine.machine.status == "cancelled"
        assert not finished.is_set(), "nobody waited for it"
        release.set()
    assert finished.is_set()
    assert engine.machine.records["a"].result is None
    engine._journal.close()


@pytest.mark.parametrize("command", [CancelTask(id="a"), CancelRun(), Pause(hard=True)])
async def test_stopping_reaches_the_agent(command: object) -> None:
    stopped: list[float] = []

    async def work(job: Assignment) -> Answer:
        try:
            await anyio.sleep_forever()
        finally:
            stopped.append(time.perf_counter())
        raise AssertionError

    engine = engine_of(ONE, work)
    async with going(engine):
        await engine.until(lambda: bool(engine.machine.running))
        await engine.submit(command)  # type: ignore[arg-type]
        await engine.until(lambda: bool(stopped))
        if isinstance(command, Pause):
            await engine.until(lambda: engine.machine.records["a"].state == "ready")
            await engine.submit(Resume())
            await engine.until(lambda: engine.machine.records["a"].attempt == 2)
            await engine.submit(CancelRun())
    assert engine.machine.status == "cancelled"


async def test_context_reaches_a_running_agent() -> None:
    async def work(job: Assignment) -> Answer:
        while not job.given:  # noqa: ASYNC110  as a user's agent would
            await anyio.sleep(0.001)
        return Answer(result=job.given[0])

    engine = engine_of(TaskGraph.of([Task(id="a")]), work)
    async with going(engine):
        await engine.until(lambda: bool(engine.machine.running))
        await engine.submit(Inject(id="a", text="closed on Mondays"))
    assert engine.machine.records["a"].result == "closed on Mondays"


async def test_a_run_goes_on_after_its_end() -> None:
    from dyntaskmas_nb.core.delta import AddTask

    async def work(job: Assignment) -> Answer:
        return Answer(result=job.task.id)

    engine = engine_of(ONE, work)
    await engine.run()
    assert engine.machine.status == "done"
    engine.reopen()
    async with going(engine):
        await engine.submit(AddTask(task=Task(id="c"), after={"b": 0.0}))
    assert (engine.machine.status, engine.machine.records["c"].result) == ("done", "c")


async def test_a_monitor_that_breaks_down_leaves_it_to_the_rule() -> None:
    async def work(job: Assignment) -> Answer:
        raise AgentError("broke")

    async def decide(question: object) -> MonitorDecided:
        raise ZeroDivisionError

    engine = engine_of(TaskGraph.of([Task(id="a")]), work)
    engine._decide = decide
    engine.post(CommandSubmitted(0.0, 0, Configure(changes={"monitor": "judge"})))
    async with going(engine):
        pass
    assert engine.machine.status == "failed"
    assert "broke" in engine.machine.records["a"].reason
