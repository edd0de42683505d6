"""A change tried out, as a face draws it: what it would add and take away, and when all would end."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict
from itertools import pairwise
from typing import Any

from dyntaskmas_nb.apee.forecast import Forecast, Preview
from dyntaskmas_nb.core.settings import Settings
from dyntaskmas_nb.core.snapshot import TaskView
from dyntaskmas_nb.core.task import TaskId, TaskState
from dyntaskmas_nb.dtgg.difference import graph_diff
from dyntaskmas_nb.dtgg.weights import edge_weights
from dyntaskmas_nb.view.layout import Place, layout
from dyntaskmas_nb.view.network import draw_edge, draw_node
from dyntaskmas_nb.view.words import printable

#: Attempts to come, and tasks in an order, that a face is given at most.
MOST = 2_000


def plain(value: Any) -> Any:
    """`value` as JSON has it: a number that is none is nothing, and what JSON has no form for is text.

    >>> plain({"gain": float("nan"), "path": ("a", {1})})
    {'gain': None, 'path': ['a', '{1}']}
    """
    match value:
        case float():
            return value if math.isfinite(value) else None
        case None | int() | str():
            return value
        case Mapping():
            return {str(key): plain(part) for key, part in value.items()}
        case list() | tuple():
            return [plain(part) for part in value]
    return printable(value, 600)


def forecast_data(forecast: Forecast) -> dict[str, Any]:
    """A forecast as plain data: the attempts still to end, the critical path, the order of starting."""
    return {
        "makespan": forecast.makespan,
        "path": list(forecast.critical_path),
        "order": list(forecast.order[:MOST]),
        "attempts": [asdict(entry) for entry in forecast.attempts[:MOST]],
        "tokens": forecast.tokens,
        "cost": forecast.cost,
    }


def preview_data(preview: Preview, settings: Settings, places: Mapping[TaskId, Place]) -> dict[str, Any]:
    """A preview as plain data; `nodes` and `edges` are what the change would add or make different."""
    old, new = preview.before.graph, preview.after.graph
    diff = graph_diff(old, new)
    put = layout(new, places)
    weights = edge_weights(new, settings)
    steps, path = set(pairwise(preview.after.critical_path)), set(preview.after.critical_path)
    top = max((task.complexity for task in new.tasks.values()), default=0.0)
    pending = TaskView(state=TaskState.PENDING)
    edges = {**diff.dependencies_added, **{pair: both[1] for pair, both in diff.dependencies_revised.items()}}
    return {
        "accepted": preview.accepted,
        "reason": preview.reason,
        "gain": preview.gain,
        "words": repr(preview),
        "reruns": list(preview.reruns),
        "before": forecast_data(preview.before),
        "after": forecast_data(preview.after),
        "nodes": [
            draw_node(new[id], pending, put[id], id in path, top) for id in (*diff.added, *diff.revised)
        ],
        "edges": [
            draw_edge(
                *(before, after, moved, weights.get((before, after))),
                critical=(before, after) in steps,
                heaviest=max(weights.values(), default=0.0),
                labelled=True,
            )
            for (before, after), moved in edges.items()
        ],
        "gone": list(diff.removed),
        "goneEdges": [list(pair) for pair in diff.dependencies_removed],
    }
