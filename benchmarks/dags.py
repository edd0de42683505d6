"""The task graphs that all measurements share, as plain data that any framework can take."""

from __future__ import annotations

import random
from dataclasses import dataclass, field

from dyntaskmas_nb.core.delta import AddTasks
from dyntaskmas_nb.core.graph import TaskGraph
from dyntaskmas_nb.core.task import Task


@dataclass(slots=True)
class Dag:
    """`waits`: task → what it waits for, predecessors first; `units`: task → complexity units."""

    waits: dict[str, list[str]] = field(default_factory=dict)
    units: dict[str, float] = field(default_factory=dict)


def layered(tasks: int, seed: int = 0, widest: int = 12) -> Dag:
    """Layers of 1 to `widest` tasks, each waits for 1 to 3 of the layer before; units lognormal, σ = 0.8."""
    draw = random.Random(seed)
    dag = Dag()
    before: list[str] = []
    while len(dag.waits) < tasks:
        count = min(draw.randint(1, widest), tasks - len(dag.waits))
        layer = [f"t{len(dag.waits) + offset}" for offset in range(count)]
        dag.units |= {id: draw.lognormvariate(0.0, 0.8) for id in layer}
        dag.waits |= {id: draw.sample(before, min(len(before), draw.randint(1, 3))) for id in layer}
        before = layer
    return dag


def independent(tasks: int) -> Dag:
    """As many tasks that wait for nothing."""
    ids = [f"t{number}" for number in range(tasks)]
    return Dag({id: [] for id in ids}, dict.fromkeys(ids, 1.0))


def as_graph(dag: Dag) -> TaskGraph:
    """`dag` as a `TaskGraph`."""
    edges = [(before, id, 0.0) for id, waits in dag.waits.items() for before in waits]
    return TaskGraph.of([Task(id=id, complexity=units) for id, units in dag.units.items()], edges)


def as_delta(dag: Dag) -> AddTasks:
    """`dag` as the Δ that builds it from nothing."""
    return AddTasks(
        tasks=tuple([Task(id=id, complexity=units) for id, units in dag.units.items()]),
        dependencies=tuple([(before, id, 0.0) for id, waits in dag.waits.items() for before in waits]),
    )
