"""Plain-text forms for terminals and plain reprs: the plan, the progress, a text Gantt, the key numbers.

All foreign text passes `printable`, so no escape sequence of a task name or a result reaches the terminal.
"""

from __future__ import annotations

from dyntaskmas_nb.core.graph import TaskGraph
from dyntaskmas_nb.core.measures import Measures
from dyntaskmas_nb.core.snapshot import Entry, Snapshot
from dyntaskmas_nb.core.task import TaskState
from dyntaskmas_nb.view.lanes import Lane, lanes, ticks
from dyntaskmas_nb.view.layout import layers
from dyntaskmas_nb.view.numbers import chain, key_numbers, standing
from dyntaskmas_nb.view.theme import LOOKS, outcome_look
from dyntaskmas_nb.view.words import columns, count, duration, fit, number, printable

__all__ = ["numbers_text", "plan_text", "printable", "progress_text", "timeline_text"]

LIMIT = 60


def plan_text(graph: TaskGraph, *, limit: int = LIMIT) -> str:
    """The plan as a list in an order that works, each task with what it comes after.

    Examples
    --------
    >>> graph = TaskGraph.from_plan({"task": "Sum", "subtasks": [
    ...     {"id": "a", "description": "Add 1 and 2", "role": "adder"},
    ...     {"id": "b", "depends_on": ["a"], "complexity": 2}]})
    >>> print(plan_text(graph))
    Sum
    2 tasks, 1 dependency; 2 steps deep, up to 1 task at once
    1. a  Add 1 and 2  [adder, complexity 1]
      2. b  [complexity 2]  ← a
    """
    layer = layers(graph)
    sizes: dict[int, int] = {}
    for depth in layer.values():
        sizes[depth] = sizes.get(depth, 0) + 1
    edges = sum(1 for _ in graph.dependencies())
    lines = [printable(graph.title, 200)] if graph.title.strip() else []
    if not len(graph):
        return "\n".join([*lines, "no tasks"])
    lines.append(
        f"{count(len(graph), 'task')}, {count(edges, 'dependency', 'dependencies')}; "
        f"{count(len(sizes), 'step')} deep, up to {count(max(sizes.values()), 'task')} at once"
    )
    order = sorted(graph.topological(), key=layer.__getitem__)
    digits = len(str(min(len(order), limit)))
    for place, id in enumerate(order[:limit], 1):
        indent = "  " * min(layer[id], 8)
        lines.append(f"{indent}{place:>{digits}}. {_plan_line(graph, id)}")
    if len(order) > limit:
        lines.append(f"… and {count(len(order) - limit, 'more task')}")
    return "\n".join(lines)


def _plan_line(graph: TaskGraph, id: str) -> str:
    task = graph[id]
    facts = [] if task.role == "general" else [printable(task.role, 30)]
    facts.append(f"complexity {number(task.complexity)}")
    if not task.critical:
        facts.append("may fail")
    after = graph.predecessors(id)
    waits = ", ".join(printable(name, 30) for name in after[:5]) + (
        f" and {len(after) - 5} more" if len(after) > 5 else ""
    )
    words = printable(task.description, 70)
    parts = [
        printable(id, 40),
        words if words != id else "",
        f"[{', '.join(facts)}]",
        f"← {waits}" if after else "",
    ]
    return "  ".join(part for part in parts if part)


