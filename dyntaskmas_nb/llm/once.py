"""Something slow that several ask for and one thread makes: an engine that is loaded, a server's greeting.

Who asks while it is being made waits for the same, and may leave: the making goes on. A failure goes to all
who waited for it; who asks after that begins anew.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from typing import Any, Generic, TypeVar

import anyio
from anyio.lowlevel import current_token

from dyntaskmas_nb.errors import BackendError

T = TypeVar("T")


class Once(Generic[T]):
    """What is made in a thread named `name`."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._lock = threading.Lock()  # guards _future
        self._future: Future[T] | None = None

    @property
    def made(self) -> T | None:
        """It, if it has been made."""
        future = self._future
        return future.result() if future and future.done() and future.exception() is None else None

    async def get(self, make: Callable[[], T]) -> T:
        """Wait until it is made, by `make` if by nobody yet, in any event loop; raises what `make` raised."""
        if (there := self.made) is not None:
            return there
        with self._lock:
            future = self._future
            if future is None or (future.done() and future.exception() is not None):
                future = self._future = Future()
                work = threading.Thread(target=_work, args=(future, make), name=self._name, daemon=True)
                work.start()
        made, loop = anyio.Event(), current_token().native_token

        def tell(_: Future[T]) -> None:
            with suppress(RuntimeError):  # who waited has left, and the loop with it
                soon(loop, made.set)

        future.add_done_callback(tell)
        await made.wait()
        if isinstance(error := future.exception(), BackendError):  # one of its own for each who waited
            raise type(error)(str(error)) from error
        return future.result()


def _work(future: Future[T], make: Callable[[], T]) -> None:
    try:
        future.set_result(make())
    except BaseException as error:  # noqa: BLE001  whoever waits gets it
        future.set_exception(error)


def soon(loop: Any, call: Callable[..., object], *arguments: object) -> None:
    """Have a loop of asyncio or trio call it, from any thread; `RuntimeError` where the loop has ended."""
    asyncio = hasattr(loop, "call_soon_threadsafe")  # else trio's token
    getattr(loop, "call_soon_threadsafe" if asyncio else "run_sync_soon")(call, *arguments)
