"""The engine's thread: when it ends, and what it leaves as it was."""

from __future__ import annotations

import gc
import subprocess
import sys
import threading
import weakref
from pathlib import Path

import anyio
import pytest
from threadpoolctl import ThreadpoolController

from dyntaskmas_nb.llm.embedded.engine import EmbeddedLlama
from dyntaskmas_nb.llm.embedded.scheduler import Output, Scheduler
from dyntaskmas_nb.llm.protocol import Message, Request, complete

ASK = Request(messages=(Message(role="user", content="Plan a trip."),), max_tokens=12)


def blas_threads() -> list[int]:
    return [pool["num_threads"] for pool in ThreadpoolController().info() if pool["user_api"] == "blas"]


def test_blas_has_one_thread_during_a_step_and_its_own_number_after(
    tiny_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    during: list[list[int]] = []
    step = Scheduler.step

    def spy(self: Scheduler) -> list[Output]:
        during.append(blas_threads())
        return step(self)

    monkeypatch.setattr(Scheduler, "step", spy)
    before = blas_threads()
    backend = EmbeddedLlama(tiny_folder)
    anyio.run(complete, backend, ASK)
    anyio.run(backend.aclose)
    assert blas_threads() == before
    assert during
    assert all(count == 1 for counts in during for count in counts)


def engine_threads() -> int:
    return sum(thread.name == "dyntaskmas-llama" for thread in threading.enumerate())


def test_dropping_the_last_reference_ends_the_thread(tiny_folder: Path) -> None:
    before = engine_threads()
    backend = EmbeddedLlama(tiny_folder)
    anyio.run(complete, backend, ASK)
    assert engine_threads() == before + 1
    gone = weakref.ref(backend)
    del backend
    gc.collect()
    assert gone() is None
    assert engine_threads() == before


EXIT = """
import anyio, sys
from dyntaskmas_nb.llm.embedded.engine import EmbeddedLlama
from dyntaskmas_nb.llm.protocol import Message, Request
backend = EmbeddedLlama(sys.argv[1])
async def main():
    schema = {"type": "string", "minLength": 500}
    messages = (Message(role="user", content="x"),)
    stream = backend.stream(Request(messages=messages, max_tokens=300, json_schema=schema))
    await anext(stream)
    print("running", flush=True)
    if sys.argv[2] == "raise":
        raise SystemExit(3)
try:
    anyio.run(main)
finally:
    print("leaving", flush=True)
"""


@pytest.mark.parametrize(("how", "code"), [("return", 0), ("raise", 3)])
def test_the_interpreter_exits_while_the_engine_computes(tiny_folder: Path, how: str, code: int) -> None:
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", EXIT, str(tiny_folder), how],
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (done.returncode, done.stdout.split(), done.stderr) == (code, ["running", "leaving"], "")
