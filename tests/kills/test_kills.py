"""Killed at any point, a run goes on: nothing acknowledged is lost, nothing finished is done again."""

from __future__ import annotations

import random
from collections import Counter
from itertools import count, cycle
from pathlib import Path

import pytest

from tests.kills.harness import Campaign, some_deaths
from tests.kills.worker import POINTS, REOPENING

KILLS = 300


FIRST = [(point, 1) for point in ("before append", "result not yet kept")]
LATER = [(point, random.Random(point).randint(1, often)) for point, often in POINTS.items()]


@pytest.mark.parametrize("death", [*FIRST, *LATER], ids=lambda death: f"{death[0]} {death[1]}")
def test_a_death_at_each_point(death: tuple[str, int], tmp_path: Path) -> None:
    point = death[0]
    first = [("agent ends", 3)] if point in REOPENING else []  # there must be something to reopen
    campaign = Campaign(tmp_path / "home", len(point)).go([*first, death])
    assert campaign.kills[point] == 1
    assert campaign.found == []


def test_deaths_at_any_moment(tmp_path: Path) -> None:
    rng = random.Random(0)
    campaign = Campaign(tmp_path / "home", 100).go([rng.uniform(0, 0.3) for _ in range(4)])
    assert campaign.kills["any moment"]
    assert campaign.found == []


def test_effects_before_their_events_would_be_noticed(tmp_path: Path) -> None:
    """The negative control: with the order of journal and effects reversed, a few deaths do harm."""
    deaths = [("agent begins", 4), ("edit not yet told", 2), ("agent ends", 3), ("after append", 5)]
    campaign = Campaign(tmp_path / "home", 7, reverse=True).go(deaths)
    assert {kind for kind, _ in campaign.found} & {"twice", "edit"}, campaign.found


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
        print(f"\n{kills.total()} kills, nothing lost, nothing done twice: {dict(kills.most_common())}")
        print(f"acknowledged: {dict(told)}")
    assert set(kills) >= set(POINTS)
