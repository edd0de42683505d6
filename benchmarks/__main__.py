"""Every measurement in one table, and in out/bench.json: ``python -m benchmarks`` (under two minutes)."""

from __future__ import annotations

import json
import os
import platform
import time
from dataclasses import asdict
from pathlib import Path

from benchmarks import context, distribution, edits, engine, growth, schedule, virtual
from benchmarks.meter import table


def main() -> None:
    """Measure, print, write."""
    start = time.perf_counter()
    parts = (engine, growth, edits, virtual, schedule, distribution, context)
    rows = [row for part in parts for row in part.rows()]
    machine = f"Python {platform.python_version()}, {os.cpu_count()} cores"
    print(table(rows))
    print(f"{machine}; {time.perf_counter() - start:.0f} s. CPU of all threads and children; medians.")
    out = Path("out", "bench.json")
    out.parent.mkdir(exist_ok=True)
    out.write_text(json.dumps({"machine": machine, "rows": [asdict(row) for row in rows]}, indent=1) + "\n")


if __name__ == "__main__":
    main()
