"""Eqs. 19 and 20: what agents have to do, what that entitles them to, and how it is rounded."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dyntaskmas_nb.awm.allocator import (
    Allotment,
    allocate,
    allot,
    loads,
    step_resources,
    token_shares,
    whole_slots,
)
from dyntaskmas_nb.awm.estimate import Estimates, Expected
from dyntaskmas_nb.core.command import Command, Configure, Pause, SetAgent
from dyntaskmas_nb.core.delta import RemoveTask
from dyntaskmas_nb.core.event import CommandApplied, CommandSubmitted
from dyntaskmas_nb.core.graph import TaskGraph
from dyntaskmas_nb.core.settings import Adaptation, AgentSpec, Settings, check_settings
from dyntaskmas_nb.core.task import Resource, Task
from dyntaskmas_nb.dtgg.update import as_delta
from dyntaskmas_nb.errors import InvalidInput
from tests.apee.driving import Driver

NAMES = "abcdefgh"
amounts = st.floats(0, 1e9) | st.sampled_from([0.0, 1e-300, 1e308])
weights = st.dictionaries(st.sampled_from(NAMES), st.floats(1e-3, 1e3))
loads_ = st.dictionaries(st.sampled_from(NAMES), amounts, min_size=1)
totals = st.integers(0, 10_000)
pools = st.lists(st.integers(0, 5), min_size=1, max_size=6)


def conserved(parts: dict[str, float], total: float) -> bool:
    return math.isclose(math.fsum(parts.values()), total, rel_tol=1e-9)


class Plain:
    """Every attempt takes a second per unit of complexity and succeeds."""

    def seconds(self, task: Task) -> float:
        return task.complexity

    def __call__(self, task: Task, number: int, agent: str) -> tuple[float, bool]:
        return task.complexity, True

    def left(self, task: Task, number: int, agent: str, since: float) -> tuple[float, bool]:
        return max(0.0, task.complexity - since), True


def given_to(agents: Sequence[AgentSpec], *tasks: Task, settings: Settings = Settings()) -> Driver:
    """A run of independent tasks in which who is free has begun."""
    return Driver(TaskGraph.of(tasks), agents, settings)


def told(run: Driver, command: Command) -> None:
    """Past the driver's check: an agent may run more than the slots it has from now on."""
    run.machine.step(CommandSubmitted(run.t, 0, command))
    assert isinstance(run.machine.log[-1], CommandApplied), run.machine.log[-1]


def agents(*slots: int) -> list[AgentSpec]:
    return [AgentSpec(id=id, slots=count) for id, count in zip(NAMES, slots, strict=False)]


def same(count: int, complexity: float = 4.0, role: str = "general") -> list[Task]:
    return [Task(id=f"{role} {n}", complexity=complexity, role=role) for n in range(count)]


# -- Load ----------------------------------------------------------------------------------------------


def test_a_load_is_what_runs_and_a_part_of_what_waits() -> None:
    cook, waiter = AgentSpec(id="cook", roles=("cook",)), AgentSpec(id="waiter", roles=("waiter", "cook"))
    tasks = [*same(1, 10, "cook"), *same(2, 6, "waiter"), Task(id="soup", role="cook", complexity=1)]
    run = given_to([cook, waiter, AgentSpec(id="off", slots=0)], *tasks)
    assert run.started == [("cook 0", 1, "cook"), ("waiter 0", 1, "waiter")]
    assert loads(run.machine, Plain(), 4.0) == {"cook": 6 + 0.5, "waiter": 2 + 0.5 + 6}
    assert loads(run.machine, Plain(), 40.0) == {"cook": 0.5, "waiter": 6.5}, "what runs is overdue"
    told(run, SetAgent(agent=AgentSpec(id="off", slots=2)))
    told(run, SetAgent(agent=AgentSpec(id="waiter", roles=("waiter", "cook"), slots=0)))
    found = loads(run.machine, Plain(), 4.0)
    assert found == {"cook": 6 + 0.5, "off": 0.5 + 6}, "who is switched off counts nothing"


