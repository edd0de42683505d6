"""A run as one self-contained HTML file that works offline and lets nothing in its data act.

The page carries vis-network (taken from pyvis' bundled resources), the picture as JSON in a data block, a
small script, the static SVGs and the task table. Its Content-Security-Policy allows these two scripts and
this one style sheet by their hashes, and nothing else: no network, no inline handler, no frame, no form.
pyvis' own template is not used: it loads Bootstrap from a CDN even when told to inline everything.
"""

from __future__ import annotations

import base64
import hashlib
import json
from html import escape

from dyntaskmas_nb.core.snapshot import Snapshot
from dyntaskmas_nb.core.task import TaskState
from dyntaskmas_nb.view.fragment import asset, foreign, numbers_html, standing_html, task_table
from dyntaskmas_nb.view.network import Model, Weights, model
from dyntaskmas_nb.view.picture import graph_svg, shape
from dyntaskmas_nb.view.theme import LOOKS, state_text
from dyntaskmas_nb.view.timeline import timeline_svg
from dyntaskmas_nb.view.words import markup, result_text, tag

#: Tasks and attempts on the page at most; it says so when there are more.
LIMIT = 1000
#: Results on the page at most.
RESULTS = 20


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
