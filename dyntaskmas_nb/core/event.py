"""Everything that happens in a run, in one closed union.

Inputs come from outside (a user's Δ or command, an agent's outcome, a timer); facts are what the machine
made of them. Both stand in the log, whose index is the coordinate of history. Replaying the inputs alone
gives the same facts. `t` is seconds since the run began.

These are created on the hot path: not frozen (a frozen one takes three times as long to make), never changed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias, get_args

from dyntaskmas_nb.core.command import Command
from dyntaskmas_nb.core.delta import Delta
from dyntaskmas_nb.core.settings import AgentSpec, Settings
from dyntaskmas_nb.core.task import TaskId, TaskState

RunStatus = Literal["planning", "running", "paused", "done", "failed", "cancelled", "interrupted"]


@dataclass(slots=True)
class Moment:
    """Something that happened at `t`: what all events share."""

    t: float


@dataclass(slots=True)
class RunStarted(Moment):
    """The first event: what the run was asked and how it is set."""

    request: str
    settings: Settings
    agents: tuple[AgentSpec, ...]
    planning: bool = False


@dataclass(slots=True)
class RunReopened(Moment):
    """A run read back from its journal goes on: what was running is queued again."""


@dataclass(slots=True)
class DeltaSubmitted(Moment):
    """Somebody wants the graph changed; `base` is the version they saw, None for the present one.

    `notes` are sentences to be kept with it, such as what the planner repaired in a model's answer.
    """

    id: int
    delta: Delta
    base: int | None = None
    by: str = "user"
    notes: tuple[str, ...] = ()


@dataclass(slots=True)
class CommandSubmitted(Moment):
    """Somebody wants the run paused, stepped, cancelled or set otherwise."""

    id: int
    command: Command
    by: str = "user"


@dataclass(slots=True)
class PlanFailed(Moment):
    """The planner gave up; `error` names the error class, so that the same one is raised to the user."""

    error: str
    reason: str


@dataclass(slots=True)
class TaskDone(Moment):
    """An attempt succeeded; `result` is JSON, `tokens` what the model read and wrote, `cost` their price.

    `overhead` are the seconds of it in which the agent did not work: context was read, the result stored.
    `waited` are those in which it waited for a model whose rate is limited. `cached` of the `tokens` read
    had been computed before, for another prompt that began alike.
    """

    task: TaskId
    attempt: int
    result: Any
    tokens: int = 0
    cost: float = 0.0
    overhead: float = 0.0
    waited: float = 0.0
    cached: int = 0


@dataclass(slots=True)
class TaskFailed(Moment):
    """An attempt failed, and what it spent all the same; `retryable` False ends the task at once."""

    task: TaskId
    attempt: int
    error: str
    retryable: bool = True
    tokens: int = 0
    cost: float = 0.0


@dataclass(slots=True)
class TaskStopped(Moment):
    """A cancelled attempt has really stopped; `abandoned` when it would not, and nobody waits any longer."""

    task: TaskId
    attempt: int
    abandoned: bool = False


@dataclass(slots=True)
class MonitorDecided(Moment):
    """The Monitor role said what is to become of a failed attempt; "rule" leaves it to the fixed rule."""

    task: TaskId
    attempt: int
    decision: Literal["retry", "reassign", "skip", "ask", "rule"]
    reason: str = ""


@dataclass(slots=True)
class ResultsShared(Moment):
    """A fork takes over finished results of run `source`."""

    source: str
    results: dict[TaskId, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class ContextNote:
    """A node that an agent was given, its tokens, and its relevance, None for a predecessor's result.

    `id` is the node's in the context store, without the name of this run where it holds that.
    """

    id: str
    version: int
    tokens: int
    relevance: float | None = None


@dataclass(slots=True)
class ContextGiven(Moment):
    """What an agent was given to read for an attempt; `left_out` are titles and reasons.

    `pushed`: while it worked, because it was written just then and concerns what the agent works on (Alg. 3).
    """

    task: TaskId
    attempt: int
    items: tuple[ContextNote, ...]
    left_out: tuple[tuple[str, str], ...]
    tokens: int
    pushed: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class GpuSample:
    """One GPU: share of the time it computed, bytes of its memory in use and in all, watts where it tells."""

    name: str
    busy: float
    memory: int
    memory_total: int
    power: float | None = None


@dataclass(slots=True)
class MachineSampled(Moment):
    """What the machine was doing: `cpu` the share of all cores in use, `memory` bytes of this process."""

    cpu: float
    memory: int
    gpus: tuple[GpuSample, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A workflow configuration ω that was tried out: what it changes, and how the run would go on.

    Attributes
    ----------
    name : what it is, in words.
    settings, agents, rerun : settings changed, agents set, running tasks moved to another agent.
    makespan, risk : seconds from the run's start, mean over the seeds, and how far they spread.
    cost : of the whole run.
    score : f of Eq. 18, in seconds; the least is best.
    seeds : how many futures were tried.
    """

    name: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    agents: tuple[AgentSpec, ...] = ()
    rerun: tuple[TaskId, ...] = ()
    makespan: float = 0.0
    risk: float = 0.0
    cost: float = 0.0
    score: float = 0.0
    seeds: int = 0


