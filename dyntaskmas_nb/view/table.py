"""The task table: the accessible twin of the graph picture, as escaped HTML without script."""

from __future__ import annotations

from dyntaskmas_nb.core.snapshot import Entry, Snapshot, TaskView
from dyntaskmas_nb.core.task import Task, TaskState
from dyntaskmas_nb.view.theme import state_text
from dyntaskmas_nb.view.words import count, duration, markup, number, printable, result_text

ROWS = 1000
_HEAD = ("task", "description", "role", "state", "priority", "after", "agent", "time", "result")
_UNSEEN = TaskView(state=TaskState.PENDING)


def task_table(snapshot: Snapshot, *, rows: int = ROWS) -> str:
    """All tasks (the first `rows` of them, which it says) in topological order."""
    graph = snapshot.graph
    spent: dict[str, list[Entry]] = {}
    for entry in snapshot.entries:
        spent.setdefault(entry.task, []).append(entry)
    order = graph.topological()
    body = [
        _row(
            graph[id],
            snapshot.tasks.get(id, _UNSEEN),
            ", ".join(printable(name, 40) for name in graph.predecessors(id)[:8]),
            _time(spent.get(id, []), snapshot.t),
        )
        for id in order[:rows]
    ]
    caption = count(len(graph), "task")
    if len(order) > rows:
        caption = f"showing {rows:,} of {caption}"
    head = "".join(f'<th scope="col">{name}</th>' for name in _HEAD)
    return (
        f"<table><caption>{caption}</caption><thead><tr>{head}</tr></thead>"
        f"<tbody>{''.join(body)}</tbody></table>"
    )


def _time(entries: list[Entry], now: float) -> str:
    """Time of the last attempt, and how many there were before it."""
    if not entries:
        return ""
    last = entries[-1]
    spent = duration((now if last.end is None else last.end) - last.start)
    return (
        spent
        + (" so far" if last.end is None else "")
        + (f", attempt {len(entries)}" if len(entries) > 1 else "")
    )


def _row(task: Task, view: TaskView, after: str, time: str) -> str:
    preview = printable(view.reason, 160) or printable(result_text(view.result, 400), 160)
    cells = (
        printable(task.description, 200),
        printable(task.role, 60),
        state_text(view.state),
        number(view.priority, 4),
        after,
        printable(view.agent, 60),
        time,
        preview,
    )
    data = "".join(f"<td><bdi>{markup(cell, 400)}</bdi></td>" for cell in cells)
    return f'<tr><th scope="row"><bdi>{markup(task.id, 200)}</bdi></th>{data}</tr>'
