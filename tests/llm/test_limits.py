"""A model within limits: in whose order, when exactly, and what is given back. Prices, too."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from contextlib import aclosing

import anyio
import pytest
import trio
from hypothesis import given, settings
from hypothesis import strategies as st
from trio.testing import MockClock

from dyntaskmas_nb.agents.context import Context
from dyntaskmas_nb.agents.llama import LlamaAgent
from dyntaskmas_nb.core.task import Task
from dyntaskmas_nb.errors import BackendTimeout, BadRequest, InvalidInput, Overloaded
from dyntaskmas_nb.llm.limits import Limited, Limits
from dyntaskmas_nb.llm.price import Price, price_of
from dyntaskmas_nb.llm.protocol import Backend, Message, Request, complete
from dyntaskmas_nb.llm.simulated import Simulated, constant

Case = Callable[[], Awaitable[object]]


def ask(tag: str = "a", words: int = 0, **more: object) -> Request:
    """A prompt of `words` tokens (four characters each) that asks for 10 tokens at the most."""
    fields = {"max_tokens": 10, **more}
    return Request(messages=(Message(role="user", content="word" * words),), tag=tag, **fields)  # type: ignore[arg-type]


def virtually(play: Case) -> object:
    return trio.run(play, clock=MockClock(autojump_threshold=0))  # type: ignore[arg-type]


class Watched(Simulated):
    """Writes down when each request reaches it; answers of `said` tokens."""

    def __init__(self, seconds: float = 1.0, said: int = 10, **more: object) -> None:
        super().__init__(constant(seconds), lambda request: "word" * said, **more)  # type: ignore[arg-type]
        self.began: list[tuple[str, float]] = []

    async def stream(self, request: Request):  # type: ignore[no-untyped-def,override]
        self.began.append((request.tag, anyio.current_time()))
        async with aclosing(super().stream(request)) as chunks:
            async for chunk in chunks:
                yield chunk


def begun(limits: Limits, *requests: tuple[float, Request], **of_model: object) -> list[tuple[str, float]]:
    """Who reached the model when, in virtual time; each request comes at its second."""
    model = Watched(**of_model)  # type: ignore[arg-type]

    async def play() -> None:
        limited = Limited(model, limits)
        async with anyio.create_task_group() as group:
            for at, request in requests:

                async def one(at: float = at, request: Request = request) -> None:
                    await anyio.sleep(at)
                    await complete(limited, request)

                group.start_soon(one)

    virtually(play)
    return model.began


def test_who_had_to_wait_is_told_for_how_long() -> None:
    waited: dict[str, float] = {}

    async def play() -> None:
        limited = Limited(Simulated(constant(5.0)), Limits(requests_per_second=2))
        async with anyio.create_task_group() as group:
            for tag in "abc":

                async def one(tag: str = tag) -> None:
                    waited[tag] = (await complete(limited, ask(tag))).waited

                group.start_soon(one)

    virtually(play)
    assert waited == {"a": 0.0, "b": 0.5, "c": 1.0}


def test_requests_a_second_are_spread_exactly() -> None:
    asked = [(0.0, ask(tag)) for tag in "dcba"]
    assert begun(Limits(requests_per_second=4), *asked, (9.0, ask("late")), seconds=7) == [
        ("a", 0.0), ("b", 0.25), ("c", 0.5), ("d", 0.75), ("late", 9.0)
    ]  # fmt: skip
    assert begun(Limits(requests_per_second=0.5), *asked[2:]) == [("a", 0.0), ("b", 2.0)]


def test_as_many_at_once_as_allowed() -> None:
    asked = [(0.0, ask(tag)) for tag in "abcde"]
    assert begun(Limits(concurrent=2), *asked, seconds=3) == [
        ("a", 0.0), ("b", 0.0), ("c", 3.0), ("d", 3.0), ("e", 6.0)
    ]  # fmt: skip


def test_priority_goes_before_arrival_and_large_before_small() -> None:
    asked = [(0.0, ask("first")), (0.1, ask("low")), (0.2, ask("low too")), (0.3, ask("high", priority=5))]
    tags = [tag for tag, _ in begun(Limits(concurrent=1), *asked)]
    assert tags == ["first", "high", "low", "low too"]
    large = (0.1, ask("large", words=80))  # 90 of the 100 tokens: must wait for the whole minute
    assert begun(Limits(tokens_per_minute=100), (0.0, ask("a")), large, (0.2, ask("small")), said=10) == [
        ("a", 0.0), ("large", 0.1), ("small", 60.0)
    ]  # fmt: skip
    assert begun(Limits(tokens_per_minute=95), (0.0, ask("a")), large, (0.2, ask("small")), said=10) == [
        ("a", 0.0), ("large", 60.0), ("small", 120.0)
    ]  # fmt: skip


def test_simultaneous_requests_go_in_the_same_order_every_time() -> None:
    asked = [(float(n % 2), ask(f"t{n}")) for n in range(12)]
    seen = {str(begun(Limits(concurrent=2), *asked)) for _ in range(12)}
    assert len(seen) == 1


def test_tokens_are_reserved_first_and_corrected_after() -> None:
    asked = [(0.0, ask("a", words=10)), (0.0, ask("b", words=10)), (0.0, ask("c", words=10))]
    assert begun(Limits(tokens_per_minute=40), *asked, said=10) == [("a", 0.0), ("b", 0.0), ("c", 60.0)]
    assert begun(Limits(tokens_per_minute=50), *asked, said=0) == [("a", 0.0), ("b", 0.0), ("c", 1.0)], (
        "20 each are reserved; when the first two are over they have taken 10 each"
    )


def test_no_minute_sees_more_than_its_tokens() -> None:
    asked = [(n * 7.0, ask(f"t{n}", words=n % 5)) for n in range(60)]
    began = begun(Limits(tokens_per_minute=50), *asked)
    size = {request.tag: 10 + n % 5 for n, (_, request) in enumerate(asked)}
    assert len(began) == 60
    for _, at in began:
        assert sum(size[tag] for tag, other in began if at <= other < at + 60) <= 50


def test_every_limit_holds() -> None:
    asked = [(0.0, ask("a")), (0.0, ask("b")), (0.0, ask("c"))]
    limits = Limits(requests_per_second=0.01, tokens_per_minute=10, concurrent=1)
    assert begun(limits, *asked, seconds=130) == [("a", 0.0), ("b", 130.0), ("c", 260.0)]
    assert begun(limits, *asked, seconds=80) == [("a", 0.0), ("b", 100.0), ("c", 200.0)]
    assert begun(Limits(requests_per_second=0.02, tokens_per_minute=10), *asked) == [
        ("a", 0.0), ("b", 60.0), ("c", 120.0)
    ]  # fmt: skip
    assert begun(Limits(requests_per_second=0.01, tokens_per_minute=10), *asked)[1] == ("b", 100.0)


def test_an_agent_keeps_to_its_share_and_lets_others_pass() -> None:
    limits = Limits(tokens_per_minute=100)
    a = [(n / 10, ask(f"a{n}", agent="a", share=0.25)) for n in range(5)]
    b = [(1.0 + n / 10, ask(f"b{n}", agent="b", share=0.5)) for n in range(4)]
    free = [(2.0, ask("free")), (2.1, ask("c0", agent="c"))]
    assert begun(limits, *a, *b, *free) == [
        ("a0", 0.0), ("a1", 0.1), ("b0", 1.0), ("b1", 1.1), ("b2", 1.2), ("b3", 1.3), ("free", 2.0),
        ("c0", 2.1), ("a2", 60.0), ("a3", 60.1), ("a4", 120.0),
    ]  # fmt: skip
    whole = [(at, ask(request.tag)) for at, request in a]
    assert [at for _, at in begun(limits, *whole)] == [0.0, 0.1, 0.2, 0.3, 0.4], "nothing else holds them"


def test_a_request_larger_than_its_share_goes_alone() -> None:
    limits = Limits(tokens_per_minute=100)
    asked = [
        (0.0, ask("small", agent="a", share=0.2)),
        (0.5, ask("large", words=40, agent="a", share=0.2)),
        (1.0, ask("small too", agent="a", share=0.2)),
        (1.5, ask("other", agent="b", share=0.2)),
    ]
    assert begun(limits, *asked) == [
        ("small", 0.0), ("other", 1.5), ("large", 60.0), ("small too", 120.0)
    ], "nobody of its own agent overtakes it either"  # fmt: skip


def test_agents_of_one_name_in_two_runs_are_two() -> None:
    asked = [(0.0, ask(f"{run}{n}", run=run, agent="a", share=0.1)) for run in "xy" for n in range(2)]
    assert begun(Limits(tokens_per_minute=100), *asked) == [
        ("x0", 0.0), ("y0", 0.0), ("x1", 60.0), ("y1", 60.0)
    ]  # fmt: skip


def test_a_share_that_changes_counts_what_went_before() -> None:
    asked = [
        (0.0, ask("free", words=10, agent="a")),
        (1.0, ask("held", agent="a", share=0.2)),
        (61.0, ask("less", agent="a", share=0.1)),
        (62.0, ask("more", agent="a", share=0.3)),
    ]
    assert begun(Limits(tokens_per_minute=100), *asked) == [
        ("free", 0.0), ("held", 60.0), ("less", 120.0), ("more", 120.0)
    ]  # fmt: skip


def test_a_share_of_no_limit_is_none_and_an_odd_one_is_refused() -> None:
    asked = [(0.0, ask(tag, agent="a", share=0.1)) for tag in "ab"]
    assert begun(Limits(concurrent=2), *asked) == [("a", 0.0), ("b", 0.0)]
    for share in (0.0, 1.5, -1.0, float("nan")):
        with pytest.raises(BadRequest, match=r"share=.*above 0 and up to 1"):
            virtually(lambda share=share: complete(Watched(), ask(share=share)))  # type: ignore[misc]


def test_tokens_that_were_not_needed_are_free_for_the_share_at_once() -> None:
    asked = [(n / 4, ask(f"a{n}", words=10, agent="a", share=0.3)) for n in range(3)]
    assert begun(Limits(tokens_per_minute=100), *asked, said=0) == [
        ("a0", 0.0), ("a1", 1.0), ("a2", 60.0)
    ], "20 are reserved and 10 taken: a second one fits into 30 when the first is over"  # fmt: skip
    asked = [(n / 4, ask(f"a{n}", agent="a", share=0.05)) for n in range(2)]
    assert begun(Limits(tokens_per_minute=100), *asked, said=0) == [("a0", 0.0), ("a1", 1.0)]


def test_one_that_is_held_back_on_arrival_lets_those_pass_whom_its_agent_kept_waiting() -> None:
    asked = [
        (0.0, ask("a0", agent="a")),
        (0.0, ask("fill", words=50)),
        (1.0, ask("a1", words=30, agent="a", share=0.5)),  # its share has room, the minute has not
        (2.0, ask("b", agent="b")),
        (3.0, ask("a2", agent="a", share=0.05, priority=1)),
    ]
    assert begun(Limits(tokens_per_minute=100), *asked) == [
        ("a0", 0.0), ("fill", 0.0), ("b", 3.0), ("a2", 60.0), ("a1", 60.0)
    ]  # fmt: skip


def test_what_is_a_minute_old_is_forgotten() -> None:
    limited = Limited(Watched(), Limits(tokens_per_minute=100))

    async def play() -> int:
        for n in range(9):
            await complete(limited, ask(agent=f"agent {n}"))
        await anyio.sleep(60)
        await complete(limited, ask(agent="last"))
        turns = limited._turns.get()
        return len(turns._taken) + len(turns._by_agent)

    assert virtually(play) == 2


Asked = list[tuple[float, Request]]


def expected(limits: Limits, asked: Asked, seconds: float, said: int) -> list[tuple[str, float]]:
    """Who should go when, moment by moment, straight from the rules."""
    minute, at_once = limits.tokens_per_minute or 10**9, limits.concurrent or 10**9
    size = {request.tag: (len(request.messages[0].content) // 4, request.max_tokens) for _, request in asked}
    gone: dict[str, float] = {}

    def spent(t: float, agent: str = "") -> int:
        return sum(
            size[request.tag][0] + (said if gone[request.tag] + seconds <= t else size[request.tag][1])
            for _, request in asked
            if agent in ("", request.agent) and t - 60 < gone.get(request.tag, -100.0)
        )

    t, moments = 0.0, {at for at, _ in asked}
    while moments:
        t = min(moments)
        moments.discard(t)
        while True:
            line = sorted((-r.priority, at, r.tag, r) for at, r in asked if at <= t and r.tag not in gone)
            held: set[str] = set()
            for *_, request in line:
                share, used, need = request.share, spent(t, request.agent), sum(size[request.tag])
                fits = share is None or used + need <= share * minute or not used
                if request.agent not in held and fits:
                    break
                held.add(request.agent)
            else:
                break
            under_way = sum(began + seconds > t for began in gone.values())
            if under_way >= at_once or spent(t) + need > minute:
                break
            gone[request.tag] = t
            moments |= {t + seconds, t + 60}
    return list(gone.items())


@st.composite
def asked_for(draw: st.DrawFn) -> Asked:
    numbers, found = st.integers(0, 12), []
    for n in range(draw(st.integers(1, 14))):
        agent = draw(st.sampled_from("abc"))
        share = draw(st.sampled_from([0.25, 0.5, 0.125, None]))
        request = ask(f"t{n:02}", draw(numbers), agent=agent, share=share, priority=draw(st.integers(0, 1)))
        found.append((draw(st.sampled_from([0.0, 0.5, 1.0, 7.5, 30.0, 60.0])), request))
    return found


@settings(max_examples=150, deadline=None)
@given(asked_for(), st.sampled_from([0.5, 20.0, 90.0]), st.integers(0, 10), st.sampled_from([None, 1, 3]))
def test_shares_hold_in_every_minute_and_nobody_waits_without_need(
    asked: Asked, seconds: float, said: int, concurrent: int | None
) -> None:
    limits = Limits(tokens_per_minute=64, concurrent=concurrent)
    began = begun(limits, *asked, seconds=seconds, said=said)
    assert began == expected(limits, asked, seconds, said)
    by_tag = {request.tag: request for _, request in asked}
    for place, (tag, at) in enumerate(began):
        so_far = [by_tag[other] for other, when in began[: place + 1] if at - 60 < when]
        took = {one.tag: len(one.messages[0].content) // 4 + said for one in so_far}
        assert sum(took.values()) <= 64
        mine = [took[one.tag] for one in so_far if one.agent == by_tag[tag].agent]
        assert sum(mine) <= (by_tag[tag].share or 1) * 64 or len(mine) == 1 or not sum(mine[:-1])


def test_a_request_that_never_fits_is_refused() -> None:
    says = "hotel: 5 tokens and an answer of up to 10 never fit into 14 tokens per minute"
    with pytest.raises(BadRequest, match=re.escape(says)):
        virtually(lambda: complete(Limited(Watched(), Limits(tokens_per_minute=14)), ask("hotel", words=5)))


def test_what_is_cancelled_fails_or_times_out_gives_its_turn_back() -> None:
    model = Watched(seconds=10, faults={("broken", 1): Overloaded, ("stuck", 1): "stall"})
    limited = Limited(model, Limits(concurrent=1, tokens_per_minute=1_000))

    async def play() -> None:
        async with anyio.create_task_group() as group:
            group.start_soon(complete, limited, ask("cancelled"))
            await anyio.sleep(1)
            async with anyio.create_task_group() as waiting:
                waiting.start_soon(complete, limited, ask("gone", priority=9))
                await anyio.sleep(1)
                waiting.cancel_scope.cancel()
            with pytest.raises(BackendTimeout):  # it waits all the time
                await complete(limited, ask("patience", timeout=3))
            group.cancel_scope.cancel()
        with pytest.raises(Overloaded):
            await complete(limited, ask("broken"))
        with pytest.raises(BackendTimeout):
            await complete(limited, ask("stuck", timeout=4))
        await complete(limited, ask("last"))

    virtually(play)
    assert model.began == [("cancelled", 0.0), ("broken", 5.0), ("stuck", 10.0), ("last", 14.0)]


@pytest.mark.parametrize(("most", "when"), [(20, 0.5), (19, 60.0)])
def test_a_broken_answer_counts_as_far_as_it_came(most: int, when: float) -> None:
    model = Watched(said=8, faults={("broken", 1): Overloaded})  # breaks off after half of it
    limited = Limited(model, Limits(tokens_per_minute=most))

    async def play() -> None:
        with pytest.raises(Overloaded):
            await complete(limited, ask("broken", words=3))
        await complete(limited, ask("next", words=3))

    virtually(play)
    assert model.began[1] == ("next", when), "3 + 4 were taken, 3 + 10 are asked for"


def test_loops_share_nothing_and_the_backend_shines_through() -> None:
    model = Watched(seconds=0)
    limited: Backend = Limited(model, Limits(requests_per_second=0.01))
    virtually(lambda: complete(limited, ask("one")))
    virtually(lambda: complete(limited, ask("two")))
    assert model.began == [("one", 0.0), ("two", 0.0)], "the second clock begins anew"
    assert (limited.name, limited.caps, limited.count_tokens("12345678")) == ("simulated", model.caps, 2)


async def test_on_a_real_clock() -> None:
    model = Watched(seconds=0)
    limited = Limited(model, Limits(requests_per_second=50, concurrent=1))
    async with anyio.create_task_group() as group:
        for tag in "abc":
            group.start_soon(complete, limited, ask(tag))
    times = [at for _, at in model.began]
    assert [tag for tag, _ in model.began] == ["a", "b", "c"]
    assert times[2] - times[0] >= 0.04
    await limited.aclose()


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"concurrent": 0}, "concurrent must be a whole number of at least 1, not 0"),
        ({"tokens_per_minute": 1.5}, "tokens_per_minute must be a whole number"),
        ({"requests_per_second": 0}, "requests_per_second must be a number above 0, not 0"),
        ({"requests_per_second": float("nan")}, "above 0, not nan"),
        ({"requests_per_second": "2"}, "above 0, not '2'"),
    ],
)
def test_limits_that_are_none(fields: dict[str, object], says: str) -> None:
    with pytest.raises(InvalidInput, match=says):
        Limits(**fields)  # type: ignore[arg-type]


async def test_an_answer_has_its_price() -> None:
    model = Simulated(constant(0), {"hotel": "word" * 50})
    task = Task(id="hotel")
    free = await LlamaAgent(model)(task, Context(), inline=True)
    paid = await LlamaAgent(model, Price(input=1, output=10))(task, Context(), inline=True)
    assert (free.cost, paid.tokens) == (0.0, free.tokens)
    assert paid.cost == pytest.approx((free.tokens - 50 + 500) / 1e6)


def test_the_price_of_a_model_is_found_by_its_name() -> None:
    prices = {"llama-3": Price(input=1), "*": Price(input=2)}
    assert price_of(prices, "llama-3 at 127.0.0.1:8000").input == price_of(prices, "llama-3").input == 1
    assert price_of(prices, "other").input == 2
    with pytest.raises(InvalidInput, match="no Price for the model 'other'"):
        price_of({"llama-3": Price()}, "other")
    with pytest.raises(InvalidInput, match="not -1"):
        Price(output=-1)
