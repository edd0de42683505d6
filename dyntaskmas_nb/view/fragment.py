"""A run as a small static piece of HTML, for `_repr_html_`: no script, light and dark.

Seen on GitHub, in nbconvert and without a kernel; JupyterLab's own colours are used where they exist. The
offline page (`html`) is made of the same pieces.
"""

from __future__ import annotations

from functools import cache
from importlib import resources

from dyntaskmas_nb.core.snapshot import Entry, Snapshot
from dyntaskmas_nb.core.task import TaskId
from dyntaskmas_nb.view.lanes import end_of
from dyntaskmas_nb.view.network import Weights, model
from dyntaskmas_nb.view.numbers import key_numbers, measured, showing, standing
from dyntaskmas_nb.view.picture import graph_svg
from dyntaskmas_nb.view.theme import state_text
from dyntaskmas_nb.view.timeline import timeline_svg
from dyntaskmas_nb.view.words import duration, markup, number, printable, result_text

#: A notebook keeps these pieces: with so many tasks and attempts they stay well under 100 kB.
LIMIT = 40


def fragment(snapshot: Snapshot, weights: Weights) -> str:
    """Key numbers and graph unfolded, timeline and table folded; says so when it cannot show all."""
    graph = graph_svg(model(snapshot, weights, limit=LIMIT))
    return (
        f'<div class="dyntask"><style>{asset("fragment.css")}</style>'
        f"<p><b>{foreign(snapshot.graph.title or snapshot.request)}</b></p>{standing_html(snapshot, LIMIT)}"
        f'{numbers_html(snapshot)}<div class="graph">{graph}</div>'
        f"<details><summary>Timeline</summary>{timeline_svg(snapshot, limit=LIMIT)}</details>"
        f"<details><summary>Tasks</summary>{task_table(snapshot, LIMIT)}</details></div>"
    )


@cache
def asset(name: str, package: str = "dyntaskmas_nb.view") -> str:
    """A style sheet or script that lies in `package`."""
    return resources.files(package).joinpath(name).read_text(encoding="utf-8")


def foreign(text: object, limit: int = 200) -> str:
    """Text of users and models as HTML: escaped, and free to run right to left within its own bounds."""
    return f"<bdi>{markup(text, limit)}</bdi>"


def standing_html(snapshot: Snapshot, limit: int) -> str:
    """Where the run stands, why, and how much of it is shown."""
    note = showing(limit, len(snapshot.graph))
    reason = f'<p class="reason">{foreign(snapshot.reason, 600)}</p>' if snapshot.reason else ""
    return f'<p class="soft">{markup(standing(snapshot))}{note and " · " + note}</p>{reason}'


def numbers_html(snapshot: Snapshot) -> str:
    """The key numbers as a description list, the critical path by name below."""
    measures = measured(snapshot)
    items = "".join(
        f"<div><dt>{name}</dt><dd><b>{markup(value)}</b><small>{meaning}</small></dd></div>"
        for name, value, meaning in key_numbers(measures)
    )
    so_far = "" if snapshot.status in ("done", "failed", "cancelled") else " so far"
    path = foreign(" → ".join(measures.path) or "–", 600)
    return f'<dl>{items}</dl><p class="soft">critical path{so_far}: {path}</p>'


_HEAD = ("task", "description", "role", "state", "priority", "after", "agent", "time", "result")


def task_table(snapshot: Snapshot, limit: int) -> str:
    """The first `limit` tasks in topological order: the accessible twin of the graph picture."""
    order = snapshot.graph.topological()
    last = {entry.task: entry for entry in snapshot.entries}
    body = "".join(_row(snapshot, id, last.get(id)) for id in order[:limit])
    head = "".join(f'<th scope="col">{name}</th>' for name in _HEAD)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def _row(snapshot: Snapshot, id: TaskId, last: Entry | None) -> str:
    task, view = snapshot.graph[id], snapshot.tasks[id]
    time = ""
    if last:
        time = duration(end_of(last, snapshot.t) - last.start) + (" so far" if last.end is None else "")
        time += f", attempt {view.attempt}" if view.attempt > 1 else ""
    cells = (
        task.description,
        task.role,
        state_text(view.state),
        number(view.priority, 4),
        ", ".join(printable(before, 40) for before in snapshot.graph.predecessors(id)),
        view.agent,
        time,
        view.reason or result_text(view.result, 400),
    )
    data = "".join(f"<td>{foreign(cell)}</td>" for cell in cells)
    return f'<tr><th scope="row">{foreign(id)}</th>{data}</tr>'
