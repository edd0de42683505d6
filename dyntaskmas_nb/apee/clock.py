"""Which time a run lives in: the machine's own, or a virtual one that stands still between calls."""

from __future__ import annotations

import asyncio
import math
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol, TypeAlias

import anyio

if TYPE_CHECKING:
    from collections.abc import Iterator


class Wake(Protocol):
    """An event of the clock's own loop: half the price of one that goes with any loop."""

    async def wait(self) -> object:
        """Wait until it is set."""

    def set(self) -> None:
        """Let those go on that wait."""


class RealClock:
    """Monotonic seconds; always moving, never settled."""

    virtual = False
    moving = True

    now = staticmethod(time.monotonic)  # the clock of asyncio's loops
    event = asyncio.Event

    async def settle(self) -> None:
        """Wait until everything that happens at this moment has happened; real time does not wait."""

    async def sleep_until(self, t: float) -> None:
        """Wait until `now()` is `t`."""
        await anyio.sleep_until(t)


class VirtualClock:
    """Trio's mock clock: it jumps to the next deadline when all tasks wait, and only while `moving`.

    While virtual time stands still no task is dispatched.
    """

    virtual = True

    def __init__(self) -> None:
        from trio import Event
        from trio.testing import MockClock

        self.event = Event
        self.trio = MockClock(rate=0, autojump_threshold=math.inf)
        self.now = self.trio.current_time
        self._movers = 0

    @property
    def moving(self) -> bool:
        """Whether somebody lets time pass."""
        return self._movers > 0

    async def settle(self) -> None:
        """Wait until everything that happens at this moment has happened."""
        from trio.testing import wait_all_tasks_blocked

        await wait_all_tasks_blocked()

    async def frozen(self) -> bool:
        """Whether nothing will ever happen: all wait, and no deadline is left that time could go to."""
        import trio

        await self.settle()
        return trio.lowlevel.current_statistics().seconds_to_next_deadline == math.inf

    async def sleep_until(self, t: float) -> None:
        """Wait until `now()` is `t` exactly, where adding a difference would round."""
        import trio

        await trio.sleep_until(t)

    @contextmanager
    def move(self) -> Iterator[None]:
        """Let time pass inside this block; to be entered on the clock's own thread."""
        self._movers += 1
        self.trio.autojump_threshold = 0
        try:
            yield
        finally:
            self._movers -= 1
            if not self._movers:
                self.trio.autojump_threshold = math.inf


Clock: TypeAlias = RealClock | VirtualClock
