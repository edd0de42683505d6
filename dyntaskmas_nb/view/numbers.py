"""The key numbers of a run, each with its explanation, for every face that shows them."""

from __future__ import annotations

from dyntaskmas_nb.core.measures import Measures, critical_path, measure
from dyntaskmas_nb.core.snapshot import Snapshot
from dyntaskmas_nb.core.task import TaskId
from dyntaskmas_nb.view.words import count, duration, number


def measured(snapshot: Snapshot) -> Measures:
    """`core.measures.measure` of a snapshot: its slots counted, running attempts up to its present time."""
    slots = sum(agent.slots for agent in snapshot.agents) or len({entry.agent for entry in snapshot.entries})
    return measure(snapshot.graph, snapshot.entries, slots, snapshot.t)


def expected_path(snapshot: Snapshot) -> list[TaskId]:
    """The critical path of the whole run: measured time where a task is done, else the expected C·T_c.

    A task that already runs for longer than expected counts with the time it has taken. `Measures.path`
    knows only what has been measured; once a run is done, the two agree.
    """
    unit = snapshot.settings.seconds_per_unit
    durations = {id: task.complexity * unit for id, task in snapshot.graph.tasks.items()}
    for entry in snapshot.entries:
        if entry.end is None:
            durations[entry.task] = max(durations.get(entry.task, 0.0), snapshot.t - entry.start)
        elif entry.outcome == "done":
            durations[entry.task] = entry.end - entry.start
    return critical_path(snapshot.graph, durations)


def key_numbers(measures: Measures) -> list[tuple[str, str, str]]:
    """What parallelism bought, in the order one reads it: name, value and meaning."""
    m = measures
    return [
        ("makespan", duration(m.makespan), "first start to last end"),
        ("one after another", duration(m.serial), "sum of all task times"),
        ("speed-up", f"{number(m.speedup)}×", "one after another ÷ makespan"),
        ("critical path", duration(m.critical_path), "longest chain of tasks that wait for each other"),
        ("lower bound", duration(m.lower_bound), "max(critical path, work ÷ slots): none can be faster"),
        ("utilisation", f"{number(100 * m.utilisation)} %", "share of the agents' time spent on tasks"),
    ]


def standing(snapshot: Snapshot) -> str:
    """Where the run stands, in a line: ``running · 4 of 7 done · 1 running · after 3.2 s``."""
    counts = snapshot.counts()
    done = f"{counts.pop('done', 0):,} of {len(snapshot.graph):,} done"
    others = [f"{amount:,} {state}" for state, amount in counts.items()]
    return " · ".join([snapshot.status, done, *others, f"after {duration(snapshot.t)}"])


def showing(shown: int, total: int, noun: str = "task") -> str:
    """``showing 300 of 1,000 tasks``, or nothing when all are shown."""
    return f"showing {shown:,} of {count(total, noun)}" if shown < total else ""
