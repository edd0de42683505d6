"""The store in memory takes no time: it can be used under the virtual clock, on any backend."""

from __future__ import annotations

import pytest
import trio
import trio.testing

from dyntaskmas_nb.sacms.memory import MemoryStore


@pytest.mark.parametrize("writers", [1, 50])
def test_takes_no_virtual_time_and_is_deterministic(make, writers):
    async def session():
        store = MemoryStore()
        async with trio.open_nursery() as nursery:
            for number in range(writers):
                nursery.start_soon(store.put, [make(f"n{number}", f"hotel {number}")])
        await trio.sleep(3600)
        answer = await store.query("hotel 7", access=0, k=5)
        await store.aclose()
        return trio.current_time(), {hit.node.id: hit.relevance for hit in answer}

    runs = [trio.run(session, clock=trio.testing.MockClock(autojump_threshold=0)) for _ in range(2)]
    assert {time for time, _ in runs} == {3600.0}
    if writers == 1:
        assert runs[0] == runs[1]


async def test_no_method_waits(make):
    """Driven by hand, every coroutine ends at its first step: nothing yields to an event loop."""
    store = MemoryStore()
    for call in (
        store.put([make("a", "hotel")]),
        store.get("a", access=0),
        store.children("a", access=0),
        store.roots("travel", access=0),
        store.query("hotel", access=0),
        store.result_of("r", "t", access=0),
        store.aclose(),
    ):
        with pytest.raises(StopIteration):
            call.send(None)
