"""A run as a small static piece of HTML, for `_repr_html_`: no script, light and dark.

Seen on GitHub, in nbconvert and without a kernel; JupyterLab's own colours are used where they exist.
"""

from __future__ import annotations

from dyntaskmas_nb.core.snapshot import Snapshot
from dyntaskmas_nb.view.graph_svg import graph_svg
from dyntaskmas_nb.view.html import numbers_html
from dyntaskmas_nb.view.network import Weights
from dyntaskmas_nb.view.numbers import ENDED, measured, standing
from dyntaskmas_nb.view.page import FRAGMENT_STYLE
from dyntaskmas_nb.view.table import task_table
from dyntaskmas_nb.view.timeline import timeline_svg
from dyntaskmas_nb.view.words import markup

#: A notebook keeps these pieces: they stay well under 100 kB.
GRAPH_LIMIT, ROW_LIMIT, BAR_LIMIT, LANE_LIMIT = 40, 40, 80, 24


def fragment(snapshot: Snapshot, weights: Weights) -> str:
    """Key numbers and graph unfolded, timeline and table folded; says so when it cannot show all."""
    title = snapshot.graph.title or snapshot.request
    numbers = numbers_html(measured(snapshot), ended=snapshot.status in ENDED) if snapshot.entries else ""
    timeline = timeline_svg(snapshot, max_lanes=LANE_LIMIT, max_bars=BAR_LIMIT)
    return (
        f'<div class="dyntask"><style>{FRAGMENT_STYLE}</style>'
        f"<p><b><bdi>{markup(title, 200)}</bdi></b></p><p>{markup(standing(snapshot))}</p>"
        + (f"<p><bdi>{markup(snapshot.reason, 400)}</bdi></p>" if snapshot.reason else "")
        + numbers
        + f'<div class="graph">{graph_svg(snapshot, weights, limit=GRAPH_LIMIT)}</div>'
        + (f"<details><summary>Timeline</summary>{timeline}</details>" if snapshot.entries else "")
        + f"<details><summary>Tasks</summary>{task_table(snapshot, rows=ROW_LIMIT)}</details></div>"
    )
