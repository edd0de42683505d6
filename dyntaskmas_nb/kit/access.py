"""What every call of a run stands on: looking at its machine, handing something in, waiting.

Each hands a Δ or a command to the engine on its own loop and waits for the answer; none touches the caller's
event loop.
"""

from __future__ import annotations

import math
import time
import weakref
from collections.abc import Callable
from concurrent.futures import CancelledError, Future
from contextlib import nullcontext, suppress
from dataclasses import replace
from functools import partial
from threading import Lock, Thread
from typing import TYPE_CHECKING, Literal, TypeVar

from dyntaskmas_nb.apee.clock import VirtualClock
from dyntaskmas_nb.apee.engine import Engine
from dyntaskmas_nb.apee.history import snapshot_of
from dyntaskmas_nb.apee.standstill import waits_for_somebody
from dyntaskmas_nb.apee.submissions import TOO_LATE, Outcome
from dyntaskmas_nb.core.command import Command
from dyntaskmas_nb.core.delta import Delta
from dyntaskmas_nb.core.event import CommandRejected, RunStatus
from dyntaskmas_nb.core.snapshot import Snapshot
from dyntaskmas_nb.errors import InvalidInput, StoreError
from dyntaskmas_nb.kit.background import Background
from dyntaskmas_nb.kit.parts import Parts

if TYPE_CHECKING:
    from dyntaskmas_nb.kit.kit import Kit

T = TypeVar("T")
#: Real seconds after which a wait looks whether virtual time can go on at all.
GLANCE = 0.25


class Access:
    """A run's engine on its loop, reached from any other thread."""

    def __init__(
        self, engine: Engine, background: Background, driver: Future[None], parts: Parts, kit: Kit
    ) -> None:
        self._engine = engine
        self._machine = engine.machine
        self._background = background
        self._parts = parts
        self._manager = parts.manager(engine)
        self._planner = kit.backend, kit._max_tasks, kit._max_depth, engine.machine.settings.seed
        self._kit_ref = weakref.ref(kit)
        self._reopening = Lock()
        self._hold(driver)

    def _hold(self, driver: Future[None]) -> None:
        self._kit: object = self._kit_ref()  # a run keeps its kit open until it is over
        driver.add_done_callback(partial(_let_go, weakref.ref(self)))

    @property
    def id(self) -> str:
        """Name of the run in the journal, for `Kit.open_run`."""
        return self._machine.run

    @property
    def status(self) -> RunStatus:
        """planning, running, paused, done, failed, cancelled, or interrupted (it can be opened again)."""
        if self._engine.finished.is_set() and not self._machine.ended:
            return "failed" if self._engine.failure else "interrupted"
        return "paused" if self._engine.trouble else self._machine.status

    @property
    def clock(self) -> Literal["real", "virtual"]:
        """Which time the run lives in."""
        return "virtual" if self._background.clock.virtual else "real"

    @property
    def over(self) -> bool:
        """True when nothing will happen any more."""
        return self._engine.finished.is_set()

    def snapshot(self) -> Snapshot:
        """The present moment, immutable."""
        now = self._read(lambda: snapshot_of(self._machine, self._now()))
        reason = self._engine.failure or self._engine.trouble or now.reason
        return replace(now, status=self.status, reason=reason)

    def _submit(self, change: Delta | Command, base: int | None = None, by: str = "user") -> Outcome:
        """Hand something in; a run that has ended goes on with it."""
        if not self._background.open:
            closed = f"The kit is closed; kit.open_run({self.id!r}) of a new Kit goes on."
            return CommandRejected(0.0, 0, closed)
        hand_in = partial(self._engine.submit, change, base=base, by=by)
        self._go_on()
        outcome: Outcome = self._background.call(hand_in)
        if outcome.id == TOO_LATE and self._machine.ended:  # it ended in between
            self._go_on()
            outcome = self._background.call(hand_in)
        return outcome

    def _go_on(self) -> None:
        """Have an engine for an edit of a run that has ended."""
        with self._reopening:
            if self._machine.ended and self._engine.finished.is_set():
                self._background.call(self._engine.reopen)
                self._hold(self._parts.drive(self._engine, self._background))

    def _now(self) -> float:
        return self._engine.now() if self._background.open and not self.over else self._machine.log[-1].t

    def _read(self, look: Callable[[], T]) -> T:
        """Look at the machine on its own loop; where that is closed nothing changes any more."""
        try:
            found: T = self._background.call(look)
        except (StoreError, CancelledError):
            return look()
        return found

    def watch(self, changed: Callable[[], None]) -> Callable[[], None]:
        """Have `changed` called after every turn, on the run's loop; return what ends that.

        Under the real clock the machine is sampled meanwhile.
        """
        end = self._parts.watch(self._engine, changed)
        if not self._background.clock.virtual and self._background.open:
            self._background.spawn(self._engine.nudge)  # else it would not be noticed before the next turn
        return end

    def _wait(self, condition: Callable[[], bool], timeout: float | None = None) -> None:
        """Wait on the loop until `condition` or the end; virtual time passes meanwhile."""
        if self._engine.finished.is_set():
            return
        clock, machine = self._background.clock, self._machine
        self._refuse_if_stuck(condition)

        def held() -> bool:  # under the real clock, who pauses a run by hand may resume it by hand
            by_hand = not clock.virtual and machine.paused and not machine.stopped_at
            return bool(waits_for_somebody(machine)) and not by_hand

        async def wait() -> None:
            with clock.move() if isinstance(clock, VirtualClock) else nullcontext():
                if clock.virtual:
                    self._engine.nudge()
                await self._engine.until(lambda: condition() or held())

        future = self._background.spawn(wait)
        try:
            with suppress(CancelledError):
                self._see_it_end(future, timeout)
        finally:
            future.cancel()  # where it still waits
        if held():
            self._refuse_if_stuck(condition)

    def _see_it_end(self, future: Future[None], timeout: float | None) -> None:
        """Wait for `future`; raises `InvalidInput` when virtual time can never get there."""
        clock, begun, seen = self._background.clock, time.monotonic(), -1
        while True:
            left = math.inf if timeout is None else timeout - (time.monotonic() - begun)
            try:
                return future.result(max(0.0, min(left, GLANCE)))
            except TimeoutError:
                if left <= GLANCE:
                    raise
            still = seen == (seen := len(self._machine.log))
            if still and isinstance(clock, VirtualClock) and self._frozen(clock, seen) and not future.done():
                waiting = ", ".join(repr(id) for id, _ in self._machine.running_tasks()[:5]) or "the planner"
                raise InvalidInput(
                    f"Nothing will ever happen: {waiting} waits without a deadline, and no time is left to "
                    "pass. Cancel it, or give it a timeout."
                )

    def _frozen(self, clock: VirtualClock, seen: int) -> bool:
        """Whether virtual time stands still for good; asked twice, since a turn may begin as it is asked."""
        twice = [self._background.call(clock.frozen) for _ in range(2)]
        return all(twice) and seen == len(self._machine.log)

    def _refuse_if_stuck(self, condition: Callable[[], bool]) -> None:
        if not condition() and (why := waits_for_somebody(self._machine)):
            raise InvalidInput(why)


def _let_go(run: weakref.ref[Access], _: Future[None]) -> None:
    """Drop a finished run's hold on its kit; in a thread, since the kit may close and wait for this loop."""
    if (over := run()) is not None:
        Thread(target=over.__dict__.update, kwargs={"_kit": None}, daemon=True).start()
