"""Reading a run's log: the timeline, and a snapshot of the present moment."""

from __future__ import annotations

from collections.abc import Iterable

from dyntaskmas_nb.apee.machine import Machine
from dyntaskmas_nb.core.event import Event, RunReopened, TaskDispatched, TaskDone, TaskFailed, TaskStopped
from dyntaskmas_nb.core.snapshot import AgentView, Entry, Snapshot, TaskView
from dyntaskmas_nb.core.task import TaskId

_OUTCOME = {TaskDone: "done", TaskFailed: "failed", TaskStopped: "stopped"}


def entries_of(log: Iterable[Event]) -> list[Entry]:
    """Every attempt in the log, ordered by start; attempts still running have no end."""
    started: dict[tuple[TaskId, int], TaskDispatched] = {}
    ended: dict[tuple[TaskId, int], tuple[float, str]] = {}
    for event in log:
        if isinstance(event, TaskDispatched):
            started[event.task, event.attempt] = event
        elif isinstance(event, TaskDone | TaskFailed | TaskStopped):
            ended.setdefault((event.task, event.attempt), (event.t, _OUTCOME[type(event)]))
        elif isinstance(event, RunReopened):
            for key in started.keys() - ended.keys():
                ended[key] = (max(started[key].t, event.t), "stopped")
    return [
        Entry(
            task=key[0],
            agent=start.agent,
            start=start.t,
            end=ended[key][0] if key in ended else None,
            attempt=key[1],
            outcome=ended[key][1] if key in ended else "running",
        )
        for key, start in started.items()
    ]


def snapshot_of(machine: Machine, t: float) -> Snapshot:
    """The machine at time `t`, copied so that another thread may keep it."""
    tasks = {}
    for id, record in machine.records.items():
        tasks[id] = TaskView(
            state=record.state,
            priority=machine.priority(id),
            attempt=record.attempt,
            agent=record.agent,
            reason=record.reason,
            result=record.result,
        )
    agents = tuple(
        AgentView(
            id=agent.spec.id,
            roles=agent.spec.roles,
            slots=agent.spec.slots,
            running=tuple(agent.running),
            completed=agent.completed,
            busy=agent.busy + sum(t - since for since in agent.running.values()),
        )
        for agent in machine.pool
    )
    return Snapshot(
        run=machine.run,
        request=machine.request,
        status=machine.status,
        t=machine.ended.t if machine.ended else t,
        seq=len(machine.log),
        settings=machine.settings,
        graph=machine.graph.copy(),
        tasks=tasks,
        agents=agents,
        entries=entries_of(machine.log),
        reason=machine.ended.reason if machine.ended else "",
    )
