"""What every language-model backend offers: `stream` is the one primitive, `complete` folds it.

A backend is shared by all runs of a kit and lives on the kit's event loop. Closing the iterator that
`stream` returned cancels the request, wherever it is. Errors are the `BackendError` family of
`dyntaskmas_nb.errors`; nothing else leaves a backend.
"""

from __future__ import annotations

import math
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import aclosing
from dataclasses import dataclass, replace
from functools import wraps
from typing import Any, Literal, Protocol

import anyio

from dyntaskmas_nb.errors import BackendTimeout, BadRequest, ContextOverflow

Finish = Literal["stop", "length"]

HINTS = ("priority", "session", "prefix_len", "steps_to_next_use")
"""Fields of a `Request` that change nothing in its answer, only when it comes and what it costs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """One turn of the conversation."""

    role: Literal["system", "user", "assistant"]
    content: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One call of a model.

    `max_tokens` is always explicit (tokens of the answer); `timeout` is in seconds from the call, None
    for no deadline; `temperature` 0 is greedy; `json_schema` asks for an answer valid under it; `priority`
    is higher-first; `tag` names who asks (a task id, "planner") in logs and scripted replies; `cost` is
    the task's complexity and `attempt` which try it is; only simulated backends look at these two. `agent`
    is the agent of `run` that asks, "" for nobody in particular; `share`, above 0 and up to 1, is the share
    of the model's tokens a minute that this agent may take, None for no share of its own (see `llm.limits`).

    What the graph knows, for engines that can use it (`HINTS`): `session` names those whose prompts begin
    alike ("" for none); `prefix_len` is how many tokens, as `count_tokens` counts, they share at least;
    `steps_to_next_use` how many steps of the graph lie between this task and the next of its session, None
    when there will be none.
    """

    messages: tuple[Message, ...]
    max_tokens: int
    seed: int = 0
    temperature: float = 0.0
    stop: tuple[str, ...] = ()
    json_schema: Mapping[str, Any] | None = None
    timeout: float | None = None
    priority: float = 0.0
    tag: str = ""
    cost: float = 1.0
    attempt: int = 1
    run: str = ""
    agent: str = ""
    share: float | None = None
    session: str = ""
    prefix_len: int = 0
    steps_to_next_use: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Chunk:
    """A piece of the answer, or all of it.

    The last one carries `finish` and the token counts of the whole call, `estimated` when the server gave
    none, how many of the prompt's were `cached_tokens`, computed for another request before, and the seconds
    that the request `waited` for its turn where its rate is limited.
    """

    text: str
    finish: Finish | None = None
    prompt_tokens: int = 0
    completion_tokens: int = 0
    estimated: bool = False
    cached_tokens: int = 0
    waited: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Caps:
    """What a backend can do.

    `context_window` in tokens, prompt and answer together; `virtual`: answers take virtual time only, so
    it may run under the virtual clock; `terse`: trained on the kit's short prompts; `refuses`: declines
    what lies outside `domains` in a fixed way; `hints`: those of `HINTS` that it uses, it ignores the others;
    `warms`: prompts that come together and begin alike are cheaper when one of them goes ahead.
    """

    context_window: int
    virtual: bool = False
    terse: bool = False
    refuses: bool = False
    domains: tuple[str, ...] = ()
    hints: frozenset[str] = frozenset()
    warms: bool = False


Stream = Callable[[Any, Request], AsyncGenerator[Chunk, None]]
"""The method of a backend: `Backend.stream`."""


class Backend(Protocol):
    """A language model that streams its answer."""

    @property
    def name(self) -> str:
        """Short name shown to people and recorded in the log."""

    @property
    def caps(self) -> Caps:
        """What this backend can do."""

    def stream(self, request: Request) -> AsyncGenerator[Chunk, None]:
        """Yield the answer piece by piece; raises `BackendError`s; closing it cancels the request."""

    def count_tokens(self, text: str) -> int:
        """Tokens of `text`, exact where the tokenizer is known, else an estimate."""

    async def aclose(self) -> None:
        """Free everything; later calls raise `EngineDead`."""


async def answered(
    backend: Backend, make: Callable[[], Request], hear: Callable[[str], Awaitable[None]] | None = None
) -> Chunk:
    """`complete` what `make` makes of what is known of the backend, and once more if that was wrong.

    The first request may be what tells how large a server's window is: too late for itself.
    """
    window = backend.caps.context_window
    try:
        return await complete(backend, make(), hear)
    except ContextOverflow:
        if backend.caps.context_window == window:
            raise
    return await complete(backend, make(), hear)


async def complete(
    backend: Backend, request: Request, hear: Callable[[str], Awaitable[None]] | None = None
) -> Chunk:
    """Fold `backend.stream(request)` into one `Chunk`; `hear` is told each piece of text but the last.

    Raises `BackendTimeout` after `request.timeout` seconds (the request, and `hear`, are cancelled then), and
    whatever the backend raises.
    """
    _check(request)
    text: list[str] = []
    last = Chunk(text="")
    with anyio.move_on_after(request.timeout) as scope:
        async with aclosing(backend.stream(request)) as chunks:
            async for last in chunks:
                text.append(last.text)
                if hear and not last.finish:
                    await hear(last.text)
    if scope.cancelled_caught:
        raise _timed_out(backend.name, request)
    return replace(last, text="".join(text), finish=last.finish or "stop")


def guarded(stream: Stream) -> Stream:
    """A backend's `stream`, made to check the request, and to pass chunks on until its deadline.

    Raises `BadRequest` for a field that makes no sense (nothing has been sent or computed then), and
    `BackendTimeout` when `request.timeout` seconds have passed before the last chunk.
    """

    @wraps(stream)
    async def within(self: Any, request: Request) -> AsyncGenerator[Chunk, None]:
        _check(request)
        deadline = math.inf if request.timeout is None else anyio.current_time() + request.timeout
        async with aclosing(stream(self, request)) as chunks:
            while True:
                with anyio.CancelScope(deadline=deadline) as scope:
                    chunk = await anext(chunks, None)
                if scope.cancelled_caught:
                    raise _timed_out(self.name, request)
                if chunk is None:
                    return
                yield chunk

    return within


def _timed_out(name: str, request: Request) -> BackendTimeout:
    return BackendTimeout(
        f"{name}: no complete answer for {request.tag or 'the request'} within {request.timeout:g} s. "
        "Raise the timeout or choose a faster model."
    )


def _check(request: Request) -> None:
    """Raise `BadRequest` naming the first field that makes no sense."""
    for name, sensible, rule in (
        ("messages", bool(request.messages), "give at least one"),
        ("max_tokens", request.max_tokens >= 1, "it must be at least 1"),
        ("seed", request.seed >= 0, "it must not be negative"),
        ("temperature", 0 <= request.temperature < math.inf, "it must be finite, 0 (greedy) or more"),
        ("stop", "" not in request.stop, "an empty string would stop everything; remove it"),
        ("share", request.share is None or 0 < request.share <= 1, "it lies above 0 and up to 1, or is None"),
        ("timeout", request.timeout is None or request.timeout > 0, "it must be positive, or None for none"),
        ("prefix_len", request.prefix_len >= 0, "it must not be negative"),
        ("steps_to_next_use", (request.steps_to_next_use or 0) >= 0, "it must not be negative, or None"),
    ):
        if not sensible:
            raise BadRequest(f"{request.tag or 'request'}: {name}={getattr(request, name)!r}; {rule}.")
