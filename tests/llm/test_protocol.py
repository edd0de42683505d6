from __future__ import annotations

import math
import subprocess
import sys
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import replace
from typing import Any

import pytest

from dyntaskmas_nb.dtgg.planner import plan
from dyntaskmas_nb.errors import BadRequest, ContextOverflow
from dyntaskmas_nb.llm.protocol import Caps, Chunk, Message, Request, answered, complete
from dyntaskmas_nb.llm.simulated import Simulated, constant

HEAVY = [
    "numpy",
    "tokenizers",
    "llguidance",
    "safetensors",
    "threadpoolctl",
    "openai",
    "torch",
    "transformers",
]


@pytest.mark.parametrize(
    "module", ["llm.protocol", "llm.connect", "llm.simulated", "llm.text", "llm.openai_compatible"]
)
def test_importing_is_cheap(module: str) -> None:
    code = f"import sys, dyntaskmas_nb.{module}; print([name for name in {HEAVY} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


GOOD = Request(messages=(Message(role="user", content="x"),), max_tokens=1, tag="flights")


@pytest.mark.parametrize(
    "fields",
    [
        *({"messages": ()}, {"max_tokens": 0}, {"seed": -1}, {"stop": ("a", "")}, {"timeout": 0.0}),
        *({"temperature": -0.1}, {"temperature": math.nan}, {"temperature": math.inf}, {"timeout": math.nan}),
    ],
)
async def test_what_makes_no_sense_is_refused_with_its_name(fields: dict[str, Any]) -> None:
    with pytest.raises(BadRequest, match=rf"flights: {next(iter(fields))}"):
        await complete(Simulated(constant(0)), replace(GOOD, **fields))


class Unknown(Simulated):
    """Tells how large its window is when it is first asked, as a server does."""

    def __init__(self, real: int) -> None:
        super().__init__(constant(0))
        self._real = real
        self.asked: list[int] = []

    async def stream(self, request: Request) -> AsyncGenerator[Chunk, None]:
        self.asked.append(request.max_tokens)
        self.caps = Caps(context_window=self._real)
        if request.max_tokens > self._real:
            raise ContextOverflow("too long")
        async with aclosing(super().stream(request)) as chunks:
            async for chunk in chunks:
                yield chunk


async def test_a_window_that_turns_out_smaller_is_asked_for_again() -> None:
    def make(model: Simulated) -> Request:
        return Request(messages=(Message(role="user", content="Hi"),), max_tokens=model.caps.context_window)

    model = Unknown(64)
    assert (await answered(model, lambda: make(model))).finish == "stop"
    assert model.asked == [32_768, 64]
    with pytest.raises(ContextOverflow):
        await answered(model, lambda: replace(make(model), max_tokens=65))
    assert model.asked == [32_768, 64, 65], "the window was known this time"


async def test_the_first_plan_fits_a_small_window() -> None:
    model = Unknown(2_048)
    reply = '{"subtasks": [{"id": "a", "description": "Do it"}]}'
    model._replies = lambda request: reply
    assert len((await plan("Plan a trip", model)).graph) == 1
    assert model.asked[-1] < 2_048 < model.asked[0]
