"""Task Scheduler (§III-B): the priority P(v) of Eq. 5, and the rules that do better.

A rule is one function ``(task, successors, weights) -> rank``, highest served first, where `successors` are
``(task, information, rank)`` triples. `Ranking` calls it from the sinks upward and, after an edit, only for
the ancestors of what changed.

| symbol | name |
|---|---|
| P(v) | rank, plus the task's own boost, which is not propagated |
| C(v), I(u, v) | `Task.complexity`, information |
| α, β | `Coefficients` |

Mean makespan over max(critical path, work / m), 60 tasks on 4 agents: upward rank 1.024, Eq. 5 as printed
1.140, fifo 1.142, random 1.157. As printed puts the remaining path in the denominator, so that a lone leaf
beats the head of the critical path; hence the default is upward rank.

References
----------
DynTaskMAS, arXiv:2503.07675, Eq. 5. H. Topcuoglu, S. Hariri, M. Wu, "Performance-effective and
low-complexity task scheduling for heterogeneous computing", IEEE TPDS 13(3), 2002 (upward rank).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from heapq import heappop, heappush
from inspect import signature
from typing import TypeAlias
from zlib import crc32

from dyntaskmas_nb.core.graph import TaskGraph
from dyntaskmas_nb.core.settings import Settings
from dyntaskmas_nb.core.task import Task, TaskId, shown
from dyntaskmas_nb.dtgg.weights import Coefficients, coefficients
from dyntaskmas_nb.errors import InvalidInput

Successors: TypeAlias = Sequence[tuple[Task, float, float]]
Rule: TypeAlias = Callable[[Task, Successors, Coefficients], float]

#: Past this share of touched tasks a full pass is cheaper than following ancestors.
FULL_PASS = 0.3
#: Ranks beyond this are refused; what is added to them stays finite.
LARGEST = 1e300


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """A named rule."""

    name: str
    rule: Rule


def upward_rank(task: Task, successors: Successors, weights: Coefficients) -> float:
    """α·C(v) + max over successors of β·I + rank: seconds of work on the longest path that starts here.

    Examples
    --------
    >>> last, first = Task(id="b", complexity=2), Task(id="a", complexity=3)
    >>> upward_rank(first, [(last, 0.5, 2.0)], Coefficients(alpha=1.0, beta=1.0))
    5.5
    """
    longest = 0.0
    for _, information, rank in successors:
        through = weights.beta * information + rank
        longest = max(longest, through)
    return weights.work(task) + longest


def as_printed(task: Task, successors: Successors, weights: Coefficients) -> float:
    """Eq. 5: C(v) / max(W(v, u) + P(u)); C(v) for a sink, and where the denominator is 0."""
    if not successors:
        return task.complexity
    denominator = max(weights.work(u) + weights.beta * i + rank for u, i, rank in successors)
    return task.complexity / denominator if denominator > 0 else task.complexity


def fifo(task: Task, successors: Successors, weights: Coefficients) -> float:
    """The same for all: tasks are served in the order in which they became ready."""
    return 0.0


def shuffled(seed: int) -> Rule:
    """A rank in [0, 1) that depends on the seed and the task's id only."""

    def rule(task: Task, successors: Successors, weights: Coefficients) -> float:
        return crc32(f"{seed}:{task.id}".encode()) / 2**32

    return rule


_RULES: dict[str, Rule] = {"upward_rank": upward_rank, "as_printed": as_printed, "fifo": fifo}
POLICIES = (*_RULES, "random")


def policy_of(choice: str | Rule, seed: int = 0) -> Policy:
    """The policy called `choice`, or the user's own rule under the name "custom".

    Raises `InvalidInput` for an unknown name, listing those there are.
    """
    if callable(choice):
        try:
            signature(choice).bind("task", "successors", "weights")
        except ValueError:  # one that does not tell
            pass
        except TypeError:
            raise InvalidInput(
                "A priority rule takes (task, successors, weights) and returns a number."
            ) from None
        return Policy(name="custom", rule=choice)
    if choice not in POLICIES:
        raise InvalidInput(
            f"There is no priority policy {choice!r}. Choose from {', '.join(POLICIES)}, or pass a function."
        )
    return Policy(name=choice, rule=shuffled(seed) if choice == "random" else _RULES[choice])


