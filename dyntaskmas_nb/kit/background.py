"""The loop that works while cells run: a daemon thread of its own, never the caller's event loop.

Real runs of a kit share one asyncio loop; a virtual run has a trio loop to itself, because its clock is.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from contextlib import AbstractContextManager
from threading import Thread
from typing import Any

from anyio.from_thread import BlockingPortal, start_blocking_portal

from dyntaskmas_nb.apee.clock import Clock, RealClock, VirtualClock
from dyntaskmas_nb.errors import InvalidInput, StoreError


class Background:
    """An event loop in a daemon thread."""

    def __init__(self, *, virtual: bool = False) -> None:
        self.clock: Clock
        if virtual:
            self.clock = VirtualClock()
            self._manager: AbstractContextManager[BlockingPortal] = start_blocking_portal(
                "trio", {"clock": self.clock.trio}, name="dyntaskmas virtual"
            )
        else:
            self.clock = RealClock()
            self._manager = start_blocking_portal("asyncio", name="dyntaskmas")
        self._portal: BlockingPortal | None = _entered(self._manager)

    @property
    def open(self) -> bool:
        """False once closed."""
        return self._portal is not None

    def call(self, function: Callable[..., Any], *args: Any) -> Any:
        """Run `function` (sync or async) on the loop and wait for it; Ctrl-C cancels the call."""
        future = self.spawn(function, *args)
        try:
            return future.result()
        except KeyboardInterrupt:
            future.cancel()
            raise

    def spawn(self, function: Callable[..., Any], *args: Any) -> Future[Any]:
        """Start `function` on the loop."""
        if self._portal is None:
            raise StoreError("This kit is closed; make a new Kit() and use kit.open_run(id) to go on.")
        try:
            return self._portal.start_task_soon(function, *args)
        except RuntimeError as error:  # anyio's refusal of a call from the loop's own thread
            raise InvalidInput(
                f"An async agent cannot wait for its own loop ({error}); use a sync function, which has a "
                "thread of its own."
            ) from None

    def close(self) -> None:
        """Cancel what still runs on the loop and end its thread."""
        portal, self._portal = self._portal, None
        if portal is not None:
            portal.call(portal.stop, True)
            self._manager.__exit__(None, None, None)


def _entered(manager: AbstractContextManager[BlockingPortal]) -> BlockingPortal:
    """Start the loop from a thread of its own: Ctrl-C while it starts must not leave us waiting for it."""
    opened: Future[BlockingPortal] = Future()

    def enter() -> None:
        try:
            opened.set_result(manager.__enter__())
        except BaseException as error:  # noqa: BLE001  the border between threads: raised again below
            opened.set_exception(error)

    Thread(target=enter, name="dyntaskmas start", daemon=True).start()
    return opened.result()
