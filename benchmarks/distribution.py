"""What it costs to find whom a new node concerns, among 10,000 agents. ``python -m benchmarks.distribution``.

Tags are drawn by Zipf's law from 2,000 words, so that the commonest stands in the subscriptions of three
agents in five. The answers are compared with Alg. 3 as a loop.
"""

from __future__ import annotations

import gc
import random
import time
from itertools import accumulate
from statistics import mean, quantiles

from benchmarks.meter import Row, at_most, table
from dyntaskmas_nb.sacms.distribution import Subscription, Subscriptions, tag_relevance

WORDS = [f"word {rank}" for rank in range(1, 2_001)]
ZIPF = list(accumulate(1 / rank for rank in range(1, len(WORDS) + 1)))
THETAS = (0.1, 0.15, 0.2, 0.3, 0.5)
LEVELS = 5
NODES = 1_000
COMPARED = 20
Node = tuple[frozenset[str], int]


def rows(agents: int = 10_000) -> list[Row]:
    """Agents of several thresholds; beside them agents who take whatever shares a tag, and a run's 32."""
    draw = random.Random(0)
    nodes = [(_tags(draw, 4, 14), draw.randrange(LEVELS)) for _ in range(NODES)]
    usual, eager, few = (
        _measure(draw, number, thetas, nodes)
        for number, thetas in ((agents, THETAS), (agents, (0.0,)), (32, THETAS))
    )
    p50, p95, named = usual
    figure = f"whom a node concerns among {agents:,} agents"
    return [
        at_most(f"{figure}, CPU p50", f"{p50:.0f} µs ({named:.0f} named)", p50, 1_000, "µs"),
        Row("  p95", f"{p95:,.0f} µs"),
        Row("  every θ = 0, p50 / p95", "{:,.0f} / {:,.0f} µs ({:,.0f} named)".format(*eager)),
        Row("  among 32 agents, p50 / p95", "{:.0f} / {:.0f} µs ({:.0f} named)".format(*few)),
        Row("  changing a subscription, p50 / p95", "{:.0f} / {:.0f} µs".format(*_changes(draw, agents))),
    ]


def _measure(
    draw: random.Random, agents: int, thetas: tuple[float, ...], nodes: list[Node]
) -> tuple[float, float, float]:
    """p50 and p95 in µs, and the mean count of agents named."""
    known, everyone = _populate(draw, agents, thetas)
    for tags, access in nodes[:COMPARED]:
        assert known.recipients(tags, access) == _by_loop(everyone, tags, access)
    took, named = [], []
    gc.collect()
    for tags, access in nodes:
        start = time.thread_time()
        found = known.recipients(tags, access)
        took.append(time.thread_time() - start)
        named.append(len(found))
    return *_p50_p95(took), mean(named)


def _changes(draw: random.Random, agents: int) -> tuple[float, float]:
    known, everyone = _populate(draw, agents, THETAS)
    took = []
    for each in draw.choices(everyone, k=NODES):
        fresh = Subscription(agent=each.agent, tags=_tags(draw, 3, 12), access=each.access, theta=each.theta)
        start = time.thread_time()
        known.add(fresh)
        took.append(time.thread_time() - start)
    return _p50_p95(took)


def _populate(
    draw: random.Random, agents: int, thetas: tuple[float, ...]
) -> tuple[Subscriptions, list[Subscription]]:
    known = Subscriptions()
    everyone = [
        Subscription(
            agent=f"agent {number}",
            tags=_tags(draw, 3, 12),
            access=draw.randrange(LEVELS),
            theta=draw.choice(thetas),
        )
        for number in range(agents)
    ]
    for each in everyone:
        known.add(each)
    return known, everyone


def _tags(draw: random.Random, least: int, most: int) -> frozenset[str]:
    wanted, found = draw.randint(least, most), set[str]()
    while len(found) < wanted:
        found.update(draw.choices(WORDS, cum_weights=ZIPF))
    return frozenset(found)


def _by_loop(everyone: list[Subscription], tags: frozenset[str], access: int) -> list[tuple[str, float]]:
    found = [(tag_relevance(tags, each.tags), each) for each in everyone if access <= each.access]
    kept = [(-value, each.agent) for value, each in found if value > each.theta]
    return [(agent, -minus) for minus, agent in sorted(kept)]


def _p50_p95(seconds: list[float]) -> tuple[float, float]:
    """In µs."""
    cuts = quantiles(seconds, n=20, method="inclusive")
    return cuts[9] * 1e6, cuts[18] * 1e6


if __name__ == "__main__":
    print(table(rows()))