def progress_text(snapshot: Snapshot, *, limit: int = LIMIT) -> str:
    """Where the run stands, a line for the run and one for each task, in topological order."""
    lines = [standing(snapshot)]
    if snapshot.reason:
        lines.append(printable(snapshot.reason, 300))
    order = snapshot.graph.topological()
    width = min(28, max((columns(printable(id, 40)) for id in order[:limit]), default=0))
    last: dict[str, Entry] = {entry.task: entry for entry in snapshot.entries}
    for id in order[:limit]:
        view = snapshot.tasks.get(id)
        state = view.state if view else TaskState.PENDING
        entry = last.get(id)
        spent = duration((snapshot.t if entry.end is None else entry.end) - entry.start) if entry else ""
        cells = [f"{LOOKS[state].mark} {fit(printable(id, 40), width)}", f"{state.value:<9}"]
        cells += [f"{spent:>8}"] if spent else []
        cells += [printable(view.agent, 30)] if view and view.agent else []
        cells += [f"attempt {view.attempt}"] if view and view.attempt > 1 else []
        cells += [f"({printable(view.reason, 120)})"] if view and view.reason else []
        lines.append("  ".join(cells).rstrip())
    if len(order) > limit:
        lines.append(f"… and {count(len(order) - limit, 'more task')}")
    return "\n".join(lines)


def timeline_text(snapshot: Snapshot, width: int = 72, *, limit: int = 40) -> str:
    """The timeline in characters, at most `width` cells wide: a line for each agent or slot.

    ``─`` is a task that got done, ``▶`` at its end one that still runs, ``✗`` one that failed, ``⊘`` one
    that was stopped; ``│`` separates tasks.
    """
    rows = lanes(snapshot)
    names = [printable(row.agent, 40) + (f" {row.slot + 1}" if row.slots > 1 else "") for row in rows]
    gutter = min(max(8, width // 4), max((columns(name) for name in names), default=8))
    room = max(10, width - gutter - 2)
    end = max((snapshot.t if e.end is None else e.end for e in snapshot.entries), default=0.0)
    if not snapshot.entries:
        return "no task has started yet"
    scale = room / end if end > 1e-9 else 0.0
    lines = [
        f"{fit(name, gutter)} {_row(row, snapshot.t, scale, room)}"
        for name, row in zip(names[:limit], rows, strict=False)
    ]
    if len(rows) > limit:
        lines.append(f"… showing {limit} of {count(len(rows), 'lane')}")
    return "\n".join(line.rstrip() for line in [*lines, " " * (gutter + 1) + _axis(end, scale, room)])


def _row(lane: Lane, now: float, scale: float, room: int) -> str:
    """One lane: bars drawn left to right, each at least one cell; a cell already taken stays as it is."""
    out, used = "", 0
    for entry in lane.entries:
        end = max(now, entry.start) if entry.end is None else entry.end
        left = max(used, round(entry.start * scale))
        cells = min(max(1, round(end * scale) - left), room - left)
        if cells <= 0 or (used and round(end * scale) <= used <= round(entry.start * scale)):
            continue
        out += " " * (left - used) + _bar(entry, cells)
        used = left + cells
    return out


def _bar(entry: Entry, cells: int) -> str:
    sign = "─" if entry.outcome == "done" else outcome_look(entry.outcome)[1]
    if cells < 3:
        return ("│" if entry.outcome == "done" else sign) + "─" * (cells - 1)
    name = printable(entry.task, 40) + (f"#{entry.attempt}" if entry.attempt > 1 else "")
    room = cells - 2
    inside = name if columns(name) <= room else fit(name, room)
    return "│" + inside + "─" * (room - columns(inside)) + sign


def _axis(end: float, scale: float, room: int) -> str:
    out = ""
    for t in ticks(0.0, end, max(2, room // 12)):
        place, word = round(t * scale), duration(t)
        if place < len(out) + bool(out) or place + len(word) > room + 2:
            continue
        out += " " * (place - len(out)) + word
    return out


def numbers_text(measures: Measures) -> str:
    """What parallelism bought, a number a line with its meaning, and the critical path by name."""
    rows = key_numbers(measures)
    name, value = max(len(row.name) for row in rows), max(len(row.value) for row in rows)
    lines = [f"{row.name:<{name}}  {row.value:>{value}}   {row.meaning}" for row in rows]
    if measures.path:
        lines.append(f"{'':<{name}}  path: {chain(measures.path)}")
    return "\n".join(lines)
