"""The store in memory takes no time: it can be used under the virtual clock, on any backend."""

from __future__ import annotations

import pytest

from dyntaskmas_nb.sacms.embed import LexicalHashing
from dyntaskmas_nb.sacms.memory import MemoryStore


def run(call):
    """Drive a coroutine by hand: it must end at its first step, yielding to no event loop."""
    with pytest.raises(StopIteration) as ended:
        call.send(None)
    return ended.value.value


def test_no_method_waits(make):
    store = MemoryStore()
    assert run(store.put([make("a", "hotel")])) == (1,)
    assert run(store.get("a", access=0)).text == "hotel"
    assert len(run(store.query("hotel", access=0))) == 1
    for call in (
        store.children("a", access=0),
        store.roots("travel", access=0),
        store.result_of("r", "t", access=0),
        store.aclose(),
    ):
        run(call)


def test_a_text_is_embedded_once_and_not_before_it_is_needed(make):
    embedded = []

    class Counting(LexicalHashing):
        def embed(self, texts):
            embedded.extend(texts)
            return super().embed(texts)

    store = MemoryStore(Counting())
    run(store.put([make(f"n{number}", f"hotel {number}") for number in range(50)]))
    run(store.put([make("n7", "hotel seven")]))
    assert not embedded
    for _ in range(3):
        assert len(run(store.query("hotel", access=0, k=99))) == 50
    assert sorted(embedded) == sorted(
        [f"hotel {n}" for n in range(50) if n != 7] + ["hotel seven"] + ["hotel"] * 3
    )
    run(store.put([make("n7", "robot arm")]))
    assert len(run(store.query("hotel", access=0, k=99))) == 49
