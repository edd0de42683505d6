"""Reading a run's log: the timeline, and a snapshot of the present moment."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from dyntaskmas_nb.apee.machine import Machine
from dyntaskmas_nb.core.event import Event, RunReopened, TaskDispatched, TaskDone, TaskFailed, TaskStopped
from dyntaskmas_nb.core.snapshot import AgentView, Entry, Snapshot, TaskView
from dyntaskmas_nb.core.task import TaskId

_OUTCOME = {TaskDone: "done", TaskFailed: "failed", TaskStopped: "stopped"}


def entries_of(log: Iterable[Event]) -> list[Entry]:
    """Every attempt in the log, ordered by start; attempts still running have no end."""
    found: dict[tuple[TaskId, int], Entry] = {}
    for event in log:
        if isinstance(event, TaskDispatched):
            found[event.task, event.attempt] = Entry(
                task=event.task,
                agent=event.agent,
                start=event.t,
                end=None,
                attempt=event.attempt,
                outcome="running",
            )
        elif isinstance(event, TaskDone | TaskFailed | TaskStopped):
            key = event.task, event.attempt
            if key in found and found[key].end is None:
                found[key] = replace(found[key], end=event.t, outcome=_OUTCOME[type(event)])
        elif isinstance(event, RunReopened):
            for key, entry in found.items():
                if entry.end is None:
                    found[key] = replace(entry, end=max(entry.start, event.t), outcome="stopped")
    return list(found.values())


def snapshot_of(machine: Machine, t: float) -> Snapshot:
    """The machine at time `t`, copied so that another thread may keep it."""
    tasks = {
        id: TaskView(
            state=record.state,
            priority=machine.priority(id),
            attempt=record.attempt,
            agent=record.agent,
            reason=record.reason,
            result=record.result,
        )
        for id, record in machine.records.items()
    }
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
