"""What parallelism bought: makespan, serial time, critical path, lower bound, utilisation of a schedule.

All are computed from measured entries (`Snapshot.entries` or a simulated schedule), transfers left out of
the critical path, as the reading of Eq. 3 has it.

References
----------
The bound max(critical path, work / m): R. L. Graham, "Bounds on multiprocessing timing anomalies", 1969.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from dyntaskmas_nb.core.graph import TaskGraph
from dyntaskmas_nb.core.snapshot import Entry
from dyntaskmas_nb.core.task import TaskId


@dataclass(frozen=True, slots=True, kw_only=True)
class Measures:
    """Seconds, except `utilisation` (busy slot-seconds over all) and `speedup` (serial/makespan).

    What they were made from: `first` start, `busy` slot-seconds, `slots`, and `durations` of tasks, their sum
    being the work.
    """

    makespan: float
    serial: float
    critical_path: float
    path: tuple[TaskId, ...]
    lower_bound: float
    utilisation: float
    speedup: float
    first: float = field(default=0.0, repr=False, compare=False)
    busy: float = field(default=0.0, repr=False, compare=False)
    slots: int = field(default=0, repr=False, compare=False)
    durations: Mapping[TaskId, float] = field(default_factory=dict, repr=False, compare=False)


def measure(graph: TaskGraph, entries: Sequence[Entry], slots: int, now: float | None = None) -> Measures:
    """Measure what `entries` show of `graph` on `slots` agent slots; running entries count until `now`.

    `serial` counts every attempt, path and bound the last one of each task only.
    """
    durations: dict[TaskId, float] = {}
    busy = last = serial = 0.0
    for entry in entries:
        end = entry.end if entry.end is not None else (now if now is not None else entry.start)
        busy += end - entry.start
        last = max(last, end)
        if entry.task in graph and entry.outcome != "stopped":
            durations[entry.task] = end - entry.start
            serial += end - entry.start
    first = min((entry.start for entry in entries), default=0.0)
    makespan = last - first
    work = sum(durations.values())
    path = critical_path(graph, durations)
    length = sum(durations.get(id, 0.0) for id in path)
    return Measures(
        makespan=makespan,
        serial=serial,
        critical_path=length,
        path=tuple(path),
        lower_bound=max(length, work / max(slots, 1)),
        utilisation=busy / (makespan * slots) if makespan and slots else 0.0,
        speedup=serial / makespan if makespan else 1.0,
        first=first,
        busy=busy,
        slots=slots,
        durations=durations,
    )


def critical_path(graph: TaskGraph, durations: Mapping[TaskId, float]) -> list[TaskId]:
    """The chain of dependent tasks with the longest total duration; ties go to the first in the order.

    A task that does not wait for all its predecessors counts the last of those it needs at the least.
    """
    best: dict[TaskId, float] = {}
    via: dict[TaskId, TaskId] = {}
    for id in graph.topological():
        start, earlier = 0.0, graph.predecessors(id)
        if needed := graph[id].join.needed(len(earlier)):
            start = sorted(best[before] for before in earlier)[needed - 1]
        if start:
            via[id] = next(before for before in earlier if best[before] == start)
        best[id] = start + durations.get(id, 0.0)
    if not best:
        return []
    path = [max(best, key=best.__getitem__)]
    while path[-1] in via:
        path.append(via[path[-1]])
    return path[::-1]
