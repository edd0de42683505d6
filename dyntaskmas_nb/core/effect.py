"""What the machine asks its shell (engine or simulator) to do. Data only; the machine does nothing itself."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from dyntaskmas_nb.core.event import (
    CommandApplied,
    CommandRejected,
    DeltaApplied,
    DeltaRejected,
    TaskDispatched,
)
from dyntaskmas_nb.core.task import Task, TaskId


@dataclass(slots=True)
class StopTask:
    """Stop this attempt; answer with `TaskStopped` (or with its outcome, if that came first)."""

    task: TaskId
    attempt: int


@dataclass(slots=True)
class GiveContext:
    """Hand `text` to the agent that works on this attempt."""

    task: TaskId
    attempt: int
    text: str


@dataclass(slots=True)
class AskMonitor:
    """Let the Monitor `role` say what is to become of a failed attempt; answer with `MonitorDecided`."""

    role: str
    task: Task
    attempt: int
    error: str


@dataclass(slots=True)
class WakeAt:
    """Send `Woke(task)` at time `t`."""

    t: float
    task: TaskId


@dataclass(slots=True)
class Answer:
    """Tell whoever submitted number `id` what came of it."""

    id: int
    outcome: DeltaApplied | DeltaRejected | CommandApplied | CommandRejected


#: `TaskDispatched` is fact and effect in one: let the agent work on the task, and answer with `TaskDone`,
#: `TaskFailed` or `TaskStopped` of that attempt.
Effect: TypeAlias = TaskDispatched | StopTask | GiveContext | AskMonitor | WakeAt | Answer
