"""A run as a face draws it: a row for every task, the attempts, the agents; and what changed since.

A row is what a browser needs of a task, its node and the edges that lead to it as the offline page has them
(`view.network`), so that both look alike. Rows that did not change are not made again.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from itertools import pairwise
from typing import Any

from dyntaskmas_nb.core.snapshot import Entry, Snapshot, TaskView
from dyntaskmas_nb.core.task import Task, TaskId
from dyntaskmas_nb.dtgg.weights import Coefficients, coefficients, edge_weights
from dyntaskmas_nb.view.layout import Place, layers, layout
from dyntaskmas_nb.view.network import LABELLED_EDGES, draw_edge, draw_node
from dyntaskmas_nb.view.numbers import expected_path, standing
from dyntaskmas_nb.view.theme import LOOKS
from dyntaskmas_nb.view.words import printable, result_text

#: Tasks that a face is given at most; it says how many there are.
MOST = 5_000
#: Characters of a description, a reason and a result that a row holds at most.
TEXT, WHY, RESULT = 300, 400, 600
#: Groups within groups that a row names at most.
NESTED = 16
Row = dict[str, Any]


@dataclass(slots=True)
class Frame:
    """What all rows of one moment share; where it changed, rows have to be made again."""

    key: tuple[int, Coefficients] | None = None
    weights: Mapping[tuple[TaskId, TaskId], float] = field(default_factory=dict)
    layer: Mapping[TaskId, int] = field(default_factory=dict)
    order: list[TaskId] = field(default_factory=list)
    largest: float = 0.0
    heaviest: float = 0.0
    labelled: bool = False


class Scene:
    """What a face was told of one run: `look` takes the next moment in and says what changed.

    Places in the picture are kept from moment to moment (see `view.layout`).
    """

    def __init__(self, places: Mapping[TaskId, Place] | None = None) -> None:
        self.rows: dict[TaskId, Row] = {}
        self.places: dict[TaskId, Place] = dict(places or {})
        self._frame = Frame()
        self._made_of: dict[TaskId, tuple[tuple[Any, ...], Any]] = {}
        self._attempts: dict[tuple[TaskId, int], tuple[float | None, str]] = {}
        self._rest: dict[str, Any] = {}

    def look(self, now: Snapshot) -> dict[str, Any]:
        """What changed between the moment before and `now`, as the news that a face takes in."""
        stale = self._reframe(now)
        path = expected_path(now)
        onward = {after: before for before, after in pairwise(path)}
        critical = set(path)
        upserts = []
        for id in self._frame.order:
            task, view = now.graph[id], now.tasks[id]
            made_of = (
                *(task, view.state, view.priority, view.attempt, view.agent, view.reason),
                *(id in critical, onward.get(id), now.breakpoints.get(id, ""), chain(now.groups, id)),
            )
            known = self._made_of.get(id)
            if stale or known is None or known[0] != made_of or known[1] is not view.result:
                self._made_of[id] = made_of, view.result
                row = self._row(now, task, view, id in critical, onward.get(id))
                if row != self.rows.get(id):
                    self.rows[id] = row
                    upserts.append(row)
        kept = set(self._frame.order) if stale else self.rows
        removals = [id for id in self.rows if id not in kept]
        for id in removals:
            del self.rows[id], self._made_of[id]
        return {
            "t": now.t,
            "version": now.seq,
            "status": now.status,
            "standing": standing(now),
            "reason": printable(now.reason, 600),
            "run": now.run,
            "request": printable(now.request, TEXT),
            "total": len(now.graph),
            "upserts": upserts,
            "removals": removals,
            "attempts": self._news_of(now.entries),
            **self._new("agents", [asdict(agent) for agent in now.agents]),
            **self._new("settings", settings_of(now)),
        }

    def task(self, id: TaskId) -> Task | None:
        """A task, whole, as it was at the last moment looked at; None where there is none."""
        known = self._made_of.get(id)
        return known[0][0] if known else None

    def whole(self, now: Snapshot) -> dict[str, Any]:
        """All there is at `now`, with the rows in topological order."""
        self._attempts, self._rest = {}, {}
        news = self.look(now)
        return news | {"upserts": [self.rows[id] for id in self._frame.order], "removals": []}

    def _reframe(self, now: Snapshot) -> bool:
        """Bring what all rows share up to date; True where any of it changed."""
        graph, frame = now.graph, self._frame
        key = graph.version, coefficients(now.settings)
        if key == frame.key:
            return False
        order = graph.topological()[:MOST]
        weights = edge_weights(graph, now.settings)
        self.places = layout(graph, self.places)
        self._frame = Frame(
            key=key,
            weights=weights,
            layer=layers(graph),
            order=order,
            largest=max((graph[id].complexity for id in order), default=0.0),
            heaviest=max(weights.values(), default=0.0),
            labelled=len(weights) <= LABELLED_EDGES,
        )
        return True

    def _row(self, now: Snapshot, task: Task, view: TaskView, critical: bool, onward: TaskId | None) -> Row:
        frame, id = self._frame, task.id
        after = now.graph.after(id)
        edges = [
            draw_edge(
                *(before, id, moved, frame.weights.get((before, id))),
                critical=onward == before,
                heaviest=frame.heaviest,
                labelled=frame.labelled,
            )
            for before, moved in after.items()
            if before in self.places
        ]
        look = LOOKS[view.state]
        return {
            "id": id,
            "description": printable(task.description, TEXT),
            "role": task.role,
            "complexity": task.complexity,
            "boost": task.boost,
            "critical": task.critical,
            "timeout": task.timeout,
            "attempts": task.attempts,
            "resources": [part.key if part.exclusive else f"{part.key} (shared)" for part in task.resources],
            "join": f"{task.join.kind} {task.join.k}" if task.join.kind == "k_of_n" else task.join.kind,
            "approval": task.approval,
            "state": view.state.value,
            "mark": look.mark,
            "colour": look.colour,
            "priority": view.priority,
            "attempt": view.attempt,
            "agent": view.agent,
            "reason": printable(view.reason, WHY),
            "result": result_text(view.result, RESULT),
            "layer": frame.layer[id],
            "breakpoint": now.breakpoints.get(id, ""),
            "groups": list(chain(now.groups, id)),
            "after": list(after),
            "node": draw_node(task, view, self.places[id], critical, frame.largest),
            "edges": edges,
        }

    def _news_of(self, entries: Iterable[Entry]) -> list[dict[str, Any]]:
        news = []
        for entry in entries:
            key, now = (entry.task, entry.attempt), (entry.end, entry.outcome)
            if self._attempts.get(key) != now:
                self._attempts[key] = now
                news.append(asdict(entry))
        return news

    def _new(self, name: str, value: Any) -> dict[str, Any]:
        """`value` under its name where it is another than the one told before."""
        if self._rest.get(name) == value:
            return {}
        self._rest[name] = value
        return {name: value}


def chain(groups: Mapping[TaskId, TaskId], id: TaskId) -> tuple[TaskId, ...]:
    """The tasks that `id` was expanded from, the nearest first."""
    found: list[TaskId] = []
    while (id := groups.get(id, "")) and len(found) < NESTED:
        found.append(id)
    return tuple(found)


def settings_of(now: Snapshot) -> dict[str, Any]:
    """The settings that a panel shows and sets."""
    settings = now.settings
    return {
        "policy": settings.policy,
        "seed": settings.seed,
        "seconds_per_unit": settings.seconds_per_unit,
        "seconds_per_information": settings.seconds_per_information,
        "routing": settings.routing,
        "awm": settings.awm.mode,
    }
