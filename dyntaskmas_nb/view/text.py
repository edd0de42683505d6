"""Plain-text forms for terminals and plain reprs: the plan, the progress, a text Gantt, the key numbers.

All foreign text passes `printable`, so no escape sequence of a task name or a result reaches the terminal.
"""

from __future__ import annotations

from collections import Counter

from rich.cells import cell_len

from dyntaskmas_nb.core.graph import TaskGraph
from dyntaskmas_nb.core.measures import Measures
from dyntaskmas_nb.core.snapshot import Entry, Snapshot
from dyntaskmas_nb.core.task import TaskId
from dyntaskmas_nb.view.lanes import Lane, end_of, lanes, ticks
from dyntaskmas_nb.view.layout import layers
from dyntaskmas_nb.view.numbers import key_numbers, standing
from dyntaskmas_nb.view.theme import LOOKS, outcome_look
from dyntaskmas_nb.view.words import count, duration, fit, number, printable

LIMIT = 60


def plan_text(graph: TaskGraph, *, limit: int = LIMIT) -> str:
    """The plan as a list in an order that works, each task with what it comes after.

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
    sizes = Counter(layer.values())
    edges = count(sum(1 for _ in graph.dependencies()), "dependency", "dependencies")
    at_once = count(max(sizes.values(), default=0), "task")
    order = sorted(graph.topological(), key=layer.__getitem__)
    digits = len(str(min(len(order), limit)))
    lines = [
        "  " * min(layer[id], 8) + f"{place:>{digits}}. {_plan_line(graph, id)}"
        for place, id in enumerate(order[:limit], 1)
    ]
    head = f"{count(len(order), 'task')}, {edges}; {count(len(sizes), 'step')} deep, up to {at_once} at once"
    return "\n".join([*filter(None, [printable(graph.title)]), head, *lines, *_more(len(order), limit)])


def _more(total: int, limit: int, noun: str = "task") -> list[str]:
    return [f"… and {count(total - limit, f'more {noun}')}"] if total > limit else []


def _plan_line(graph: TaskGraph, id: TaskId) -> str:
    task, after = graph[id], graph.predecessors(id)
    role = "" if task.role == "general" else f"{printable(task.role, 30)}, "
    facts = f"[{role}complexity {number(task.complexity)}{'' if task.critical else ', may fail'}]"
    words = printable(task.description, 70) if task.description != id else ""
    waits = f"← {printable(', '.join(after))}" if after else ""
    return "  ".join(filter(None, [printable(id, 40), words, facts, waits]))


def progress_text(snapshot: Snapshot, *, limit: int = LIMIT) -> str:
    """Where the run stands, a line for the run and one for each task, in topological order."""
    order = snapshot.graph.topological()
    width = min(28, max((cell_len(printable(id, 40)) for id in order[:limit]), default=0))
    last = {entry.task: entry for entry in snapshot.entries}
    lines = [standing(snapshot), *filter(None, [printable(snapshot.reason, 300)])]
    for id in order[:limit]:
        view, entry = snapshot.tasks[id], last.get(id)
        cells = [
            f"{LOOKS[view.state].mark} {fit(printable(id, 40), width)}",
            f"{view.state.value:<9}",
            f"{duration(end_of(entry, snapshot.t) - entry.start):>8}" if entry else "",
            printable(view.agent, 30),
            f"attempt {view.attempt}" if view.attempt > 1 else "",
            f"({printable(view.reason, 120)})" if view.reason else "",
        ]
        lines.append("  ".join(filter(None, cells)).rstrip())
    return "\n".join([*lines, *_more(len(order), limit)])


def timeline_text(snapshot: Snapshot, width: int = 72, *, limit: int = 40) -> str:
    """The timeline in characters, at most `width` cells wide: a line for each agent or slot.

    ``─`` is a task that got done, ``▶`` at its end one that still runs, ``✗`` one that failed, ``⊘`` one
    that was stopped; ``│`` separates tasks.
    """
    if not snapshot.entries:
        return "no task has started yet"
    rows = lanes(snapshot)
    gutter = min(max(8, width // 4), max(cell_len(row.name) for row in rows))
    room = max(10, width - gutter - 2)
    end = max(end_of(entry, snapshot.t) for entry in snapshot.entries)
    scale = room / max(end, 1e-9)
    lines = [f"{fit(row.name, gutter)} {_row(row, snapshot.t, scale, room)}" for row in rows[:limit]]
    lines += [*_more(len(rows), limit, "lane"), " " * (gutter + 1) + _axis(end, scale, room)]
    return "\n".join(line.rstrip() for line in lines)


def _row(lane: Lane, now: float, scale: float, room: int) -> str:
    """One lane: bars drawn left to right, each at least one cell; a cell already taken stays as it is."""
    out, used = "", 0
    for entry in lane.entries:
        left = max(used, round(entry.start * scale))
        cells = min(max(1, round(end_of(entry, now) * scale) - left), room - left)
        if cells > 0:
            out += " " * (left - used) + _bar(entry, cells)
            used = left + cells
    return out


def _bar(entry: Entry, cells: int) -> str:
    sign = "─" if entry.outcome == "done" else outcome_look(entry.outcome).mark
    if cells < 3:
        return f"│{sign}"[-cells:]
    name = printable(entry.task, 40) + (f"#{entry.attempt}" if entry.attempt > 1 else "")
    room = cells - 2
    inside = fit(name, room) if cell_len(name) > room else name + "─" * (room - cell_len(name))
    return f"│{inside}{sign}"


def _axis(end: float, scale: float, room: int) -> str:
    out = ""
    for t in ticks(0.0, end, max(2, room // 12)):
        place, word = round(t * scale), duration(t)
        if len(out) + bool(out) <= place <= room + 2 - len(word):
            out += " " * (place - len(out)) + word
    return out


def numbers_text(measures: Measures) -> str:
    """What parallelism bought, a number a line with its meaning, and the critical path by name."""
    rows = key_numbers(measures)
    width = max(len(value) for _, value, _ in rows)
    lines = [f"{name:<17}  {value:>{width}}   {meaning}" for name, value, meaning in rows]
    lines += [f"path: {printable(' → '.join(measures.path), 300)}"] if measures.path else []
    return "\n".join(lines)
