"""What a timeline shows, before anything is drawn: lanes by agent and slot, and round times."""

from __future__ import annotations

import math
from dataclasses import dataclass

from dyntaskmas_nb.core.snapshot import Entry, Snapshot
from dyntaskmas_nb.view.words import printable

_TENTHS = tuple(factor * 10.0**power for power in range(-6, 0) for factor in (1, 2, 5))
_STEPS = (*_TENTHS, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 43200)


@dataclass(frozen=True, slots=True)
class Lane:
    """One row of the chart: an agent, or one of its slots, with the attempts it shows."""

    name: str
    entries: tuple[Entry, ...]


def end_of(entry: Entry, now: float) -> float:
    """When an attempt ended, or `now` while it runs (s)."""
    return max(now, entry.start) if entry.end is None else entry.end


def lanes(snapshot: Snapshot, limit: int | None = None) -> list[Lane]:
    """A lane for each agent and slot that was busy, and one for each agent that was not.

    Of more than `limit` attempts the latest are shown, of more agents the first.
    """
    by_agent: dict[str, list[Entry]] = {agent.id: [] for agent in snapshot.agents[:limit]}
    entries = sorted(snapshot.entries, key=lambda e: (e.start, end_of(e, math.inf), e.task))
    for entry in entries[-limit:] if limit else entries:
        by_agent.setdefault(entry.agent, []).append(entry)
    found: list[Lane] = []
    for agent, own in by_agent.items():
        slots: list[list[Entry]] = []
        for entry in own:
            free = [slot for slot in slots if end_of(slot[-1], math.inf) <= entry.start + 1e-9]
            if free:
                free[0].append(entry)
            else:
                slots.append([entry])
        for number, slot in enumerate(slots or [[]], 1):
            name = f"{printable(agent, 40)} {number}" if len(slots) > 1 else printable(agent, 40)
            found.append(Lane(name, tuple(slot)))
    return found


def ticks(start: float, end: float, most: int = 8) -> list[float]:
    """Round times from `start` to `end` (s), at most about `most` of them.

    >>> ticks(0, 1), ticks(0, 200)
    ([0.0, 0.2, 0.4, 0.6, 0.8, 1.0], [0, 30, 60, 90, 120, 150, 180])
    """
    rough = (end - start) / most
    step = next((s for s in _STEPS if s >= rough * 0.999), 86400.0 * math.ceil(rough / 86400))
    first, last = math.ceil(start / step - 1e-9), math.floor(end / step + 1e-9)
    return [round(number * step, 9) for number in range(first, last + 1)]
