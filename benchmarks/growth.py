"""CPU and memory a task as runs grow from 10³ to 10⁵ tasks, each size in a process of its own.

``python -m benchmarks.growth``. Memory is counted twice: what lives when the run is over and its machine
still held (graph, records, whole log), and by how much the process grew at its peak.
"""

from __future__ import annotations

import json
import resource
import sys
import tracemalloc
from statistics import median

from benchmarks.dags import layered
from benchmarks.drivers import by_engine
from benchmarks.meter import Row, at_most, cost, in_child, table

SIZES = (1_000, 10_000, 100_000)


def rows() -> list[Row]:
    """What is asked of the largest, and how it compares with the smallest."""
    runs = {size: in_child("benchmarks.growth", str(size)) for size in SIZES}
    live = in_child("benchmarks.growth", "10000", "live")["bytes"] / 10_000
    last, first = runs[SIZES[-1]], runs[SIZES[0]]
    peak = last["grown"] / SIZES[-1]
    each = " → ".join(f"{run['cpu'] / size * 1e6:.1f}" for size, run in runs.items())
    growth = last["cpu"] / first["cpu"] / (SIZES[-1] / SIZES[0])
    return [
        at_most("engine, 100,000 tasks", f"{last['cpu']:.2f} s CPU", last["cpu"], 1.8, "s"),
        at_most("  CPU a task over that of 1,000 tasks", f"{growth:.2f} ({each} µs)", growth, 1.25),
        at_most("  memory a task, run over, 10,000 tasks", f"{live:,.0f} B", live, 1_500, "B"),
        Row("  memory a task, peak of the process", f"{peak:,.0f} B"),
    ]


def main() -> None:
    """Print the table; with a size (and "live"), measure that as JSON."""
    if len(sys.argv) == 1:
        print(table(rows()))
        return
    dag = layered(int(sys.argv[1]))
    if "live" in sys.argv:
        by_engine(layered(100))  # what is imported late is not the run's
        tracemalloc.start()
        machine = by_engine(dag)
        print(json.dumps({"bytes": tracemalloc.get_traced_memory()[0], "log": len(machine.log)}))
        return
    by_engine(layered(1_000))
    before = _peak()
    repeats = max(1, 20_000 // len(dag.waits))
    cpu = median(cost(lambda: by_engine(dag)).cpu for _ in range(repeats))
    print(json.dumps({"cpu": cpu, "grown": _peak() - before}))


def _peak() -> int:
    """Bytes; macOS counts in bytes, the others in kB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


if __name__ == "__main__":
    main()
