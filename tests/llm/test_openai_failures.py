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
    InvalidInput,
    OutOfMemory,
    Overloaded,
    Unavailable,
)
from dyntaskmas_nb.llm.openai_compatible import OpenAICompatible, Patience
from dyntaskmas_nb.llm.protocol import complete
from tests.llm.openai_server import Body, Handler, Server, ask, serve

pytest.importorskip("openai", reason="needs dyntaskmas_nb[openai]")

QUICK = Patience(pause=0.001)


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
        (500, "CUDA out of memory", OutOfMemory, "max_tokens"),
    ],
)
async def test_refusals_become_our_errors(
    server: Server, status: int, message: str, error: type[BackendError], advice: str
) -> None:
    server.chat = lambda handler, _: handler.error(status, message)
    backend = OpenAICompatible(server.url.replace("//", "//me:pass@"), "tiny", "sk-mine", patience=QUICK)
    with pytest.raises(error, match=message.replace("sk-mine", "…")) as caught:
        await complete(backend, ask())
    await backend.aclose()
    assert type(caught.value) is error
    assert server.url in str(caught.value)
    assert advice in str(caught.value)
    assert not any(secret in str(caught.value) for secret in ("sk-mine", "pass"))
    assert len(server.asked) == (
        3 if issubclass(error, Overloaded | Unavailable) else 1
    )  # retries=2, where it may help


async def test_nobody_there() -> None:
    with socket.socket() as taken:  # bound, but nobody listens
        taken.bind(("127.0.0.1", 0))
        backend = OpenAICompatible(f"http://127.0.0.1:{taken.getsockname()[1]}/v1", "tiny", patience=QUICK)
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


@pytest.mark.parametrize("chat", [hang_up, error_event, done_too_soon])
async def test_an_answer_that_began_is_not_begun_anew(
    backend: OpenAICompatible, server: Server, chat: Callable[[Handler, Body], None]
) -> None:
    server.chat = chat
    with pytest.raises(Unavailable):
        await complete(backend, ask())
    assert len(server.asked) == 1


async def test_what_breaks_off_before_its_first_token_is_asked_for_again(server: Server) -> None:
    def silent_twice(handler: Handler, body: Body) -> None:
        handler.begin() if len(handler.ours.asked) < 3 else serve(handler, body)

    server.chat = silent_twice
    backend = OpenAICompatible(server.url, patience=QUICK)
    assert (await complete(backend, ask())).finish
    assert len(server.asked) == 3
    await backend.aclose()


@pytest.mark.parametrize(("retries", "tries"), [(0, 1), (1, 2), (4, 5)])
async def test_retries_are_counted(server: Server, retries: int, tries: int) -> None:
    server.chat = lambda handler, _: handler.error(503, "busy")
    backend = OpenAICompatible(server.url, retries=retries, patience=QUICK)
    with pytest.raises(Overloaded):
        await complete(backend, ask())
    assert len(server.asked) == tries
    await backend.aclose()
    with pytest.raises(InvalidInput, match="retries"):
        OpenAICompatible(server.url, retries=-1)


@pytest.mark.parametrize(
    ("header", "timeout", "slept"),
    [
        ("0.125", None, [0.125, 0.125]),
        ("0", None, [0.0, 0.0]),
        ("", None, [0.5, 1.0]),
        ("Wed, 21 Oct 2026 07:28:00 GMT", None, [0.5, 1.0]),
        ("-3", None, [0.5, 1.0]),
        ("31", None, []),  # too long to wait here: the run decides
        ("20", 10.0, []),  # would be too late anyway
    ],
)
async def test_the_server_says_how_long_to_wait(
    server: Server, monkeypatch: pytest.MonkeyPatch, header: str, timeout: float | None, slept: list[float]
) -> None:
    pauses: list[float] = []

    async def sleep(seconds: float) -> None:
        pauses.append(seconds)

    monkeypatch.setattr("dyntaskmas_nb.llm.openai_compatible.anyio.sleep", sleep)
    server.chat = lambda handler, _: handler.answer(429, {"error": {"message": "slow"}}, Retry_After=header)
    backend = OpenAICompatible(server.url)
    with pytest.raises(Overloaded):
        await complete(backend, ask(timeout=timeout))
    assert pauses == slept
    await backend.aclose()


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
