"""The virtual clock: what 10,000 tasks cost, and whether every process writes the same log.

``python -m benchmarks.virtual``
"""

from __future__ import annotations

import json
import sys
from hashlib import sha256

from benchmarks.dags import as_graph, layered
from benchmarks.drivers import AGENTS
from benchmarks.meter import Row, at_most, cost, in_child, table
from dyntaskmas_nb.kit.kit import Kit

PROCESSES = 12


def rows(tasks: int = 10_000) -> list[Row]:
    """Processes with different hash seeds, one after the other."""
    runs = [in_child("benchmarks.virtual", str(tasks), PYTHONHASHSEED=str(seed)) for seed in range(PROCESSES)]
    cpu, logs = min(run["cpu"] for run in runs), len({run["log"] for run in runs})
    return [
        at_most(f"virtual clock, {tasks:,} tasks through a kit", f"{cpu:.2f} s CPU", cpu, 1, "s"),
        at_most(f"  different logs of {PROCESSES} processes", str(logs), logs, 1),
    ]


def nothing(task: object, context: object) -> None:
    """Perform a task; its complexity says how long that takes."""


def measure(tasks: int) -> None:
    """Print cost and log digest of one run as JSON."""
    graph = as_graph(layered(tasks))
    with Kit(agents={"*": nothing}, home=None, clock="virtual") as kit:
        run = None

        def job() -> None:
            nonlocal run
            run = kit.start(graph, agents=AGENTS)
            run.result()

        spent = cost(job)
        print(json.dumps({"cpu": spent.cpu, "log": sha256(run.log_lines()).hexdigest()}))


if __name__ == "__main__":
    if len(sys.argv) > 1:
        measure(int(sys.argv[1]))
    else:
        print(table(rows()))
