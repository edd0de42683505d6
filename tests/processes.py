"""The same program in processes with different hash seeds."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path


def printed_everywhere(program: str) -> str:
    """What `program` prints; asserts that neither process nor hash seed has a say in it."""
    root, outputs = Path(__file__).parents[1], set()
    for hash_seed in ("0", "1", "12345"):
        done = subprocess.run(
            [sys.executable, "-c", program],
            capture_output=True,
            text=True,
            check=True,
            cwd=root,
            env={**os.environ, "PYTHONHASHSEED": hash_seed, "PYTHONPATH": str(root)},
        )
        outputs.add(done.stdout)
    assert len(outputs) == 1
    return outputs.pop()
