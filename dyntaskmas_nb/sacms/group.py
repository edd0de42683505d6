"""Group commit: writers of the same moment share one commit, and one of them makes it (Eq. 17, in part).

No timer and no background task: whoever finds the lock free leads, takes everything that waits, and
commits it; the others find themselves done when the lock comes to them. A lone writer pays one commit; of
a hundred at once the first pays one and the other ninety-nine share the next.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

import anyio
from anyio import CancelScope, CapacityLimiter, to_thread

Item = TypeVar("Item")
Outcome = TypeVar("Outcome")


@dataclass(slots=True, eq=False)
class _Ticket(Generic[Item, Outcome]):
    item: Item
    outcome: Outcome | Exception | None = None


class GroupCommit(Generic[Item, Outcome]):
    """Hands what many tasks submit to `commit`, in a worker thread, as few times as possible.

    `commit` gets the items that wait, in order, and returns one outcome for each; an outcome that is an
    exception is raised in the task that submitted the item. If `commit` raises, all of them raise that.
    """

    def __init__(self, commit: Callable[[Sequence[Item]], Sequence[Outcome | Exception]]) -> None:
        self._commit = commit
        self._waiting: list[_Ticket[Item, Outcome]] = []
        self._lock = anyio.Lock()
        self._thread = CapacityLimiter(1)

    async def submit(self, item: Item) -> Outcome:
        """Commit `item`, together with whatever else waits, and return its outcome.

        A submitter cancelled before its item was taken leaves no trace; later, the item is committed
        whether or not the submitter still waits.
        """
        ticket = _Ticket[Item, Outcome](item)
        self._waiting.append(ticket)
        try:
            async with self._lock:
                if ticket.outcome is None:
                    with CancelScope(shield=True):
                        await self._lead()
        finally:
            if ticket in self._waiting:
                self._waiting.remove(ticket)
        if isinstance(ticket.outcome, Exception):
            raise ticket.outcome
        assert ticket.outcome is not None
        return ticket.outcome

    async def _lead(self) -> None:
        taken, self._waiting = self._waiting, []
        try:
            items = [ticket.item for ticket in taken]
            outcomes = await to_thread.run_sync(self._commit, items, limiter=self._thread)
        except Exception as error:  # noqa: BLE001 (the border: it becomes each submitter's outcome)
            outcomes = [error] * len(taken)
        for ticket, outcome in zip(taken, outcomes, strict=True):
            ticket.outcome = outcome
