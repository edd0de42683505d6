"""The trial passes what works, and finds each thing that does not."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from dataclasses import replace

import anyio
import pytest
import trio
from trio.testing import MockClock

from dyntaskmas_nb.errors import BackendTimeout, ContextOverflow, InvalidOutput, Unavailable
from dyntaskmas_nb.llm.embedded.engine import EmbeddedLlama
from dyntaskmas_nb.llm.openai_compatible import OpenAICompatible
from dyntaskmas_nb.llm.pool import Pool
from dyntaskmas_nb.llm.protocol import Backend, Caps, Chunk, Request
from dyntaskmas_nb.llm.simulated import Latency, Simulated, constant
from dyntaskmas_nb.llm.trial import Mark, Verdict, measure, trial
from dyntaskmas_nb.llm.trial_checks import CHECKS, UNICODE, Check, limited
from tests.llm.openai_server import Server

OK, FAILED, UNSUPPORTED = Mark.OK, Mark.FAILED, Mark.UNSUPPORTED


async def tried(backend: Backend) -> dict[str, Verdict]:
    return {verdict.check.name: verdict async for verdict in trial(backend)}


def marks(verdicts: dict[str, Verdict]) -> dict[str, Mark]:
    """Those that are not ✓."""
    return {name: verdict.mark for name, verdict in verdicts.items() if verdict.mark is not OK}


QUICK = {"deadline": UNSUPPORTED}
"""What so small a model may say in 20 ms."""


# --- what works --------------------------------------------------------------------------------------------


async def test_our_own_llama_passes_all(llama: EmbeddedLlama) -> None:
    verdicts = await tried(llama)
    assert list(verdicts) == [check.name for check in CHECKS]
    assert marks(verdicts) in ({}, QUICK)
    assert all(verdict.said.endswith((".", "}")) for verdict in verdicts.values())


async def test_behind_a_server_it_passes_as_well(
    backend: OpenAICompatible, server: Server, llama: EmbeddedLlama
) -> None:
    server.models[0]["max_model_len"] = llama.caps.context_window
    assert marks(await tried(backend)) in ({}, QUICK)
    assert any(len(body["messages"][0]["content"]) > 1000 for body in server.asked)  # the server refused that


async def test_two_in_a_pool_pass_too(llama: EmbeddedLlama) -> None:
    assert marks(await tried(Pool([llama]))) in ({}, QUICK)


async def test_the_figures(llama: EmbeddedLlama) -> None:
    figures = await measure(llama)
    assert figures.window == llama.caps.context_window
    assert {*figures.used, *figures.ignored} == {"priority", "session", "prefix_len", "steps_to_next_use"}
    assert set(figures.used) == llama.caps.hints
    assert 0 <= figures.cached_tokens < figures.prompt_tokens
    assert figures.first_token > 0
    assert figures.tokens_per_second > 0


def test_the_speed_is_that_after_the_first_token() -> None:
    async def play() -> None:
        figures = await measure(Model(constant(8.0)))
        assert figures.first_token == 2.0
        assert figures.tokens_per_second == pytest.approx((figures_tokens - 1) / 6.0)

    figures_tokens = -(-len(SAID) // 4)
    virtually(play)


# --- what does not -----------------------------------------------------------------------------------------

SAID = "One goes to Kyoto by train and sees three temples a day, then eats."


def sensible(request: Request) -> str:
    """What a model would say that takes schemas."""
    if request.json_schema is None:
        return SAID
    value = {"city": UNICODE} if "city" in request.json_schema["properties"] else {"n": 42, "fit": True}
    return json.dumps(value)


class Model(Simulated):
    """A model without a fault, on the virtual clock; `asked` and `said` spoil it; leaving takes `cling` s."""

    def __init__(self, latency: Latency | None = None, cling: float = 0.0, window: int = 1000) -> None:
        super().__init__(latency or constant(1.0), sensible)
        self.caps = Caps(context_window=window, virtual=True)
        self.cling = cling
        self.calls = 0

    def asked(self, request: Request) -> Request:
        prompt = sum(len(message.content) for message in request.messages) // 2
        if prompt + request.max_tokens > self.caps.context_window:
            raise ContextOverflow("too long")
        return request

    def said(self, request: Request, chunk: Chunk) -> Chunk:
        return replace(chunk, estimated=False)

    async def stream(self, request: Request) -> AsyncGenerator[Chunk, None]:  # type: ignore[override]
        self.calls += 1
        try:
            async with aclosing(super().stream(self.asked(request))) as chunks:
                async for chunk in chunks:
                    yield self.said(request, chunk)
        finally:
            with anyio.CancelScope(shield=True):
                await anyio.sleep(self.cling)


def virtually(play: Callable[[], object]) -> object:
    return trio.run(play, clock=MockClock(autojump_threshold=0))  # type: ignore[arg-type]


def found(model: Model) -> dict[str, Mark]:
    return marks(virtually(lambda: tried(model)))  # type: ignore[arg-type]


def test_a_model_without_a_fault_has_none() -> None:
    assert found(Model()) == {}


class Empty(Model):
    def said(self, request: Request, chunk: Chunk) -> Chunk:
        return replace(chunk, text="")


class Down(Model):
    def asked(self, request: Request) -> Request:
        raise Unavailable("nobody there.")


class EndsTooSoon(Model):
    def said(self, request: Request, chunk: Chunk) -> Chunk:
        return replace(super().said(request, chunk), finish=chunk.finish or "stop")


class OnePiece(Model):
    async def stream(self, request: Request) -> AsyncGenerator[Chunk, None]:  # type: ignore[override]
        async with aclosing(super().stream(request)) as chunks:
            pieces = [chunk async for chunk in chunks]
        yield replace(pieces[-1], text="".join(piece.text for piece in pieces))


class NeverTheSame(Model):
    def said(self, request: Request, chunk: Chunk) -> Chunk:
        text = f"{self.calls}{chunk.text}" if request.json_schema is None else chunk.text
        return replace(super().said(request, chunk), text=text)


class DeafToStops(Model):
    def asked(self, request: Request) -> Request:
        return replace(super().asked(request), stop=())


class Endless(Model):
    def asked(self, request: Request) -> Request:
        return replace(super().asked(request), max_tokens=max(request.max_tokens, 40))


class SaysItStopped(Model):
    def said(self, request: Request, chunk: Chunk) -> Chunk:
        return replace(super().said(request, chunk), finish="stop" if chunk.finish else None)


class Chatty(Model):
    def asked(self, request: Request) -> Request:
        return replace(super().asked(request), json_schema=None)


class GivesUp(Model):
    def asked(self, request: Request) -> Request:
        if request.json_schema is not None:
            raise InvalidOutput("too hard.")
        return super().asked(request)


class Lax(Model):
    def said(self, request: Request, chunk: Chunk) -> Chunk:
        return replace(super().said(request, chunk), text=chunk.text.replace("42", "7"))


class Mangles(Model):
    def said(self, request: Request, chunk: Chunk) -> Chunk:
        return replace(super().said(request, chunk), text=chunk.text.replace("Z", "?"))


class Clings(Model):
    def __init__(self) -> None:
        super().__init__(cling=3.0)


class Uncounted(Model):
    def said(self, request: Request, chunk: Chunk) -> Chunk:
        return chunk


class Miscounts(Model):
    def said(self, request: Request, chunk: Chunk) -> Chunk:
        return replace(super().said(request, chunk), prompt_tokens=7)


class Cuts(Model):
    def asked(self, request: Request) -> Request:
        return request

    def said(self, request: Request, chunk: Chunk) -> Chunk:
        return replace(super().said(request, chunk), prompt_tokens=min(chunk.prompt_tokens, 990))


class LargerThanItSays(Cuts):
    def said(self, request: Request, chunk: Chunk) -> Chunk:
        return replace(Model.said(self, request, chunk), prompt_tokens=chunk.prompt_tokens * 2)


@pytest.mark.parametrize(
    ("spoiled", "expected"),
    [
        (Empty, {"answers": FAILED}),
        (Down, {"answers": FAILED}),
        (EndsTooSoon, {"streams in order": FAILED, "cancelling": UNSUPPORTED}),
        (OnePiece, {"streams in order": UNSUPPORTED, "cancelling": UNSUPPORTED}),
        (
            NeverTheSame,
            {"greedy is repeatable": FAILED, "seeds are repeatable": FAILED, "stop strings": UNSUPPORTED},
        ),
        (DeafToStops, {"stop strings": FAILED}),
        (Endless, {"max_tokens": FAILED}),
        (SaysItStopped, {"max_tokens": FAILED}),
        (Chatty, {"JSON schema": FAILED, "Unicode": FAILED}),
        (Lax, {"JSON schema": FAILED}),
        (GivesUp, {"JSON schema": FAILED, "Unicode": FAILED}),
        (Mangles, {"Unicode": FAILED}),
        (Clings, {"cancelling": FAILED, "deadline": FAILED}),
        (Uncounted, {"token counts": UNSUPPORTED}),
        (Miscounts, {"token counts": FAILED}),
        (Cuts, {"context overflow": FAILED}),
        (LargerThanItSays, {"context overflow": UNSUPPORTED}),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)  # fmt: skip
def test_each_fault_is_found_and_no_other(spoiled: type[Model], expected: dict[str, Mark]) -> None:
    verdicts: dict[str, Verdict] = virtually(lambda: tried(spoiled()))  # type: ignore[arg-type,assignment]
    assert marks(verdicts) == expected
    if "answers" in expected:
        assert list(verdicts) == ["answers"]  # the others are not asked
    bad = {name for name, verdict in verdicts.items() if verdict.bad}
    optional = {"greedy is repeatable", "seeds are repeatable", "context overflow"}
    assert bad == {name for name, mark in expected.items() if mark is FAILED} - optional


def test_a_fast_answer_meets_every_deadline_and_a_huge_window_is_not_filled() -> None:
    assert found(Model(constant(0.0), window=10_000_000)) == {
        "context overflow": UNSUPPORTED,
        "deadline": UNSUPPORTED,
    }


def test_the_trial_asks_one_check_after_the_other_and_times_it() -> None:
    async def slow(backend: Backend) -> str:
        await anyio.sleep(3)
        raise BackendTimeout("too slow.")

    async def play() -> list[Verdict]:
        checks = [
            Check(name="max", required=True, play=limited),
            Check(name="slow", required=False, play=slow),
        ]
        return [verdict async for verdict in trial(Model(), checks)]

    first, second = virtually(play)  # type: ignore[misc]
    assert (first.mark, first.seconds, first.bad) == (OK, 2.0, False)
    assert (second.mark, second.seconds, second.said) == (FAILED, 3.0, "BackendTimeout: too slow.")
    assert not second.bad


def test_a_strange_answer_fails_its_check_and_no_other() -> None:
    class Strange(Model):
        def said(self, request: Request, chunk: Chunk) -> Chunk:
            if request.json_schema is None:
                return super().said(request, chunk)
            return Chunk(
                text='{"n": "42", "fit": true, "city": 7}',
                finish="stop",
                prompt_tokens=9,
                completion_tokens=9,
            )

    assert found(Strange()) == {"JSON schema": Mark.FAILED, "Unicode": Mark.FAILED}
