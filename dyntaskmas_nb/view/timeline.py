"""The timeline: a Gantt chart by agent as one static SVG string, no script, no style sheet.

Across, places are in percent, so that the picture fills 700 or 1,600 pixels with text of the same size;
down, they are in pixels. An agent that runs several tasks at once gets a lane for each. Outcomes show by
colour, pattern and mark; a running bar is open at its end; bars of the critical path have a thick outline.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from types import MappingProxyType

from dyntaskmas_nb.core.snapshot import Entry, Snapshot
from dyntaskmas_nb.core.task import TaskId
from dyntaskmas_nb.view.lanes import MAX_BARS, MAX_LANES, Lane, choose, lanes, ticks
from dyntaskmas_nb.view.numbers import expected_path
from dyntaskmas_nb.view.svg import picture, tag, text, title
from dyntaskmas_nb.view.theme import OUTCOMES, agent_colour, outcome_look
from dyntaskmas_nb.view.words import count, duration, printable

_GUTTER, _EDGE = 19.0, 99.0  # per cent: where the bars begin and end
_AXIS, _FOOT = 26, 30  # pixels above and below the lanes


@dataclass(frozen=True, slots=True)
class _Scale:
    start: float
    end: float

    def x(self, t: float) -> float:
        share = (t - self.start) / (self.end - self.start)
        return _GUTTER + min(max(share, 0.0), 1.0) * (_EDGE - _GUTTER)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Chart:
    """What every bar is drawn with: `mark` makes the names of the patterns unique in a page."""

    scale: _Scale
    now: float
    height: int
    path: frozenset[TaskId]
    mark: str


def timeline_svg(
    snapshot: Snapshot, *, width: int | None = None, max_lanes: int = MAX_LANES, max_bars: int = MAX_BARS
) -> str:
    """The timeline of `snapshot` as SVG, as wide as its place, or `width` pixels.

    Of more than `max_lanes` lanes the busiest are drawn, of more than `max_bars` attempts the longest; the
    picture says how many of how many.
    """
    rows = lanes(snapshot)
    drawn, bars = choose(rows, snapshot.t, max_lanes, max_bars)
    mark = f"{snapshot.run}/{snapshot.seq}/{width}".encode("utf-8", "replace")
    chart = _Chart(
        scale=_scale(snapshot),
        now=snapshot.t,
        height=26 if len(drawn) <= 16 else 20 if len(drawn) <= 60 else 15,
        path=frozenset(expected_path(snapshot)),
        mark=f"tl{zlib.crc32(mark):08x}",
    )
    foot = _AXIS + chart.height * len(drawn)
    notes = _notes(len(drawn), len(rows), len(bars), len(snapshot.entries))
    total = foot + _FOOT + (18 if notes else 0)
    parts = [_patterns(chart.mark), *_axis(chart.scale, foot)]
    for row, lane in enumerate(drawn):
        y = _AXIS + row * chart.height
        parts.append(_lane(lane, y, chart.height))
        parts += [_bar(entry, chart, y) for entry in lane.entries if id(entry) in bars]
    parts += _legend(foot + 12, chart.mark)
    if notes:
        parts.append(tag("text", text(notes), x="1%", y=total - 6))
    attempts = count(len(snapshot.entries), "attempt")
    label = f"Timeline: {attempts} on {count(len(rows), 'lane')} in {duration(chart.scale.end)}"
    return picture(*parts, label=label, width=width or "100%", height=total)


def _notes(lanes_drawn: int, lanes_all: int, bars_drawn: int, bars_all: int) -> str:
    notes = []
    if lanes_drawn < lanes_all:
        notes.append(f"showing {lanes_drawn:,} of {count(lanes_all, 'lane')}, the busiest")
    if bars_drawn < bars_all:
        notes.append(f"showing {bars_drawn:,} of {count(bars_all, 'attempt')}, the longest")
    return "; ".join(notes)


def _scale(snapshot: Snapshot) -> _Scale:
    ends = [snapshot.t if e.end is None else e.end for e in snapshot.entries]
    starts = [e.start for e in snapshot.entries]
    end = max([*ends, *starts], default=snapshot.t)
    start = min(starts, default=0.0)
    start = start if start < 0 or start > 0.3 * end else 0.0
    return _Scale(start, end if end > start else start + 1.0)


def _axis(scale: _Scale, foot: int) -> list[str]:
    parts = []
    for t in ticks(scale.start, scale.end):
        x = scale.x(t)
        across = f"{x:.3f}%"
        ink = {"stroke": "currentColor", "stroke_opacity": 0.15}
        anchor = "end" if x > 97 else "middle"
        parts += [
            tag("line", x1=across, x2=across, y1=_AXIS - 5, y2=foot, **ink),
            tag("text", text(duration(t)), x=across, y=_AXIS - 10, text_anchor=anchor, font_size=11),
        ]
    return parts


def _lane(lane: Lane, y: int, height: int) -> str:
    name = lane.agent if lane.slots < 2 else f"{printable(lane.agent, 50)} · {lane.slot + 1}"
    size = 12 if height > 15 else 10
    ink = {"stroke": "currentColor", "stroke_opacity": 0.08}
    words = tag("text", text(name, 60), y=height / 2 + size * 0.35, font_size=size)
    return (
        tag("rect", x="0.4%", y=y + 3, width=4, height=height - 6, fill=agent_colour(lane.number))
        + tag("line", x1=0, x2="100%", y1=y + height, y2=y + height, **ink)
        + tag("svg", title(lane.agent), words, x="1.6%", y=y, width=f"{_GUTTER - 2.2}%", height=height)
    )


def _bar(entry: Entry, chart: _Chart, y: int) -> str:
    """One attempt: its colour, its pattern, its outline, and its name clipped to its width."""
    end = max(chart.now, entry.start) if entry.end is None else entry.end
    left, right = chart.scale.x(entry.start), chart.scale.x(end)
    wide = max(right - left, 0.15)
    colour, sign = outcome_look(entry.outcome)
    critical = entry.task in chart.path
    name = printable(entry.task, 80) + (f" #{entry.attempt}" if entry.attempt > 1 else "")
    place = {"x": f"{left:.3f}%", "y": y + 2, "width": f"{wide:.3f}%", "height": chart.height - 4}
    outline = _outline(critical) if entry.end is not None else {}
    parts = [title(_hover(entry, name, end, critical)), tag("rect", **place, fill=colour, **outline)]
    if entry.outcome in _PATTERNS:
        parts.append(tag("rect", **place, fill=f"url(#{chart.mark}{entry.outcome})"))
    if entry.end is None:
        parts += _open_end(left, left + wide, y, chart.height, critical)
    size = 11 if chart.height > 15 else 9
    halo = {"stroke": "#000", "stroke_opacity": 0.45, "stroke_width": 2, "paint_order": "stroke"}
    base = (chart.height - 4) / 2 + size * 0.36
    words = tag("text", text(f"{sign} {name}", 60), x=4, y=base, font_size=size, fill="#fff", **halo)
    return tag("g", *parts, *([tag("svg", words, **place)] if wide > 1.5 else []))


def _hover(entry: Entry, name: str, end: float, critical: bool) -> str:
    spell = "still running" if entry.end is None else entry.outcome
    until = "now" if entry.end is None else duration(end)
    times = f"after {duration(end - entry.start)} ({duration(entry.start)} to {until})"
    last = ", on the critical path" if critical else ""
    return f"{name}: {spell} {times} on {printable(entry.agent, 80)}{last}"


def _outline(critical: bool) -> dict[str, object]:
    if critical:
        return {"stroke": "currentColor", "stroke_width": 2}
    return {"stroke": "#000", "stroke_opacity": 0.25}


def _open_end(left: float, right: float, y: int, height: int, critical: bool) -> list[str]:
    """Top and bottom lines only, and a dashed right end: this bar is not finished."""
    x1, x2, top, bottom = f"{left:.3f}%", f"{right:.3f}%", y + 2, y + height - 2
    ink = {"stroke": "currentColor", "stroke_width": 2 if critical else 1}
    sides = [tag("line", x1=x1, x2=x2, y1=at, y2=at, **ink) for at in (top, bottom)]
    return [*sides, tag("line", x1=x2, x2=x2, y1=top, y2=bottom, stroke_dasharray="3 2", **ink)]


#: Hatchings over a bar's colour: crosses for failed, diagonals for stopped, dots for running.
_PATTERNS = MappingProxyType(
    {
        "failed": tag("path", d="M0,0L8,8M8,0L0,8", stroke="#fff", stroke_opacity=0.55, fill="none"),
        "stopped": tag(
            "path", d="M-1,1L1,-1M0,8L8,0M7,9L9,7", stroke="#fff", stroke_opacity=0.7, stroke_width=2
        ),
        "running": tag("circle", cx=4, cy=4, r=1, fill="#fff", fill_opacity=0.6),
    }
)


def _patterns(mark: str) -> str:
    size = {"width": 8, "height": 8, "patternUnits": "userSpaceOnUse"}
    return tag("defs", *(tag("pattern", shape, id=mark + name, **size) for name, shape in _PATTERNS.items()))


def _legend(y: int, mark: str) -> list[str]:
    looks = [(f"{sign} {outcome}", colour, outcome) for outcome, (colour, sign) in OUTCOMES.items()]
    parts = []
    for number, (words, colour, outcome) in enumerate([*looks, ("critical path", "none", "")]):
        x = f"{1 + number * 15}%"
        box = {"x": x, "y": y, "width": 14, "height": 12}
        parts.append(tag("rect", **box, fill=colour, **({} if outcome else _outline(True))))
        if outcome in _PATTERNS:
            parts.append(tag("rect", **box, fill=f"url(#{mark}{outcome})"))
        name = tag("text", text(words), x=19, y=14, font_size=11)
        parts.append(tag("svg", name, x=x, y=y - 4, width="24%", height=20, overflow="visible"))
    return parts
