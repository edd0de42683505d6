"""Reading a run back: its machine from the journal, and what its agents read from the context store."""

from __future__ import annotations

from collections.abc import Sequence

from dyntaskmas_nb.agents.outcome import Answer
from dyntaskmas_nb.apee.assignment import shared
from dyntaskmas_nb.apee.engine import Engine
from dyntaskmas_nb.apee.history import replay
from dyntaskmas_nb.apee.machine import Machine
from dyntaskmas_nb.apee.priority import Policy
from dyntaskmas_nb.core.codec import encode
from dyntaskmas_nb.core.delta import AddTasks
from dyntaskmas_nb.core.event import DeltaSubmitted, Event, Input, ResultsShared, TaskDone
from dyntaskmas_nb.core.task import Task, TaskState
from dyntaskmas_nb.errors import StoreError
from dyntaskmas_nb.kit.wiring import Wiring


def replayed(run: str, events: Sequence[Event], policy: Policy | None) -> Machine:
    """The machine that `events` describe.

    Raises `StoreError` when the replay differs from what was stored: this version does not understand it.
    """
    machine = replay(run, events, policy)
    for number, (stored, made) in enumerate(zip(events, machine.log, strict=False)):
        if encode(stored) != encode(made):
            raise StoreError(
                f"Run {run!r} cannot be read back: event {number} was {type(stored).__name__} and is now "
                f"{type(made).__name__}. It was made by another version of the kit, or with another policy."
            )
    if len(events) != len(machine.log):
        raise StoreError(f"Run {run!r} cannot be read back: its journal ends in the middle of a turn.")
    return machine


async def adopt(engine: Engine, wiring: Wiring) -> None:
    """Take over results stored just before the process ended, so that no finished task runs twice."""
    machine = engine.machine
    await wiring.forget(machine.run)
    for id, record in machine.records.items():
        if record.state is TaskState.DONE and wiring.inline:  # a virtual run's store was in memory
            attempt = max(record.version, 0)
            job = shared(machine.run, machine.graph[id])
            if record.agent and attempt:
                job = engine.assignment(id, attempt, record.agent)
            await wiring.keep(job, Answer(result=record.result))
        if record.state is TaskState.RUNNING and not machine.ended:
            access = machine.pool.agents[record.agent].spec.access
            found = await wiring.adopt(machine.run, id, record.attempt, access)
            if found is not None:
                engine.post(TaskDone(machine.log[-1].t, id, record.attempt, found.result, found.tokens))


async def share(wiring: Wiring, run: str, inputs: Sequence[Input]) -> None:
    """Let a fork's agents read the results that it shares."""
    tasks: dict[str, Task] = {}
    for event in inputs:
        if isinstance(event, DeltaSubmitted) and isinstance(event.delta, AddTasks):
            tasks |= {task.id: task for task in event.delta.tasks}
        if isinstance(event, ResultsShared):
            for id, result in event.results.items():
                await wiring.keep(shared(run, tasks[id]), Answer(result=result))