def test_a_pinned_task_is_all_its_agents_and_a_failed_one_goes_to_others() -> None:
    settings = Settings(pins={"general 2": "b", "general 3": "nobody"})
    run = given_to(agents(1, 1), *same(4), settings=settings)
    assert loads(run.machine, Plain(), 0.0) == {"a": 4 + 2, "b": 4 + 4 + 2}
    run.machine.records["general 3"].avoid = ("b",)
    assert loads(run.machine, Plain(), 0.0) == {"a": 4 + 4, "b": 4 + 4}
    run.machine.records["general 3"].avoid = ("a", "b")
    assert loads(run.machine, Plain(), 0.0) == {"a": 4 + 2, "b": 4 + 4 + 2}, "nobody else is left"


def test_what_waits_for_somebody_is_no_work_yet() -> None:
    oven = (Resource(key="oven", exclusive=True),)
    run = given_to(
        agents(3),
        Task(id="asked", complexity=4, approval=True),
        Task(id="first", complexity=8, resources=oven),
        Task(id="second", complexity=2, resources=oven),
    )
    assert run.states() == {"asked": "ready", "first": "running", "second": "ready"}
    assert loads(run.machine, Plain(), 0.0) == {"a": 8 + 2}


def test_what_is_being_stopped_is_no_work_any_more() -> None:
    run = given_to(agents(2), *same(3, 4))
    assert loads(run.machine, Plain(), 1.0) == {"a": 3 + 3 + 4}
    run.submit(RemoveTask(id="general 0"))
    assert loads(run.machine, Plain(), 1.0) == {"a": 3 + 4}
    told(run, Pause(hard=True))
    assert loads(run.machine, Plain(), 1.0) == {"a": 4}


def test_a_role_without_an_agent_loads_nobody() -> None:
    run = Driver()
    run.submit(as_delta(TaskGraph.of(same(2))))
    assert loads(run.machine, Plain(), 0.0) == {}
    run.turn()
    assert loads(run.machine, Plain(), 1.0) == {"general": 3, "general 2": 3}, "two were hired"
    assert all(load > 0 for load in loads(run.machine, Expected(Estimates()), 1.0).values())


@given(
    pools,
    st.lists(st.tuples(st.sampled_from("xy"), st.integers(0, 9)), max_size=12),
)
def test_nothing_is_lost_of_what_there_is_to_do(slots: list[int], work: list[tuple[str, int]]) -> None:
    specs = [
        AgentSpec(id=id, slots=n + 1, roles=("xy"[n % 2], "*")) for id, n in zip(NAMES, slots, strict=False)
    ]
    tasks = [Task(id=f"{n}", role=role, complexity=size) for n, (role, size) in enumerate(work)]
    found = loads(given_to(specs, *tasks).machine, Plain(), 0.0)
    assert conserved(found, sum(size for _, size in work))
    assert min(found.values()) >= 0
    halfway = loads(given_to(specs, *tasks).machine, Plain(), 2.0)
    assert all(halfway[id] <= found[id] for id in found)


# -- Eq. 20 --------------------------------------------------------------------------------------------


@given(loads_, weights, totals)
def test_an_allocation_gives_everything_away(load: dict[str, float], w: dict[str, float], total: int) -> None:
    found = allocate(load, w, total)
    assert list(found) == list(load)
    assert conserved(found, total)
    assert all(0 <= part <= total * (1 + 1e-9) for part in found.values())
    assert all(not found[id] for id in load if not load[id]) or not any(load.values())
    if not any(load.values()):
        assert len(set(found.values())) == 1


@given(loads_, weights, totals, st.randoms(use_true_random=False))
def test_an_allocation_does_not_depend_on_the_order(
    load: dict[str, float], w: dict[str, float], total: int, chance: object
) -> None:
    shuffled = dict(chance.sample(sorted(load.items()), len(load)))  # type: ignore[attr-defined]
    assert allocate(shuffled, w, total) == pytest.approx(allocate(load, w, total))


