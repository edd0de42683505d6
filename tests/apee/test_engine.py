"""The engine on asyncio: overlap, cancelling, failures, journal before effects, nobody left waiting."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import anyio
import pytest

from dyntaskmas_nb.agents.outcome import Answer
from dyntaskmas_nb.apee.assignment import Assignment
from dyntaskmas_nb.core.command import CancelRun, CancelTask, Pause
from dyntaskmas_nb.core.delta import AddTask, RemoveTask, ReviseTask
from dyntaskmas_nb.core.event import (
    CommandApplied,
    CommandRejected,
    DeltaApplied,
    DeltaRejected,
    TaskDispatched,
    TaskDone,
    TaskFailed,
    TaskStopped,
)
from dyntaskmas_nb.core.task import Task
from dyntaskmas_nb.errors import AgentError
from tests.apee.driving import graph
from tests.apee.engines import Spy, engine_of, going


async def test_independent_tasks_really_overlap() -> None:
    here: dict[str, anyio.Event] = {"a": anyio.Event(), "b": anyio.Event()}

    async def meet(job: Assignment) -> Answer:
        if job.task.id in here:
            here[job.task.id].set()
            await here["b" if job.task.id == "a" else "a"].wait()  # neither returns before the other began
        return Answer(result=job.task.id, tokens=3)

    engine = engine_of(graph("a>c", "b>c"), meet)
    async with going(engine):
        pass
    assert engine.machine.status == "done"
    assert [event.tokens for event in engine.machine.log if isinstance(event, TaskDone)] == [3, 3, 3]


async def test_results_reach_the_successor_in_declared_order() -> None:
    given: dict[str, Any] = {}

    async def add(job: Assignment) -> Answer:
        given[job.task.id] = (job.results, job.producers, job.attempt, job.run)
        return Answer(result=f"{job.task.id}!")

    engine = engine_of(graph("b>z", "a>z"), add)
    async with going(engine):
        pass
    assert given["z"] == ({"b": "b!", "a": "a!"}, [("b", 1), ("a", 1)], 1, "run")
    assert list(given["z"][0]) == ["b", "a"]


async def test_cancelling_reaches_the_coroutine() -> None:
    began, stopped = anyio.Event(), []

    async def long(job: Assignment) -> Answer:
        try:
            began.set()
            await anyio.sleep_forever()
        finally:
            stopped.append(job.task.id)
        raise AssertionError

    engine = engine_of(graph("a>b"), long)
    async with going(engine):
        await began.wait()
        assert isinstance(await engine.submit(CancelTask(id="a")), CommandApplied)
    assert stopped == ["a"]
    assert any(isinstance(event, TaskStopped) for event in engine.machine.log)
    assert str(engine.machine.records["a"].state) == "cancelled"
    assert str(engine.machine.records["b"].state) == "blocked"


async def test_cancelling_the_run_stops_all() -> None:
    began, stopped = anyio.Event(), []

    async def long(job: Assignment) -> Answer:
        began.set()
        try:
            await anyio.sleep_forever()
        finally:
            stopped.append(job.task.id)
        raise AssertionError

    engine = engine_of(graph("a", "b", "c"), long, agents=2)
    async with going(engine):
        await began.wait()
        await engine.submit(CancelRun(reason="enough"))
    assert sorted(stopped) == ["a", "b"]
    assert engine.machine.status == "cancelled"
    late = await engine.submit(RemoveTask(id="c"))
    assert isinstance(late, DeltaRejected)
    assert "has ended (cancelled)" in late.reason
    assert isinstance(await engine.submit(Pause()), CommandRejected)
    await engine.until(lambda: False)


async def test_failures_become_events(caplog: pytest.LogCaptureFixture) -> None:
    async def fail(job: Assignment) -> Answer:
        if job.task.id == "a":
            raise AgentError("no flights", retryable=False)
        if job.attempt == 1:
            raise ValueError("odd")
        return Answer(result=1)

    engine = engine_of(graph("a", "b", a={"attempts": 3}, b={"attempts": 2}), fail)
    with caplog.at_level(logging.CRITICAL):
        async with going(engine):
            pass
    failed = {
        (e.task, e.attempt): (e.error, e.retryable) for e in engine.machine.log if isinstance(e, TaskFailed)
    }
    assert failed == {("a", 1): ("no flights", False), ("b", 1): ("ValueError: odd", True)}
    assert engine.machine.status == "failed"
    assert engine.machine.records["b"].result == 1


async def test_a_deadline_ends_the_attempt() -> None:
    async def slow(job: Assignment) -> Answer:
        if job.attempt == 1:
            await anyio.sleep_forever()
        return Answer(result="second")

    engine = engine_of(graph("a", a={"timeout": 0.001, "attempts": 2}), slow)
    async with going(engine):
        pass
    assert [e.error for e in engine.machine.log if isinstance(e, TaskFailed)] == ["no result within 0.001 s"]
    assert engine.machine.records["a"].result == "second"


async def test_nothing_leaves_before_it_is_journaled() -> None:
    notes: list[Any] = []

    async def note(job: Assignment) -> Answer:
        notes.append(job)
        return Answer(result=None)

    engine = engine_of(graph("a>c", "b>c", "c>d"), note, journal=Spy(notes))
    async with going(engine):
        pass
    written = set()
    for entry in notes:
        if isinstance(entry, TaskDispatched):
            written.add((entry.task, entry.attempt))
        else:
            assert (entry.task.id, entry.attempt) in written
    assert len(written) == 4
    assert sum(isinstance(entry, Assignment) for entry in notes) == 4


@pytest.mark.parametrize("breaks_at", [TaskDispatched, TaskDone])
async def test_a_journal_that_breaks_ends_the_run_and_leaves_nobody_waiting(
    breaks_at: type, caplog: pytest.LogCaptureFixture
) -> None:
    performed, waited = [], []

    async def work(job: Assignment) -> Answer:
        performed.append(job.task.id)
        return Answer(result=None)

    engine = engine_of(graph("a>b"), work, journal=Spy(breaks_at=breaks_at))

    async def wait() -> None:
        await engine.until(lambda: False)
        waited.append("until")

    with caplog.at_level(logging.CRITICAL):
        async with anyio.create_task_group() as group:
            group.start_soon(wait)
            await anyio.lowlevel.checkpoint()
            answer: list[Any] = []

            async def submit() -> None:
                answer.append(await engine.submit(AddTask(task=Task(id="x"), after={"a": 0.0})))

            group.start_soon(submit)
            group.start_soon(engine.run)
    assert engine.failure == "the disk is full"
    assert engine.finished.is_set()
    assert waited == ["until"]
    assert len(answer) == 1
    assert performed == ([] if breaks_at is TaskDispatched else ["a"])


async def test_workers_are_as_many_as_run_at_once() -> None:
    most, now, workers = 0, 0, set()

    async def count(job: Assignment) -> Answer:
        nonlocal most, now
        now += 1
        most = max(most, now)
        workers.add(asyncio.current_task())  # kept, so that no two are one by a reused address
        await anyio.lowlevel.checkpoint()
        now -= 1
        return Answer(result=None)

    engine = engine_of(graph(*(f"t{n}" for n in range(40))), count, agents=3)
    async with going(engine):
        pass
    assert most == 3
    assert len(workers) == 3, "long-lived workers, not one for each task"


async def test_what_cannot_be_journaled_is_refused_at_the_door() -> None:
    hold = anyio.Event()

    async def work(job: Assignment) -> Answer:
        await hold.wait()
        return Answer(result=None)

    engine = engine_of(graph("a", "b"), work, agents=1)
    async with going(engine):
        for edit in (
            AddTask(task=Task(id="x", inputs={1, 2})),
            AddTask(task=Task(id="\ud800")),
            ReviseTask(id="b", changes={"complexity": 10**400}),
            RemoveTask(id=["b"]),  # type: ignore[arg-type]
        ):
            answer = await engine.submit(edit)
            assert isinstance(answer, DeltaRejected)
            assert "cannot be written down" in answer.reason or "RemoveTask.id" in answer.reason
        assert isinstance(await engine.submit(CancelTask(id="\ud800")), CommandRejected)
        assert isinstance(await engine.submit(RemoveTask(id="b")), DeltaApplied)
        hold.set()
    assert engine.machine.status == "done"
