"""Deadlines of a call to a server: of each step, and of the whole."""

from __future__ import annotations

import math
from collections.abc import Awaitable
from dataclasses import dataclass
from typing import TypeVar

import anyio

from dyntaskmas_nb.errors import BackendTimeout
from dyntaskmas_nb.llm.checks import timed_out
from dyntaskmas_nb.llm.protocol import Request

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """How long to wait for the server, in seconds: to connect, for the first token, for each next one."""

    connect: float = 5.0
    first_token: float = 120.0
    next_token: float = 60.0


class Clock:
    """The deadlines of one request."""

    def __init__(self, name: str, request: Request) -> None:
        self._name = name
        self._request = request
        timeout = request.timeout
        self._end = math.inf if timeout is None else anyio.current_time() + timeout

    async def within(self, seconds: float, waiting: Awaitable[T], what: str) -> T:
        """Wait at most `seconds`, and not beyond the request's own deadline."""
        now = anyio.current_time()
        with anyio.CancelScope(deadline=min(now + seconds, self._end)) as scope:
            return await waiting
        assert scope.cancelled_caught
        if now + seconds >= self._end:
            raise timed_out(self._name, self._request)
        raise BackendTimeout(f"{self._name}: no {what} for {seconds:g} s. Is the server stuck or overloaded?")
