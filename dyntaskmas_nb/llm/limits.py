"""Rate limits of a model: requests a second, tokens a minute, requests at once. Shared by a kit's runs.

Tokens are reserved before a request, prompt and `max_tokens`, and corrected by what it really took. Their
limit holds in every minute, wherever it begins: a bucket with room for a minute's tokens would let twice as
many through in its first one. Nobody overtakes the first who waits: small requests do not starve a large one.

A request may say which `share` of a minute's tokens its agent gets (§III-D, Eq. 20): the agent's tokens keep
to that in every minute. A request larger than its share goes when the agent has nothing else in the minute.
One that its share holds back keeps its place, holds back the agent's later ones, and lets others pass.

Times on different clocks do not compare, hence every event loop counts by itself: runs on the real clock
share one count, each virtual run has its own and can be repeated.
"""

from __future__ import annotations

import asyncio
import math
from bisect import insort
from collections import deque
from collections.abc import AsyncGenerator, Iterator
from contextlib import aclosing
from dataclasses import dataclass, replace

import anyio
from anyio.lowlevel import RunVar, current_token

from dyntaskmas_nb.core.task import LARGEST, check_count, shown
from dyntaskmas_nb.errors import BadRequest, InvalidInput
from dyntaskmas_nb.llm.protocol import Backend, Caps, Chunk, Request, guarded

MINUTE = 60.0  # seconds


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
        asked = anyio.current_time()
        taken = await turns.take(request, prompt + request.max_tokens)
        waited = anyio.current_time() - asked
        said, usage = "", 0
        try:
            async with aclosing(self._backend.stream(request)) as chunks:
                async for chunk in chunks:
                    said += chunk.text
                    usage = chunk.prompt_tokens + chunk.completion_tokens
                    yield replace(chunk, waited=waited) if chunk.finish else chunk
        finally:  # where it broke off nobody says what it took
            turns.give_back(taken, usage or prompt + self.count_tokens(said))


@dataclass(slots=True, eq=False)
class _Turn:
    """A request that waits; `place` is its place in the line, `until` when it will look again by itself."""

    place: tuple[float, float, str, int]
    request: Request
    tokens: int
    bell: anyio.Event
    until: float = math.inf


@dataclass(slots=True, eq=False)
class _Taken:
    """Tokens reserved, later those really taken, by an agent of a run at a time."""

    when: float
    tokens: int
    agent: tuple[str, str]


class _Turns:
    """Who goes when, on one event loop. In line by priority, arrival, tag, number."""

    def __init__(self, limits: Limits) -> None:
        self._free = limits.concurrent or math.inf
        self._tokens = limits.tokens_per_minute or math.inf
        self._pause = 1 / (limits.requests_per_second or math.inf)
        self._next = -math.inf
        self._taken: deque[_Taken] = deque()
        self._by_agent: dict[tuple[str, str], deque[_Taken]] = {}
        self._waiting: list[_Turn] = []
        self._count = 0
        self._virtual = not isinstance(current_token().native_token, asyncio.AbstractEventLoop)

    async def take(self, request: Request, tokens: int) -> _Taken:
        """Wait for a turn; return what is reserved, to be given back."""
        self._count += 1
        place = (-request.priority, anyio.current_time(), request.tag, self._count)
        turn = _Turn(place, request, tokens, anyio.Event())
        insort(self._waiting, turn, key=_place)
        if request.share is not None:  # it may hold back those of its agent that were first
            self._ring()
        try:
            while (due := await self._due(turn)) > (now := anyio.current_time()):
                turn.bell, turn.until = anyio.Event(), due
                with anyio.CancelScope(deadline=due):
                    await turn.bell.wait()
            self._free -= 1
            self._next = now + self._pause
            taken = _Taken(now, tokens, _agent(request))
            self._taken.append(taken)
            self._by_agent.setdefault(taken.agent, deque()).append(taken)
            return taken
        finally:
            self._waiting.remove(turn)
            self._ring()

    def give_back(self, taken: _Taken, tokens: int) -> None:
        """The request is over and took `tokens`."""
        taken.tokens = tokens
        self._free += 1
        self._ring()

    async def _due(self, turn: _Turn) -> float:
        """When it is this one's turn, as far as can be told; infinity while others come first."""
        if self._virtual:  # trio's order within a moment is random: let everybody arrive
            await anyio.wait_all_tasks_blocked()
        now = anyio.current_time()
        while self._taken and self._taken[0].when + MINUTE <= now:
            self._leave(self._taken.popleft())
        if self._free >= 1 and turn is next((one for one, at in self._line() if at <= now), None):
            return max(self._next, _room_at(self._taken, turn.tokens, self._tokens))
        allowed = self._allowed_at(turn)
        return allowed if allowed > now else math.inf

    def _leave(self, taken: _Taken) -> None:
        """The minute of `taken` is over; it is the oldest, of its agent too."""
        others = self._by_agent[taken.agent]
        others.popleft()
        if not others:
            del self._by_agent[taken.agent]

    def _allowed_at(self, turn: _Turn) -> float:
        """When its agent's share has room for it: in the past if it has."""
        share, agent = turn.request.share, _agent(turn.request)
        if share is None or agent not in self._by_agent:
            return -math.inf
        most = round(share * self._tokens, 6)  # whole where it should be
        return _room_at(self._by_agent[agent], turn.tokens, max(most, turn.tokens))

    def _line(self) -> Iterator[tuple[_Turn, float]]:
        """The first of each agent that its share holds back, until when, and the first that it does not."""
        now, held = anyio.current_time(), set[tuple[str, str]]()
        for turn in self._waiting:
            if (agent := _agent(turn.request)) in held:
                continue
            yield turn, (allowed := self._allowed_at(turn))
            if allowed <= now:
                return
            held.add(agent)

    def _ring(self) -> None:
        """Wake the one whose turn it may be, and those who would look again too late."""
        for turn, allowed in self._line() if self._waiting else ():
            if allowed < turn.until:
                turn.bell.set()


def _room_at(taken: deque[_Taken], tokens: int, most: float) -> float:
    """When enough of `taken` is a minute old for `tokens` more to be within `most`; -inf if they are now."""
    over, at = sum(one.tokens for one in taken) + tokens - most, -math.inf
    for one in taken:
        if over <= 0:
            break
        over, at = over - one.tokens, one.when + MINUTE
    return at


def _agent(request: Request) -> tuple[str, str]:
    return request.run, request.agent


def _place(turn: _Turn) -> tuple[float, float, str, int]:
    return turn.place
