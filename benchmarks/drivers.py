"""A DAG run in three ways: by hand in asyncio, by the engine alone, and through a `Kit` with everything on.

The body of every task is one checkpoint: what is left is what orchestration costs.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import anyio

from benchmarks.dags import Dag, as_delta, as_graph
from dyntaskmas_nb.agents.outcome import Answer
from dyntaskmas_nb.agents.roles import Behaviours
from dyntaskmas_nb.apee.assignment import Assignment
from dyntaskmas_nb.apee.clock import RealClock
from dyntaskmas_nb.apee.engine import Engine
from dyntaskmas_nb.apee.journal import Journal
from dyntaskmas_nb.apee.machine import Machine
from dyntaskmas_nb.core import event as events
from dyntaskmas_nb.core.command import Pause, Resume
from dyntaskmas_nb.core.settings import Settings, universal_agents
from dyntaskmas_nb.kit.kit import Kit
from dyntaskmas_nb.kit.wiring import Wiring
from dyntaskmas_nb.llm.connect import connect
from dyntaskmas_nb.sacms.memory import MemoryStore

AGENTS = 16
_DONE = Answer(result=None)


class NoJournal:
    """Keeps nothing."""

    def append(self, run: str, first: int, events: object) -> None:
        """Do nothing."""


def by_hand(dag: Dag, agents: int = AGENTS) -> None:
    """The yardstick: counters in a dict, one asyncio task a node, a semaphore."""

    async def main() -> None:
        left = {id: len(waits) for id, waits in dag.waits.items()}
        after: dict[str, list[str]] = {id: [] for id in dag.waits}
        for id, waits in dag.waits.items():
            for before in waits:
                after[before].append(id)
        free, results = asyncio.Semaphore(agents), {}
        async with asyncio.TaskGroup() as group:

            async def node(id: str) -> None:
                async with free:
                    await asyncio.sleep(0)
                    results[id] = None
                for next_id in after[id]:
                    left[next_id] -= 1
                    if not left[next_id]:
                        group.create_task(node(next_id))

            for id in [id for id, count in left.items() if not count]:
                group.create_task(node(id))
        assert len(results) == len(dag.waits)

    asyncio.run(main())


def inputs(dag: Dag, agents: int, settings: Settings | None = None) -> list[events.Input]:
    """What starts a run of `dag`, building the graph included."""
    settings = settings or Settings(modelled_transfers=False)
    return [
        events.RunStarted(0.0, "", settings, universal_agents(agents)),
        events.DeltaSubmitted(0.0, 0, as_delta(dag), by="planner"),
    ]


async def checkpoint(job: Assignment) -> Answer:
    """Perform a task for the engine alone."""
    await asyncio.sleep(0)
    return _DONE


Perform = Callable[[Assignment], Awaitable[Answer]]


def by_engine(
    dag: Dag, agents: int = AGENTS, journal: Path | None = None, perform: Perform = checkpoint
) -> Machine:
    """The engine without a kit; journaled in the file `journal`, or not at all. Returns its machine."""
    machine = Machine("bench")
    keeper: Any = Journal(journal) if journal else NoJournal()

    async def main() -> None:
        engine = Engine(machine, perform, RealClock(), keeper)
        for event in inputs(dag, agents):
            engine.post(event)
        await engine.run()
        assert machine.status == "done", (machine.ended, engine.failure)

    anyio.run(main)
    return machine


def by_engine_from_pause(dag: Dag, agents: int, perform: Perform) -> float:
    """Build a paused run, let it go, and return the wall seconds from there to its end."""
    machine = Machine("bench")

    async def main() -> float:
        keeper: Any = NoJournal()
        engine = Engine(machine, perform, RealClock(), keeper)
        for event in (*inputs(dag, agents), events.CommandSubmitted(0.0, 0, Pause())):
            engine.post(event)
        async with anyio.create_task_group() as group:
            group.start_soon(engine.run)
            await engine.until(lambda: machine.paused)
            start = anyio.current_time()
            await engine.submit(Resume())
            await engine.finished.wait()
            assert machine.status == "done", (machine.ended, engine.failure)
            return anyio.current_time() - start
        raise AssertionError("unreachable")

    return anyio.run(main)


async def work(task: object, context: object) -> None:
    """Perform a task for a `Kit`."""
    await asyncio.sleep(0)


def by_kit(dag: Dag, agents: int = AGENTS, home: Path | None = None) -> None:
    """A `Kit` with all features on; journal and context store in the directory `home`, or in memory."""
    with Kit("simulated", agents={"*": work}, home=home) as kit:
        kit.start(as_graph(dag), agents=agents).result()


def kit_perform() -> Perform:
    """What a `Kit` does for a task (function agent, result into the store), without its thread."""
    backend = connect("simulated")
    return Wiring(store=MemoryStore(), behaviours=Behaviours({"*": work}, backend), backend=backend).perform
