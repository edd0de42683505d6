"""Where tasks stand in the picture: a layered layout, left to right, O(V + E) a sweep.

Layers are Kahn's longest-path layers; inside a layer tasks are ordered by barycentre sweeps (Sugiyama's
method without dummy nodes, whose crossings we accept for a layout of 5,000 tasks in milliseconds). A layer
far taller than the graph is wide is wrapped into several columns, so that 1,000 parallel tasks make a
block, not a thread. Deterministic: same graph, same places.

References
----------
K. Sugiyama, S. Tagawa, M. Toda, "Methods for visual understanding of hierarchical system structures", 1981.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from dyntaskmas_nb.core.graph import TaskGraph
from dyntaskmas_nb.core.task import TaskId

Positions = dict[TaskId, tuple[float, float]]
Cell = tuple[int, int]

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


def layout(
    graph: TaskGraph, previous: Mapping[TaskId, tuple[float, float]] | None = None, *, sweeps: int = SWEEPS
) -> Positions:
    """Give every task a place; every dependency points to the right and no two tasks share a place.

    Parameters
    ----------
    previous : places of an earlier picture. A task keeps its place when everything it waits for still
        lies to its left; the others move as little as that allows. Without it all are placed anew.
    sweeps : how many barycentre passes over all layers.
    """
    known = {id: p for id, p in (previous or {}).items() if id in graph and all(map(math.isfinite, p))}
    fresh = _fresh(graph, sweeps) if len(known) < len(graph) or not known else {}
    return _settle(graph, known, fresh) if known else fresh


def _fresh(graph: TaskGraph, sweeps: int) -> Positions:
    rows = _ordered(graph, sweeps)
    height = max(12, round(1.5 * math.sqrt(len(graph))))
    places: Positions = {}
    x = 0.0
    for row in rows:
        wide = -(-len(row) // height)
        tall = -(-len(row) // wide)
        top = -(tall - 1) / 2 * ROW
        for number, id in enumerate(row):
            # Row by row, so that neighbours in the order stay neighbours in height.
            places[id] = (x + number % wide * COLUMN, top + number // wide * ROW)
        x += wide * COLUMN
    return places


def _ordered(graph: TaskGraph, sweeps: int) -> list[list[TaskId]]:
    """The layers, each ordered by the mean height of its neighbours, swept right and left in turn."""
    layer = layers(graph)
    rows: list[list[TaskId]] = [[] for _ in range(max(layer.values(), default=-1) + 1)]
    for id in graph:
        rows[layer[id]].append(id)
    before = {id: graph.predecessors(id) for id in graph}
    after = {id: graph.successors(id) for id in graph}
    height: dict[TaskId, float] = {}
    for row in rows:
        _number(row, height)
    for sweep in range(sweeps):
        rightward = sweep % 2 == 0
        for row in rows if rightward else reversed(rows):
            neighbours = before if rightward else after
            mean = {id: _mean(neighbours[id], height, height[id]) for id in row}
            row.sort(key=mean.__getitem__)  # stable: ties keep their order
            _number(row, height)
    return rows


def _number(row: Sequence[TaskId], height: dict[TaskId, float]) -> None:
    """Heights of one layer, centred on 0, so that layers of different size compare."""
    middle = (len(row) - 1) / 2
    for number, id in enumerate(row):
        height[id] = number - middle


def _mean(ids: Sequence[TaskId], height: Mapping[TaskId, float], otherwise: float) -> float:
    return sum(map(height.__getitem__, ids)) / len(ids) if ids else otherwise


def _settle(graph: TaskGraph, known: Mapping[TaskId, tuple[float, float]], fresh: Positions) -> Positions:
    """Keep `known` places where they are still right, in topological order; find the rest a free cell.

    Places that can be kept are taken before any task that moves looks for one.
    """
    places: Positions = {}
    kept = _kept(graph, known)
    taken = {_cell(known[id]) for id in kept}
    tried: dict[Cell, int] = {}
    for id in graph.topological():
        if id in kept:
            places[id] = known[id]
            continue
        left = max((places[before][0] for before in graph.predecessors(id)), default=-COLUMN)
        places[id] = _free(left + COLUMN, _wish(graph, id, known, fresh, places), taken, tried)
    return places


def _kept(graph: TaskGraph, known: Mapping[TaskId, tuple[float, float]]) -> set[TaskId]:
    """Tasks whose old place still lies right of all they wait for, wherever those will stand."""
    kept: set[TaskId] = set()
    least: dict[TaskId, float] = {}
    cells: set[Cell] = set()
    for id in graph.topological():
        left = max((least[before] for before in graph.predecessors(id)), default=-math.inf)
        place = known.get(id)
        if place and place[0] >= left + COLUMN / 2 and _cell(place) not in cells:
            kept.add(id)
            cells.add(_cell(place))
            least[id] = place[0]
        else:
            least[id] = left + COLUMN if math.isfinite(left) else 0.0
    return kept


def _wish(
    graph: TaskGraph,
    id: TaskId,
    known: Mapping[TaskId, tuple[float, float]],
    fresh: Positions,
    places: Positions,
) -> float:
    """The height a moving task would like: its old one, else the middle of its placed neighbours."""
    if id in known:
        return known[id][1]
    near = [places[before][1] for before in graph.predecessors(id)]
    near += [known[after][1] for after in graph.successors(id) if after in known]
    return sum(near) / len(near) if near else fresh[id][1]


def _cell(place: tuple[float, float]) -> Cell:
    """Column and half row: layers with an even number of tasks stand half a row off the others."""
    return round(place[0] / COLUMN), round(2 * place[1] / ROW)


def _free(x: float, y: float, taken: set[Cell], tried: dict[Cell, int]) -> tuple[float, float]:
    """The place in column `x` nearest to `y` with a row's room around it; takes its cell.

    `tried` remembers how far earlier searches from the same cell came, so that many new tasks that all
    wish for one place are placed in time linear in their number.
    """
    column, row = cell = _cell((x, y))
    step = tried.get(cell, 0)
    while any((column, row + step + near) in taken for near in (-1, 0, 1)):
        step = -step if step > 0 else 1 - step
    tried[cell] = step
    taken.add((column, row + step))
    return x, (row + step) * ROW / 2
