"""What a run looks like at one moment: immutable, safe to hand to any thread, picture or text.

The same nouns describe a simulated schedule (`apee.simulate`), so that a preview and a run are drawn and
counted by the same code.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from dyntaskmas_nb.core.event import RunStatus
from dyntaskmas_nb.core.graph import TaskGraph
from dyntaskmas_nb.core.settings import Settings
from dyntaskmas_nb.core.task import TaskId, TaskState


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One attempt on the timeline: `task` on `agent` from `start` to `end` (s; None while it runs).

    `outcome` is "done", "failed", "stopped" or "running".
    """

    task: TaskId
    agent: str
    start: float
    end: float | None
    attempt: int = 1
    outcome: str = "done"


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskView:
    """One task's standing: `priority` is highest-first; `reason` says why it is blocked, failed, skipped."""

    state: TaskState
    priority: float = 0.0
    attempt: int = 0
    agent: str = ""
    reason: str = ""
    result: Any = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentView:
    """One agent's standing; `completed` counts tasks, `busy` the seconds its slots were taken."""

    id: str
    roles: tuple[str, ...]
    slots: int = 1
    running: tuple[TaskId, ...] = ()
    completed: int = 0
    busy: float = 0.0
    access: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """A run at time `t` (s since its start): its own copy of the graph, every task, agent and attempt.

    Attributes
    ----------
    breakpoints : task → "before", "after" or "both".
    groups : task → the task that it was expanded from, and so on upward; most tasks have none.
    """

    run: str
    request: str
    status: RunStatus
    t: float
    seq: int
    settings: Settings
    graph: TaskGraph
    tasks: Mapping[TaskId, TaskView]
    agents: Sequence[AgentView]
    entries: Sequence[Entry]
    reason: str = ""
    breakpoints: Mapping[TaskId, str] = field(default_factory=dict)
    groups: Mapping[TaskId, TaskId] = field(default_factory=dict)

    def __repr__(self) -> str:
        counts = ", ".join(f"{count} {state}" for state, count in self.counts().items())
        return f"<Snapshot of run {self.run!r} at {self.t:g} s, event {self.seq}: {self.status}; {counts}>"

    def states(self) -> dict[TaskId, str]:
        """Each task's state by name."""
        return {id: view.state.value for id, view in self.tasks.items()}

    def counts(self) -> dict[str, int]:
        """How many tasks are in each state, states without tasks left out."""
        return dict(Counter(view.state.value for view in self.tasks.values()))
