"""The graph picture as plain data, and as a pyvis network.

`model` is the one source: the pyvis network, the offline HTML page and the live widget are fed from it. It
holds what vis-network reads, so `id`, `from`, `to`, `label`, `title` and so on are vis-network's names.

pyvis puts the titles of a whole network through `innerHTML` as soon as one of them contains ``href``;
vis-network itself takes them as text. So titles carry no ``<``, no ``>`` and no ``href``.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from itertools import pairwise
from typing import TYPE_CHECKING, Any, TypedDict, cast

from dyntaskmas_nb.core.snapshot import Snapshot, TaskView
from dyntaskmas_nb.core.task import Task, TaskId, TaskState
from dyntaskmas_nb.view.layout import layout
from dyntaskmas_nb.view.numbers import expected_path
from dyntaskmas_nb.view.theme import CRITICAL, EDGE, LOOKS, state_text
from dyntaskmas_nb.view.words import count, duration, number, printable

if TYPE_CHECKING:
    from pyvis.network import Network

#: Edge weights W of Eq. 3 in seconds, by (before, after).
Weights = Mapping[tuple[TaskId, TaskId], float]

#: Above this many dependencies their labels are left to the hover text: they would cover the picture.
LABELLED_EDGES = 60


class NodeModel(TypedDict):
    """A node as vis-network takes it, with its task's standing beside."""

    id: str
    label: str
    title: str
    shape: str
    color: dict[str, Any]
    size: float
    borderWidth: float
    shapeProperties: dict[str, Any]
    x: float
    y: float
    state: str
    priority: float
    critical: bool


EdgeModel = TypedDict(
    "EdgeModel",
    {
        "id": str,
        "from": str,
        "to": str,
        "label": str,
        "title": str,
        "width": float,
        "color": dict[str, str],
        "arrows": str,
        "weight": float | None,
        "critical": bool,
    },
)


class Model(TypedDict):
    """Nodes and edges as vis-network takes them; `total` counts the tasks of the whole graph."""

    nodes: list[NodeModel]
    edges: list[EdgeModel]
    total: int


_UNSEEN = TaskView(state=TaskState.PENDING)
_HOLLOW = "rgba(127,135,146,0.15)"
_HREF = re.compile("href", re.IGNORECASE)


def model(
    snapshot: Snapshot,
    weights: Weights,
    *,
    previous: Mapping[TaskId, tuple[float, float]] | None = None,
    limit: int | None = None,
) -> Model:
    """The picture of `snapshot` as data.

    Parameters
    ----------
    weights : W of Eq. 3 in seconds; an edge without one is drawn thin and unlabelled.
    previous : places to keep (see `layout`).
    limit : draw at most this many tasks, the first in topological order; `total` tells how many there are.
    """
    graph = snapshot.graph
    places = layout(graph, previous)
    shown = set(graph.topological()[:limit])
    path = dict.fromkeys(expected_path(snapshot))
    top = max((graph[id].complexity for id in shown), default=0.0)
    nodes = [
        _node(graph[id], snapshot.tasks.get(id, _UNSEEN), places[id], id in path, top)
        for id in graph
        if id in shown
    ]
    return {"nodes": nodes, "edges": _edges(snapshot, weights, shown, list(path)), "total": len(graph)}


def to_pyvis(
    snapshot: Snapshot, weights: Weights, *, previous: Mapping[TaskId, tuple[float, float]] | None = None
) -> Network:
    """The picture as a pyvis `Network`: physics off, every task at its place, resources inlined.

    For a page that works offline use `html.to_html`: pyvis' own template loads Bootstrap from a CDN.
    """
    from pyvis.network import Network

    data = model(snapshot, weights, previous=previous)
    network = Network(height="600px", width="100%", directed=True, cdn_resources="in_line")
    network.toggle_physics(False)
    for node in data["nodes"]:
        options = cast("dict[str, Any]", dict(node))
        network.add_node(options.pop("id"), **options)
    for edge in data["edges"]:
        options = cast("dict[str, Any]", dict(edge))
        network.add_edge(options.pop("from"), options.pop("to"), **options)
    return network


