"""Estimates: what outcomes teach of roles, agents and chance, and how a future is drawn from that."""

from __future__ import annotations

import math
from itertools import combinations
from random import Random
from statistics import correlation, median

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dyntaskmas_nb.apee.routing import Routing
from dyntaskmas_nb.awm.estimate import Estimates, Expected, chance, draw, jump
from dyntaskmas_nb.core.task import Task
from tests.processes import printed_everywhere

AGENTS = ("a", "b", "c")
TASK = Task(id="t", role="cook", complexity=2.0)


def taught(count: int = 20, *, noise: float = 0.0, seed: int = 0, **pace: float) -> Estimates:
    """Outcomes of `cook` by agents in turn, each with its own seconds per unit, times lognormal chance."""
    known, random = Estimates(), Random(seed)
    pace = pace or dict.fromkeys(AGENTS, 1.0)
    for _ in range(count):
        for agent, seconds in pace.items():
            units = random.uniform(0.5, 3.0)
            known.observe("cook", agent, units, units * seconds * math.exp(random.gauss(0, noise)))
    return known


# -- paces -----------------------------------------------------------------------------------------------


@given(st.floats(0.01, 100), st.integers(1, 30))
def test_exact_durations_stay_exact(pace: float, count: int) -> None:
    known = Estimates(pace)
    for number in range(count):
        known.observe("cook", AGENTS[number % 3], number + 1.0, pace * (number + 1.0))
    for agent in ("", *AGENTS, "stranger"):
        assert known.rate("cook", agent) == pytest.approx(pace, rel=1e-9)
    assert Expected(known)(TASK, 1, "b") == (pytest.approx(2 * pace, rel=1e-9), True)
    assert Expected(known).seconds(TASK) == pytest.approx(2 * pace, rel=1e-9)
    assert not known.uneven("cook", AGENTS, 1.01)


def test_nothing_known_is_what_the_settings_say() -> None:
    known = Estimates(2.5)
    assert (known.rate("any"), known.success("any"), known.cost("any")) == (pytest.approx(2.5), 1.0, 0.0)
    assert (known.roles(), known.seconds_per_information, known.seen) == ([], None, 0)


def test_a_roles_pace_is_learned_at_once_and_is_no_agents_fault() -> None:
    known = Estimates()
    for agent in AGENTS:
        known.observe("slow", agent, 1.0, 9.0)
        known.observe("quick", agent, 1.0, 0.2)
    assert known.rate("slow") == pytest.approx(9.0, rel=0.1)
    assert known.rate("quick") == pytest.approx(0.2, rel=0.1)
    assert known.roles() == ["quick", "slow"]
    assert known.rate("new", "a") == pytest.approx(1.0, rel=0.1), "a new role is as the settings say"
    assert not known.uneven("slow", AGENTS, 1.1)


def test_an_agents_pace_is_learned_and_holds_for_other_roles() -> None:
    known = taught(a=1.0, b=1.0, c=3.0)
    assert known.rate("cook", "c") == pytest.approx(3.0, rel=0.1)
    assert known.rate("cook", "a") == pytest.approx(1.0, rel=0.1)
    assert known.rate("waiter", "c") > 1.7 * known.rate("waiter", "a")
    assert known.uneven("cook", AGENTS, 1.5)
    assert not known.uneven("cook", ("a", "b"), 1.1)


def test_what_is_known_of_a_role_does_not_swing_with_one_agent() -> None:
    known = taught(30)
    for _ in range(10):
        known.observe("cook", "c", 1.0, 8.0)
    assert known.rate("cook", "c") == pytest.approx(8.0, rel=0.15)
    assert known.rate("cook", "a") == pytest.approx(1.0, rel=0.15)


@pytest.mark.parametrize("noise", [0.0, 0.2])
def test_drift_is_followed(noise: float) -> None:
    known, random, pace = taught(20, noise=noise), Random(3), 1.0
    for _ in range(60):
        pace *= 1.02
        known.observe("cook", "a", 1.0, pace * math.exp(random.gauss(0, noise)))
    assert pace > 3
    assert known.rate("cook", "a") == pytest.approx(pace, rel=0.25)
    assert known.rate("cook", "b") == pytest.approx(1.0, rel=0.4)


