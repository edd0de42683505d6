"""Which time a run lives in: the machine's own, or a virtual one that stands still between calls."""

from __future__ import annotations

import asyncio
import math
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

import anyio

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator


class Signal(Protocol):
    """Wakes the one task that awaits it: what asyncio's futures do, at a third of an event's price."""

    def done(self) -> bool:
        """Whether it was given already, or its task was cancelled."""

    def set_result(self, result: None) -> None:
        """Give it."""

    def __await__(self) -> Generator[Any, Any, object]:
        """Wait for it."""


class RealClock:
    """Monotonic seconds; always moving, never settled."""

    virtual = False
    moving = True

    now = staticmethod(time.monotonic)  # the clock of asyncio's loops

    @staticmethod
    def signal() -> Signal:
        """A signal of the running loop."""
        return asyncio.get_running_loop().create_future()

    async def settle(self) -> None:
        """Wait until everything that happens at this moment has happened; real time does not wait."""

    async def sleep_until(self, t: float) -> None:
        """Wait until `now()` is `t`."""
        await anyio.sleep_until(t)


class _TrioSignal:
    def __init__(self) -> None:
        from trio import Event

        event = Event()
        self.done, self._set, self._wait = event.is_set, event.set, event.wait

    def set_result(self, result: None) -> None:
        self._set()

    def __await__(self) -> Generator[Any, Any, object]:
        return self._wait().__await__()


class VirtualClock:
    """Trio's mock clock: it jumps to the next deadline when all tasks wait, and only while `moving`.

    While virtual time stands still no task is dispatched.
    """

    virtual = True

    def __init__(self) -> None:
        from trio.testing import MockClock

        self.signal = _TrioSignal
        self.trio = MockClock(rate=0, autojump_threshold=math.inf)
        self.now = self.trio.current_time
        self._movers = self._jumpers = 0

    @property
    def moving(self) -> bool:
        """Whether somebody lets time pass."""
        return self._movers > 0

    async def settle(self) -> None:
        """Wait until everything that happens at this moment has happened."""
        from trio.testing import wait_all_tasks_blocked

        await wait_all_tasks_blocked()

    def ahead(self) -> float:
        """Seconds to the next deadline; infinity where there is none."""
        import trio

        return trio.lowlevel.current_statistics().seconds_to_next_deadline

    async def frozen(self) -> bool:
        """Whether nothing will ever happen: all wait, and no deadline is left that time could go to."""
        await self.settle()
        return self.ahead() == math.inf

    async def sleep_until(self, t: float) -> None:
        """Wait until `now()` is `t` exactly, where adding a difference would round."""
        import trio

        await trio.sleep_until(t)

    @contextmanager
    def move(self) -> Iterator[None]:
        """Let time pass inside this block; to be entered on the clock's own thread."""
        self._jumpers += 1
        self.trio.autojump_threshold = 0
        try:
            with self.move_by_hand():
                yield
        finally:
            self._jumpers -= 1
            if not self._jumpers:
                self.trio.autojump_threshold = math.inf

    @contextmanager
    def move_by_hand(self) -> Iterator[None]:
        """The same, but time passes through `advance` only."""
        self._movers += 1
        try:
            yield
        finally:
            self._movers -= 1

    def advance(self, t: float) -> None:
        """Make `now()`, which is no later, exactly `t`."""
        for share in (0.75, 1.0):  # from more than half of t on, the difference is exact
            self.trio.jump(share * (t - self.now()))


Clock: TypeAlias = RealClock | VirtualClock
