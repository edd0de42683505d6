"""The durable context store end to end: how fast and how rightly it answers, what a write costs.

``python -m benchmarks.context`` with 10,000 nodes (20 seconds), ``python -m benchmarks.context large``
with 100,000 as well (some minutes more). Texts become points around the centre of their cluster, so that an
index has something to confuse. Times are wall times: most of the work is another process's.
"""

from __future__ import annotations

import random
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from statistics import mean, median, quantiles
from typing import Any

import anyio
import numpy as np

from benchmarks.meter import Row, at_least, at_most, table
from dyntaskmas_nb.sacms.chroma import ChromaStore
from dyntaskmas_nb.sacms.embed import embed_units
from dyntaskmas_nb.sacms.node import ContextNode, NodeId

SIZES, LARGE = {10_000: 15.0}, {100_000: 50.0}  # nodes → ms that 95 of 100 queries may take
CLUSTER, LEVELS, DIM = 100, 5, 384  # nodes of a cluster, levels, length of a vector
BATCH = 5_000  # nodes of one put
PUTS = 7  # of which the middle one counts
QUERIES, WARM = 300, 20
WRITERS, ROUNDS = 100, 10
K = 10
SETTLE = 1_800.0  # seconds


class Clustered:
    """Turns "cluster c item i" into centre c plus a noise of the same length that depends on (c, i)."""

    name, dim, fingerprint, theta = "clustered points (a benchmark's)", DIM, f"clustered/1/{DIM}", 0.2

    def embed(self, texts: Sequence[str]) -> Any:
        """Return float32 vectors of shape (len(texts), 384)."""
        points = np.empty((len(texts), DIM), dtype=np.float32)
        for row, text in enumerate(texts):
            _, cluster, _, item = text.split()
            points[row] = self._draw(int(cluster), 0) + self._draw(int(cluster), int(item) + 1)
        return points

    def _draw(self, cluster: int, item: int) -> Any:
        return np.random.default_rng((cluster, item)).standard_normal(DIM, dtype=np.float32)


@dataclass(slots=True)
class Figures:
    """What one store gave. Times in ms, but `loading` and `settling` in s."""

    loading: float = 0.0
    settling: float = 0.0
    stalls: list[float] = field(default_factory=list)
    idle: list[float] = field(default_factory=list)  # the same with nothing to do
    queries: list[float] = field(default_factory=list)
    recalls: list[float] = field(default_factory=list)
    commits: list[float] = field(default_factory=list)


def rows(sizes: dict[int, float] = SIZES) -> list[Row]:
    """Five figures a size."""
    return [row for size, goal in sizes.items() for row in _rows(size, goal, _measured(size))]


def _rows(size: int, goal: float, found: Figures) -> list[Row]:
    cuts = quantiles(found.queries, n=20, method="inclusive")
    p50, p95, recall = cuts[9], cuts[18], mean(found.recalls)
    stall, commit = median(found.stalls), median(found.commits)
    held = f"{stall:.1f} ms (worst {max(found.stalls):.1f}; idle {median(found.idle):.1f})"
    filled = f"{found.loading:.1f} s, and {found.settling:.1f} s till it is indexed"
    return [
        at_most(
            f"context store, {size:,} nodes, query p95", f"{p95:.1f} ms (p50 {p50:.1f})", p95, goal, "ms"
        ),
        at_least(f"  recall@{K} against comparing all", f"{recall:.4f}", recall, 0.98),
        at_most(f"  commit, {WRITERS} writers at once", f"{commit:.2f} ms a writer", commit, 4, "ms"),
        at_most(f"  event loop held up by a put of {BATCH:,}", held, stall, 20, "ms"),
        Row("  filling it", filled),
    ]


def _measured(size: int) -> Figures:
    with tempfile.TemporaryDirectory() as directory:
        return anyio.run(_measure, directory, size)


async def _measure(directory: str, size: int) -> Figures:
    found, nodes = Figures(), [_node(number) for number in range(size)]
    store = ChromaStore(directory, Clustered())
    try:
        await store.settled()  # so that filling it includes indexing
        start = time.perf_counter()
        for first in range(0, size, BATCH):
            await store.put(nodes[first : first + BATCH])
        found.loading = time.perf_counter() - start
        assert await store.settled(SETTLE), store.index.reason
        found.settling = time.perf_counter() - start - found.loading
        await _query(store, nodes, found)
        await _write(store, found)
        await _stall(store, found)
    finally:
        await store.aclose()
    return found


def _node(number: int) -> ContextNode:
    cluster, item = divmod(number, CLUSTER)
    text = f"cluster {cluster} item {item}"
    return ContextNode(id=NodeId(text), domain="bench", text=text, access=item % LEVELS)


async def _query(store: ChromaStore, nodes: list[ContextNode], found: Figures) -> None:
    """Ask for points that are not stored, at all levels in turns."""
    draw = random.Random(0)
    clusters = len(nodes) // CLUSTER
    units = embed_units(store.embedder, [node.text for node in nodes])
    levels = np.array([node.access for node in nodes])
    for number in range(WARM + QUERIES):
        text, access = f"cluster {draw.randrange(clusters)} item {CLUSTER + number}", number % LEVELS
        start = time.perf_counter()
        answer = await store.query(text, access=access, k=K)
        took = time.perf_counter() - start
        assert not answer.degraded, store.index.reason
        if number < WARM:
            continue
        cosines = np.where(levels <= access, units @ embed_units(store.embedder, [text])[0], -1.0)
        best = [row for row in np.argsort(-cosines)[:K].tolist() if cosines[row] > answer.theta]
        hits = {hit.node.id for hit in answer}
        found.queries.append(took * 1e3)
        found.recalls.append(len(hits & {nodes[row].id for row in best}) / len(best))


async def _write(store: ChromaStore, found: Figures) -> None:
    """Let many write one node each at the same time, round after round."""
    for number in range(ROUNDS):
        start = time.perf_counter()
        async with anyio.create_task_group() as group:
            for writer in range(WRITERS):
                group.start_soon(store.put, [_node(10**7 + number * WRITERS + writer)])
        found.commits.append((time.perf_counter() - start) * 1e3 / WRITERS)


async def _stall(store: ChromaStore, found: Figures) -> None:
    """Watch the loop while it has nothing to do, then during puts of new nodes, as the index follows."""
    assert await store.settled(SETTLE), store.index.reason
    for _ in range(PUTS):
        async with _watched(found.idle):
            await anyio.sleep(0.3)
    for number in range(PUTS):
        nodes = [_node(10**8 + number * BATCH + offset) for offset in range(BATCH)]
        async with _watched(found.stalls):
            await store.put(nodes)


@asynccontextmanager
async def _watched(longest: list[float]) -> AsyncIterator[None]:
    """Add to `longest` by how many ms a task that wanted to run every ms came late at most."""
    late = 0.0

    async def tick() -> None:
        nonlocal late
        while True:
            start = time.perf_counter()
            await anyio.sleep(0.001)
            late = max(late, time.perf_counter() - start - 0.001)

    async with anyio.create_task_group() as group:
        group.start_soon(tick)
        yield
        await anyio.sleep(0.01)  # a tick that is late by now is counted
        group.cancel_scope.cancel()
    longest.append(late * 1e3)


if __name__ == "__main__":
    print(table(rows(SIZES | LARGE if "large" in sys.argv else SIZES)))