def test_a_jump_is_believed_after_two_outcomes_and_one_odd_one_is_forgotten() -> None:
    known = taught(20)
    known.observe("cook", "a", 1.0, 8.0)
    known.observe("cook", "a", 1.0, 8.0)
    assert known.rate("cook", "a") > 5.5
    assert known.rate("cook", "b") < 1.2
    known.observe("cook", "a", 1.0, 1.0)
    known.observe("cook", "a", 1.0, 1.0)
    assert known.rate("cook", "a") < 1.6


def test_a_jump_shows_in_noise_too_but_takes_longer() -> None:
    random, steps = Random(1), list[float]()
    for noise in (0.05, 0.6):
        known = taught(20, noise=noise, seed=4)
        for number in range(1, 30):
            known.observe("cook", "a", 1.0, 8.0 * math.exp(random.gauss(0, noise)))
            if known.rate("cook", "a") > 5:
                steps.append(number)
                break
    assert len(steps) == 2, "it is found in both"
    assert steps[0] <= 2 <= steps[1] <= 15


def test_the_chance_of_a_jump() -> None:
    assert jump(0.0, 0.1, 20) < 0.01
    offs = [jump(off / 4, 0.05, 20) for off in range(20)]
    assert offs == sorted(offs)
    assert offs[-1] > 0.99
    assert jump(2.0, 0.05, 2) < jump(2.0, 0.05, 20), "less is believed where little is known"
    assert jump(2.0, 1.0, 20) < jump(2.0, 0.05, 20), "what varies anyway is no sign"
    assert jump(-2.0, 0.05, 20) == jump(2.0, 0.05, 20)


# -- chance ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("noise", [0.0, 0.3, 1.0])
def test_noise_is_learned(noise: float) -> None:
    found = [taught(40, noise=noise, seed=seed).noise for seed in range(12)]
    assert median(found) == pytest.approx(noise**2, rel=0.35, abs=0.01)


def test_a_late_attempt_is_blamed_on_its_agent_only_where_tasks_are_alike() -> None:
    late = [(TASK, "a", 8.0)]  # four times as long as expected
    sure = taught(30, noise=0.05).after(late)
    assert sure.changed == {"a"}
    assert sure.rate("cook", "a") > 4 * sure.rate("cook", "b")
    unsure = taught(30, noise=1.0, seed=2).after(late)
    assert unsure.changed == frozenset()
    assert unsure.rate("cook", "a") < 2 * unsure.rate("cook", "b")
    assert sure.after([(TASK, "b", 1.0)]).changed == {"a"}, "who is in time has not changed"


def test_where_all_are_late_nobody_has_changed_but_chance_is_larger() -> None:
    known = taught(4, noise=0.3)
    tasks = [(Task(id=f"t{n}", role="cook"), agent, 3.0) for n, agent in enumerate(AGENTS)]
    together = known.after(tasks)
    assert together.doubt > 1
    assert together.noise > known.noise
    assert known.after(tasks[:1]).doubt < together.doubt


def test_looking_at_what_runs_teaches_nothing() -> None:
    known = taught(30, noise=0.05)
    before = known.rate("cook", "a"), known.noise, known.seen, known.changed
    known.after([(TASK, "a", 50.0)])
    Expected(known, 3, [(TASK, "a", 50.0)])
    assert (known.rate("cook", "a"), known.noise, known.seen, known.changed) == before


@pytest.mark.parametrize("noise", [0.05, 1.0])
def test_what_runs_is_never_over_before_now(noise: float) -> None:
    known = taught(30, noise=noise)
    for since in (0.5, 2.0, 9.0, 100.0):
        for future in range(20):
            expected = Expected(known, future, [(TASK, "a", since)])
            seconds, _ = expected(TASK, 1, "a")
            assert seconds >= since
            left, _ = expected.left(TASK, 1, "a", since)
            assert left == pytest.approx(seconds - since)


