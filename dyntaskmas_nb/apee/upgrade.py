"""What schema 2 of the journal kept, as schema 3 keeps it.

There every event had a row, and every task that became ready had an event; now `TaskDispatched.ready` says
since when it was. Without those events the places in the log move, and what names them with them.
"""

from __future__ import annotations

import re

import orjson

from dyntaskmas_nb.core.codec import decode, encode_all
from dyntaskmas_nb.core.event import (
    DeltaApplied,
    DeltaRejected,
    DeltaSubmitted,
    Event,
    StateChanged,
    TaskDispatched,
)
from dyntaskmas_nb.core.task import TaskState
from dyntaskmas_nb.errors import InvalidInput

#: Where a refusal names places in the log.
_OUTDATED = re.compile(r"(?<= was changed at version )(\d+)(, after version )(\d+)(?= on which this edit)")


class Upgrade:
    """An aggregate for SQLite: the rows of one run in order become the body of one turn."""

    def __init__(self) -> None:
        self._bodies: list[bytes] = []

    def step(self, body: bytes) -> None:
        """Take in one event's row."""
        self._bodies.append(body)

    def finalize(self) -> bytes:
        """All of them; what cannot be read stays so, for whoever opens that run."""
        try:
            return encode_all(upgraded([decode(body) for body in self._bodies]))
        except InvalidInput:
            return orjson.dumps([{"kind": "damaged"}])


def upgraded(log: list[Event]) -> list[Event]:
    """The log of a run as this version would have written it."""
    kept: list[Event] = []
    moved: list[int] = []
    ready: dict[str, float] = {}
    state: dict[str, TaskState | None] = {}
    for event in log:
        moved.append(len(kept))  # where it comes to stand
        if isinstance(event, StateChanged):
            if event.state is TaskState.READY and state.get(event.task) is not TaskState.READY:
                ready[event.task] = event.t
            state[event.task] = event.state
            if event.state is TaskState.READY and not event.reason:
                moved[-1] -= 1
                continue
        elif isinstance(event, TaskDispatched):
            state[event.task] = None
            event.ready = ready.get(event.task, event.t)
        elif isinstance(event, DeltaApplied):
            event.version = len(kept)
        elif isinstance(event, DeltaRejected):
            event.reason = _OUTDATED.sub(lambda found: _renumbered(found, moved), event.reason)
        elif isinstance(event, DeltaSubmitted) and event.base is not None:
            event.base = moved[event.base] if event.base < len(moved) else event.base
        kept.append(event)
    return kept


def _renumbered(found: re.Match[str], moved: list[int]) -> str:
    changed, between, base = found.groups()
    return f"{moved[int(changed)]}{between}{moved[int(base)]}"
