"""A run as HTML: a small static piece for `_repr_html_`, and one self-contained page that works offline.

The piece has no script and is seen on GitHub, in nbconvert and without a kernel; JupyterLab's own colours are
used where they exist. The page is made of the same pieces and lets nothing in its data act: it carries
vis-network (taken from pyvis' bundled resources), the picture as JSON in a data block, a small script, the
static SVGs and the task table. Its Content-Security-Policy allows these two scripts and this one style sheet
by their hashes, and nothing else: no network, no inline handler, no frame, no form. pyvis' own template is
not used: it loads Bootstrap from a CDN even when told to inline everything.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Sequence
from functools import cache
from html import escape
from importlib import resources

from dyntaskmas_nb.core.snapshot import Entry, Snapshot
from dyntaskmas_nb.core.task import TaskId, TaskState
from dyntaskmas_nb.view.lanes import end_of
from dyntaskmas_nb.view.network import Model, Weights, model
from dyntaskmas_nb.view.numbers import key_numbers, measured, showing, standing
from dyntaskmas_nb.view.picture import graph_svg, shape
from dyntaskmas_nb.view.theme import LOOKS, state_text
from dyntaskmas_nb.view.timeline import timeline_svg
from dyntaskmas_nb.view.words import duration, markup, number, printable, result_text, tag

#: Tasks and attempts in a notebook's piece at most, to stay well under 100 kB; it says when there are more.
PIECE = 40
#: Tasks and attempts on the page at most; it says so, too.
LIMIT = 1000
#: Results on the page at most.
RESULTS = 20
#: Classes of what MathJax, old or new, must not read.
UNTOUCHED = "tex2jax_ignore mathjax_ignore"
_HEAD = ("task", "description", "role", "state", "priority", "after", "agent", "time", "result")


def fragment(snapshot: Snapshot, weights: Weights) -> str:
    """Key numbers and graph unfolded, timeline and table folded; says so when it cannot show all."""
    graph = graph_svg(model(snapshot, weights, limit=PIECE))
    return (
        f'<div class="dyntask {UNTOUCHED}"><style>{asset("fragment.css")}</style>'
        f"<p><b>{foreign(snapshot.graph.title or snapshot.request)}</b></p>{standing_html(snapshot, PIECE)}"
        f'{numbers_html(snapshot)}<div class="graph">{graph}</div>'
        f"<details><summary>Timeline</summary>{timeline_svg(snapshot, limit=PIECE)}</details>"
        f"<details><summary>Tasks</summary>{task_table(snapshot, PIECE)}</details></div>"
    )


def to_html(snapshot: Snapshot, weights: Weights, *, title: str = "") -> str:
    """One HTML file: key numbers, graph, timeline, results, task table.

    `weights` are W of Eq. 3 in seconds; without a `title` the graph's title, or the request, heads the page.
    """
    heading = title or snapshot.graph.title or snapshot.request or "A run"
    data = model(snapshot, weights, limit=LIMIT)
    library, script, style = vis_network(), asset("page.js"), asset("page.css")
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{policy([library, script], [style])}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{markup(heading)}</title><style>{style}</style></head><body><main>"
        f"<h1>{foreign(heading, 600)}</h1>{standing_html(snapshot, LIMIT)}{numbers_html(snapshot)}"
        f'<section><h2>Task graph</h2><div id="graph">{graph_svg(data)}</div>{legend()}</section>'
        f'<section><h2>Timeline</h2><div class="wide">{timeline_svg(snapshot, limit=LIMIT)}</div></section>'
        f"<section><h2>Results</h2>{results_html(snapshot)}</section>"
        '<section><h2>Tasks</h2><div class="wide tall" tabindex="0" role="region" aria-label="Tasks">'
        f"{task_table(snapshot, LIMIT)}</div></section></main>"
        f'<script type="application/json" id="model">{data_block(data)}</script>'
        f"<script>{library}</script><script>{script}</script></body></html>\n"
    )


def listing(head: str, columns: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """A heading and a table under it, where there are rows, for `_repr_html_`."""
    names = tag("tr", *(tag("th", name, scope="col") for name in columns))
    body = (tag("tr", *(tag("td", foreign(cell)) for cell in row)) for row in rows)
    table = tag("table", tag("thead", names), tag("tbody", *body)) if rows else ""
    style = tag("style", asset("fragment.css"))
    return tag("div", style, tag("p", foreign(head, 300)), table, **{"class": f"dyntask {UNTOUCHED}"})


def results_html(snapshot: Snapshot) -> str:
    """What the tasks that nobody waits for have brought, each under its name."""
    done = [id for id in snapshot.graph.sinks() if snapshot.tasks[id].state is TaskState.DONE]
    parts = [
        f'<h3>{foreign(id)}</h3><pre dir="auto">{escape(result_text(snapshot.tasks[id].result))}</pre>'
        for id in done[:RESULTS]
    ]
    return "".join(parts) or "<p>None yet.</p>"


def legend() -> str:
    """What shapes, sizes and lines mean."""
    items = [
        tag("svg", shape(look, 8, 8, 6, stroke=look.colour), width=16, height=16, aria_hidden="true")
        + state_text(state)
        for state, look in LOOKS.items()
    ]
    items += ["size: complexity", "p: priority", "on the arrows: weight W", "bold outline: critical path"]
    return tag("ul", *(tag("li", item) for item in items), **{"class": "legend"})


def data_block(data: Model) -> str:
    """JSON that cannot leave a script element: markup is written as escapes."""
    text = json.dumps(data, ensure_ascii=True, allow_nan=False, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def vis_network() -> str:
    """vis-network's source as pyvis bundles it, fit to stand in a script element."""
    return asset("lib/vis-9.1.2/vis-network.min.js", "pyvis").split("\n//# sourceMappingURL=")[0]


def policy(scripts: list[str], styles: list[str]) -> str:
    """The Content-Security-Policy that allows these scripts and style sheets, and nothing else."""
    return (
        f"default-src 'none'; script-src {' '.join(map(_hashed, scripts))}; "
        f"style-src {' '.join(map(_hashed, styles))}; img-src data:; connect-src 'none'; "
        "base-uri 'none'; form-action 'none'"
    )


def _hashed(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


@cache
def asset(name: str, package: str = "dyntaskmas_nb.view") -> str:
    """A style sheet or script that lies in `package`."""
    return resources.files(package).joinpath(name).read_text(encoding="utf-8")


def foreign(text: object, limit: int = 200) -> str:
    r"""Text of users and models as HTML: escaped, free to run right to left within its own bounds.

    MathJax keeps its hands off: in it ``$\href{…}{…}$`` is just that.

    >>> foreign("<b> costs $5")
    '<bdi class="tex2jax_ignore mathjax_ignore">&lt;b&gt; costs $5</bdi>'
    """
    return f'<bdi class="{UNTOUCHED}">{markup(text, limit)}</bdi>'


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
