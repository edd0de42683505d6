"""What an edit of a running graph of 10,000 tasks costs inside the engine. ``python -m benchmarks.edits``.

Timed is the machine's step that takes the edit in; beside it the next turn, which re-ranks and dispatches.
"""

from __future__ import annotations

import gc
import random
import time
from collections.abc import Callable

from benchmarks.dags import layered
from benchmarks.drivers import AGENTS, inputs
from benchmarks.meter import Row, at_most, percentiles, table
from dyntaskmas_nb.apee.machine import Machine
from dyntaskmas_nb.apee.simulate import Simulator
from dyntaskmas_nb.core import event as events
from dyntaskmas_nb.core.delta import AddDependency, AddTask, Delta, ExpandTask, RemoveTask
from dyntaskmas_nb.core.task import Task, TaskState

EDITS = 2_000


def rows(tasks: int = 10_000) -> list[Row]:
    """Edits of four kinds in turns on a run that is half done."""
    machine = Machine("bench")
    simulator = Simulator(machine, lambda task, number, agent: (1.0, True))
    simulator.submit(inputs(layered(tasks), AGENTS))
    simulator.run(until=tasks / AGENTS / 2)
    draw = random.Random(0)
    took: dict[str, list[float]] = {name: [] for name in KINDS}
    turns: list[float] = []
    gc.collect()
    for number in range(EDITS):
        name = list(KINDS)[number % len(KINDS)]
        pending = [id for id, record in machine.records.items() if record.state is TaskState.PENDING]
        first, second = sorted(draw.sample(pending, 2), key=machine.graph.position)
        delta = KINDS[name](f"new {number}", first, second)
        before = len(machine.log)
        t = machine.log[-1].t
        seconds = _timed(machine, events.DeltaSubmitted(t, number + 1, delta))
        turn = _timed(machine, events.TurnEnded(t))
        if any(isinstance(event, events.DeltaApplied) for event in machine.log[before:]):
            took[name].append(seconds)
            turns.append(turn)
    together = [seconds for each in took.values() for seconds in each]
    assert len(together) > EDITS * 0.9, f"only {len(together)} of {EDITS} edits were taken"
    p50, p99 = percentiles(together)
    kinds = ", ".join(f"{name} {percentiles(each)[0]:.0f}" for name, each in took.items())
    return [
        at_most(f"edit of a running {tasks:,}-task graph, CPU p50", f"{p50:.0f} µs ({kinds})", p50, 60, "µs"),
        at_most("  p99", f"{p99:,.0f} µs", p99, 2_000, "µs"),
        Row("  next turn, which re-ranks, p50 / p99", "{:.0f} / {:,.0f} µs".format(*percentiles(turns))),
    ]


KINDS: dict[str, Callable[[str, str, str], Delta]] = {
    "add": lambda id, a, b: AddTask(task=Task(id=id), after={a: 0.0}, before={b: 0.0}),
    "edge": lambda id, a, b: AddDependency(before=a, after=b),
    "expand": lambda id, a, b: ExpandTask(
        id=a,
        tasks=tuple(Task(id=f"{id} {part}") for part in "xyz"),
        dependencies=((f"{id} x", f"{id} z", 0.0),),
    ),
    "remove": lambda id, a, b: RemoveTask(id=a),
}


def _timed(machine: Machine, event: events.Input) -> float:
    start = time.thread_time()
    machine.step(event)
    return time.thread_time() - start


if __name__ == "__main__":
    print(table(rows()))
