"""However its owner or its index dies, a context store loses, tears and invents nothing, and finds all."""

from __future__ import annotations

import os
import random
from collections import Counter
from itertools import count, cycle
from pathlib import Path

import pytest

from tests.kills.store_harness import Campaign, Death, some_deaths
from tests.kills.store_worker import PERIL, POINTS

pytestmark = pytest.mark.skipif(not hasattr(os, "pidfd_open"), reason="waits for orphans: Linux's pidfd_open")
KILLS = 300
CHAINS: dict[str, list[Death]] = {
    "making": [
        ("lock taken", 1),
        ("schema being written", 1),
        ("schema not yet named", 1),
        ("store named", 1),
        ("log being opened", 1),
    ],
    "writing": [
        ("before commit", 7),
        ("in the transaction", 133),
        ("committed, not yet told", 4),
        ("told", 15),
        0.7,
    ],
    "indexing": [
        ("index process starting", 1),
        ("before the index is fed", 1),
        ("index reconciling", 1),
        ("while the index is fed", 4),
        ("index fed, not yet noted", 3),
    ],
    "closing": [("index closing", 1), ("authority closing", 1), ("closed, still locked", 1), 0.1, 0.4],
}
"""Twenty deaths, each point once; what one leaves behind, the next life finds."""


@pytest.mark.parametrize("name", CHAINS)
def test_a_death_at_each_point(name: str, tmp_path: Path) -> None:
    campaign = Campaign(tmp_path / "home", len(name)).go(CHAINS[name])
    assert campaign.found == []
    named = Counter(death[0] for death in CHAINS[name] if isinstance(death, tuple))
    assert {point: campaign.kills[point] for point in named} == named


def test_no_point_is_forgotten() -> None:
    deaths = [death for chain in CHAINS.values() for death in chain]
    assert {death[0] for death in deaths if isinstance(death, tuple)} == set(POINTS)


@pytest.mark.parametrize("peril", PERIL)
def test_the_index_process_alone_dies_under_load(peril: str, tmp_path: Path) -> None:
    campaign = Campaign(tmp_path / "home", 5)
    campaign.home.mkdir()
    assert not campaign.killed((peril, 3))
    campaign.look(peril)
    assert campaign.found == []
    assert Counter(line[0] for line in campaign.ledger())["hurt"] == 3


@pytest.mark.parametrize(
    ("variant", "deaths", "kinds"),
    [
        ("in two", [("in the transaction", 47), ("committed, not yet told", 5)], {"torn"}),
        ("trusting", [("committed, not yet told", 9), ("while the index is fed", 2)], {"index", "query"}),
    ],
)
def test_a_wrong_store_would_be_noticed(
    variant: str, deaths: list[Death], kinds: set[str], tmp_path: Path
) -> None:
    """The negative controls: each node a transaction of its own; an index that is believed, not compared."""
    campaign = Campaign(tmp_path / "home", 7, variant).go(deaths)
    assert {kind for kind, _ in campaign.found} >= kinds, campaign.found


@pytest.mark.torture
def test_hundreds_of_deaths(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    kills: Counter[str] = Counter()
    told: Counter[str] = Counter()
    points = cycle(POINTS)
    for seed in count(1000):
        if kills.total() >= KILLS:
            break
        campaign = Campaign(tmp_path / str(seed), seed)
        campaign.go(some_deaths(random.Random(seed), next(points), 6))
        assert campaign.found == [], f"seed {seed}"
        kills += campaign.kills
        told += Counter(line[0] for line in campaign.ledger())
    with capsys.disabled():
        print(f"\n{kills.total()} kills, nothing lost, torn or invented: {dict(kills.most_common())}")
        print(f"acknowledged: {dict(told)}")
    assert set(kills) >= set(POINTS)
