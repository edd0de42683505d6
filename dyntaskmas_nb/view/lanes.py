"""What a timeline shows, before anything is drawn: lanes by agent and slot, round times, what is left out."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from dyntaskmas_nb.core.snapshot import Entry, Snapshot

MAX_LANES, MAX_BARS = 200, 1000
_STEPS = (1, 2, 5, 10, 15, 20, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 21600, 43200, 86400)


@dataclass(frozen=True, slots=True, kw_only=True)
class Lane:
    """One row of the chart: an agent (its `number`), or one of its slots, with the attempts it shows."""

    agent: str
    number: int
    slot: int
    slots: int
    entries: tuple[Entry, ...]


def lanes(snapshot: Snapshot) -> list[Lane]:
    """A lane for each agent and slot that was busy, and one for each agent that was not."""
    by_agent: dict[str, list[Entry]] = {agent.id: [] for agent in snapshot.agents}
    for entry in snapshot.entries:
        by_agent.setdefault(entry.agent, []).append(entry)
    found: list[Lane] = []
    for number, (agent, entries) in enumerate(by_agent.items()):
        rows: list[list[Entry]] = []
        ends: list[float] = []
        for entry in sorted(entries, key=lambda e: (e.start, math.inf if e.end is None else e.end, e.task)):
            slot = next((i for i, end in enumerate(ends) if end <= entry.start + 1e-9), len(ends))
            if slot == len(ends):
                ends.append(0.0)
                rows.append([])
            ends[slot] = math.inf if entry.end is None else entry.end
            rows[slot].append(entry)
        for slot, row in enumerate(rows or [[]]):
            found.append(Lane(agent=agent, number=number, slot=slot, slots=len(rows), entries=tuple(row)))
    return found


def ticks(start: float, end: float, most: int = 8) -> list[float]:
    """Round times from `start` to `end`, at most about `most` of them.

    >>> ticks(0, 1), ticks(0, 200)
    ([0.0, 0.2, 0.4, 0.6, 0.8, 1.0], [0.0, 30.0, 60.0, 90.0, 120.0, 150.0, 180.0])
    """
    span = end - start
    if not span > 0 or not math.isfinite(span):
        return [start]
    rough = span / most
    if rough <= 1:
        power = 10.0 ** math.floor(math.log10(rough))
        step = next((power * f for f in (1, 2, 2.5, 5, 10) if power * f >= rough * 0.999), power * 10)
    else:
        days = math.ceil(rough / 86400)
        step = next((float(s) for s in _STEPS if s >= rough), days * 86400.0)
    first = math.ceil(start / step - 1e-9)
    return [round(number * step, 9) for number in range(first, math.floor(end / step + 1e-9) + 1)]


def choose(
    rows: Sequence[Lane], now: float, max_lanes: int = MAX_LANES, max_bars: int = MAX_BARS
) -> tuple[Sequence[Lane], set[int]]:
    """The lanes to draw and the identities of the attempts on them: the longest where there are too many."""
    drawn = rows
    if len(rows) > max_lanes:
        busiest = sorted(range(len(rows)), key=lambda i: (-len(rows[i].entries), i))[:max_lanes]
        drawn = [rows[i] for i in sorted(busiest)]
    entries = [entry for lane in drawn for entry in lane.entries]
    if len(entries) > max_bars:
        entries.sort(
            key=lambda e: (e.end is not None, e.start - (now if e.end is None else e.end), e.start, e.task)
        )
    return drawn, {id(entry) for entry in entries[:max_bars]}
