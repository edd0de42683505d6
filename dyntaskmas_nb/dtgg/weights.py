"""Eq. 3, W(v_i, v_j) = α·C(v_j) + β·I(v_i, v_j), in both readings.

| symbol | name | unit |
|---|---|---|
| C(v) | `Task.complexity` | complexity units |
| I(u, v) | information of the dependency | information units |
| T_c, T_t | `Settings.seconds_per_unit`, `.seconds_per_information` | s per unit |

Sound (default): α = T_c, β = T_t, so W is in seconds and adds what it costs to what it waits for.
As printed: C and I are themselves times (T_c·C and T_t·I) and α = 1/T_c, β = 1/T_t normalise them; α/β is
kept in [0.5, 2] by moving β. Only the first can be added up along a path, which is why it is the default.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from dyntaskmas_nb.core.graph import TaskGraph
from dyntaskmas_nb.core.settings import Settings
from dyntaskmas_nb.core.task import Task, TaskId


@dataclass(frozen=True, slots=True, kw_only=True)
class Coefficients:
    """α and β of Eq. 3, to be multiplied with complexity units and information units.

    `rates` multiply α for roles that take longer or less than the others, as measured.
    """

    alpha: float
    beta: float
    rates: Mapping[str, float] = field(default_factory=dict)

    def work(self, task: Task) -> float:
        """α·C(v), by the rate of the task's role where one was measured."""
        return self.alpha * task.complexity * self.rates.get(task.role, 1.0)


def coefficients(settings: Settings) -> Coefficients:
    """α and β for complexity and information units under `settings`.

    Examples
    --------
    >>> coefficients(Settings(seconds_per_unit=2.0))
    Coefficients(alpha=2.0, beta=1.0, rates={})
    """
    t_c, t_t = settings.seconds_per_unit, settings.seconds_per_information
    if not settings.as_printed:
        return Coefficients(alpha=t_c, beta=t_t, rates=settings.rates)
    alpha, beta = 1 / t_c, 1 / t_t
    beta = min(max(beta, alpha / 2), alpha / 0.5)
    return Coefficients(alpha=alpha * t_c, beta=beta * t_t, rates=settings.rates)


def edge_weight(graph: TaskGraph, before: TaskId, after: TaskId, settings: Settings) -> float:
    """W(before, after) of Eq. 3; in seconds unless `settings.as_printed`."""
    c = coefficients(settings)
    return c.work(graph[after]) + c.beta * graph.information(before, after)


def edge_weights(graph: TaskGraph, settings: Settings) -> dict[tuple[TaskId, TaskId], float]:
    """W of every dependency, by (before, after)."""
    c = coefficients(settings)
    return {(u, v): c.work(graph.tasks[v]) + c.beta * i for u, v, i in graph.dependencies()}
