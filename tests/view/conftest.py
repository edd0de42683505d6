"""Runs to draw, made by hand: the pictures need no engine."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from dyntaskmas_nb.core.graph import TaskGraph
from dyntaskmas_nb.core.settings import Settings
from dyntaskmas_nb.core.snapshot import AgentView, Entry, Snapshot, TaskView
from dyntaskmas_nb.core.task import TaskState
from dyntaskmas_nb.view.network import Weights

Run = tuple[Snapshot, Weights]

TRAVEL = [
    ("preferences", "Understand what the travellers want", 2, []),
    ("flights", "Find flights for two", 4, ["preferences"]),
    ("hotels", "Find a hotel for three nights", 3, ["preferences"]),
    ("budget", "Check the budget", 1, ["flights", "hotels"]),
]


def snapshot_of(graph: TaskGraph, **changes: Any) -> Snapshot:
    fields: dict[str, Any] = {
        "run": "run-1",
        "request": graph.title,
        "status": "running",
        "t": 0.0,
        "seq": 1,
        "settings": Settings(),
        "graph": graph,
        "tasks": {id: TaskView(state=TaskState.PENDING) for id in graph},
        "agents": [],
        "entries": [],
    }
    return Snapshot(**(fields | changes))


@pytest.fixture
def make() -> Callable[..., Snapshot]:
    return snapshot_of


@pytest.fixture
def travel() -> Run:
    """Four tasks, mid-run: one done after a failed attempt, one done, one running, one pending."""
    subtasks = [
        {"id": id, "description": words, "role": "traveller", "complexity": c, "depends_on": after}
        for id, words, c, after in TRAVEL
    ]
    graph = TaskGraph.from_plan({"task": "A trip to Kyoto", "subtasks": subtasks})
    entries = [
        Entry(task="preferences", agent="ann", start=0.0, end=1.0, outcome="failed"),
        Entry(task="preferences", agent="bob", start=1.0, end=3.0, attempt=2),
        Entry(task="flights", agent="ann", start=3.0, end=None, outcome="running"),
        Entry(task="hotels", agent="bob", start=3.0, end=6.0),
    ]
    views = {
        "preferences": TaskView(
            state=TaskState.DONE, priority=7, agent="bob", attempt=2, result="two, museums"
        ),
        "flights": TaskView(state=TaskState.RUNNING, priority=5, agent="ann", attempt=1),
        "hotels": TaskView(
            state=TaskState.DONE, priority=4, agent="bob", attempt=1, result={"name": "Ryokan"}
        ),
        "budget": TaskView(state=TaskState.PENDING, priority=1),
    }
    agents = [AgentView(id=id, roles=("*",)) for id in ("ann", "bob", "eve")]
    snapshot = snapshot_of(graph, t=7.0, tasks=views, agents=agents, entries=entries)
    return snapshot, {(before, after): graph[after].complexity for before, after, _ in graph.dependencies()}
