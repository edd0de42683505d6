"""Waiting for a model whose rate is limited is not the agent's pace."""

from __future__ import annotations

from dyntaskmas_nb.awm.monitor import Monitor
from dyntaskmas_nb.core import event as events
from dyntaskmas_nb.core.delta import AddTasks, RemoveTasks
from dyntaskmas_nb.core.event import Event
from dyntaskmas_nb.core.settings import Settings, universal_agents
from dyntaskmas_nb.core.task import Task

#: By task: seconds in all, those waited for a turn, those of context and storing.
SPENT = {"a": (3.0, 2.0, 0.0), "b": (5.0, 3.5, 0.5)}


def pace(*, told: bool) -> float:
    """Seconds a unit as estimated, when it is `told` how long agents waited, or not."""
    log: list[Event] = [
        events.RunStarted(0.0, "", Settings(), universal_agents(2)),
        events.DeltaSubmitted(0.0, 1, AddTasks(tasks=tuple(Task(id=id) for id in SPENT))),
        events.DeltaApplied(0.0, 1, 2, RemoveTasks(ids=tuple(SPENT))),
    ]
    for number, (id, (seconds, waited, over)) in enumerate(SPENT.items(), 1):
        log.append(events.TaskDispatched(0.0, id, 1, f"agent {number}", 0.0))
        log.append(events.TaskDone(seconds, id, 1, None, 0, 0.0, over, waited if told else 0.0))
    monitor = Monitor()
    monitor.catch_up(log)
    return monitor.estimates.rate("general")


def test_what_an_agent_waited_is_left_out() -> None:
    assert pace(told=True) == 1.0 < pace(told=False)
