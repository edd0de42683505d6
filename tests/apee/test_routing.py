"""Learned routing: what is learned, who is preferred, and what it brings in a small world of its own."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from hashlib import blake2b
from heapq import heappop, heappush

import pytest

from dyntaskmas_nb.apee.routing import Routing
from dyntaskmas_nb.errors import InvalidInput

ROLES = ("read", "think", "write")
SEEDS = range(24)
Chance = Callable[[str, str], float]


def drawn(*key: object) -> float:
    """A number in [0, 1) that depends on `key` alone."""
    return int.from_bytes(blake2b(repr(key).encode(), digest_size=6).digest()) / 2**48


def taught(**known: tuple[int, int, float]) -> Routing:
    """One role "r", agents by name with (done, failed, seconds of each attempt)."""
    made = Routing()
    for agent, (done, failed, seconds) in known.items():
        for number in range(done + failed):
            made.observe(agent, "r", success=number < done, seconds=seconds)
    return made


def test_it_prefers_who_succeeds_and_who_is_quick() -> None:
    for patient in (True, False):
        assert taught(a=(6, 4, 1.0), b=(9, 1, 1.0)).choose("r", {"a": 0, "b": 0}, patient=patient) == "b"
        assert taught(a=(9, 1, 1.0), b=(9, 1, 3.0)).choose("r", {"b": 0, "a": 0}, patient=patient) == "a"
        assert taught(a=(6, 4, 1.0), b=(9, 1, 9.0)).choose("r", {"b": 0, "a": 0}, patient=patient) == "a", (
            "six of ten at once are more than nine of ten in nine times the time"
        )


def test_it_waits_for_a_clearly_better_agent_but_not_for_ever() -> None:
    known = taught(good=(19, 1, 1.0), poor=(11, 9, 1.0))
    assert known.choose("r", {"poor": 0, "good": 1}, patient=True) == "good"
    assert known.choose("r", {"poor": 0, "good": 9}, patient=True) == "good"
    assert known.choose("r", {"poor": 0, "good": 1}, patient=False) == "good", "half a task ahead is no loss"
    assert known.choose("r", {"poor": 0, "good": 2}, patient=False) == "poor"
    slow = taught(good=(19, 1, 600.0), poor=(11, 9, 600.0))
    assert slow.choose("r", {"poor": 0, "good": 2}, patient=False) == "poor", "what is ahead is slow as well"
    alike = taught(a=(18, 2, 1.0), b=(17, 3, 1.0))
    assert alike.choose("r", {"b": 0, "a": 1}, patient=True) == "b", "not clearly better"


def test_nobody_waits_where_nothing_is_known() -> None:
    for patient in (True, False):
        assert Routing().choose("r", {"a": 1, "b": 0, "c": 0}, patient=patient) == "b"
        assert Routing().choose("r", {"a": 1, "b": 2}, patient=patient) == "a", "nobody is free"


def test_the_unknown_gets_its_chance_unless_frozen() -> None:
    known = taught(a=(14, 6, 1.0))
    ahead = {"a": 0, "new": 0}
    assert known.choose("r", ahead, patient=True) == "new"
    known.frozen = True
    assert known.choose("r", ahead, patient=True) == "a"
    before = known.export()
    known.observe("a", "r", success=False, seconds=1.0)
    assert known.export() == before, "frozen"
    assert known.cost("a", "r") == pytest.approx(22 / 15), "14 of 20, one second each"
    assert taught(a=(14, 6, 1.0)).cost("a", "r") < 22 / 15, "not frozen it is taken for better"


def test_a_table_goes_through_json_and_serves_another_run() -> None:
    known = taught(a=(3, 1, 2.0), b=(1, 3, 0.0))
    again = Routing(json.loads(json.dumps(known.export())), frozen=True)
    assert again.export() == known.export()
    known.frozen = True
    assert [again.cost(agent, "r") for agent in "abc"] == [known.cost(agent, "r") for agent in "abc"]


@pytest.mark.parametrize(
    ("table", "says"),
    [
        ([], "A routing table is what export"),
        ({"r": {"a": {"done": "many"}}}, r"table\['r'\]\['a'\]\['done'\]"),
        ({"r": {"a": {"done": -1}}}, "'r', 'a'"),
        ({"r": {"a": {"done": 1, "log_mean": math.nan}}}, "'r', 'a'"),
        ({"r": {"a": {"done": 1, "log_squares": 1e9}}}, "'r', 'a'"),
    ],
)
def test_a_table_that_is_none_is_refused(table: object, says: str) -> None:
    with pytest.raises(InvalidInput, match=says):
        Routing(table)  # type: ignore[arg-type]


# -- what it brings ------------------------------------------------------------------------------------


def played(
    seed: int, agents: list[str], roles: list[str], chance: Chance, learn: bool
) -> tuple[float, float]:
    """Share of successes and makespan of one task for each of `roles`, all ready at once, one try each.

    Every agent can take every role; without `learn` a free agent is drawn.
    """
    known, t, good = Routing(), 0.0, 0
    waiting = list(enumerate(roles))
    calendar: list[tuple[float, str, int, str, float]] = []

    def start(number: int, agent: str) -> None:
        waiting.remove((number, roles[number]))
        normal = math.sqrt(-2 * math.log(1 - drawn(seed, number, "r"))) * math.cos(
            7 * drawn(seed, number, "φ")
        )
        seconds = math.exp(0.3 * normal)
        heappush(calendar, (t + seconds, agent, number, roles[number], seconds))

    def dispatch(patient: bool) -> None:
        ahead = {agent: sum(entry[1] == agent for entry in calendar) for agent in agents}
        hopeless: set[str] = set()
        for number, role in list(waiting):
            free = [agent for agent in agents if not ahead[agent]]
            if role in hopeless or not free:
                continue
            if learn:
                agent = known.choose(role, ahead, patient=patient)
            else:
                agent = free[int(drawn(seed, number, "who") * len(free))]
            if agent in free:
                start(number, agent)
            elif patient:
                hopeless.add(role)  # the next of its role is none the wiser
                continue
            ahead[agent] += 1

    while waiting or calendar:
        dispatch(patient=True)
        dispatch(patient=False)
        t, agent, number, role, seconds = heappop(calendar)
        success = drawn(seed, number, "luck") < chance(agent, role)
        good += success
        known.observe(agent, role, success=success, seconds=seconds)
    return good / len(roles), t


def gained(agents: list[str], roles: Callable[[int], list[str]], chance: Chance) -> tuple[float, float]:
    """Learned over random: the ratios of mean success and mean makespan."""

    def mean(learn: bool) -> tuple[float, float]:
        games = [played(seed, agents, roles(seed), chance, learn) for seed in SEEDS]
        return sum(game[0] for game in games), sum(game[1] for game in games)

    learned, random = mean(True), mean(False)
    return learned[0] / random[0], learned[1] / random[1]


def shuffled(seed: int) -> list[str]:
    return [ROLES[int(drawn(seed, number, "role") * 3)] for number in range(300)]


def test_three_specialists_find_their_work() -> None:
    success, makespan = gained(list(ROLES), shuffled, lambda agent, role: 0.9 if agent == role else 0.6)
    assert success >= 1.2
    assert makespan <= 1.02


def test_one_good_agent_is_not_made_to_do_everything() -> None:
    good, *_ = agents = list("abcde")
    chance: Chance = lambda agent, _: 0.95 if agent == good else 0.5  # noqa: E731
    _, makespan = gained(agents, lambda _: ["write"] * 60, chance)
    assert makespan <= 1.1


def test_equal_agents_share_the_work() -> None:
    success, makespan = gained(list("abcde"), lambda _: ["write"] * 10, lambda *_: 1.0)
    assert (success, makespan) == (1.0, pytest.approx(1.0, abs=0.05))
