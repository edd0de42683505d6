"""What it buys to tell the engine what the graph knows: ``python -m benchmarks.hints [URL]`` (measured).

Layered graphs of 50 tasks, eight agents on an engine that computes four requests at once: with the hints of
each request (priority, session, shared beginning, steps to its next use), and with none, first come first
served. Both ways in turn, the same graph and seed; a ratio below 1 is time won.
"""

from __future__ import annotations

import sys
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from dataclasses import replace
from statistics import median

from dyntaskmas_nb import Kit
from dyntaskmas_nb.core.graph import TaskGraph
from dyntaskmas_nb.kit.paper_plans import layered
from dyntaskmas_nb.llm.connect import connect
from dyntaskmas_nb.llm.embedded.engine import EmbeddedLlama
from dyntaskmas_nb.llm.protocol import Backend, Chunk, Request

TASKS, AGENTS, BATCH, EACH = 50, 8, 4, 24


class Counted:
    """A backend whose answers are as long as their tasks say, told the hints or not; counts its tokens."""

    def __init__(self, backend: Backend, *, hints: bool) -> None:
        self.name, self.count_tokens = backend.name, backend.count_tokens
        self.caps = backend.caps if hints else replace(backend.caps, hints=frozenset(), warms=False)
        self.read = self.cached = 0
        self._backend, self._hints = backend, hints

    async def stream(self, request: Request) -> AsyncGenerator[Chunk, None]:
        """The backend's answer."""
        request = replace(request, max_tokens=max(1, round(request.cost * EACH)))
        if not self._hints:
            request = replace(request, priority=0.0, session="", prefix_len=0, steps_to_next_use=None)
        async with aclosing(self._backend.stream(request)) as chunks:
            async for chunk in chunks:
                self.read, self.cached = self.read + chunk.prompt_tokens, self.cached + chunk.cached_tokens
                yield chunk if chunk.text or chunk.finish is None else replace(chunk, text=".")

    async def aclose(self) -> None:
        """The backend under it serves the next run."""


def play(backend: Backend, graph: TaskGraph, *, hints: bool) -> tuple[float, int, int]:
    """Makespan (s), prompt tokens, and those of them that were not computed again."""
    counted = Counted(backend, hints=hints)
    with Kit(counted, home=None) as kit:
        began = time.perf_counter()
        kit.start(graph, agents=AGENTS).result()
        return time.perf_counter() - began, counted.read, counted.cached


def measure(make: Callable[[], Backend], rounds: int) -> None:
    """Print a line a graph, then the medians."""
    ratios, shares = [], []
    for seed in range(rounds):
        graph = layered(TASKS, seed=seed, seconds=2.0 * TASKS)
        found = {}
        for hints in (True, False) if seed % 2 else (False, True):
            backend = make()
            found[hints] = play(backend, graph, hints=hints)
        (told, read, cached), (fifo, _, before) = found[True], found[False]
        ratios.append(told / fifo)
        shares.append((cached - before) / read)
        print(
            f"graph {seed}: {fifo:.2f} s first come first served ({before:,} of {read:,} prompt tokens "
            f"reused), {told:.2f} s with hints ({cached:,} reused): {ratios[-1]:.3f}"
        )
    print(
        f"median of {rounds}: makespan × {median(ratios):.3f}, "
        f"{median(shares):.0%} of the prompt tokens reused besides"
    )


def main() -> None:
    """Measure the embedded Llama, or the server whose address is given."""
    url = sys.argv[1] if len(sys.argv) > 1 else ""
    measure((lambda: connect(url)) if url else (lambda: EmbeddedLlama(max_batch=BATCH)), rounds=10)


if __name__ == "__main__":
    main()
