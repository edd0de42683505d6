"""Commands: what a user or the AWM tells a run to do. Unlike a Δ a command has no inverse.

Settings have a history of their own, so that a change of settings never spoils the undo of an edit.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from dyntaskmas_nb.core.task import TaskId


@dataclass(frozen=True, slots=True, kw_only=True)
class Pause:
    """Start nothing new; what runs may finish."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Resume:
    """Start tasks again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StepOnce:
    """While paused, allow one more dispatch."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CancelTask:
    """Stop one task; what waits for it is blocked."""

    id: TaskId


@dataclass(frozen=True, slots=True, kw_only=True)
class CancelRun:
    """Stop everything."""

    reason: str = "cancelled by the user"


@dataclass(frozen=True, slots=True, kw_only=True)
class SetPolicy:
    """Choose another priority rule by name; re-ranks what is not yet running."""

    policy: str


Command: TypeAlias = Pause | Resume | StepOnce | CancelTask | CancelRun | SetPolicy
