"""What an agent is given with its task: its predecessors' results, then what the store found relevant."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any

from dyntaskmas_nb.core.task import TaskId


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """A piece of context; `relevance` in [0, 1] (paper Eqs. 12 and 14) where the store found it."""

    title: str
    text: str
    relevance: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Context(Mapping[TaskId, Any]):
    """A read-only mapping from predecessor id to a copy of its result, in the order of the dependencies.

    Beside it stand the user's `request`, what the store found `relevant`, which agent is at which task of
    which run on which attempt (from 1), the run's seed, the task's priority (higher first), what somebody
    gave the agent while it works (`given`, a list that grows), the agent's share of the model's tokens a
    minute (above 0 and up to 1, None for no share of its own), and how many steps of the graph lie before the
    next task of this role (None: there is none).

    Examples
    --------
    >>> context = Context(task_id="multiply", results={"add1": 3, "add2": 7})
    >>> context["add1"], sum(context.values())
    (3, 10)
    """

    results: Mapping[TaskId, Any] = field(default_factory=dict)
    request: str = ""
    relevant: tuple[Item, ...] = ()
    task_id: TaskId = ""
    run: str = ""
    agent: str = ""
    attempt: int = 1
    seed: int = 0
    priority: float = 0.0
    seconds_per_unit: float = 1.0
    given: list[str] = field(default_factory=list)
    token_share: float | None = None
    steps_to_next_use: int | None = None

    def __getitem__(self, id: TaskId) -> Any:
        if id not in self.results:
            there = ", ".join(map(repr, self.results)) or "none"
            raise KeyError(f"{self.task_id!r} has no predecessor {id!r} with a result; there are: {there}")
        return deepcopy(self.results[id])

    def __iter__(self) -> Iterator[TaskId]:
        return iter(self.results)

    def __len__(self) -> int:
        return len(self.results)
