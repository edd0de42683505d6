"""What a run's graph knows reaches the model with each request, and what the model reused comes back."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import replace

from dyntaskmas_nb import Kit
from dyntaskmas_nb.llm.protocol import Chunk, Request
from dyntaskmas_nb.llm.simulated import Simulated, constant

CHAIN = {
    "subtasks": [
        {"id": "a", "role": "cook"},
        {"id": "b", "role": "poet", "depends_on": ["a"]},
        {"id": "c", "role": "cook", "depends_on": ["b"]},
    ]
}


class Reusing(Simulated):
    """Keeps the requests, and says that it reused what they have in common."""

    def __init__(self) -> None:
        super().__init__(constant(0.0))
        self.asked: dict[str, Request] = {}

    async def stream(self, request: Request) -> AsyncGenerator[Chunk, None]:
        self.asked[request.tag] = request
        async with aclosing(super().stream(request)) as chunks:
            async for chunk in chunks:
                yield replace(chunk, cached_tokens=5) if chunk.finish else chunk


def test_each_request_says_when_its_role_is_needed_again() -> None:
    model = Reusing()
    with Kit(model, home=None) as kit:
        run = kit.start(CHAIN)
        run.result()
        found = run.metrics()
    assert {id: request.steps_to_next_use for id, request in model.asked.items()} == {
        "a": 2,
        "b": None,
        "c": None,
    }
    sessions = {id: request.session for id, request in model.asked.items()}
    assert sessions["a"] == sessions["c"] != sessions["b"]
    assert all(request.prefix_len > 10 for request in model.asked.values())
    assert found.whole.cached_tokens == 15
