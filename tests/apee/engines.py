"""An engine on the real clock with a journal that watches, for the tests of the engine."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

import anyio

from dyntaskmas_nb.agents.outcome import Answer
from dyntaskmas_nb.apee.assignment import Assignment
from dyntaskmas_nb.apee.check import check
from dyntaskmas_nb.apee.clock import RealClock
from dyntaskmas_nb.apee.engine import Engine
from dyntaskmas_nb.apee.journal import Journal, RunInfo
from dyntaskmas_nb.apee.machine import Machine
from dyntaskmas_nb.core.event import (
    DeltaSubmitted,
    Event,
    RunStarted,
    TaskDispatched,
)
from dyntaskmas_nb.core.graph import TaskGraph
from dyntaskmas_nb.core.settings import Settings, universal_agents
from dyntaskmas_nb.dtgg.update import as_delta
from dyntaskmas_nb.errors import StoreError

Perform = Callable[[Assignment], Awaitable[Answer]]


class Spy(Journal):
    """Notes what is journaled in a list shared with the agents; can break."""

    def __init__(self, notes: list[Any] | None = None, breaks_at: type | None = None) -> None:
        super().__init__()
        self.notes = [] if notes is None else notes
        self.breaks_at = breaks_at

    def append(self, run: str, first: int, events: Sequence[Event]) -> None:
        if self.breaks_at and any(isinstance(event, self.breaks_at) for event in events):
            raise StoreError("the disk is full")
        super().append(run, first, events)
        self.notes += [event for event in events if isinstance(event, TaskDispatched)]


def engine_of(tasks: TaskGraph, perform: Perform, agents: int = 4, journal: Spy | None = None) -> Engine:
    journal = journal or Spy()
    journal.open_run(RunInfo(run="run", created="", request="", status="running", clock="real"))
    engine = Engine(Machine("run"), perform, RealClock(), journal)
    engine.post(RunStarted(0.0, "", Settings(modelled_transfers=False), universal_agents(agents)))
    engine.post(DeltaSubmitted(0.0, 0, as_delta(tasks)))
    return engine


@asynccontextmanager
async def going(engine: Engine) -> AsyncIterator[None]:
    async with anyio.create_task_group() as group:
        group.start_soon(engine.run)
        yield
        await engine.finished.wait()
    if not engine.failure:
        check(engine.machine)
        assert engine._journal.events("run") == engine.machine.log
    engine._journal.close()
