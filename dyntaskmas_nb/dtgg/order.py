"""Topological order under edits, on the positions that `TaskGraph` keeps.

D. J. Pearce, P. H. J. Kelly, "A dynamic topological sort algorithm for directed acyclic graphs", ACM J.
Experimental Algorithmics 11, 2006. An edge that already agrees with the order costs one comparison; one that
does not reorders only the tasks between its ends. A cycle is found before anything has moved.
"""

from __future__ import annotations

from collections.abc import Mapping
from zlib import crc32

from dyntaskmas_nb.core.graph import cycle_error
from dyntaskmas_nb.core.task import TaskId

Edges = Mapping[TaskId, Mapping[TaskId, float]]


def make_room(position: dict[TaskId, float], pred: Edges, succ: Edges, before: TaskId, after: TaskId) -> None:
    """Reorder `position` so that the edge before → after agrees with it; O(affected tasks and edges).

    Raises `CycleError` when `before` is already reached from `after`; nothing has changed then.
    """
    if position[before] < position[after]:
        return
    forward = _reach(after, before, succ, position)
    if before in forward:
        path = [before]
        while path[-1] != after:
            path.append(forward[path[-1]])
        raise cycle_error([before, *reversed(path)])
    backward = _reach(before, after, pred, position)
    moved = [id for found in (backward, forward) for id in sorted(found, key=position.__getitem__)]
    places = sorted(position[id] for id in moved)
    position.update(zip(moved, places, strict=True))


def between(places: set[float], low: float, high: float, key: str) -> float | None:
    """A place of its own for a new task between two others, drawn from `key`; None where there is no room.

    `places` are those given so far; whole numbers belong to the tasks that came at the end.
    """
    for salt in range(4):
        share = (crc32(f"{salt}{key}".encode()) + 1) / (2**32 + 1)
        place = low + (high - low) * share
        if low < place < high and place % 1 and place not in places:
            return place
    return None


def _reach(
    start: TaskId, goal: TaskId, edges: Edges, position: Mapping[TaskId, float]
) -> dict[TaskId, TaskId]:
    """What is reached from `start` no farther than `goal`, and whence; the search ends at `goal`."""
    low, high = sorted((position[start], position[goal]))
    came_from = {start: start}
    stack = [start]
    while stack and goal not in came_from:
        id = stack.pop()
        for other in edges[id]:
            if other not in came_from and low <= position[other] <= high:
                came_from[other] = id
                stack.append(other)
    return came_from
