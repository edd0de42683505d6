"""The engine thread: it owns the scheduler, takes commands from any thread, and fills mailboxes.

A mailbox belongs to one stream on one event loop (asyncio or trio, on any thread). The engine appends to
it and then asks that loop, without waiting, to wake the stream: once a loop and step, however many of its
streams have news.

While a step runs, BLAS is held to one thread for a small model: its matrices are too small to share out
(measured on two busy cores: 4,100 tokens per CPU-second with one thread, 360 with two). The setting is the
process's own, so it is put back after each step, and engines take turns.
"""

from __future__ import annotations

import queue
import threading
from collections import deque
from collections.abc import AsyncGenerator, Callable, Hashable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from typing import Protocol

import anyio
import anyio.lowlevel

from dyntaskmas_nb.errors import BackendError, EngineDead
from dyntaskmas_nb.llm.once import soon
from dyntaskmas_nb.llm.protocol import Chunk, Request

_TURN = threading.Lock()
"""Held during a step: two engines restoring each other's BLAS setting would leave the wrong one."""


class Mailbox:
    """What the engine has for one stream. Made and read on the stream's event loop."""

    def __init__(self) -> None:
        self.loop = anyio.lowlevel.current_token().native_token
        self.items: deque[Chunk | BackendError] = deque()
        self.news = anyio.Event()

    def put(self, item: Chunk | BackendError) -> None:
        """Leave something, from any thread; nothing happens where the stream's loop has ended."""
        self.items.append(item)
        with suppress(RuntimeError):
            soon(self.loop, _wake, [self])

    async def get(self) -> Chunk:
        """Wait for the next chunk; raises the error the engine left instead."""
        while not self.items:
            # The engine appends, then has `news` set on this loop: that cannot fall between these two lines.
            self.news = anyio.Event()
            await self.news.wait()
        item = self.items.popleft()
        if isinstance(item, BackendError):
            raise item
        return item


class Steps(Protocol):
    """A scheduler as its thread sees it: requests in, steps, and what each step has for whom."""

    @property
    def idle(self) -> bool:
        """Whether there is nothing to do."""

    def submit(self, key: Hashable, request: Request) -> None:
        """Queue a request; raises `BackendError` to refuse it."""

    def cancel(self, key: Hashable) -> None:
        """Forget a request."""

    def step(self) -> Sequence[tuple[Hashable, Chunk | BackendError]]:
        """Compute a little for everybody."""


class Worker:
    """A daemon thread that runs `scheduler` until `stop`.

    `blas_threads` None leaves BLAS alone; `model` is what messages call the one who died.
    """

    def __init__(
        self, scheduler: Steps, blas_threads: int | None = None, model: str = "The embedded model"
    ) -> None:
        self._blas_threads, self._model = blas_threads, model
        # A request to begin, a mailbox with None to cancel, or None to stop.
        self._commands: queue.SimpleQueue[tuple[Mailbox, Request | None] | None] = queue.SimpleQueue()
        self._lock = threading.Lock()  # guards _open and _dead between the engine and the callers
        self._open: set[Mailbox] = set()
        self._dead: Callable[[], EngineDead] | None = None
        self._thread = threading.Thread(
            target=self._run, args=(scheduler,), name="dyntaskmas-llama", daemon=True
        )
        self._thread.start()

    async def answer(self, request: Request) -> AsyncGenerator[Chunk, None]:
        """Yield the answer as it is computed; closing the iterator frees what the request holds."""
        mailbox = self.submit(request)
        try:
            finish = None
            while finish is None:
                chunk = await mailbox.get()
                finish = chunk.finish
                yield chunk
        finally:
            self.cancel(mailbox)

    def submit(self, request: Request) -> Mailbox:
        """Queue `request`, on the loop that will read the mailbox; raises `EngineDead` when the engine is."""
        mailbox = Mailbox()
        with self._lock:
            if self._dead is not None:
                raise self._dead()
            self._open.add(mailbox)
        self._commands.put((mailbox, request))
        return mailbox

    def cancel(self, mailbox: Mailbox) -> None:
        """Free what the request behind `mailbox` holds, at the next step. Does not wait."""
        with self._lock:
            if mailbox not in self._open:
                return
            self._open.discard(mailbox)
        self._commands.put((mailbox, None))

    def stop(self, timeout: float = 5.0) -> None:
        """End the thread after the step it is in; whoever waits gets `EngineDead`."""
        self._commands.put(None)
        if self._thread is not threading.current_thread():  # a finaliser may run on any thread
            self._thread.join(timeout)

    def _run(self, scheduler: Steps) -> None:
        """The thread: commands first, then a step, then the mail."""
        message, cause = "was closed", None
        try:
            held = _blas(self._blas_threads)
            while self._obey(scheduler):
                with held():
                    outputs = scheduler.step()
                self._deliver(outputs)
        except BaseException as error:  # noqa: BLE001  becomes every caller's EngineDead
            message, cause = f"crashed ({error!r})", error

        def dead() -> EngineDead:
            """Raise anew for each: one exception raised in two places would mix their tracebacks."""
            again = EngineDead(f"{self._model}'s engine {message}. Make a new Kit to go on.")
            again.__cause__ = cause
            return again

        with self._lock:
            self._dead = dead
            waiting = list(self._open)
        self._deliver((mailbox, dead()) for mailbox in waiting)

    def _obey(self, scheduler: Steps) -> bool:
        """Carry out the commands that came, waiting for one when idle; False to end."""
        while scheduler.idle or not self._commands.empty():
            command = self._commands.get()
            if command is None:
                return False
            mailbox, request = command
            try:
                if request is None:
                    scheduler.cancel(mailbox)
                else:
                    scheduler.submit(mailbox, request)
            except BackendError as refusal:
                self._deliver([(mailbox, refusal)])
        return True

    def _deliver(self, outputs: Iterable[tuple[object, Chunk | BackendError]]) -> None:
        """Fill the mailboxes and wake their loops, each loop once."""
        readers: dict[object, set[Mailbox]] = {}
        for mailbox, item in outputs:
            assert isinstance(mailbox, Mailbox)
            mailbox.items.append(item)
            readers.setdefault(mailbox.loop, set()).add(mailbox)
            if isinstance(item, BackendError) or item.finish is not None:
                with self._lock:
                    self._open.discard(mailbox)
        for loop, mailboxes in readers.items():
            try:
                soon(loop, _wake, mailboxes)
            except RuntimeError:
                for mailbox in mailboxes:
                    self.cancel(mailbox)


def _wake(mailboxes: Iterable[Mailbox]) -> None:
    for mailbox in mailboxes:
        mailbox.news.set()


def _blas(threads: int | None) -> Callable[[], AbstractContextManager[None]]:
    """What a step runs in: BLAS held to `threads` threads, or as it is."""
    if threads is None:
        return nullcontext
    from threadpoolctl import ThreadpoolController  # type: ignore[import-untyped]

    blas = ThreadpoolController()

    @contextmanager
    def held() -> Iterator[None]:
        with _TURN, blas.limit(limits=threads, user_api="blas"):
            yield

    return held
