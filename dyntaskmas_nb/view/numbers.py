"""The key numbers of a run, each with its explanation, for every face that shows them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from dyntaskmas_nb.core.measures import Measures, critical_path, measure
from dyntaskmas_nb.core.snapshot import Snapshot
from dyntaskmas_nb.core.task import TaskId
from dyntaskmas_nb.view.words import count, duration, number, printable


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyNumber:
    """A name, its value as text, and one sentence that says what it means."""

    name: str
    value: str
    meaning: str


def measured(snapshot: Snapshot) -> Measures:
    """`core.measures.measure` of a snapshot: its slots counted, running attempts up to its present time."""
    slots = sum(agent.slots for agent in snapshot.agents)
    return measure(
        snapshot.graph,
        snapshot.entries,
        slots or len({entry.agent for entry in snapshot.entries}),
        snapshot.t,
    )


def expected_path(snapshot: Snapshot) -> list[TaskId]:
    """The critical path of the whole run: measured time where a task is done, else the expected C·T_c.

    A task that already runs for longer than expected counts with the time it has taken. `Measures.path`
    knows only what has been measured; once a run is done, the two agree.
    """
    unit = snapshot.settings.seconds_per_unit
    durations = {id: task.complexity * unit for id, task in snapshot.graph.tasks.items()}
    for entry in snapshot.entries:
        if entry.task not in durations:
            continue
        if entry.end is None:
            durations[entry.task] = max(durations[entry.task], snapshot.t - entry.start)
        elif entry.outcome == "done":
            durations[entry.task] = entry.end - entry.start
    return critical_path(snapshot.graph, durations)


ENDED = frozenset({"done", "failed", "cancelled"})


def key_numbers(measures: Measures, *, ended: bool = True) -> list[KeyNumber]:
    """What parallelism bought, in the order one reads it; `ended` is False while there is more to come."""
    m, so_far = measures, "" if ended else " so far"
    return [
        KeyNumber(name="makespan" + so_far, value=duration(m.makespan), meaning="first start to last end"),
        KeyNumber(name="one after another", value=duration(m.serial), meaning="sum of all task times"),
        KeyNumber(name="speed-up", value=f"{number(m.speedup)}×", meaning="one after another ÷ makespan"),
        KeyNumber(
            name="critical path" + so_far,
            value=duration(m.critical_path),
            meaning="longest chain of tasks that wait for each other; more agents cannot beat it",
        ),
        KeyNumber(
            name="lower bound",
            value=duration(m.lower_bound),
            meaning="no schedule on these agents is faster: max(critical path, work ÷ slots)",
        ),
        KeyNumber(
            name="utilisation",
            value=f"{number(100 * m.utilisation)} %",
            meaning="share of the agents' time that was spent on tasks",
        ),
    ]


def chain(ids: Iterable[TaskId], limit: int = 8) -> str:
    """Ids joined by arrows, the middle left out when there are more than `limit`."""
    names = [printable(id, 40) for id in ids]
    if len(names) > limit:
        head, tail = limit - limit // 2, limit // 2
        names = [*names[:head], f"… {count(len(names) - limit, 'more task')} …", *names[-tail:]]
    return " → ".join(names)


def standing(snapshot: Snapshot) -> str:
    """Where the run stands, in a line: ``running · 4 of 7 done · 1 running · after 3.2 s``."""
    counts = snapshot.counts()
    done = counts.pop("done", 0)
    parts = [snapshot.status, f"{done:,} of {len(snapshot.graph):,} done"]
    parts += [f"{amount:,} {state}" for state, amount in counts.items()]
    return " · ".join([*parts, f"after {duration(snapshot.t)}"])
