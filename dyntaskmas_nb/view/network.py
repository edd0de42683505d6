"""The graph picture as plain data, and as a pyvis network.

`model` is the one source: the pyvis network, the offline HTML page and the static SVG are fed from it. It
holds what vis-network reads, so `id`, `from`, `to`, `label`, `title` and so on are vis-network's names.

pyvis puts the titles of a whole network through `innerHTML` as soon as one of them contains ``href``;
vis-network itself takes them as text. So titles carry no ``<``, no ``>`` and no ``href``.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from itertools import pairwise
from typing import TYPE_CHECKING, Any, TypedDict

from dyntaskmas_nb.core.snapshot import Snapshot, TaskView
from dyntaskmas_nb.core.task import Task, TaskId
from dyntaskmas_nb.view.layout import Place, layout
from dyntaskmas_nb.view.numbers import expected_path
from dyntaskmas_nb.view.theme import CRITICAL, EDGE, LOOKS, state_text
from dyntaskmas_nb.view.words import duration, number, printable

if TYPE_CHECKING:
    from pyvis.network import Network

#: Edge weights W of Eq. 3 in seconds, by (before, after).
Weights = Mapping[tuple[TaskId, TaskId], float]

#: Above this many dependencies their labels are left to the hover text: they would cover the picture.
LABELLED_EDGES = 60


class NodeModel(TypedDict):
    """A node as vis-network takes it, with its task's state beside."""

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
    critical: bool


#: An edge as vis-network takes it.
EdgeModel = TypedDict(
    "EdgeModel",
    {"from": str, "to": str, "label": str, "title": str, "width": float, "color": str, "critical": bool},
)


class Model(TypedDict):
    """Nodes and edges as vis-network takes them."""

    nodes: list[NodeModel]
    edges: list[EdgeModel]


def model(
    snapshot: Snapshot,
    weights: Weights,
    previous: Mapping[TaskId, Place] | None = None,
    limit: int | None = None,
) -> Model:
    """The picture of `snapshot` as data: all tasks, or the first `limit` of them in topological order.

    An edge without a weight is drawn thin and unlabelled; `previous` holds places to keep (see `layout`).
    """
    graph = snapshot.graph
    places = layout(graph, previous)
    shown = graph.topological()[:limit]
    path = expected_path(snapshot)
    top = max((graph[id].complexity for id in shown), default=0.0)
    critical = set(path)
    nodes = [draw_node(graph[id], snapshot.tasks[id], places[id], id in critical, top) for id in shown]
    return {"nodes": nodes, "edges": _edges(snapshot, weights, set(shown), path)}


def to_pyvis(snapshot: Snapshot, weights: Weights) -> Network:
    """The picture as a pyvis `Network`: physics off, every task at its place, resources inlined.

    For a page that works offline use `html.to_html`: pyvis' own template loads Bootstrap from a CDN.
    """
    from pyvis.network import Network

    data = model(snapshot, weights)
    network = Network(height="600px", width="100%", directed=True, cdn_resources="in_line")
    network.toggle_physics(False)
    for node in data["nodes"]:
        network.add_node(node["id"], **node)
    for edge in data["edges"]:
        network.add_edge(edge["from"], **edge)
    return network


def draw_node(task: Task, view: TaskView, place: Place, critical: bool, top: float) -> NodeModel:
    """A task as a node; `top` is the greatest complexity in the picture."""
    look = LOOKS[view.state]
    background = "rgba(127,135,146,0.15)" if look.hollow else look.colour
    paint = {"background": background, "border": CRITICAL if critical else look.colour}
    words = printable(task.description, 24) if task.description != task.id else ""
    label = [printable(task.id, 24), words, f"{state_text(view.state)} · p {number(view.priority)}"]
    return {
        "id": task.id,
        "label": "\n".join(filter(None, label)),
        "title": _node_title(task, view, critical),
        "shape": look.shape,
        # Pointing at a node must not hide its state: vis-network would paint it light blue.
        "color": {**paint, "hover": paint, "highlight": paint},
        # Its area grows with its complexity C, between a smallest and a largest size.
        "size": round(12 + 10 * math.sqrt(task.complexity / top), 1) if top else 12.0,
        "borderWidth": 3.5 if critical else 1.5,
        "shapeProperties": {"borderDashes": [4, 3]} if look.hollow else {},
        "x": place[0],
        "y": place[1],
        "state": view.state.value,
        "critical": critical,
    }


def _node_title(task: Task, view: TaskView, critical: bool) -> str:
    return safe_title(
        [
            printable(task.id),
            printable(task.description, 300),
            f"state: {state_text(view.state)}" + (f" (attempt {view.attempt})" if view.attempt > 1 else ""),
            f"priority: {number(view.priority, 4)}",
            f"role: {printable(task.role, 80)}",
            f"complexity: {number(task.complexity, 4)}",
            f"agent: {printable(view.agent, 80)}" if view.agent else "",
            f"why: {printable(view.reason, 300)}" if view.reason else "",
            "on the critical path" if critical else "",
        ]
    )


def safe_title(lines: list[str]) -> str:
    """Hover text, a fact a line, that stays text even where it is put through `innerHTML`."""
    text = "\n".join(filter(None, lines)).replace("<", "‹").replace(">", "›")
    return re.sub("(?i)(h)(ref)", "\\1\u2060\\2", text)


def _edges(snapshot: Snapshot, weights: Weights, shown: set[TaskId], path: list[TaskId]) -> list[EdgeModel]:
    """Dependencies among `shown` tasks, their width by weight; labelled while there are not too many."""
    steps = set(pairwise(path))
    edges = [edge for edge in snapshot.graph.dependencies() if edge[0] in shown and edge[1] in shown]
    heaviest, labelled = max(weights.values(), default=0.0), len(edges) <= LABELLED_EDGES
    return [
        draw_edge(
            *(before, after, information, weights.get((before, after))),
            critical=(before, after) in steps,
            heaviest=heaviest,
            labelled=labelled,
        )
        for before, after, information in edges
    ]


def draw_edge(
    before: TaskId,
    after: TaskId,
    information: float,
    weight: float | None,
    *,
    critical: bool,
    heaviest: float,
    labelled: bool,
) -> EdgeModel:
    """A dependency as an edge: `weight` (s, of Eq. 3) sets its width, `heaviest` is the greatest there is."""
    words = "" if weight is None else duration(weight)
    title = [
        f"{printable(before, 80)} → {printable(after, 80)}",
        f"weight W: {words or 'unknown'}",
        f"information I: {number(information)}",
        "on the critical path" if critical else "",
    ]
    return {
        "from": before,
        "to": after,
        "label": words if labelled else "",
        "title": safe_title(title),
        "width": round(1 + 5 * weight / heaviest, 2) if weight else 1.0,
        "color": CRITICAL if critical else EDGE,
        "critical": critical,
    }
