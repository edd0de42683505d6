"""Measuring on a noisy machine: CPU beside wall time, contestants in turns, medians of ratios."""

from __future__ import annotations

import gc
import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from statistics import median
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """Seconds of CPU (all threads, and child processes that ended) and of wall time."""

    cpu: float
    wall: float


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table. `met` is None where the figure has no goal and only stands beside one."""

    figure: str
    value: str
    goal: str = ""
    met: bool | None = None


def at_most(figure: str, value: str, measured: float, goal: float, unit: str = "") -> Row:
    """A row that is met when `measured` is no more than `goal`."""
    return Row(figure, value, f"≤ {goal:,g} {unit}".rstrip(), measured <= goal)


def at_least(figure: str, value: str, measured: float, goal: float, unit: str = "") -> Row:
    """A row that is met when `measured` is no less than `goal`."""
    return Row(figure, value, f"≥ {goal:,g} {unit}".rstrip(), measured >= goal)


def cost(job: Callable[[], object]) -> Cost:
    """What one call of `job` costs; garbage of earlier calls is collected first."""
    gc.collect()
    cpu, wall = _cpu(), time.perf_counter()
    job()
    return Cost(cpu=_cpu() - cpu, wall=time.perf_counter() - wall)


def _cpu() -> float:
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + children.ru_utime + children.ru_stime


def in_turns(jobs: Mapping[str, Callable[[], Cost]], rounds: int) -> dict[str, list[Cost]]:
    """Costs of all jobs, A B C A B C …, so that a slow spell of the machine strikes all of them."""
    costs: dict[str, list[Cost]] = {name: [] for name in jobs}
    for _ in range(rounds):
        for name, job in jobs.items():
            costs[name].append(job())
    return costs


def ratio(costs: Mapping[str, list[Cost]], name: str, to: str) -> float:
    """Median over the rounds of CPU(`name`) / CPU(`to`)."""
    return median(a.cpu / b.cpu for a, b in zip(costs[name], costs[to], strict=True))


def per_task(costs: list[Cost], tasks: int) -> str:
    """Median CPU and wall time a task, in µs."""
    cpu, wall = (median(getattr(each, kind) for each in costs) / tasks * 1e6 for kind in ("cpu", "wall"))
    return f"{cpu:,.1f} µs CPU, {wall:,.1f} µs wall a task"


def percentiles(seconds: list[float]) -> tuple[float, float]:
    """p50 and p99 in µs."""
    ordered = sorted(seconds)
    return tuple(ordered[min(int(len(ordered) * p), len(ordered) - 1)] * 1e6 for p in (0.5, 0.99))


def in_child(module: str, *arguments: str, **environment: str) -> Any:
    """What ``python -m module arguments`` prints as JSON, from a process of its own."""
    command = [sys.executable, "-m", module, *arguments]
    return json.loads(subprocess.check_output(command, env=os.environ | environment, timeout=300))


def table(rows: list[Row]) -> str:
    """The rows as text: figure, value, goal, and whether it is met."""
    width = [max(len(getattr(row, name)) for row in rows) for name in ("figure", "value", "goal")]
    words = {True: "met", False: "MISSED", None: ""}
    return "\n".join(
        f"{row.figure:{width[0]}}  {row.value:{width[1]}}  {row.goal:{width[2]}}  {words[row.met]}".rstrip()
        for row in rows
    )