# -- success, cost, transfers ----------------------------------------------------------------------------


def test_success_follows_the_latest_outcomes() -> None:
    known = Estimates()
    assert known.success("a") == 1.0
    for _ in range(20):
        known.observe("cook", "a", 1.0, 1.0)
    assert known.success("a") == 1.0, "exactly, until one has failed"
    known.observe("cook", "a", 1.0, 1.0, success=False)
    once = known.success("a")
    assert 0.85 < once < 1
    for _ in range(20):
        known.observe("cook", "a", 1.0, 1.0, success=False)
    assert known.success("a") < 0.45 < known.success("b") == 1.0
    for _ in range(40):
        known.observe("cook", "a", 1.0, 1.0)
    assert known.success("a") > 0.98


def test_how_long_a_failure_took_says_nothing() -> None:
    known = taught(10)
    known.observe("cook", "a", 1.0, 90.0, success=False)
    assert known.rate("cook", "a") == pytest.approx(1.0, rel=1e-9)
    assert known.seen == 31


def test_costs_are_by_unit_and_a_stranger_costs_the_average() -> None:
    known = Estimates()
    for units in (1.0, 2.0, 4.0):
        known.observe("cook", "dear", units, units, cost=6 * units)
        known.observe("cook", "cheap", units, units, cost=2 * units)
    assert known.cost("dear") == pytest.approx(6)
    assert known.cost("cheap") == pytest.approx(2)
    assert known.cost("stranger") == pytest.approx(4)
    assert Expected(known).cost(TASK, "dear") == pytest.approx(12)
    assert Expected(known).cost(Task(id="z", complexity=0.0), "dear") == pytest.approx(6), "an attempt costs"


def test_seconds_per_information_are_measured() -> None:
    known = Estimates()
    for information in (1.0, 4.0, 2.0):
        known.observe_transfer(information, 0.5 * information)
    assert known.seconds_per_information == pytest.approx(0.5)
    for _ in range(30):
        known.observe_transfer(2.0, 4.0)
    assert known.seconds_per_information == pytest.approx(2.0, rel=0.01), "the latest count most"


def test_a_task_without_complexity_teaches_no_pace() -> None:
    known = Estimates()
    known.observe("cook", "a", 0.0, 5.0)
    assert known.rate("cook", "a") == 1.0
    assert Expected(known)(Task(id="z", role="cook", complexity=0.0), 1, "a") == (0.0, True)
    known.observe("cook", "a", 1.0, 0.0)
    assert known.rate("cook", "a") > 0


# -- routing and memory ----------------------------------------------------------------------------------


def test_routing_takes_the_table_and_goes_by_it() -> None:
    known = taught(20, a=1.0, b=2.0, c=1.0)
    for _ in range(8):
        known.observe("cook", "c", 1.0, 1.0, success=False)
    routing = Routing(known.routing_table(["cook", "new"], AGENTS), frozen=True)
    assert routing.choose("cook", dict.fromkeys("cba", 0), patient=True) == "a"
    for agent in AGENTS:
        seconds = known.rate("cook", agent) / known.success(agent)
        assert routing.cost(agent, "cook") == pytest.approx(seconds, rel=0.02)
    assert set(routing.export()) == {"cook", "new"}


sizes = st.just(0.0) | st.floats(1e-6, 1e9)


@given(st.lists(st.tuples(st.sampled_from("ab"), sizes, st.floats(0, 1e9), st.booleans())))
def test_whatever_happened_the_table_can_be_read_and_nothing_is_odd(
    outcomes: list[tuple[str, float, float, bool]],
) -> None:
    known = Estimates()
    for agent, complexity, seconds, good in outcomes:
        known.observe("cook", agent, complexity, seconds, success=good, cost=seconds)
        assert 0 < known.rate("cook", agent) < math.inf
        assert 0 < known.success(agent) <= 1
        assert 0 <= known.noise < math.inf
    Routing(known.routing_table(["cook"], "abc"))
    assert 0 <= Expected(known, 1, [(TASK, "a", 3.0)])(TASK, 1, "a")[0] < math.inf