class Ranking:
    """Ranks of all tasks, brought up to date only when asked and only where something changed."""

    def __init__(self, graph: TaskGraph, policy: Policy, settings: Settings) -> None:
        self._graph = graph
        self.policy = policy
        self._weights = coefficients(settings)
        self._rank: dict[TaskId, float] = {}
        self._dirty: set[TaskId] = set()

    def __getitem__(self, id: TaskId) -> float:
        """Rank of `id` plus its boost, as of the last `refresh`; a task not ranked yet counts 0."""
        return self._rank.get(id, 0.0) + self._graph.tasks[id].boost

    def touch(self, ids: Iterable[TaskId]) -> None:
        """Mark tasks whose own rank may have changed."""
        self._dirty.update(ids)

    def take_over(self, other: Ranking) -> None:
        """Start from what `other` has worked out for an equal graph."""
        self._rank.update(other._rank)
        self._dirty.update(other._dirty)

    def refresh(self) -> list[TaskId]:
        """Recompute what is stale; return the tasks looked at whose rank changed."""
        dirty = {id for id in self._dirty if id in self._graph}
        self._dirty.clear()
        if not dirty:
            return []
        if len(dirty) > FULL_PASS * len(self._graph):
            order = self._graph.topological()
            order.reverse()
            changed = self._recompute(order)
            return changed if len(dirty) == len(order) else [id for id in order if id in dirty.union(changed)]
        return self._climb(dirty)

    def _climb(self, dirty: set[TaskId]) -> list[TaskId]:
        position, changed, queued = self._graph.position, [], set(dirty)
        heap = sorted((-position(id), id) for id in dirty)
        while heap:
            _, id = heappop(heap)
            # A rule may read more of a successor than its rank, so what was edited counts as moved.
            if self._recompute((id,)) or id in dirty:
                changed.append(id)
                for before in self._graph.predecessors(id):
                    if before not in queued:
                        queued.add(before)
                        heappush(heap, (-position(before), before))
        return changed

    def _recompute(self, ids: Iterable[TaskId]) -> list[TaskId]:
        """Rank `ids`, successors first; return those whose rank changed."""
        tasks, succ, rank, changed = self._graph._tasks, self._graph._succ, self._rank, []
        plain, alpha, beta = self.policy.rule is upward_rank, self._weights.alpha, self._weights.beta
        rates = self._weights.rates
        for id in ids:
            if plain:  # the default, without the list of successors that other rules may want to read
                value = 0.0
                for after, information in succ[id].items():
                    through = beta * information + rank[after]
                    if through > value:  # noqa: PLR1730  for thousands of tasks at once
                        value = through
                units = tasks[id].complexity
                value += alpha * units * rates.get(tasks[id].role, 1.0) if rates else alpha * units
            else:
                value = self._ruled(id)
            if rank.get(id) != value:
                rank[id] = value
                changed.append(id)
        return changed

    def _ruled(self, id: TaskId) -> float:
        tasks, rank = self._graph._tasks, self._rank
        successors = [(tasks[after], i, rank[after]) for after, i in self._graph._succ[id].items()]
        try:
            value = self.policy.rule(tasks[id], successors, self._weights)
        except Exception as error:
            raise InvalidInput(
                f"The priority policy {self.policy.name!r} raised {type(error).__name__}: {error} "
                f"for task {id!r}."
            ) from error
        if not isinstance(value, int | float) or not abs(value) <= LARGEST:
            raise InvalidInput(
                f"The priority policy {self.policy.name!r} gave {shown(value)} for task {id!r}; "
                "it must return a finite number."
            )
        return float(value)
