"""What every language-model backend offers: `stream` is the one primitive, `complete` folds it.

A backend is shared by all runs of a kit and lives on the kit's event loop. Closing the iterator that
`stream` returned cancels the request, wherever it is. Errors are the `BackendError` family of
`dyntaskmas_nb.errors`; nothing else leaves a backend.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import anyio

from dyntaskmas_nb.errors import BackendTimeout

Finish = Literal["stop", "length"]


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
    the task's complexity, which only simulated backends look at.
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Chunk:
    """A piece of the answer. The last one carries `finish` and the token counts of the whole call."""

    text: str
    finish: Finish | None = None
    prompt_tokens: int = 0
    completion_tokens: int = 0
    estimated: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Completion:
    """A whole answer: text, why it ended, token counts (`estimated` when the server gave none)."""

    text: str
    finish: Finish
    prompt_tokens: int
    completion_tokens: int
    estimated: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Caps:
    """What a backend can do.

    `context_window` in tokens, prompt and answer together; `virtual`: answers take virtual time only, so
    it may run under the virtual clock; `terse`: trained on the kit's short prompts; `refuses`: declines
    what lies outside `domains` in a fixed way.
    """

    context_window: int
    virtual: bool = False
    terse: bool = False
    refuses: bool = False
    domains: tuple[str, ...] = ()


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


async def complete(backend: Backend, request: Request) -> Completion:
    """Fold `backend.stream(request)` into one `Completion`, under the request's deadline.

    Raises
    ------
    BackendTimeout
        When `request.timeout` seconds pass before the last chunk; the request is cancelled.
    BackendError
        Whatever the backend raises.
    """
    text: list[str] = []
    last = Chunk(text="", finish="length")
    with anyio.move_on_after(request.timeout) as scope:
        async with aclosing(backend.stream(request)) as chunks:
            async for last in chunks:
                text.append(last.text)
    if scope.cancelled_caught:
        raise BackendTimeout(
            f"{backend.name}: no complete answer for {request.tag or 'the request'} within "
            f"{request.timeout:g} s. Raise the timeout or choose a faster model."
        )
    return Completion(
        text="".join(text),
        finish=last.finish or "stop",
        prompt_tokens=last.prompt_tokens,
        completion_tokens=last.completion_tokens,
        estimated=last.estimated,
    )