def test_a_task_of_next_to_no_complexity_breaks_nothing() -> None:
    known = taught(5)
    known.observe("cook", "a", 5e-324, 1e9)
    assert 0 < known.rate("cook", "b") < math.inf


def test_memory_is_by_role_and_agent() -> None:
    def size(known: Estimates) -> int:
        return sum(len(part) for part in known.__dict__.values() if isinstance(part, dict | list))

    assert size(taught(10)) == size(taught(1_000)) > 0


# -- futures ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("noise", [0.0, 0.4])
def test_the_plain_future_is_the_median_one(noise: float) -> None:
    known = taught(20, noise=noise, a=1.0, b=2.0)
    plain, _ = Expected(known)(TASK, 1, "b")
    drawn = [Expected(known, future)(TASK, 1, "b")[0] for future in range(1, 1000)]
    assert median(drawn) == pytest.approx(plain, rel=0.06)
    longer = sum(seconds > plain for seconds in drawn)
    assert 400 < longer < 600
    assert max(drawn) > (1.5 if noise else 1.0) * plain


def test_the_plain_future_takes_failures_as_longer_and_others_as_failures() -> None:
    known = taught(20)
    for _ in range(4):
        known.observe("cook", "a", 1.0, 1.0, success=False)
    success = known.success("a")
    assert Expected(known)(TASK, 1, "a") == (pytest.approx(2.0 / success, rel=0.01), True)
    good = [Expected(known, future)(TASK, 1, "a")[1] for future in range(1, 500)]
    assert sum(good) / len(good) == pytest.approx(success, abs=0.06)
    one = Expected(known, 1)
    assert len({one(TASK, number, "a")[1] for number in range(1, 40)}) == 2, "each attempt has its own luck"
    assert one(TASK, 7, "a") == Expected(known, 1)(TASK, 7, "a")


def test_a_tasks_luck_is_the_same_with_every_agent() -> None:
    """So two configurations are compared in the same world."""
    known = taught(400, noise=0.5, a=1.0, b=2.0)
    for future in range(1, 10):
        expected = Expected(known, future)
        ratios = [
            expected(task, 1, "b")[0] / expected(task, 1, "a")[0]
            for task in (TASK, Task(id="u", role="cook"), Task(id="v", role="cook", complexity=7))
        ]
        assert ratios == pytest.approx([ratios[0]] * 3)
    lucks = {round(Expected(known, 1)(Task(id=id, role="cook"), 1, "a")[0], 9) for id in "defgh"}
    assert len(lucks) == 5, "and every task has its own"


def test_chance_lies_between_and_draws_are_normal() -> None:
    found = [chance(1, str(n)) for n in range(2_000)]
    assert 0 < min(found) < 0.01
    assert 0.99 < max(found) < 1
    drawn = [draw(future, "x") for future in range(5_000)]
    assert sum(drawn) / len(drawn) == pytest.approx(0, abs=0.1)
    assert sum(x * x for x in drawn) / len(drawn) == pytest.approx(1, abs=0.1)


@pytest.mark.parametrize("ids", [[f"task {n}" for n in range(100, 400)], [f"t{n}" for n in range(10, 99)]])
def test_no_future_repeats_or_mirrors_another(ids: list[str]) -> None:
    lucks = [[draw(future, id) for id in ids] for future in range(1, 8)]
    pairs = [abs(correlation(one, other)) for one, other in combinations(lucks, 2)]
    assert max(pairs) < 0.5


PROGRAM = """
from tests.awm.test_estimate import *
known = taught(5, noise=0.3, a=1.0, b=2.0)
running = [(TASK, "a", 6.0), (Task(id="u", role="cook"), "b", 0.5)]
for future in range(6):
    one = Expected(known, future, running)
    print([one(Task(id=id, role="cook"), 1, agent) for id in "tuvw" for agent in "abc"])
print(known.routing_table(["cook"], "abc"), known.roles(), known.uneven("cook", {"b", "a", "c"}, 1.1))
"""


def test_futures_are_the_same_in_every_process() -> None:
    assert printed_everywhere(PROGRAM).count("\n") == 7