@dataclass(slots=True)
class WorkflowDecided(Moment):
    """The AWM compared workflow configurations (Eq. 18, Alg. 4), the present one first.

    Attributes
    ----------
    number : its place among the run's decisions, from 1.
    why : the decision point.
    chosen : the place of the best candidate; 0 when nothing is to be changed.
    verdict : "kept", "proposed" or "applied".
    reason : why, in a sentence.
    seq : how many events the run had when they were compared.
    """

    number: int
    why: str
    candidates: tuple[Candidate, ...]
    chosen: int
    verdict: Literal["kept", "proposed", "applied"]
    reason: str
    seq: int


@dataclass(slots=True)
class Woke(Moment):
    """A timer of `WakeAt` rang: context for `task` arrived, its retry is due; "" is the run's own."""

    task: TaskId


@dataclass(slots=True)
class TurnEnded(Moment):
    """All events of one moment are in: rank, dispatch, see whether the run is over."""


@dataclass(slots=True)
class DeltaApplied(Moment):
    """The graph was changed; `inverse` undoes it, `version` is this event's place in the log.

    `reruns` are the tasks that ran or were done and will run again, unless they can keep their result.
    """

    id: int
    version: int
    inverse: Delta
    reruns: tuple[TaskId, ...] = ()


@dataclass(slots=True)
class DeltaRejected(Moment):
    """The graph was not changed, and why."""

    id: int
    reason: str


@dataclass(slots=True)
class CommandApplied(Moment):
    """A command took effect."""

    id: int


@dataclass(slots=True)
class CommandRejected(Moment):
    """A command could not take effect, and why."""

    id: int
    reason: str


@dataclass(slots=True)
class AgentHired(Moment):
    """A role without a free agent got one."""

    agent: AgentSpec


@dataclass(slots=True)
class TaskDispatched(Moment):
    """A task that could start since `ready` (s) was given to an agent, at this priority."""

    task: TaskId
    attempt: int
    agent: str
    priority: float
    ready: float = 0.0


@dataclass(slots=True)
class StateChanged(Moment):
    """A task entered `state`, because of `reason` where that is not plain from the event before.

    That a task is done, or ready, has no such event unless there is a reason: `TaskDone` says the one, and
    `TaskDispatched.ready` since when the other was so.
    """

    task: TaskId
    state: TaskState
    reason: str = ""


@dataclass(slots=True)
class BreakpointHit(Moment):
    """The run paused itself before or after `task`."""

    task: TaskId
    when: Literal["before", "after"]


@dataclass(slots=True)
class RunEnded(Moment):
    """Nothing is left to do. An edit after this goes on with the run, and a later `RunEnded` counts."""

    status: RunStatus
    reason: str = ""


#: In the order in which simultaneous ones count: outcomes free agents before edits and commands look at the
#: state, and a run is reopened after the results that were stored just before its process ended.
Input: TypeAlias = (
    RunStarted
    | TaskDone
    | TaskFailed
    | TaskStopped
    | MonitorDecided
    | RunReopened
    | ContextGiven
    | MachineSampled
    | WorkflowDecided
    | Woke
    | PlanFailed
    | DeltaSubmitted
    | CommandSubmitted
    | ResultsShared
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
    | BreakpointHit
    | RunEnded
)
Event: TypeAlias = Input | Fact

_ORDER = {kind: place for place, kind in enumerate(get_args(Input))}


def arrival_key(event: Input) -> tuple[float, int, str, int]:
    """Sort key (time, kind, id) that orders simultaneous inputs the same in every run."""
    number = getattr(event, "attempt", getattr(event, "id", 0))
    return event.t, _ORDER[type(event)], getattr(event, "task", ""), number
