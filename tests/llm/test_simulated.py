from __future__ import annotations

import math
import os
import subprocess
import sys
from collections.abc import Callable
from contextlib import aclosing
from dataclasses import replace

import anyio
import pytest
import trio
from trio.testing import MockClock

from dyntaskmas_nb.errors import (
    BackendError,
    BackendTimeout,
    EngineDead,
    InvalidInput,
    InvalidOutput,
    Overloaded,
)
from dyntaskmas_nb.llm.protocol import Chunk, Message, Request, complete
from dyntaskmas_nb.llm.simulated import Simulated, constant, latency_from_spec, lognormal


def ask(tag: str = "flights", **fields: object) -> Request:
    return Request(
        messages=(Message(role="user", content="Find flights."),), max_tokens=99, tag=tag, **fields
    )  # type: ignore[arg-type]


def virtually(play: Callable[[], object]) -> object:
    """Run `play` in trio's virtual time."""
    return trio.run(play, clock=MockClock(autojump_threshold=0))  # type: ignore[arg-type]


def seconds(backend: Simulated, *requests: Request) -> list[float]:
    """How long the calls take, one after the other, in virtual time."""

    async def play() -> list[float]:
        times = []
        for request in requests:
            start = anyio.current_time()
            await complete(backend, request)
            times.append(anyio.current_time() - start)
        return times

    return virtually(play)  # type: ignore[return-value]


def test_lognormal_has_its_median_and_spread() -> None:
    times = sorted(seconds(Simulated(lognormal(2.0, 0.5)), *(ask(f"t{i}") for i in range(600))))
    assert times[300] == pytest.approx(2.0, rel=0.08)
    logs = [math.log(value) for value in times]
    mean = sum(logs) / 600
    assert math.sqrt(sum((value - mean) ** 2 for value in logs) / 600) == pytest.approx(0.5, rel=0.1)


def test_replies_by_tag_by_function_and_by_default() -> None:
    async def play() -> list[Chunk]:
        by_tag = Simulated(constant(0), {"flights": "LH 716"})
        by_call = Simulated(constant(0), lambda request: f"seed {request.seed}")
        return [
            await complete(by_tag, ask()),
            await complete(by_tag, ask("hotels")),
            await complete(by_call, ask(seed=4)),
            await complete(Simulated(constant(0), {"flights": ""}), ask()),
        ]

    done = virtually(play)
    assert [one.text for one in done] == ["LH 716", "hotels: Find flights.", "seed 4", ""]  # type: ignore[attr-defined]
    assert all(one.finish == "stop" and one.estimated for one in done)  # type: ignore[attr-defined]


def test_stop_strings_and_max_tokens_hold() -> None:
    async def play() -> list[Chunk]:
        backend = Simulated(constant(0), {"flights": "one two three four"})
        return [
            await complete(backend, ask(stop=("three",))),
            await complete(backend, replace(ask(), max_tokens=2)),
        ]

    first, second = virtually(play)  # type: ignore[misc]
    assert (first.text, first.finish) == ("one two ", "stop")
    assert (second.text, second.finish, second.completion_tokens) == ("one two ", "length", 2)


def test_chunks_arrive_over_the_whole_latency() -> None:
    async def play() -> list[tuple[float, Chunk]]:
        start = anyio.current_time()
        backend = Simulated(constant(4.0), {"flights": "abcdefgh"})
        return [(anyio.current_time() - start, chunk) async for chunk in backend.stream(ask())]

    arrived: list[tuple[float, Chunk]] = virtually(play)  # type: ignore[assignment]
    assert [(when, chunk.text) for when, chunk in arrived] == [
        (1.0, "ab"),
        (2.0, "cd"),
        (3.0, "ef"),
        (4.0, "gh"),
    ]
    assert [chunk.finish for _, chunk in arrived] == [None, None, None, "stop"]


def test_a_stall_lasts_until_the_deadline_or_cancellation() -> None:
    async def play() -> tuple[float, bool]:
        backend = Simulated(constant(1.0), faults={("flights", n): "stall" for n in (1, 2)})
        start = anyio.current_time()
        with pytest.raises(BackendTimeout, match="flights within 30 s"):
            await complete(backend, ask(timeout=30.0))
        took = anyio.current_time() - start
        with anyio.move_on_after(5) as scope:
            await complete(backend, ask())
        return took, scope.cancelled_caught

    assert virtually(play) == (30.0, True)


async def test_closed_is_closed() -> None:
    backend = Simulated(constant(0))
    async with aclosing(backend.stream(ask())) as chunks:
        assert (await anext(chunks)).text
    await backend.aclose()
    with pytest.raises(EngineDead):
        await complete(backend, ask())
    assert backend.caps.virtual
    assert backend.count_tokens("12345") == 2


def test_a_call_takes_what_the_spec_says() -> None:
    for spec, expected in {"cost": 3.0, "cost:0.5": 1.5, "constant:0": 0.0, "lognormal:2,0": 2.0}.items():
        assert seconds(Simulated(latency_from_spec(spec)), ask(cost=3.0)) == pytest.approx([expected])
    for agents, printed in {4: 81.3, 8: 86.5, 16: 93.8, 32: 104.2}.items():
        took = seconds(Simulated(latency_from_spec(f"table2:{agents}")), ask())[0]
        assert 1000 * took == pytest.approx(printed, abs=0.05)


@pytest.mark.parametrize(
    "spec",
    "fast constant constant: constant:x constant:-1 constant:nan constant:1,2 table2:2.5 table2:0 table2:inf "
    "lognormal:1 lognormal:1,-1 constant:1:2".split(),
)
def test_nonsense_is_refused_in_one_line(spec: str) -> None:
    with pytest.raises(InvalidInput, match="is none of") as caught:
        latency_from_spec(spec)
    assert len(str(caught.value).splitlines()) == 1


CALLS = [ask("a"), ask("b"), ask("a", attempt=2), ask("a", seed=1)]


def test_latency_depends_on_the_request_alone_in_any_order_and_again() -> None:
    backend = Simulated(lognormal(1.0, 1.0), seed=5)
    first = seconds(backend, *CALLS)
    assert len({round(value, 9) for value in first}) == 4
    assert seconds(backend, *CALLS[::-1])[::-1] == pytest.approx(
        first
    )  # the same backend: nothing is counted
    assert seconds(Simulated(lognormal(1.0, 1.0), seed=6), *CALLS) != pytest.approx(first)


def test_latencies_are_the_same_in_every_process() -> None:
    code = (
        "from tests.llm.test_simulated import CALLS, seconds\n"
        "from dyntaskmas_nb.llm.simulated import Simulated, lognormal\n"
        "print(seconds(Simulated(lognormal(1.0, 1.0), seed=3), *CALLS))"
    )
    said = {
        subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True,
            env={**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": os.pathsep.join(sys.path)},
        ).stdout
        for seed in ("0", "77")
    }  # fmt: skip
    assert len(said) == 1


def test_scripted_faults_strike_their_attempt_halfway_every_time() -> None:
    backend = Simulated(constant(2.0), faults={("flights", 1): Overloaded, ("flights", 3): InvalidOutput})

    async def play() -> list[object]:
        seen: list[object] = []
        for attempt in (1, 2, 3, 1):
            start, error = anyio.current_time(), None
            try:
                await complete(backend, ask(attempt=attempt))
            except BackendError as caught:
                error = type(caught)
            seen.append((error, anyio.current_time() - start))
        return seen

    assert virtually(play) == [(Overloaded, 1.0), (None, 2.0), (InvalidOutput, 1.0), (Overloaded, 1.0)]