def _node(task: Task, view: TaskView, place: tuple[float, float], critical: bool, top: float) -> NodeModel:
    look = LOOKS[view.state]
    # Pointing at a node must not hide its state: vis-network would paint it light blue.
    paint = {
        "background": _HOLLOW if look.hollow else look.colour,
        "border": CRITICAL if critical else look.colour,
    }
    return {
        "id": task.id,
        "label": "\n".join(node_lines(task, view)),
        "title": safe_title(node_title(task, view, critical)),
        "shape": look.shape,
        "color": {**paint, "hover": paint, "highlight": paint},
        "size": node_size(task.complexity, top),
        "borderWidth": 3.5 if critical else 1.5,
        "shapeProperties": {"borderDashes": [4, 3]} if look.hollow else {},
        "x": place[0],
        "y": place[1],
        "state": view.state.value,
        "priority": view.priority,
        "critical": critical,
    }


def node_size(complexity: float, top: float) -> float:
    """Radius of a node, its area in proportion to C between a smallest and a largest size."""
    return round(12 + 10 * math.sqrt(complexity / top), 1) if top else 12.0


def node_lines(task: Task, view: TaskView) -> list[str]:
    """The label: the task's name, what it does when that is short on news, its state and priority."""
    lines = [printable(task.id, 24)]
    words = printable(task.description, 24)
    if words and words != lines[0]:
        lines.append(words)
    return [*lines, f"{state_text(view.state)} · p {number(view.priority)}"]


def node_title(task: Task, view: TaskView, critical: bool) -> list[str]:
    """The hover text, a fact a line."""
    lines = [
        printable(task.id, 200),
        printable(task.description, 300),
        f"state: {state_text(view.state)}" + (f" (attempt {view.attempt})" if view.attempt > 1 else ""),
        f"priority: {number(view.priority, 4)}",
        f"role: {printable(task.role, 80)}",
        f"complexity: {number(task.complexity, 4)}",
        f"agent: {printable(view.agent, 80)}" if view.agent else "",
        f"why: {printable(view.reason, 300)}" if view.reason else "",
        "on the critical path" if critical else "",
    ]
    return [line for line in lines if line]


def safe_title(lines: list[str]) -> str:
    """Lines as a title that stays text even where it is put through `innerHTML`."""
    text = "\n".join(lines).replace("<", "‹").replace(">", "›")
    return _HREF.sub(lambda found: f"{found[0][0]}\u2060{found[0][1:]}", text)


def edge_width(weight: float | None, heaviest: float) -> float:
    """Line width: 1 without a weight, up to 6 for the heaviest."""
    return round(1 + 5 * max(0.0, weight) / heaviest, 2) if weight and heaviest > 0 else 1.0


def _edge(edge: tuple[TaskId, TaskId, float], weight: float | None, critical: bool) -> EdgeModel:
    before, after, information = edge
    colour = CRITICAL if critical else EDGE
    lines = [
        f"{printable(before, 80)} → {printable(after, 80)}",
        f"weight W: {duration(weight)}" if weight is not None else "weight unknown",
        f"information I: {number(information)}",
        "on the critical path" if critical else "",
    ]
    return {
        "id": f"{len(before)}:{before}→{after}",
        "from": before,
        "to": after,
        "label": duration(weight) if weight is not None else "",
        "title": safe_title([line for line in lines if line]),
        "width": 1.0,
        "color": {"color": colour, "hover": colour, "highlight": colour},
        "arrows": "to",
        "weight": weight,
        "critical": critical,
    }


def _edges(snapshot: Snapshot, weights: Weights, shown: set[TaskId], path: list[TaskId]) -> list[EdgeModel]:
    """Dependencies among `shown` tasks, their width by weight; labelled while there are not too many."""
    steps = set(pairwise(path))
    known = [edge for edge in snapshot.graph.dependencies() if edge[0] in shown and edge[1] in shown]
    heaviest = max((w for w in weights.values() if math.isfinite(w)), default=0.0)
    found = []
    for edge in known:
        weight = weights.get(edge[:2])
        weight = weight if weight is not None and math.isfinite(weight) else None
        drawn = _edge(edge, weight, edge[:2] in steps)
        drawn["width"] = edge_width(weight, heaviest)
        if len(known) > LABELLED_EDGES:
            drawn["label"] = ""
        found.append(drawn)
    return found


def shown_note(data: Model) -> str:
    """``showing 300 of 1,000 tasks``, or nothing when all are shown."""
    shown = len(data["nodes"])
    return f"showing {shown:,} of {count(data['total'], 'task')}" if shown < data["total"] else ""
