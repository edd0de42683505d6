"""Commands: what a user or the AWM tells a run to do. Unlike a Δ a command has no inverse.

Settings have a history of their own, so that a change of settings never spoils the undo of an edit.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from dyntaskmas_nb.core.settings import AgentSpec
from dyntaskmas_nb.core.task import TaskId


@dataclass(frozen=True, slots=True, kw_only=True)
class Pause:
    """Start nothing new; what runs may finish, or (`hard`) is stopped and queued again."""

    hard: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Resume:
    """Start tasks again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StepOnce:
    """Allow one more dispatch while paused, or go on until the next task ends; then pause."""

    until: Literal["dispatch", "completion"] = "dispatch"


@dataclass(frozen=True, slots=True, kw_only=True)
class Break:
    """Pause the run before a task starts or after it ends; `on` False takes the breakpoint away.

    With `once` it goes away when it is hit.
    """

    id: TaskId
    when: Literal["before", "after"] = "before"
    on: bool = True
    once: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class CancelTask:
    """Stop one task; what waits for it is blocked, or goes on without it where its join rule allows."""

    id: TaskId


@dataclass(frozen=True, slots=True, kw_only=True)
class CancelRun:
    """Stop everything."""

    reason: str = "cancelled by the user"


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryTask:
    """Run a task again now: one that runs, has ended, or waits for its retry."""

    id: TaskId


@dataclass(frozen=True, slots=True, kw_only=True)
class Approve:
    """Let a task that needs approval, or whose monitor asks, go on."""

    id: TaskId


@dataclass(frozen=True, slots=True, kw_only=True)
class Reject:
    """Refuse a task that needs approval, or whose monitor asks: it has failed."""

    id: TaskId
    why: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Inject:
    """Give a running agent that accepts it a piece of context."""

    id: TaskId
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Configure:
    """Change settings of the run (fields of `Settings` by name); what is not yet running is ranked again."""

    changes: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class SetAgent:
    """Let an agent join, or change the slots, roles or clearance of one; with no slots it takes no more."""

    agent: AgentSpec


Command: TypeAlias = (
    Pause
    | Resume
    | StepOnce
    | Break
    | CancelTask
    | CancelRun
    | RetryTask
    | Approve
    | Reject
    | Inject
    | Configure
    | SetAgent
)
