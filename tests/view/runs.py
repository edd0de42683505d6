"""Runs to draw, made by hand: the pictures need no engine."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from dyntaskmas_nb.core.graph import TaskGraph
from dyntaskmas_nb.core.settings import Settings
from dyntaskmas_nb.core.snapshot import AgentView, Entry, Snapshot, TaskView
from dyntaskmas_nb.core.task import Task, TaskState
from dyntaskmas_nb.view.network import Weights

TRAVEL = [
    ("preferences", "Understand what the travellers want", 2, []),
    ("flights", "Find flights for two", 4, ["preferences"]),
    ("hotels", "Find a hotel for three nights", 3, ["preferences"]),
    ("budget", "Check the budget", 1, ["flights", "hotels"]),
]
VIEWS = {
    "preferences": TaskView(state=TaskState.DONE, priority=7, agent="bob", attempt=2, result="two, museums"),
    "flights": TaskView(state=TaskState.RUNNING, priority=5, agent="ann", attempt=1),
    "hotels": TaskView(state=TaskState.DONE, priority=4, agent="bob", attempt=1, result={"name": "Ryokan"}),
}


def make(graph: TaskGraph | Sequence[str] = (), **changes: Any) -> Snapshot:
    """A running snapshot of a graph, or of unconnected tasks with these ids."""
    graph = graph if isinstance(graph, TaskGraph) else TaskGraph.of([Task(id=id) for id in graph])
    views = {id: TaskView(state=TaskState.PENDING) for id in graph} | changes.pop("tasks", {})
    fields: dict[str, Any] = {"run": "run-1", "request": graph.title, "status": "running", "t": 0.0, "seq": 1}
    fields |= {"settings": Settings(), "graph": graph, "tasks": views, "agents": [], "entries": []}
    return Snapshot(**(fields | changes))


def travel() -> tuple[Snapshot, Weights]:
    """Four tasks, mid-run: one done after a failed attempt, one done, one running, one pending."""
    keys = ("id", "description", "complexity", "depends_on")
    subtasks = [{"role": "traveller"} | dict(zip(keys, row, strict=True)) for row in TRAVEL]
    graph = TaskGraph.from_plan({"task": "A trip to Kyoto", "subtasks": subtasks})
    entries = [
        Entry(task="preferences", agent="ann", start=0.0, end=1.0, outcome="failed"),
        Entry(task="preferences", agent="bob", start=1.0, end=3.0, attempt=2),
        Entry(task="flights", agent="ann", start=3.0, end=None, outcome="running"),
        Entry(task="hotels", agent="bob", start=3.0, end=6.0),
    ]
    agents = [AgentView(id=id, roles=("*",)) for id in ("ann", "bob", "eve")]
    weights = {(before, after): graph[after].complexity for before, after, _ in graph.dependencies()}
    return make(graph, t=7.0, tasks=VIEWS, agents=agents, entries=entries), weights
