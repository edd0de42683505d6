"""Rate limits of a model: requests a second, tokens a minute, requests at once. Shared by a kit's runs.

Tokens are reserved before a request, prompt and `max_tokens`, and corrected by what it really took. Their
limit holds in every minute, wherever it begins: a bucket with room for a minute's tokens would let twice as
many through in its first one. Nobody overtakes the first who waits: small requests do not starve a large one.

Times on different clocks do not compare, hence every event loop counts by itself: runs on the real clock
share one count, each virtual run has its own and can be repeated.
"""

from __future__ import annotations

import asyncio
import math
from bisect import insort
from collections import deque
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass

import anyio
from anyio.lowlevel import RunVar, current_token

from dyntaskmas_nb.core.task import LARGEST, check_count, shown
from dyntaskmas_nb.errors import BadRequest, InvalidInput
from dyntaskmas_nb.llm.protocol import Backend, Caps, Chunk, Request, guarded


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What a model may be asked, None for no limit; raises `InvalidInput` for what is no limit.

    `requests_per_second` are spread evenly; `tokens_per_minute` counts prompts and answers; `concurrent` is
    how many requests may be under way at once.
    """

    requests_per_second: float | None = None
    tokens_per_minute: int | None = None
    concurrent: int | None = None

    def __post_init__(self) -> None:
        for name in ("tokens_per_minute", "concurrent"):
            if getattr(self, name) is not None:
                check_count(getattr(self, name), name)
        rate = 1 if self.requests_per_second is None else self.requests_per_second
        if isinstance(rate, bool) or not isinstance(rate, int | float) or not 0 < rate <= LARGEST:
            raise InvalidInput(f"requests_per_second must be a number above 0, not {shown(rate)}.")


class Limited:
    """The `Backend` it is given, within `limits`. Waiting for a turn counts towards a request's timeout."""

    def __init__(self, backend: Backend, limits: Limits) -> None:
        self.limits = limits
        self.count_tokens = backend.count_tokens
        self.aclose = backend.aclose
        self._backend = backend
        self._turns: RunVar[_Turns] = RunVar("turns")

    @property
    def name(self) -> str:
        """The backend's."""
        return self._backend.name

    @property
    def caps(self) -> Caps:
        """The backend's."""
        return self._backend.caps

    @guarded
    async def stream(self, request: Request) -> AsyncGenerator[Chunk, None]:
        """Wait for a turn, then yield the backend's answer; closing this gives the turn back.

        Raises what the backend raises, and `BadRequest` for more tokens than a minute has.
        """
        most = self.limits.tokens_per_minute or math.inf
        prompt = sum(self.count_tokens(message.content) for message in request.messages)
        if prompt + request.max_tokens > most:
            raise BadRequest(
                f"{request.tag or 'request'}: {prompt} tokens and an answer of up to {request.max_tokens} "
                f"never fit into {most} tokens per minute; raise the limit or lower max_tokens."
            )
        turns = self._turns.get(None) or _Turns(self.limits)
        self._turns.set(turns)
        taken = await turns.take(request, prompt + request.max_tokens)
        said, usage = "", 0
        try:
            async with aclosing(self._backend.stream(request)) as chunks:
                async for chunk in chunks:
                    said += chunk.text
                    usage = chunk.prompt_tokens + chunk.completion_tokens
                    yield chunk
        finally:  # where it broke off nobody says what it took
            turns.give_back(taken, usage or prompt + self.count_tokens(said))


class _Turns:
    """Who goes when, on one event loop; a turn is (−priority, arrival, tag, number, bell)."""

    def __init__(self, limits: Limits) -> None:
        self._free = limits.concurrent or math.inf
        self._tokens = limits.tokens_per_minute or math.inf
        self._pause = 1 / (limits.requests_per_second or math.inf)
        self._next = -math.inf
        self._taken: deque[list[float]] = deque()
        self._waiting: list[tuple[float, float, str, int, list[anyio.Event]]] = []
        self._count = 0
        self._virtual = not isinstance(current_token().native_token, asyncio.AbstractEventLoop)

    async def take(self, request: Request, tokens: int) -> list[float]:
        """Wait for a turn; return [when, tokens reserved], to be given back."""
        self._count += 1
        turn = (-request.priority, anyio.current_time(), request.tag, self._count, bell := [anyio.Event()])
        insort(self._waiting, turn)
        try:
            while (due := await self._due(turn, tokens)) > (now := anyio.current_time()):
                bell[0] = anyio.Event()
                with anyio.CancelScope(deadline=due):
                    await bell[0].wait()
            self._free -= 1
            self._next = now + self._pause
            self._taken.append(taken := [now, tokens])
            return taken
        finally:
            self._waiting.remove(turn)
            self._ring()

    def give_back(self, taken: list[float], tokens: int) -> None:
        """The request is over and took `tokens`."""
        taken[1] = tokens
        self._free += 1
        self._ring()

    async def _due(self, turn: object, tokens: int) -> float:
        """When it is this one's turn, as far as can be told; infinity while others come first."""
        if self._virtual:  # trio's order within a moment is random: let everybody arrive
            await anyio.wait_all_tasks_blocked()
        if self._waiting[0] is not turn or self._free < 1:
            return math.inf
        due = self._next
        while self._taken and self._taken[0][0] + 60 <= anyio.current_time():
            self._taken.popleft()
        over = sum(much for _, much in self._taken) + tokens - self._tokens
        for when, much in self._taken:
            if over > 0:
                over, due = over - much, max(due, when + 60)
        return due

    def _ring(self) -> None:
        if self._waiting:
            self._waiting[0][-1][0].set()
