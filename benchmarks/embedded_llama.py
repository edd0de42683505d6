"""Speed of the embedded Llama: tokens a CPU-second, one request alone and many in one batch (measured).

python -m benchmarks.embedded_llama [--requests 32] [--tokens 64]
"""

from __future__ import annotations

import argparse
import time

import anyio

from dyntaskmas_nb.llm.embedded.engine import EmbeddedLlama
from dyntaskmas_nb.llm.protocol import Message, Request, complete


async def tokens_per_second(backend: EmbeddedLlama, requests: int, tokens: int) -> tuple[float, float]:
    """Tokens generated a CPU-second and a wall second by `requests` at once."""
    counts: list[int] = []

    async def one(seed: int) -> None:
        text = "request: Plan a 3-day trip to Kyoto for two with a budget of 1500 dollars"
        messages = (Message(role="system", content="planner"), Message(role="user", content=text))
        done = await complete(backend, Request(messages=messages, max_tokens=tokens, seed=seed))
        counts.append(done.completion_tokens)

    cpu, wall = time.process_time(), time.perf_counter()
    async with anyio.create_task_group() as group:
        for seed in range(requests):
            group.start_soon(one, seed)
    return sum(counts) / (time.process_time() - cpu), sum(counts) / (time.perf_counter() - wall)


async def measure(requests: int, tokens: int) -> None:
    """Print both figures, after a warm-up."""
    backend = EmbeddedLlama(max_batch=requests)
    await tokens_per_second(backend, 1, tokens)
    for count in (1, requests):
        cpu, wall = await tokens_per_second(backend, count, tokens)
        print(f"{count:>3} at once: {cpu:,.0f} tokens a CPU-second, {wall:,.0f} a second")
    await backend.aclose()


def main() -> None:
    """Measure on this machine."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--requests", type=int, default=32)
    parser.add_argument("--tokens", type=int, default=64)
    options = parser.parse_args()
    anyio.run(measure, options.requests, options.tokens)


if __name__ == "__main__":
    main()
