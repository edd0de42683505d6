"""A run as one self-contained HTML file that works offline and lets nothing in its data act.

The page carries vis-network (taken from pyvis' bundled resources: the one read of a file in this package),
the picture as JSON in a data block, a small script, the static SVGs and the task table. Its
Content-Security-Policy allows these two scripts and this one style sheet by their hashes, and nothing else:
no network, no inline handler, no frame, no form. pyvis' own template is not used, because it loads Bootstrap
from a CDN even when told to inline everything.
"""

from __future__ import annotations

import base64
import hashlib
import json
from functools import cache
from importlib import resources

from dyntaskmas_nb.core.measures import Measures
from dyntaskmas_nb.core.snapshot import Snapshot
from dyntaskmas_nb.core.task import TaskState
from dyntaskmas_nb.errors import MissingExtra
from dyntaskmas_nb.view.graph_svg import graph_svg
from dyntaskmas_nb.view.network import Model, Weights, model, shown_note
from dyntaskmas_nb.view.numbers import ENDED, chain, key_numbers, measured, standing
from dyntaskmas_nb.view.page import LEGEND, SCRIPT, STYLE
from dyntaskmas_nb.view.table import task_table
from dyntaskmas_nb.view.timeline import timeline_svg
from dyntaskmas_nb.view.words import markup, paragraph, printable, result_text

#: Tasks on the canvas at most; the table and the picture say so above it.
CANVAS_LIMIT = 3000
_VIS = "lib/vis-9.1.2/vis-network.min.js"


def to_html(snapshot: Snapshot, weights: Weights, *, title: str = "") -> str:
    """One HTML file: key numbers, graph, timeline, task table, final result.

    Parameters
    ----------
    weights : W of Eq. 3 in seconds by (before, after).
    title : heading of the page; the graph's title, or the request, when empty.
    """
    heading = title or snapshot.graph.title or snapshot.request or "A run"
    data = model(snapshot, weights, limit=CANVAS_LIMIT)
    library = vis_network()
    measures = measured(snapshot)
    note = shown_note(data)
    parts = [
        '<!doctype html><html lang="en"><head><meta charset="utf-8">',
        f'<meta http-equiv="Content-Security-Policy" content="{policy(library)}">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f"<title>{markup(heading, 120)}</title><style>{STYLE}</style></head><body><main>",
        f"<h1><bdi>{markup(heading, 300)}</bdi></h1>",
        f"<p><bdi>{markup(snapshot.request, 600)}</bdi></p>"
        if printable(snapshot.request, 300) not in heading
        else "",
        f'<p class="standing">{markup(standing(snapshot))}</p>',
        f'<p class="reason"><bdi>{markup(snapshot.reason, 600)}</bdi></p>' if snapshot.reason else "",
        numbers_html(measures, ended=snapshot.status in ENDED),
        f'<section><h2>Task graph</h2><div id="graph">{graph_svg(snapshot, weights)}</div>{LEGEND}',
        f"<p>On the canvas: {markup(note)}.</p>" if note else "",
        f'</section><section><h2>Timeline</h2><div class="wide">{timeline_svg(snapshot)}</div></section>',
        final_html(snapshot),
        '<section><h2>Tasks</h2><div class="wide tall" tabindex="0" role="region" aria-label="Tasks">',
        f"{task_table(snapshot)}</div></section>",
        f'</main><script type="application/json" id="model">{data_block(data)}</script>',
        f"<script>{library}</script><script>{SCRIPT}</script></body></html>\n",
    ]
    return "".join(parts)


def numbers_html(measures: Measures, *, ended: bool = True) -> str:
    """The key numbers as a description list, the critical path by name below."""
    items = "".join(
        f"<div><dt>{row.name}</dt><dd><b>{markup(row.value)}</b><small>{row.meaning}</small></dd></div>"
        for row in key_numbers(measures, ended=ended)
    )
    if not measures.path:
        return f"<dl>{items}</dl>"
    name = "critical path" if ended else "critical path so far"
    return f'<dl>{items}</dl><p class="path">{name}: <bdi>{markup(chain(measures.path), 600)}</bdi></p>'


def final_html(snapshot: Snapshot, limit: int = 50_000) -> str:
    """The result: the sole sink's, or each finished sink's under its name."""
    sinks = snapshot.graph.sinks()
    done = [id for id in sinks if id in snapshot.tasks and snapshot.tasks[id].state is TaskState.DONE]
    shown = done[:20]
    parts = []
    for id in shown:
        text = paragraph(result_text(snapshot.tasks[id].result, limit), limit // len(shown))
        name = f"<h3><bdi>{markup(id)}</bdi></h3>" if len(sinks) > 1 else ""
        parts.append(f'{name}<pre dir="auto">{escape_lines(text)}</pre>')
    if len(done) > len(shown):
        parts.append(f"<p>showing {len(shown)} of {len(done):,} results</p>")
    return f"<section><h2>Result</h2>{''.join(parts) or '<p>None yet.</p>'}</section>"


def escape_lines(text: str) -> str:
    """Escape clean text, keeping its line breaks."""
    return "\n".join(markup_line(line) for line in text.split("\n"))


def markup_line(line: str) -> str:
    """One line escaped as it stands, its spaces kept."""
    return line.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace('"', "&quot;")


def data_block(data: Model) -> str:
    """JSON that cannot leave a script element: markup and line separators are written as escapes."""
    text = json.dumps(data, ensure_ascii=True, allow_nan=False, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


@cache
def vis_network() -> str:
    """vis-network's source as pyvis bundles it, fit to stand in a script element."""
    source = resources.files("pyvis").joinpath(_VIS).read_text(encoding="utf-8")
    source = source.replace("\r\n", "\n").split("\n//# sourceMappingURL=")[0]
    if "</script" in source.lower() or "<!--" in source:
        raise MissingExtra(
            "This version of pyvis bundles a vis-network that cannot be inlined; install pyvis 0.3.2."
        )
    return source


def policy(library: str) -> str:
    """The page's Content-Security-Policy."""
    return (
        f"default-src 'none'; script-src '{_sha256(library)}' '{_sha256(SCRIPT)}'; "
        f"style-src '{_sha256(STYLE)}'; img-src data:; connect-src 'none'; "
        "base-uri 'none'; form-action 'none'"
    )


def _sha256(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
