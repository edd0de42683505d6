"""What servers do wrong, and how it reaches the user."""

from __future__ import annotations

import socket
from collections.abc import Callable
from contextlib import aclosing

import anyio
import pytest

from dyntaskmas_nb.errors import (
    BackendError,
    BackendTimeout,
    BadRequest,
    ContextOverflow,
    EngineDead,
    Overloaded,
    Unavailable,
)
from dyntaskmas_nb.llm.openai_compatible import OpenAICompatible, Patience
from dyntaskmas_nb.llm.protocol import complete
from tests.llm.openai_server import Body, Handler, Server, ask, serve

pytest.importorskip("openai", reason="needs dyntaskmas_nb[openai]")


@pytest.mark.parametrize(
    ("status", "message", "error", "advice"),
    [
        (400, "no such parameter", BadRequest, "Change what the server names"),
        (400, "This model's maximum context length is 8", ContextOverflow, "Shorten"),
        (401, "bad key sk-mine", BadRequest, "api_key"),
        (403, "not yours", BadRequest, "api_key"),
        (404, "no such model", BadRequest, "/v1"),
        (429, "slow down", Overloaded, "agents"),
        (500, "oops", Unavailable, "log"),
        (503, "loading", Overloaded, "Wait"),
    ],
)
async def test_refusals_become_our_errors(
    server: Server, status: int, message: str, error: type[BackendError], advice: str
) -> None:
    server.chat = lambda handler, _: handler.error(status, message)
    backend = OpenAICompatible(server.url.replace("//", "//me:pass@"), "tiny", "sk-mine")
    with pytest.raises(error, match=message.replace("sk-mine", "…")) as caught:
        await complete(backend, ask())
    await backend.aclose()
    assert type(caught.value) is error
    assert server.url in str(caught.value)
    assert advice in str(caught.value)
    assert not any(secret in str(caught.value) for secret in ("sk-mine", "pass"))
    assert len(server.asked) == 1  # nothing is tried again behind the run's back


async def test_nobody_there() -> None:
    with socket.socket() as taken:  # bound, but nobody listens
        taken.bind(("127.0.0.1", 0))
        backend = OpenAICompatible(f"http://127.0.0.1:{taken.getsockname()[1]}/v1", "tiny")
        with pytest.raises(Unavailable, match="Is the server running"):
            await complete(backend, ask())
        await backend.aclose()


def hang_up(handler: Handler, _: Body) -> None:
    handler.begin()
    handler.say("So ")


def error_event(handler: Handler, _: Body) -> None:
    handler.begin()
    handler.say("So ")
    handler.event({"error": {"message": "out of memory"}})


def done_too_soon(handler: Handler, _: Body) -> None:
    handler.begin()
    handler.say("So ")
    handler.event("[DONE]")


@pytest.mark.parametrize("chat", [hang_up, error_event, done_too_soon])
async def test_an_answer_that_breaks_off_is_unavailable(
    backend: OpenAICompatible, server: Server, chat: Callable[[Handler, Body], None]
) -> None:
    server.chat = chat
    with pytest.raises(Unavailable, match=server.url):
        await complete(backend, ask())
    server.chat = serve
    assert (await complete(backend, ask())).finish


def stall(handler: Handler, say: str | None) -> None:
    handler.begin()
    if say is not None:
        handler.say(say)
    handler.ours.release.wait(20)


@pytest.mark.parametrize(
    ("say", "patience", "timeout", "said"),
    [
        (None, Patience(first_token=0.1), None, r"no token for 0\.1 s"),
        ("So ", Patience(next_token=0.1), None, r"no token for 0\.1 s"),
        ("So ", Patience(), 0.1, r"hotels within 0\.1 s"),
    ],
)
async def test_silence_has_a_deadline(
    server: Server, say: str | None, patience: Patience, timeout: float | None, said: str
) -> None:
    server.chat = lambda handler, _: stall(handler, say)
    backend = OpenAICompatible(server.url, "tiny", patience=patience)
    with pytest.raises(BackendTimeout, match=said):
        async for _ in backend.stream(ask(tag="hotels", timeout=timeout)):
            pass
    await backend.aclose()


@pytest.mark.parametrize("how", ["close", "cancel"])
async def test_leaving_closes_the_connection(backend: OpenAICompatible, server: Server, how: str) -> None:
    def chatter(handler: Handler, _: Body) -> None:
        handler.begin()
        while not handler.ours.release.wait(0.01):
            handler.say("and ")

    server.chat = chatter
    if how == "close":
        async with aclosing(backend.stream(ask())) as chunks:
            await anext(chunks)
    else:
        with anyio.CancelScope() as scope:
            async for _ in backend.stream(ask()):
                scope.cancel()
    assert await anyio.to_thread.run_sync(server.broken.wait, 10)


async def test_closed_is_closed(backend: OpenAICompatible) -> None:
    await complete(backend, ask())
    await backend.aclose()
    with pytest.raises(EngineDead, match="closed"):
        await complete(backend, ask())
    assert backend.count_tokens("12345") == 2
