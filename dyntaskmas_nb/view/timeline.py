"""The timeline: a Gantt chart by agent as one static SVG string, no script, no style sheet.

Across, places are in percent, so that the picture fills 700 or 1,600 pixels with text of the same size;
down, they are in pixels. An agent that runs several tasks at once gets a lane for each. Outcomes show by
colour and mark, a running bar is dashed, bars of the critical path have a thick outline.
"""

from __future__ import annotations

from collections.abc import Callable

from dyntaskmas_nb.core.snapshot import Entry, Snapshot
from dyntaskmas_nb.view.lanes import Lane, end_of, lanes, ticks
from dyntaskmas_nb.view.numbers import expected_path, showing
from dyntaskmas_nb.view.picture import svg
from dyntaskmas_nb.view.theme import outcome_look
from dyntaskmas_nb.view.words import count, duration, markup, printable, tag

GUTTER, RIGHT = 19.0, 99.0  # per cent: where the bars begin and end
TOP, LANE = 26, 26  # pixels: the axis above the lanes, and each lane


def timeline_svg(snapshot: Snapshot, *, limit: int = 1000) -> str:
    """The timeline of `snapshot` as SVG, as wide as its place; of more than `limit` attempts the latest."""
    rows = lanes(snapshot, limit)
    shown = [entry for lane in rows for entry in lane.entries]
    start = min((entry.start for entry in shown), default=0.0)
    end = max((end_of(entry, snapshot.t) for entry in shown), default=snapshot.t)

    def x(t: float) -> float:
        return GUTTER + (RIGHT - GUTTER) * (t - start) / (end - start or 1.0)

    foot = TOP + LANE * len(rows)
    path = set(expected_path(snapshot))
    parts = [_tick(x(t), duration(t), foot) for t in ticks(start, end)]
    for row, lane in enumerate(rows):
        parts.append(_lane(lane, TOP + row * LANE))
        parts += [_bar(entry, snapshot.t, x, TOP + row * LANE, entry.task in path) for entry in lane.entries]
    note = showing(len(shown), len(snapshot.entries), "attempt")
    parts.append(tag("text", note, x="1%", y=foot + 18))
    label = f"Timeline: {count(len(shown), 'attempt')} on {count(len(rows), 'lane')} in {duration(end)}"
    return svg(*parts, label=label, width="100%", height=foot + (26 if note else 4))


def _tick(x: float, words: str, foot: int) -> str:
    across, anchor = f"{x:.3f}%", "end" if x > 97 else "middle"
    line = tag("line", x1=across, x2=across, y1=TOP - 5, y2=foot, stroke="currentColor", stroke_opacity=0.15)
    return line + tag("text", words, x=across, y=TOP - 10, text_anchor=anchor, font_size=11)


def _lane(lane: Lane, y: int) -> str:
    words = tag("title", markup(lane.name)) + tag("text", markup(lane.name), y=17)
    name = tag("svg", words, x="1%", y=y, width=f"{GUTTER - 2}%", height=LANE)
    ink = {"stroke": "currentColor", "stroke_opacity": 0.08}
    return name + tag("line", x1=0, x2="100%", y1=y + LANE, y2=y + LANE, **ink)


def _bar(entry: Entry, now: float, x: Callable[[float], float], y: int, critical: bool) -> str:
    """One attempt: its colour, its outline, and its name clipped to its width."""
    end = end_of(entry, now)
    wide = max(x(end) - x(entry.start), 0.15)
    look = outcome_look(entry.outcome)
    name = printable(entry.task, 80) + (f" #{entry.attempt}" if entry.attempt > 1 else "")
    running = entry.end is None
    times = f"after {duration(end - entry.start)} ({duration(entry.start)} to "
    hover = f"{name}: {'still running' if running else entry.outcome} {times}"
    hover += f"{'now' if running else duration(end)}) on {printable(entry.agent, 80)}"
    hover += ", on the critical path" if critical else ""
    place = {"x": f"{x(entry.start):.3f}%", "y": y + 2, "width": f"{wide:.3f}%", "height": LANE - 4}
    outline = {"stroke": "currentColor", "stroke_width": 2 if critical else 0.5}
    dashes = "5 3" if running else None
    halo = {"stroke": "#000", "stroke_opacity": 0.45, "stroke_width": 2, "paint_order": "stroke"}
    words = tag("text", markup(f"{look.mark} {name}", 60), x=4, y=15, font_size=11, fill="#fff", **halo)
    return tag(
        "g",
        tag("title", markup(hover, 400)),
        tag("rect", **place, fill=look.colour, stroke_dasharray=dashes, **outline),
        tag("svg", words, **place),
    )