@given(
    st.dictionaries(st.sampled_from(NAMES), st.floats(0.01, 1e6), min_size=2),
    weights,
    st.floats(1.01, 9),
    st.data(),
)
def test_more_load_or_weight_gives_more_and_takes_from_the_others(
    load: dict[str, float], w: dict[str, float], factor: float, data: st.DataObject
) -> None:
    id = data.draw(st.sampled_from(sorted(load)))
    before = allocate(load, w, 100)
    by_load = allocate({**load, id: load[id] * factor}, w, 100)
    by_weight = allocate(load, {**w, id: w.get(id, 1.0) * factor}, 100)
    assert by_load == pytest.approx(by_weight), "Eq. 20 knows their product only"
    assert by_load[id] > before[id] or before[id] > 100 * (1 - 1e-9)
    assert all(by_load[other] <= before[other] for other in load if other != id)
    slots, more = whole_slots(before, 100), whole_slots(by_load, 100)
    assert more[id] >= slots[id]


@pytest.mark.parametrize(
    ("load", "w", "total", "found"),
    [
        ({"a": 30, "b": 10}, {}, 8, {"a": 6, "b": 2}),
        ({"a": 30, "b": 10}, {"a": 0.5}, 10, {"a": 6, "b": 4}),
        ({"a": 30, "b": 0}, {"b": 9.0}, 10, {"a": 10, "b": 0}),
        ({"a": 0, "b": 0, "c": 0}, {"b": 9.0}, 6, {"a": 2, "b": 2, "c": 2}),
        ({"a": 1e308, "b": 1e308}, {"a": 1e308, "b": 1e308}, 6, {"a": 3, "b": 3}),
        ({}, {}, 6, {}),
    ],
)
def test_allocations(
    load: dict[str, float], w: dict[str, float], total: float, found: dict[str, float]
) -> None:
    assert allocate(load, w, total) == pytest.approx(found)


# -- Eq. 19 --------------------------------------------------------------------------------------------


@given(loads_, loads_, st.floats(0, 1), totals)
def test_a_step_keeps_the_sum(
    here: dict[str, float], there: dict[str, float], eta: float, total: int
) -> None:
    ids = sorted({*here, *there})
    old = allocate({id: here.get(id, 0.0) for id in ids}, {}, total)
    aim = allocate({id: there.get(id, 0.0) for id in ids}, {}, total)
    new = step_resources(old, aim, eta)
    assert conserved(new, total)
    assert all(part >= 0 for part in new.values())
    assert all(min(old[id], aim[id]) <= new[id] * (1 + 1e-9) for id in ids)
    assert all(new[id] <= max(old[id], aim[id]) * (1 + 1e-9) for id in ids)
    assert step_resources(old, aim, 0.0) == old
    assert step_resources(old, aim, 1.0) == aim


@given(loads_, st.floats(0.05, 1))
def test_steps_come_to_the_allocation(load: dict[str, float], eta: float) -> None:
    aim = allocate(load, {}, 64)
    now = {id: 64.0 * (id == max(load)) for id in load}
    off = max(abs(now[id] - aim[id]) for id in load)
    for n in range(1, 300):
        now = step_resources(now, aim, eta)
        assert max(abs(now[id] - aim[id]) for id in load) <= off * (1 - eta) ** n + 1e-9
    assert now == pytest.approx(aim, abs=1e-3)


def test_a_step_is_a_share() -> None:
    for eta in (-0.1, 1.1, math.nan):
        with pytest.raises(InvalidInput, match="eta is a share"):
            step_resources({}, {}, eta)


# -- whole slots and tokens ----------------------------------------------------------------------------


@given(loads_, totals, st.sets(st.sampled_from(NAMES)))
def test_whole_slots_are_all_given_and_nobody_with_work_goes_without(
    shares: dict[str, float], total: int, floors: set[str]
) -> None:
    found = whole_slots(shares, total, floors)
    wanting = [id for id in shares if id in floors]
    assert list(found) == list(shares)
    assert sum(found.values()) == total
    assert all(type(count) is int and count >= 0 for count in found.values())
    if total >= len(wanting):
        assert all(found[id] >= 1 for id in wanting)
    else:
        assert max(found.values()) <= 1
        given_, not_given = ([shares[id] for id in wanting if found[id] == n] for n in (1, 0))
        assert not given_ or min(given_) >= max(not_given)
    quota = allocate(shares, {}, total)
    plain = whole_slots(shares, total)
    assert all(abs(plain[id] - quota[id]) < 1 for id in shares), "nobody is a slot off its quota"
    if all(plain[id] >= 1 and quota[id] >= 1 for id in wanting):
        assert found == plain, "a floor that nobody needs changes nothing"
    ordered = sorted(shares, key=shares.__getitem__)
    assert all(plain[a] <= plain[b] for a, b in pairwise(ordered) if shares[a] < shares[b])


