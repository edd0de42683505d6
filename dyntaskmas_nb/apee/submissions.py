"""Edits and commands on their way into a run: numbered, copied, and each answered exactly once."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from typing import Any

import anyio

from dyntaskmas_nb.core import event as events
from dyntaskmas_nb.core.codec import decode, encode
from dyntaskmas_nb.core.command import Command
from dyntaskmas_nb.core.delta import Delta
from dyntaskmas_nb.core.event import Input
from dyntaskmas_nb.errors import DynTaskError

Outcome = events.DeltaApplied | events.DeltaRejected | events.CommandApplied | events.CommandRejected

#: The number of what was handed in after the run's end.
TOO_LATE = -1


@dataclass(slots=True)
class Pending:
    """What was handed in; awaiting it gives what the machine made of it."""

    answered: anyio.Event
    outcome: list[Outcome]

    def __await__(self) -> Generator[Any, Any, Outcome]:
        yield from self.answered.wait().__await__()
        return self.outcome[0]

    def answer(self, outcome: Outcome) -> None:
        """Say what became of it."""
        self.outcome.append(outcome)
        self.answered.set()


class Submissions:
    """What was handed in to one run and not answered yet."""

    def __init__(self) -> None:
        self._pending: dict[int, Pending] = {}
        self._number = 0

    def take(
        self,
        change: Delta | Command,
        t: float,
        base: int | None,
        by: str,
        notes: tuple[str, ...],
        *,
        closed: str,
        ended: bool,
    ) -> tuple[Pending, Input | None]:
        """Number a change handed in at `t` (s); return the event that says so, or none where it is refused.

        It is refused where the run is `closed`, and why, or where it cannot be written down.
        """
        self._number += 1
        pending, number, command = Pending(anyio.Event(), []), self._number, isinstance(change, Command)
        if isinstance(change, Command):
            event: Input = events.CommandSubmitted(t, number, change, by)
        else:
            event = events.DeltaSubmitted(t, number, change, base, by, notes)
        try:
            reason = closed
            if not reason:
                event = decode(encode(event))  # a copy of our own, and the one the journal will give back
        except DynTaskError as error:
            reason = str(error)
        except (TypeError, RecursionError) as error:
            reason = f"This cannot be written down as JSON: {error}"
        if reason:
            refused = events.CommandRejected if command else events.DeltaRejected
            pending.answer(refused(t, TOO_LATE if ended else number, reason))
            return pending, None
        self._pending[number] = pending
        return pending, event

    def answer(self, number: int, outcome: Outcome) -> None:
        """Tell whoever handed in `number`, if they are told of it."""
        if pending := self._pending.pop(number, None):
            pending.answer(outcome)

    def refuse_all(self, t: float, reason: str) -> None:
        """Nobody may wait for a run that is over."""
        for pending in self._pending.values():
            pending.answer(events.CommandRejected(t, TOO_LATE, reason))
        self._pending.clear()
