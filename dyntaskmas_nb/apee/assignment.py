"""What the engine hands to an agent for one attempt."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field

from dyntaskmas_nb.agents.outcome import Answer as AgentAnswer
from dyntaskmas_nb.core.effect import AskMonitor
from dyntaskmas_nb.core.event import MonitorDecided
from dyntaskmas_nb.core.task import Task, TaskId


@dataclass(slots=True)
class Assignment:
    """One attempt at a task, with the results of its predecessors in the order it declares them.

    `access` is the agent's clearance: what it may read, and the level of what it writes. `given` grows when
    somebody gives the running agent context; `versions` are those of the predecessors' results, 0 for a
    skipped one. `worked` will be the seconds in which the agent itself worked, where somebody measures them.
    `token_share` is the share of the model's tokens a minute that the agent had at dispatch, if it has one;
    `next_use` tells how many steps of the graph lie before the next task of its role (`apee.hints`).
    """

    run: str
    request: str
    task: Task
    attempt: int
    agent: str
    access: int
    priority: float
    t: float
    results: dict[TaskId, object]
    versions: Mapping[TaskId, int]
    given: list[str] = field(default_factory=list)
    worked: float | None = None
    token_share: float | None = None
    next_use: Callable[[], int | None] = lambda: None

    @property
    def producers(self) -> list[tuple[TaskId, int]]:
        """Which attempt made each result: (predecessor, attempt), 0 for an attempt of another run."""
        return [
            (id, max(version, 0)) for id, version in self.versions.items() if version and id in self.results
        ]


def shared(run: str, task: Task) -> Assignment:
    """The attempt, numbered 0, by which `run` has a result of `task` that another run found."""
    return Assignment(
        run=run,
        request="",
        task=task,
        attempt=0,
        agent="",
        access=0,
        priority=0.0,
        t=0.0,
        results={},
        versions={},
    )


Perform = Callable[[Assignment], Awaitable[AgentAnswer]]
Decide = Callable[[AskMonitor], Awaitable[MonitorDecided]]
