"""Topological order under edits: Pearce and Kelly's algorithm on the positions `TaskGraph` keeps.

An edge that already agrees with the order costs one comparison; one that does not reorders only the tasks
between its ends. A cycle is found before anything has moved.

References
----------
D. J. Pearce, P. H. J. Kelly, "A dynamic topological sort algorithm for directed acyclic graphs",
ACM J. Experimental Algorithmics 11, 2006.
"""

from __future__ import annotations

from collections.abc import Mapping
from zlib import crc32

from dyntaskmas_nb.core.graph import cycle_error
from dyntaskmas_nb.core.task import TaskId

Edges = Mapping[TaskId, Mapping[TaskId, float]]


def make_room(position: dict[TaskId, float], pred: Edges, succ: Edges, before: TaskId, after: TaskId) -> None:
    """Reorder `position` so that the edge before → after agrees with it; O(affected tasks and edges).

    Raises
    ------
    CycleError
        When `before` is already reached from `after`; nothing has changed then.
    """
    low, high = position[after], position[before]
    if before == after:
        raise cycle_error([before, before])
    if high < low:
        return
    forward = _forward(position, succ, after, before, high)
    backward = _backward(position, pred, before, low)
    moved = sorted(backward, key=position.__getitem__) + sorted(forward, key=position.__getitem__)
    places = sorted(position[id] for id in moved)
    for id, place in zip(moved, places, strict=True):
        position[id] = place


def between(places: set[float], low: float, high: float, key: str) -> float | None:
    """A place of its own for a new task between two others, drawn from `key`; None where there is no room."""
    for salt in range(4):
        share = (crc32(f"{salt}{key}".encode()) + 1) / (2**32 + 1)
        place = low + (high - low) * share
        if low < place < high and place not in places:
            return place
    return None


def _forward(
    position: Mapping[TaskId, float], succ: Edges, start: TaskId, target: TaskId, limit: float
) -> set[TaskId]:
    """All that is reached from `start` up to position `limit`; a cycle if `target` is among it."""
    came_from: dict[TaskId, TaskId] = {}
    seen = {start}
    stack = [start]
    while stack:
        id = stack.pop()
        for after in succ[id]:
            if after in seen or position[after] > limit:
                continue
            came_from[after] = id
            if after == target:
                raise cycle_error(_walk_back(came_from, target, start))
            seen.add(after)
            stack.append(after)
    return seen


def _backward(position: Mapping[TaskId, float], pred: Edges, start: TaskId, limit: float) -> set[TaskId]:
    seen = {start}
    stack = [start]
    while stack:
        for before in pred[stack.pop()]:
            if before not in seen and position[before] >= limit:
                seen.add(before)
                stack.append(before)
    return seen


def _walk_back(came_from: Mapping[TaskId, TaskId], target: TaskId, start: TaskId) -> list[TaskId]:
    path = [target]
    while path[-1] != start:
        path.append(came_from[path[-1]])
    return [target, *reversed(path)]
