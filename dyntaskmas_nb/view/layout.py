"""Where tasks stand in the picture: a layered layout, left to right, O(V + E) a sweep.

Layers are Kahn's longest-path layers; inside a layer tasks are ordered by barycentre sweeps (Sugiyama, Tagawa
and Toda 1981, without dummy nodes, whose crossings we accept for a layout of 5,000 tasks in milliseconds). A
layer far taller than the graph is wide is wrapped into several columns, so that 1,000 parallel tasks make a
block, not a thread. Deterministic: same graph, same places.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

from dyntaskmas_nb.core.graph import TaskGraph
from dyntaskmas_nb.core.task import TaskId

Place = tuple[float, float]

#: Distance between columns and between rows, in picture units (vis.js and SVG pixels at scale 1).
COLUMN, ROW = 200.0, 120.0
SWEEPS = 4


def layers(graph: TaskGraph) -> dict[TaskId, int]:
    """Longest-path layer of every task: 0 for sources, else 1 + the greatest layer it waits for.

    >>> layers(TaskGraph.from_plan({"subtasks": [{"id": "a"}, {"id": "b", "depends_on": ["a"]}]}))
    {'a': 0, 'b': 1}
    """
    layer: dict[TaskId, int] = {}
    for id in graph.topological():
        layer[id] = 1 + max((layer[before] for before in graph.predecessors(id)), default=-1)
    return layer


def layout(graph: TaskGraph, previous: Mapping[TaskId, Place] | None = None) -> dict[TaskId, Place]:
    """Give every task a place; every dependency points to the right and no two tasks share a place.

    `previous` holds places of an earlier picture. A task keeps its place when everything it waits for still
    lies to its left; the others move as little as that allows. Without it all are placed anew.
    """
    known = {id: p for id, p in (previous or {}).items() if id in graph and all(map(math.isfinite, p))}
    return _settle(graph, known) if known else _fresh(graph)


def _fresh(graph: TaskGraph) -> dict[TaskId, Place]:
    tallest = max(12, round(1.5 * math.sqrt(len(graph))))
    places: dict[TaskId, Place] = {}
    x = 0.0
    for layer in _ordered(graph):
        wide = math.ceil(len(layer) / tallest)
        top = -(math.ceil(len(layer) / wide) - 1) / 2 * ROW
        for number, id in enumerate(layer):
            # Row by row, so that neighbours in the order stay neighbours in height.
            places[id] = (x + number % wide * COLUMN, top + number // wide * ROW)
        x += wide * COLUMN
    return places


def _ordered(graph: TaskGraph) -> list[list[TaskId]]:
    """The layers, each ordered by the mean height of its neighbours, swept right and left in turn."""
    depth = layers(graph)
    rows: list[list[TaskId]] = [[] for _ in range(max(depth.values(), default=-1) + 1)]
    for id in graph:
        rows[depth[id]].append(id)
    height: dict[TaskId, float] = {}
    for sweep in range(SWEEPS):
        leftward = sweep % 2
        for row in reversed(rows) if leftward else rows:
            _order(row, height, graph.successors if leftward else graph.predecessors)
    return rows


def _order(
    row: list[TaskId], height: dict[TaskId, float], neighbours: Callable[[TaskId], tuple[TaskId, ...]]
) -> None:
    """Sort one layer by its neighbours' mean height; heights are centred on 0 so that layers compare."""

    def wish(id: TaskId) -> float:
        near = [height[neighbour] for neighbour in neighbours(id)]
        return sum(near) / len(near) if near else height.get(id, 0.0)

    row.sort(key=wish)  # stable: ties keep their order
    height.update({id: number - (len(row) - 1) / 2 for number, id in enumerate(row)})


def _settle(graph: TaskGraph, known: Mapping[TaskId, Place]) -> dict[TaskId, Place]:
    """Keep `known` places where they are still right, then find the other tasks free ones."""
    places: dict[TaskId, Place] = {}
    x: dict[TaskId, float] = {}
    taken: set[tuple[int, int]] = set()
    for id in graph.topological():
        left = max((x[before] for before in graph.predecessors(id)), default=-math.inf)
        place = known.get(id)
        if place and place[0] >= left + COLUMN / 2 and _cell(*place) not in taken:
            places[id] = place
            taken.add(_cell(*place))
        x[id] = places[id][0] if id in places else max(left + COLUMN, 0.0)
    tried: dict[tuple[int, int], int] = {}
    for id in graph.topological():
        if id not in places:
            near = [places[n][1] for n in (*graph.predecessors(id), *graph.successors(id)) if n in places]
            middle = sum(near) / len(near) if near else 0.0
            places[id] = _free(x[id], known[id][1] if id in known else middle, taken, tried)
    return places


def _cell(x: float, y: float) -> tuple[int, int]:
    """Column and half row: layers with an even number of tasks stand half a row off the others."""
    return round(x / COLUMN), round(2 * y / ROW)


def _free(x: float, y: float, taken: set[tuple[int, int]], tried: dict[tuple[int, int], int]) -> Place:
    """The place in column `x` nearest to `y` with a row's room around it; takes its cell.

    `tried` remembers how far earlier searches from the same cell came: many new tasks may wish for one place.
    """
    column, row = cell = _cell(x, y)
    step = tried.get(cell, 0)
    while any((column, row + step + near) in taken for near in (-1, 0, 1)):
        step = -step if step > 0 else 1 - step
    tried[cell] = step
    taken.add((column, row + step))
    return x, (row + step) * ROW / 2
