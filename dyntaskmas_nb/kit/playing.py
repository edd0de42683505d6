"""Virtual time at a pace: so many of its seconds to a second of ours, so that one can look on and step in.

What happens is what happens when time jumps, at the same times to the last bit: between two deadlines time
passes in small steps of its own, and it comes to a deadline by exactly the sum that a jump would have made.
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable
from functools import partial
from threading import Event

import anyio.to_thread

from dyntaskmas_nb.apee.clock import VirtualClock
from dyntaskmas_nb.apee.engine import Engine

log = logging.getLogger(__name__)

#: Real seconds between two steps of time, and between two looks while it has nowhere to go.
TICK, GLANCE = 0.05, 0.25
#: Share of the way to a deadline that small steps may go.
SHORT = 0.999


class Player:
    """Plays one run. All but `speed` is for the run's own loop.

    Attributes
    ----------
    speed : virtual seconds a real second.
    going : whether it plays.
    """

    def __init__(
        self, engine: Engine, clock: VirtualClock, real: Callable[[], float] = time.monotonic
    ) -> None:
        self.speed, self.going = 1.0, False
        self._engine, self._clock, self._real = engine, clock, real
        self._call = Event()
        self._due, self._seen = math.inf, -1

    def set(self, speed: float) -> bool:
        """Go on at `speed` from now on; return whether `play` is to be called for it."""
        self.speed = speed
        self._call.set()
        idle, self.going = not self.going, True
        return idle

    async def play(self) -> None:
        """Let time pass until the run has ended or is paused, by whatever paused it."""
        unwatch = self._engine.watch(self._call.set)
        try:
            with self._clock.move_by_hand():
                self._engine.nudge()
                await self._play()
        except Exception:
            log.exception("run %s is not played any more", self._engine.machine.run)
        finally:
            self.going = False
            unwatch()
            self._call.set()  # whoever waits in a thread may go

    async def _play(self) -> None:
        since, speed, warned = self._real(), self.speed, False
        while True:
            self._call.clear()
            now = self._real()
            left = await self._pass((now - since) * speed)
            since, speed = now, self.speed
            if left is None:
                return
            if left < math.inf:
                await self._sleep(min(TICK, left / speed))
            else:
                stuck = self._stuck()
                if stuck and not warned:
                    log.warning("run %s: %s waits without a deadline", self._engine.machine.run, stuck)
                warned = warned or bool(stuck)
                await self._sleep(GLANCE if stuck else None)
                since = self._real()  # time does not pass while it has nowhere to go

    async def _sleep(self, seconds: float | None) -> None:
        """Wait in real time, until something happens at the latest."""
        await anyio.to_thread.run_sync(partial(self._call.wait, seconds), abandon_on_cancel=True)

    async def _pass(self, seconds: float) -> float | None:
        """Let so much time pass; return how long it still is to the next deadline, None if it is to stop."""
        clock, machine = self._clock, self._engine.machine
        while True:
            before = len(machine.log)
            await clock.settle()
            if machine.ended or machine.paused or self._engine.finished.is_set():
                return None
            if not self._engine.quiet or len(machine.log) != before:
                continue  # its turn began as we were woken, and what that started has not run yet
            now, ahead = clock.now(), clock.ahead()
            if ahead == math.inf:
                return ahead
            if self._seen != len(machine.log) or not math.isclose(now + ahead, self._due):
                self._seen, self._due = len(machine.log), now + ahead
            left = self._due - now
            if left > seconds:
                to = now + min(seconds, left * SHORT)
                clock.advance(to)
                return self._due - to
            clock.advance(self._due)
            seconds -= left
            self._due = math.inf

    def _stuck(self) -> str:
        """What waits for something beside virtual time; nothing where a user is waited for."""
        machine = self._engine.machine
        running = ", ".join([repr(id) for id, _ in machine.running_tasks()][:5])
        return running or ("the planner" if machine.planning else "")