@given(loads_, totals, st.randoms(use_true_random=False))
def test_whole_slots_depend_on_the_order_for_ties_only(
    shares: dict[str, float], total: int, chance: object
) -> None:
    shuffled = dict(chance.sample(sorted(shares.items()), len(shares)))  # type: ignore[attr-defined]
    one, other = whole_slots(shares, total, shares), whole_slots(shuffled, total, shares)
    for share in shares.values():
        alike = [id for id in shares if shares[id] == share]
        assert abs(sum(one[id] for id in alike) - sum(other[id] for id in alike)) <= len(alike)
    if len(set(shares.values())) == len(shares):
        off = [id for id in shares if one[id] != other[id]]
        quota = allocate(shares, {}, total)
        assert len({round(quota[id] % 1, 6) for id in off}) <= 1 or any(q < 1 for q in quota.values())


@pytest.mark.parametrize(
    ("shares", "total", "floors", "found"),
    [
        ({"a": 1, "b": 1, "c": 1}, 5, "", {"a": 2, "b": 2, "c": 1}),
        ({"a": 9.7, "b": 0.2, "c": 0.1}, 10, "", {"a": 10, "b": 0, "c": 0}),
        ({"a": 9.7, "b": 0.2, "c": 0.1}, 10, "bc", {"a": 8, "b": 1, "c": 1}),
        ({"a": 9.7, "b": 0.2, "c": 0.1}, 10, "c", {"a": 9, "b": 0, "c": 1}),
        ({"a": 9.7, "b": 0.2, "c": 0.1}, 2, "abc", {"a": 1, "b": 1, "c": 0}),
        ({"a": 1, "b": 1, "c": 1}, 2, "abc", {"a": 1, "b": 1, "c": 0}),
        ({"a": 0, "b": 0}, 3, "", {"a": 2, "b": 1}),
        ({"a": 0.1 + 0.2, "b": 0.7}, 10, "", {"a": 3, "b": 7}),
        ({"a": 0.3, "b": 0.1 + 0.2}, 3, "", {"a": 2, "b": 1}),
        ({"a": 1}, 0, "", {"a": 0}),
        ({}, 0, "", {}),
    ],
)
def test_rounding(shares: dict[str, float], total: int, floors: str, found: dict[str, int]) -> None:
    assert whole_slots(shares, total, floors) == found


@given(loads_)
def test_token_shares_leave_nobody_without(resources: dict[str, float]) -> None:
    found, n = token_shares(resources), len(resources)
    assert conserved(found, 1.0)
    assert all(1 / (4 * n) * (1 - 1e-9) <= share <= 1 for share in found.values())
    check_settings(Settings(token_shares=found))
    ordered = sorted(resources, key=resources.__getitem__)
    assert all(found[a] <= found[b] for a, b in pairwise(ordered))


# -- all together --------------------------------------------------------------------------------------


def drawn(slots: list[int], work: list[int]) -> Driver:
    """A run in which every task is for one agent, or for one that takes all."""
    specs = [AgentSpec(id=id, slots=n, roles=(id,)) for id, n in zip(NAMES, slots, strict=False)]
    tasks = [Task(id=f"{id}{n}", role=id, complexity=n) for id, n in zip(NAMES, work, strict=False) if n]
    return given_to([*specs, AgentSpec(id="any")], *tasks, Task(id="last", complexity=2))


