from __future__ import annotations

import math
import subprocess
import sys
from dataclasses import replace
from typing import Any

import pytest

from dyntaskmas_nb.errors import BadRequest
from dyntaskmas_nb.llm.protocol import Message, Request, complete
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
