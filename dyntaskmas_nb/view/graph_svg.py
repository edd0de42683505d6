"""The graph as one static SVG string: no script, no style sheet, legible on light and dark pages.

Text and arrows take the page's own colour (`currentColor`); state colours are readable on both. Used where
no script runs: GitHub, nbconvert, `_repr_html_`, and under the offline page until its script has started.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from types import MappingProxyType

from dyntaskmas_nb.core.snapshot import Snapshot
from dyntaskmas_nb.core.task import TaskState
from dyntaskmas_nb.view.network import EdgeModel, Model, NodeModel, Weights, model, shown_note
from dyntaskmas_nb.view.svg import picture, tag, text, title
from dyntaskmas_nb.view.theme import EDGE, LOOKS
from dyntaskmas_nb.view.words import count

#: Tasks drawn at most; the first in topological order.
LIMIT = 300
_LINE = 15
_ROOM = 78.0


def graph_svg(snapshot: Snapshot, weights: Weights, *, limit: int = LIMIT) -> str:
    """`snapshot`'s graph as SVG; above `limit` tasks it says how many of them it shows."""
    return draw(model(snapshot, weights, limit=limit))


def draw(data: Model) -> str:
    """A picture model as SVG."""
    nodes, edges = data["nodes"], data["edges"]
    left = min((node["x"] for node in nodes), default=0.0) - 100
    right = max((node["x"] for node in nodes), default=0.0) + 100
    top = min((node["y"] for node in nodes), default=0.0) - 44
    bottom = max((node["y"] for node in nodes), default=0.0) + _ROOM
    note = shown_note(data)
    bottom += 24 if note else 0
    where = {node["id"]: node for node in nodes}
    ends = [(edge, where[edge["from"]], where[edge["to"]]) for edge in edges]
    width, height = right - left, bottom - top
    return picture(
        *(_arrow(*end) for end in ends),
        *(_weight(*end) for end in ends if end[0]["label"]),
        *map(_node, nodes),
        tag("text", text(note), x=left + 10, y=bottom - 8) if note else "",
        label=_label(data),
        width=width,
        height=height,
        view=f"{left:g} {top:g} {width:g} {height:g}",
    )


def _label(data: Model) -> str:
    counts: dict[str, int] = {}
    for node in data["nodes"]:
        counts[node["state"]] = counts.get(node["state"], 0) + 1
    states = ", ".join(f"{amount} {state}" for state, amount in counts.items())
    edges = count(len(data["edges"]), "dependency", "dependencies")
    return f"Task graph: {count(data['total'], 'task')}, {edges}. {states}"


def _node(node: NodeModel) -> str:
    look = LOOKS[TaskState(node["state"])]
    paint: dict[str, object] = {
        "fill": look.colour,
        "fill_opacity": 0.15 if look.hollow else None,
        "stroke": "currentColor" if node["critical"] else look.colour,
        "stroke_width": node["borderWidth"],
        "stroke_dasharray": "4 3" if look.hollow else None,
    }
    first = node["y"] + node["size"] + 16
    lines = [
        tag("tspan", text(line), x=node["x"], y=first + number * _LINE, font_weight=None if number else 600)
        for number, line in enumerate(node["label"].split("\n"))
    ]
    return tag(
        "g", title(node["title"]), _shape(look.shape, node, paint), tag("text", *lines, text_anchor="middle")
    )


#: Corners of a polygon and the angle of the first.
_CORNERS = MappingProxyType(
    {"triangle": (3, -90), "triangleDown": (3, 90), "diamond": (4, -90), "hexagon": (6, 0), "star": (10, -90)}
)


def _shape(shape: str, node: NodeModel, paint: Mapping[str, object]) -> str:
    x, y, r = node["x"], node["y"], node["size"]
    if shape == "dot":
        return tag("circle", cx=x, cy=y, r=r, **paint)
    if shape == "square":
        return tag("rect", x=x - r, y=y - r, width=2 * r, height=2 * r, **paint)
    corners, turn = _CORNERS[shape]
    points = []
    for number in range(corners):
        angle = math.radians(turn + 360 * number / corners)
        reach = r * (0.5 if shape == "star" and number % 2 else 1.2)
        points.append(f"{x + reach * math.cos(angle):.1f},{y + reach * math.sin(angle):.1f}")
    return tag("polygon", points=" ".join(points), **paint)


def _bend(start: NodeModel, end: NodeModel) -> tuple[tuple[float, float], ...]:
    """A cubic curve from one node's right side to the other's left, ending short of it for the arrow head."""
    a = (start["x"] + start["size"] + 3, start["y"])
    d = (end["x"] - end["size"] - 11, end["y"])
    pull = max((d[0] - a[0]) / 2, 12.0)
    return a, (a[0] + pull, a[1]), (d[0] - pull, d[1]), d


def _arrow(edge: EdgeModel, start: NodeModel, end: NodeModel) -> str:
    a, b, c, d = _bend(start, end)
    colour = "currentColor" if edge["critical"] else EDGE
    curve = f"M{a[0]:g},{a[1]:g}C{b[0]:g},{b[1]:g} {c[0]:g},{c[1]:g} {d[0]:g},{d[1]:g}"
    line = tag("path", d=curve, fill="none", stroke=colour, stroke_width=edge["width"], stroke_opacity=0.75)
    head = tag("path", d=f"M{d[0] + 9:g},{d[1]:g}l-10,-5v10z", fill=colour)
    return tag("g", title(edge["title"], 400), line, head)


def _weight(edge: EdgeModel, start: NodeModel, end: NodeModel) -> str:
    a, b, c, d = _bend(start, end)
    x = (a[0] + 3 * b[0] + 3 * c[0] + d[0]) / 8
    y = (a[1] + 3 * b[1] + 3 * c[1] + d[1]) / 8
    return tag("text", text(edge["label"]), x=x, y=y - 6, text_anchor="middle", font_size=11)
