"""Everything that happens in a run, in one closed union.

Inputs come from outside (a user's Δ or command, an agent's outcome, a timer); facts are what the machine
made of them. Both stand in the log, whose index is the coordinate of history. Replaying the inputs alone
gives the same facts. `t` is seconds since the run began.

These are created on the hot path: not frozen (a frozen one takes three times as long to make), never changed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from dyntaskmas_nb.core.command import Command
from dyntaskmas_nb.core.delta import Delta
from dyntaskmas_nb.core.settings import AgentSpec, Settings
from dyntaskmas_nb.core.task import TaskId, TaskState

RunStatus = Literal["planning", "running", "paused", "done", "failed", "cancelled"]


@dataclass(slots=True)
class RunStarted:
    """The first event: what the run was asked and how it is set."""

    t: float
    request: str
    settings: Settings
    agents: tuple[AgentSpec, ...]
    planning: bool = False


@dataclass(slots=True)
class RunReopened:
    """A run read back from its journal goes on: what was running is queued again."""

    t: float


@dataclass(slots=True)
class DeltaSubmitted:
    """Somebody wants the graph changed; `base` is the version they saw, None for the present one."""

    t: float
    id: int
    delta: Delta
    base: int | None = None
    by: str = "user"


@dataclass(slots=True)
class CommandSubmitted:
    """Somebody wants the run paused, stepped, cancelled or set otherwise."""

    t: float
    id: int
    command: Command
    by: str = "user"


@dataclass(slots=True)
class PlanFailed:
    """The planner gave up; `error` names the error class, so that the same one is raised to the user."""

    t: float
    error: str
    reason: str


@dataclass(slots=True)
class TaskDone:
    """An attempt succeeded; `result` is a JSON value, `tokens` what the model read and wrote."""

    t: float
    task: TaskId
    attempt: int
    result: Any
    tokens: int = 0


@dataclass(slots=True)
class TaskFailed:
    """An attempt failed; `retryable` False ends the task at once."""

    t: float
    task: TaskId
    attempt: int
    error: str
    retryable: bool = True


@dataclass(slots=True)
class TaskStopped:
    """A cancelled attempt has really stopped."""

    t: float
    task: TaskId
    attempt: int


@dataclass(slots=True)
class Woke:
    """A timer asked for by `WakeAt` expired: the context for `task` has arrived."""

    t: float
    task: TaskId


@dataclass(slots=True)
class TurnEnded:
    """All events of one moment are in: rank, dispatch, see whether the run is over."""

    t: float


@dataclass(slots=True)
class DeltaApplied:
    """The graph was changed; `inverse` undoes it, `version` is this event's place in the log."""

    t: float
    id: int
    version: int
    inverse: Delta


@dataclass(slots=True)
class DeltaRejected:
    """The graph was not changed, and why."""

    t: float
    id: int
    reason: str


@dataclass(slots=True)
class CommandApplied:
    """A command took effect."""

    t: float
    id: int


@dataclass(slots=True)
class CommandRejected:
    """A command could not take effect, and why."""

    t: float
    id: int
    reason: str


@dataclass(slots=True)
class AgentHired:
    """A role without a free agent got one."""

    t: float
    agent: AgentSpec


@dataclass(slots=True)
class TaskDispatched:
    """A task was given to an agent at this priority."""

    t: float
    task: TaskId
    attempt: int
    agent: str
    priority: float


@dataclass(slots=True)
class StateChanged:
    """A task entered `state`, because of `reason` where that is not plain from the event before."""

    t: float
    task: TaskId
    state: TaskState
    reason: str = ""


@dataclass(slots=True)
class RunEnded:
    """Nothing is left to do."""

    t: float
    status: RunStatus
    reason: str = ""


Input: TypeAlias = (
    RunStarted
    | RunReopened
    | DeltaSubmitted
    | CommandSubmitted
    | PlanFailed
    | TaskDone
    | TaskFailed
    | TaskStopped
    | Woke
    | TurnEnded
)
Fact: TypeAlias = (
    DeltaApplied
    | DeltaRejected
    | CommandApplied
    | CommandRejected
    | AgentHired
    | TaskDispatched
    | StateChanged
    | RunEnded
)
Event: TypeAlias = Input | Fact

#: Order of simultaneous inputs: outcomes free agents before edits and commands look at the state.
_ORDER: dict[type, int] = {
    RunStarted: 0,
    TaskDone: 1,
    TaskFailed: 2,
    TaskStopped: 3,
    RunReopened: 4,  # after the results that were stored just before the process ended
    Woke: 5,
    PlanFailed: 6,
    DeltaSubmitted: 7,
    CommandSubmitted: 8,
    TurnEnded: 9,
}


def arrival_key(event: Input) -> tuple[float, int, str, int]:
    """Sort key (time, kind, id) that orders simultaneous inputs the same in every run."""
    match event:
        case TaskDone(t=t, task=task, attempt=attempt) | TaskFailed(t=t, task=task, attempt=attempt):
            return t, _ORDER[type(event)], task, attempt
        case TaskStopped(t=t, task=task, attempt=attempt):
            return t, _ORDER[type(event)], task, attempt
        case Woke(t=t, task=task):
            return t, _ORDER[type(event)], task, 0
        case DeltaSubmitted(t=t, id=id) | CommandSubmitted(t=t, id=id):
            return t, _ORDER[type(event)], "", id
        case _:
            return event.t, _ORDER[type(event)], "", 0
