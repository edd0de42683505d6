"""What an agent is given: predecessors first, then what is relevant, within budget and level."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dyntaskmas_nb.errors import InvalidInput
from dyntaskmas_nb.sacms.context import MARK, gather_context, shorten
from dyntaskmas_nb.sacms.memory import MemoryStore


def count(text: str) -> int:
    return len(text.split())


async def gather(store, predecessors=(), query="", **options):
    options = {"access": 0, "budget_tokens": 100, "count_tokens": count} | options
    return await gather_context(store, predecessors=predecessors, query=query, **options)


@pytest.fixture
async def store(make, result):
    made = MemoryStore()
    await made.put(
        [
            result("flights", "Flights to Osaka cost 620 dollars in April"),
            result("hotel", "The hotel in Kyoto costs 90 dollars"),
            result("hotel", "The hotel in Kyoto costs 80 dollars", attempt=2),
            result("secret", "The hotel discount code is SESAME", access=2),
            result("hotel", "The hotel in Oslo costs 300 dollars", run="r9"),
            make("fact", "Kyoto hotel tax is 200 yen"),
            make("far", "Calibrate the robot gripper"),
        ]
    )
    return made


async def test_predecessors_first_in_the_order_given_then_relevant(store):
    bundle = await gather(store, [("r1", "hotel"), ("r1", "flights")], "hotel in Kyoto")
    assert [(item.title, item.relevance) for item in bundle.items][:2] == [("hotel", None), ("flights", None)]
    assert bundle.items[0].text.endswith("80 dollars")  # the latest attempt
    rest = bundle.items[2:]
    assert [item.relevance for item in rest] == sorted((i.relevance for i in rest), reverse=True)
    assert "fact" in {item.id for item in rest}
    assert "far" not in {item.id for item in bundle.items}
    assert len({item.id for item in bundle.items}) == len(bundle.items)
    assert bundle.tokens == sum(item.tokens for item in bundle.items) <= 100
    assert bundle == await gather(store, [("r1", "hotel"), ("r1", "flights")], "hotel in Kyoto")


async def test_nothing_above_the_level_shows(store):
    bundle = await gather(store, [("r1", "secret")], "hotel discount code")
    assert "SESAME" not in repr(bundle)
    assert bundle.left_out[0][0] == "secret"
    assert "SESAME" in repr(await gather(store, [("r1", "secret")], "hotel discount code", access=2))


async def test_other_runs_stay_out_when_asked(store):
    assert "Oslo" in repr(await gather(store, (), "hotel in Oslo"))
    bundle = await gather(store, (), "hotel in Oslo", run="r1")
    assert "Oslo" not in repr(bundle)
    assert "fact" in {item.id for item in bundle.items}


async def test_this_run_is_found_behind_many_others(store, result):
    await store.put([result("hotel", f"The hotel in Oslo, trip {n}", run=f"old{n}") for n in range(200)])
    bundle = await gather(store, (), "hotel in Oslo", run="r1", theta=0.05)
    assert "hotel" in {item.title for item in bundle.items}


async def test_missing_predecessors_are_named(store):
    bundle = await gather(store, ["nothing", ("r1", "unknown")])
    assert [title for title, _ in bundle.left_out] == ["nothing", "unknown"]
    assert bundle.items == ()


async def test_long_predecessors_share_and_show_it(store, result):
    await store.put(
        [
            result("long", "word " * 500),
            result("longer", "word " * 900),
            result("short", "just four words here"),
        ]
    )
    bundle = await gather(store, [("r1", "short"), ("r1", "long"), ("r1", "longer")], budget_tokens=64)
    assert [item.tokens for item in bundle.items] == [4, 30, 30]
    assert [item.text.endswith(MARK) for item in bundle.items] == [False, True, True]


async def test_what_does_not_fit_is_left_out_and_what_still_fits_is_taken(store, make):
    await store.put([make("big", "hotel Kyoto " * 60), make("small", "hotel Kyoto cheap")])
    bundle = await gather(store, (), "hotel Kyoto", budget_tokens=10, theta=0.2)
    assert "big" in {title for title, _ in bundle.left_out}
    assert "small" in {item.title for item in bundle.items}


async def test_the_same_text_is_given_once(store, make):
    await store.put([make("x", "Onsen opens at nine"), make("y", "Onsen opens at nine")])
    bundle = await gather(store, ["x", "x"], "onsen opens")
    assert [item.id for item in bundle.items] == ["x"]
    assert [title for title, _ in bundle.left_out] == ["y"]


@pytest.mark.parametrize(
    "bad", [{"budget_tokens": -1}, {"budget_tokens": True}, {"access": -1}, {"theta": 2}]
)
async def test_bad_input(store, bad):
    with pytest.raises(InvalidInput):
        await gather(store, (), "hotel", **bad)


@given(st.text(max_size=200), st.integers(0, 60))
def test_shortened_text_fits_or_is_none(text, budget):
    short = shorten(text, budget, len)
    assert short in {None, text} or (
        len(short) <= budget < len(text)
        and short.endswith(MARK)
        and text.startswith(short.removesuffix(MARK))
    )
