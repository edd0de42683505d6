"""Priority rules compared: mean makespan over the lower bound on random layered graphs (simulated).

Run ``python -m benchmarks.policies [--graphs 200] [--tasks 60] [--agents 4]``.

Durations are lognormal with σ = 0.8, no transfers; the same seeds give the same table everywhere.
"""

from __future__ import annotations

import argparse
import random
from statistics import mean

from dyntaskmas_nb.apee.priority import POLICIES
from dyntaskmas_nb.apee.simulate import simulate
from dyntaskmas_nb.core.graph import TaskGraph
from dyntaskmas_nb.core.task import Task


def layered(tasks: int, seed: int, widest: int = 12) -> TaskGraph:
    """A graph in layers of 1 to `widest` tasks; each task waits for 1 to 3 of the layer before."""
    draw = random.Random(seed)
    made: list[Task] = []
    edges: list[tuple[str, str, float]] = []
    before: list[str] = []
    while len(made) < tasks:
        count = min(draw.randint(1, widest), tasks - len(made))
        layer = [f"t{len(made) + offset}" for offset in range(count)]
        made += [Task(id=id, complexity=draw.lognormvariate(0.0, 0.8)) for id in layer]
        for id in layer:
            chosen = draw.sample(before, min(len(before), draw.randint(1, 3)))
            edges += [(other, id, 0.0) for other in chosen]
        before = layer
    return TaskGraph.of(made, edges)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--graphs", type=int, default=200)
    parser.add_argument("--tasks", type=int, default=60)
    parser.add_argument("--agents", type=int, default=4)
    options = parser.parse_args()
    graphs = [layered(options.tasks, seed) for seed in range(options.graphs)]
    print(
        f"{options.graphs} graphs of {options.tasks} tasks on {options.agents} agents, makespan / lower bound"
    )
    for policy in POLICIES:
        schedules = [simulate(graph, agents=options.agents, policy=policy) for graph in graphs]
        print(f"  {policy:<12} {mean(plan.makespan / plan.lower_bound for plan in schedules):.3f}")


if __name__ == "__main__":
    main()
