"""The loop that works while cells run: a daemon thread of its own, never the caller's event loop.

Real runs of a kit share one asyncio loop; a virtual run has a trio loop to itself, because its clock is.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from contextlib import AbstractContextManager
from typing import Any

from anyio.from_thread import BlockingPortal, start_blocking_portal

from dyntaskmas_nb.apee.clock import Clock, RealClock, VirtualClock
from dyntaskmas_nb.errors import StoreError


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
        self._portal: BlockingPortal | None = self._manager.__enter__()

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
        return self._portal.start_task_soon(function, *args)

    def close(self) -> None:
        """Cancel what still runs on the loop and end its thread."""
        portal, self._portal = self._portal, None
        if portal is not None:
            portal.call(portal.stop, True)
            self._manager.__exit__(None, None, None)
