from __future__ import annotations

import subprocess
import sys

import pytest

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