def test_slots_follow_the_work_step_by_step() -> None:
    run = given_to(
        [AgentSpec(id=id, slots=4, roles=(id,)) for id in "ab"], *same(6, 8, "a"), *same(2, 8, "b")
    )
    found = allot(run.machine, Plain(), 0.0, {})
    assert found == Allotment(
        resources={"a": 5.0, "b": 3.0},
        agents=(AgentSpec(id="a", slots=5, roles=("a",)), AgentSpec(id="b", slots=3, roles=("b",))),
        token_shares={"a": 0.125 + 0.75 * 5 / 8, "b": 0.125 + 0.75 * 3 / 8},
    )
    for spec in found.agents:
        told(run, SetAgent(agent=spec))
    run.turn()
    found = allot(run.machine, Plain(), 0.0, found.resources)
    assert found.resources == {"a": 5.5, "b": 2.5}, "half of the way to 6 and 2 again"
    assert [spec.slots for spec in found.agents] == [6, 2], "a tie goes to the first"
    assert allot(run.machine, Plain(), 0.0, found.resources).resources == found.resources, "it was not made"
    told(run, Configure(changes={"awm": Adaptation(weights={"b": 3.0})}))
    assert allot(run.machine, Plain(), 0.0, {}, eta=1.0).resources == {"a": 4.0, "b": 4.0}


def test_what_somebody_set_is_where_it_begins() -> None:
    run = given_to(agents(3, 1), *same(1))
    before = {"a": 2.9, "b": 1.1}
    assert allot(run.machine, Plain(), 0.0, before, eta=0.0).resources == pytest.approx(before)
    told(run, SetAgent(agent=AgentSpec(id="b", slots=5)))
    found = allot(run.machine, Plain(), 0.0, before, eta=0.0)
    assert (found.resources, found.agents) == ({"a": 3.0, "b": 5.0}, ())
    told(run, SetAgent(agent=AgentSpec(id="c", slots=2)))
    assert allot(run.machine, Plain(), 0.0, found.resources, eta=0.0).resources == {
        "a": 3.0,
        "b": 5.0,
        "c": 2.0,
    }
    kept = allot(run.machine, Plain(), 0.0, {}, eta=1.0, keep={"b"})
    assert kept.resources == {"a": 5.0, "c": 0.0}
    assert [(spec.id, spec.slots) for spec in kept.agents] == [("a", 4), ("c", 1)]
    assert kept.token_shares == pytest.approx({"a": 1 / 12 + 0.375, "b": 1 / 12 + 0.375, "c": 1 / 12})


def test_an_idle_run_is_divided_equally_and_an_empty_one_not_at_all() -> None:
    found = allot(given_to(agents(5, 1, 0)).machine, Plain(), 0.0, {}, eta=1.0)
    assert found.resources == {"a": 3.0, "b": 3.0}
    assert [(spec.id, spec.slots) for spec in found.agents] == [("a", 3), ("b", 3)]
    assert found.token_shares == {"a": 0.5, "b": 0.5}
    nothing = Allotment(resources={}, agents=(), token_shares={})
    assert allot(given_to(agents(0, 0)).machine, Plain(), 0.0, {"a": 1.0}) == nothing


@given(
    pools,
    st.lists(st.integers(0, 9), max_size=6),
    st.floats(0, 1),
    st.dictionaries(st.sampled_from(NAMES), amounts),
)
def test_an_allotment_can_be_made_and_keeps_the_total(
    slots: list[int], work: list[int], eta: float, before: dict[str, float]
) -> None:
    run = drawn(slots, work)
    machine = run.machine
    on = {agent.spec.id: agent.spec.slots for agent in machine.pool if agent.spec.slots}
    found = allot(machine, Plain(), 0.0, before, eta=eta)
    assert found.resources.keys() == found.token_shares.keys() == on.keys()
    assert conserved(found.resources, sum(on.values()))
    assert conserved(found.token_shares, 1.0)
    for spec in found.agents:
        assert spec.slots >= 1
        assert spec.slots != on[spec.id], "only what changes"
        told(run, SetAgent(agent=spec))
    told(run, Configure(changes={"token_shares": found.token_shares}))
    now = {agent.spec.id: agent.spec.slots for agent in machine.pool if agent.spec.slots}
    assert now == whole_slots(found.resources, sum(on.values()), on)
    if eta == 0 and not before:
        assert not found.agents
