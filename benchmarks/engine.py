"""What the engine costs a task, against asyncio written by hand, on a random layered DAG of 10,000 tasks.

``python -m benchmarks.engine [--tasks 10000] [--rounds 5]``; with ``--profile [kit]`` where the time goes.
"""

from __future__ import annotations

import argparse
import cProfile
import pstats
import tempfile
from collections.abc import Mapping
from functools import partial
from itertools import count
from pathlib import Path

from benchmarks.dags import layered
from benchmarks.drivers import by_engine, by_hand, by_kit, checkpoint, kit_perform
from benchmarks.meter import Cost, Row, at_most, cost, in_turns, per_task, ratio, table

#: Tasks of the run with the store on disk: it is far slower, and its cost a task is the same at any size.
ON_DISK = 500


def rows(tasks: int = 10_000, rounds: int = 5) -> list[Row]:
    """Engine and kit by the yardstick, in turns."""
    dag, small, number = layered(tasks), layered(min(tasks, ON_DISK)), count()
    with tempfile.TemporaryDirectory() as folder:

        def fresh() -> Path:
            return Path(folder, str(next(number)))

        jobs = {
            "by hand": partial(cost, lambda: by_hand(dag)),
            "engine": partial(cost, lambda: by_engine(dag)),
            "engine, journal": partial(cost, lambda: by_engine(dag, journal=fresh())),
            "kit, all on, in memory": partial(cost, lambda: by_kit(dag)),
        }
        costs = in_turns(jobs, rounds)
        disk = in_turns({"disk": partial(cost, lambda: by_kit(small, home=fresh()))}, 1)["disk"]
    return [
        Row(f"{tasks:,} tasks by hand: asyncio, a task a node", per_task(costs["by hand"], tasks)),
        _by(costs, "engine", tasks, 3),
        _by(costs, "engine, journal", tasks, 4),
        _by(costs, "kit, all on, in memory", tasks),
        Row(f"kit, all on, on disk, {len(small.waits)} tasks", per_task(disk, len(small.waits))),
    ]


def _by(costs: Mapping[str, list[Cost]], name: str, tasks: int, most: float | None = None) -> Row:
    times = ratio(costs, name, "by hand")
    value = f"{times:.2f} × by hand; {per_task(costs[name], tasks)}"
    return Row(name, value) if most is None else at_most(name, value, times, most, "×")


def profile(what: str, tasks: int) -> None:
    """Print the functions that take most of a run's time; "kit" adds what a kit does for a task."""
    dag, perform = layered(tasks), kit_perform() if what == "kit" else checkpoint
    profiler = cProfile.Profile()
    profiler.runcall(by_engine, dag, perform=perform)
    pstats.Stats(profiler).sort_stats("tottime").print_stats(40)


def main() -> None:
    """Print the table, or a profile."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tasks", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--profile", nargs="?", const="engine", choices=["engine", "kit"])
    options = parser.parse_args()
    if options.profile:
        profile(options.profile, options.tasks)
    else:
        print(table(rows(options.tasks, options.rounds)))


if __name__ == "__main__":
    main()
