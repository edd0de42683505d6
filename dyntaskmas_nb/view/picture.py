"""The graph as one static SVG string: no script, no style sheet, legible on light and dark pages.

Text and arrows take the page's own colour (`currentColor`); state colours are readable on both. Used where
no script runs: GitHub, nbconvert, `_repr_html_`, and under the offline page until its script has started.
"""

from __future__ import annotations

import math

from dyntaskmas_nb.core.task import TaskState
from dyntaskmas_nb.view.network import EdgeModel, Model, NodeModel
from dyntaskmas_nb.view.theme import EDGE, LOOKS, Look
from dyntaskmas_nb.view.words import count, markup, tag


def graph_svg(data: Model) -> str:
    """A picture model as SVG."""
    nodes = {node["id"]: node for node in data["nodes"]}
    across = [node["x"] for node in data["nodes"]] or [0.0]
    down = [node["y"] for node in data["nodes"]] or [0.0]
    left, top = min(across) - 100, min(down) - 44
    width, height = max(across) + 100 - left, max(down) + 78 - top
    edges = "".join(_edge(edge, nodes[edge["from"]], nodes[edge["to"]]) for edge in data["edges"])
    return svg(
        edges,
        *map(_node, data["nodes"]),
        label=f"Task graph: {count(len(nodes), 'task')}",
        width=width,
        height=height,
        viewBox=f"{left:g} {top:g} {width:g} {height:g}",
    )


def svg(*children: str, label: str, **attributes: object) -> str:
    """An outermost SVG element: an image with a name, in the colour of the page around it."""
    font = {"font_family": "system-ui, sans-serif", "font_size": 12, "fill": "currentColor"}
    xmlns = "http://www.w3.org/2000/svg"
    return tag("svg", *children, xmlns=xmlns, role="img", aria_label=label, **font, **attributes)


def _node(node: NodeModel) -> str:
    look = LOOKS[TaskState(node["state"])]
    x, y, size = node["x"], node["y"], node["size"]
    lines = [
        tag("tspan", markup(line), x=x, y=y + size + 16 + 15 * row, font_weight=None if row else 600)
        for row, line in enumerate(node["label"].split("\n"))
    ]
    stroke = "currentColor" if node["critical"] else look.colour
    drawn = shape(look, x, y, size, stroke=stroke, stroke_width=node["borderWidth"])
    words = tag("text", *lines, text_anchor="middle")
    return tag("g", tag("title", markup(node["title"], 900)), drawn, words)


def shape(look: Look, x: float, y: float, size: float, **paint: object) -> str:
    """The form of a state around (x, y)."""
    hollow = {"fill_opacity": 0.15, "stroke_dasharray": "4 3"} if look.hollow else {}
    if look.shape == "dot":
        return tag("circle", cx=x, cy=y, r=size, fill=look.colour, **hollow, **paint)
    points = []
    for number in range(look.corners):
        angle = math.radians(look.turn + 360 * number / look.corners)
        reach = size * (0.5 if look.shape == "star" and number % 2 else 1.2)
        points.append(f"{x + reach * math.cos(angle):.1f},{y + reach * math.sin(angle):.1f}")
    return tag("polygon", points=" ".join(points), fill=look.colour, **hollow, **paint)


def _edge(edge: EdgeModel, start: NodeModel, end: NodeModel) -> str:
    """A curve from one node's right side to the other's left, its arrow head, and its weight half way."""
    x1, y1, x2, y2 = start["x"] + start["size"] + 3, start["y"], end["x"] - end["size"] - 11, end["y"]
    pull = max((x2 - x1) / 2, 12.0)
    colour = "currentColor" if edge["critical"] else EDGE
    curve = f"M{x1:g},{y1:g}C{x1 + pull:g},{y1:g} {x2 - pull:g},{y2:g} {x2:g},{y2:g}"
    return tag(
        "g",
        tag("title", markup(edge["title"], 400)),
        tag("path", d=curve, fill="none", stroke=colour, stroke_width=edge["width"], stroke_opacity=0.75),
        tag("path", d=f"M{x2 + 9:g},{y2:g}l-10,-5v10z", fill=colour),
        tag("text", edge["label"], x=(x1 + x2) / 2, y=(y1 + y2) / 2 - 6, text_anchor="middle", font_size=11),
    )
