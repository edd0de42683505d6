"""Of requests that begin alike and come together, one goes first: the others find its beginning computed.

An engine computes the shared beginning of two prompts twice if they arrive at the same moment. So where a
backend says that this helps (`Caps.warms`), the first request of a session goes ahead, and the others wait
until its first piece of answer has come, or it has ended in any other way.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import anyio

from dyntaskmas_nb.llm.protocol import Request

WORTH = 32
"""Tokens in common from which waiting pays: fewer are computed in a moment."""

PATIENCE = 10.0
"""Seconds that the others wait at the most: the first may itself wait in the engine's queue."""

REMEMBERED = 1_000
"""Sessions known to be warm; of older ones one goes first again."""

Hear = Callable[[str], Awaitable[None]]


class Warming:
    """Who goes first, by session; for the event loop of one backend."""

    def __init__(self) -> None:
        self._warm: OrderedDict[str, None] = OrderedDict()
        self._first: dict[str, anyio.Event] = {}

    @asynccontextmanager
    async def turn(self, request: Request) -> AsyncIterator[Hear]:
        """Wait until it is this request's turn; yields what is to be told of its first piece of answer."""
        session = request.session
        if session and request.prefix_len >= WORTH:
            with anyio.move_on_after(PATIENCE):
                while session not in self._warm and session in self._first:
                    await self._first[session].wait()
        leads = bool(session) and session not in self._warm and session not in self._first
        if leads:
            self._first[session] = anyio.Event()

        async def heard(_: str) -> None:
            if leads:
                self._remember(session)

        try:
            yield heard
        finally:
            if leads:  # it may have failed before it said anything: then the next goes first
                self._first.pop(session).set()

    def _remember(self, session: str) -> None:
        self._warm[session] = None
        self._first[session].set()
        if len(self._warm) > REMEMBERED:
            self._warm.popitem(last=False)
