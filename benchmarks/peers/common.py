"""What all peers share. Standard library only: their environments do not hold the kit."""

from __future__ import annotations

import gc
import json
import sys
import time
from collections.abc import Callable
from importlib.metadata import version

Waits = dict[str, list[str]]
ran: list[None] = []


def answer(package: str, run: Callable[[Waits, int], int]) -> None:
    """Read ``{"waits", "agents", "rounds"}`` from stdin; run it, building included; print costs as JSON."""
    asked = json.load(sys.stdin)
    few = {f"t{number}": [f"t{number - 1}"] if number else [] for number in range(20)}
    run(few, asked["agents"])  # what is imported or compiled late is not the run's
    gc.collect()
    cpu, wall = time.process_time(), time.perf_counter()
    done = run(asked["waits"], asked["agents"])
    spent = {"cpu": time.process_time() - cpu, "wall": time.perf_counter() - wall}
    assert done == len(asked["waits"]), f"{done} of {len(asked['waits'])} tasks ran"
    print(json.dumps(spent | {"version": version(package)}))
