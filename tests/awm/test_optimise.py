"""Eq. 18 and Alg. 4: what is compared is what would happen, and how much may be spent on that."""

from __future__ import annotations

import re
from collections.abc import Sequence
from statistics import fmean, pstdev

import pytest

from dyntaskmas_nb.apee import forecast
from dyntaskmas_nb.apee.forecast import preview, twin_of
from dyntaskmas_nb.apee.machine import Machine
from dyntaskmas_nb.awm import optimise
from dyntaskmas_nb.awm.configuration import STAY, Scope, commands, generate_candidates
from dyntaskmas_nb.awm.estimate import Expected
from dyntaskmas_nb.awm.optimise import FINALISTS, FUTURES, RISK, Optimiser, under_way
from dyntaskmas_nb.core.command import Configure
from dyntaskmas_nb.core.event import Candidate, CommandSubmitted, Input, TurnEnded
from dyntaskmas_nb.core.graph import TaskGraph
from dyntaskmas_nb.core.settings import Adaptation, AgentSpec, Settings, universal_agents
from dyntaskmas_nb.core.task import Task
from tests.apee.driving import written
from tests.awm.test_configuration import Standing, by_agent, standing, units
from tests.processes import printed_everywhere

approx = pytest.approx
FIFO = Candidate(name="fifo", settings={"policy": "fifo"})
LATER = Adaptation(mode="auto")


def decided(
    here: Standing, candidates: Sequence[Candidate] | None = None, aim: Adaptation = LATER
) -> tuple[list[Candidate], int, str]:
    found = list(here.candidates(Scope()).values()) if candidates is None else candidates
    work = Optimiser(here.machine, here.estimates, here.t, aim).optimise(found)
    while True:
        try:
            next(work)
        except StopIteration as end:
            judged, place, why = end.value
            return judged, place, why


def chain_and_leaves(t: float = 0.0, policy: str = "fifo") -> Standing:
    """Six leaves first, then a chain of six: whoever serves them in that order ends late."""
    tasks = [*units(6), *(Task(id=f"c{n}") for n in range(6))]
    graph = TaskGraph.of(tasks, [(f"c{n}", f"c{n + 1}", 0.0) for n in range(5)])
    here = standing(t, graph, agents=universal_agents(2), settings=Settings(policy=policy))
    for _ in range(40):
        for agent in ("agent 1", "agent 2"):
            here.estimates.observe("general", agent, 1.0, 1.0)
    return here


def one_slow(**settings: object) -> Standing:
    """The third of three agents is five times slower than the others, and it is known."""
    return standing(20.5, units(60), by_agent(_3=5.0), settings=Settings(**settings))  # type: ignore[arg-type]


# -- f ---------------------------------------------------------------------------------------------------


def test_f_is_the_simulated_time_that_is_left_as_a_preview_has_it() -> None:
    for here in (chain_and_leaves(), chain_and_leaves(2.5), one_slow(), one_slow(policy="fifo")):
        running = under_way(here.machine, here.t)
        for candidate in decided(here)[0]:
            made = [
                command for command in commands(candidate, here.machine) if isinstance(command, Configure)
            ]
            if len(made) != len(commands(candidate, here.machine)):
                continue
            ends = [
                preview(
                    here.machine, made[0] if made else None, here.t, Expected(here.estimates, future, running)
                ).after.makespan
                for future in range(candidate.seeds)
            ]
            assert candidate.makespan == approx(fmean(ends), rel=1e-12), candidate.name
            assert candidate.risk == approx(pstdev(ends), abs=1e-9)
            assert candidate.score == approx(fmean(ends) - here.t + RISK * pstdev(ends))


def test_the_better_order_is_found_and_what_it_saves() -> None:
    judged, place, why = decided(chain_and_leaves())
    assert judged[0].name == STAY.name
    assert (judged[0].makespan, judged[place].makespan) == (approx(9.0, rel=0.05), approx(7.0, rel=0.05))
    assert judged[place].settings == {"policy": "upward_rank"}
    assert re.fullmatch(r"rank by upward_rank: (2|2\.0\d*|1\.9\d*) s better, in 8 of 8 futures", why)


def test_where_nothing_would_be_better_nothing_is_chosen() -> None:
    judged, place, why = decided(chain_and_leaves(policy="upward_rank"))
    assert (place, why) == (0, "nothing that was tried would be better")
    assert all(one.seeds == 1 for one in judged), "one future is enough to see that"
    assert min(one.score for one in judged) == judged[0].score


def test_a_slow_agent_is_left_out_or_routed_around() -> None:
    here = one_slow()
    judged, place, _ = decided(here)
    best = judged[place]
    assert place
    assert "pins" in best.settings or "routing" in best.settings or best.agents
    assert best.makespan < judged[0].makespan - 1
    assert here.takes(best)


def test_a_gain_has_to_be_as_large_as_was_asked_for() -> None:
    here = chain_and_leaves()
    assert decided(here, aim=Adaptation(mode="auto", least_gain=0.2))[1]
    _, place, why = decided(here, aim=Adaptation(mode="auto", least_gain=0.25))
    assert place == 0
    assert re.fullmatch(r"rank by upward_rank would gain \S+ s, and 2.\d+ s are asked for", why)


def test_the_most_promising_are_compared_in_all_futures() -> None:
    judged, place, _ = decided(one_slow(policy="fifo"))
    fully = [one for one in judged if one.seeds == FUTURES]
    assert {judged[0].name, judged[place].name} <= {one.name for one in fully}
    assert len(fully) <= 1 + FINALISTS
    assert {one.seeds for one in judged} == {1, FUTURES}


def test_what_gains_by_chance_only_is_not_chosen() -> None:
    """Of two agents that one outcome each shows, neither is surely the slow one."""
    pace = {"general 0": 1.0, "general 1": 1.4}
    here = standing(1.5, units(12), lambda task, agent, t: pace.get(task.id, 1.0), universal_agents(2))
    without = [
        STAY,
        *(Candidate(name=f"pin {n}", settings={"pins": {f"general {n}": "agent 1"}}) for n in (5, 7)),
    ]
    _, place, why = decided(here, without)
    assert place == 0
    assert why


# -- aims ------------------------------------------------------------------------------------------------


def dear_and_cheap(dear: float = 9.0) -> Standing:
    """Agent 1 costs nine times as much as the other two."""
    here = standing(6.5, units(60))
    for agent, cost in (("agent 1", dear), ("agent 2", 1.0), ("agent 3", 1.0)):
        for _ in range(20):
            here.estimates.observe("general", agent, 1.0, 1.0, cost=cost)
    return here


def test_cost_counts_as_much_as_it_is_said_to() -> None:
    here = dear_and_cheap()
    free, place, _ = decided(here)
    assert place == 0, "without a weight only time counts"
    assert free[0].cost > 0
    assert free[0].score == approx(free[0].makespan - here.t + RISK * free[0].risk)
    judged, place, _ = decided(here, aim=Adaptation(mode="auto", cost_weight=1.0))
    assert judged[place].agents == (AgentSpec(id="agent 1", slots=0),)
    assert judged[place].cost < judged[0].cost
    assert judged[place].makespan > judged[0].makespan
    one = next(one for one in judged if one.seeds == 1)
    spent = one.cost - here.machine.cost
    assert one.score == approx(one.makespan - here.t + spent)


def test_within_a_deadline_what_costs_least_is_best_and_beyond_it_the_quickest() -> None:
    here = dear_and_cheap()
    quick = decided(here)[0][0].makespan
    for deadline, without in ((10 * quick, True), (quick + 0.5, False), (0.5 * quick, False)):
        judged, place, _ = decided(here, aim=Adaptation(mode="auto", deadline=deadline))
        assert (judged[place].agents == (AgentSpec(id="agent 1", slots=0),)) == without, deadline


def test_a_run_that_would_not_get_done_is_the_worst() -> None:
    tasks = [Task(id=f"{n}", attempts=1) for n in range(4)] + [
        Task(id=f"late {n}", timeout=1.5) for n in range(9)
    ]
    here = standing(1.5, tasks, by_agent(_2=3.0), universal_agents(2))
    pinned = Candidate(name="slow", settings={"pins": {f"late {n}": "agent 2" for n in range(9)}})
    rest = Candidate(name="quick", settings={"pins": {f"late {n}": "agent 1" for n in range(9)}})
    for _ in range(9):
        here.estimates.observe("general", "agent 2", 1.0, 3.0)
        here.estimates.observe("general", "agent 1", 1.0, 1.0)
    judged, _, _ = decided(here, [STAY, pinned, rest])
    scores = {one.name: one.score for one in judged}
    assert scores["slow"] > 5 * scores["quick"]
    assert scores["quick"] < scores["as it is"]


# -- what it does not do ---------------------------------------------------------------------------------


def test_what_the_machine_refuses_is_dropped() -> None:
    here = one_slow()
    odd = [
        Candidate(name="no such rule", settings={"policy": "best"}),
        Candidate(name="no slots", agents=(AgentSpec(id="agent 1", slots=-1),)),
    ]
    judged, place, _ = decided(here, [STAY, *odd, FIFO])
    assert [one.name for one in judged] == ["as it is", "fifo"]
    assert place == 0


@pytest.mark.parametrize("make", [chain_and_leaves, one_slow, lambda: chain_and_leaves(2.5)])
def test_the_run_itself_is_not_touched(make: object) -> None:
    here: Standing = make()  # type: ignore[operator]
    machine = here.machine

    def looks() -> object:
        records = {
            id: [getattr(record, name) for name in record.__slots__] for id, record in machine.records.items()
        }
        pool = [(a.spec, dict(a.running), a.assigned, a.completed, a.busy) for a in machine.pool]
        graph = dict(machine.graph.tasks), machine.graph.dependencies(), machine.graph.version
        queue = [id for id in machine.records if id in machine.queue]
        rest = machine.settings, machine.paused, machine.cost, machine.attempts, machine.running, queue
        ranks = {id: machine.priority(id) for id in machine.records}
        return written(machine.log), records, pool, list(graph[1]), graph[0], graph[2], rest, ranks

    before, known = looks(), dict(vars(here.estimates))
    decided(here)
    assert looks() == before
    assert vars(here.estimates) == known
    twin = twin_of(machine)
    for command in commands(FIFO, machine):
        twin.step(CommandSubmitted(here.t, 0, command))
    assert looks() == before, "a twin shares nothing that changes"


def test_the_same_state_gives_the_same_decision() -> None:
    assert decided(one_slow()) == decided(one_slow())
    base = one_slow()
    copy = Standing(twin_of(base.machine), base.estimates, base.t)
    assert decided(base) == decided(copy), "and the manager looks at a copy"


PROGRAM = """
from tests.awm.test_optimise import *
for here in (one_slow(), one_slow(policy="fifo"), chain_and_leaves(2.5), dear_and_cheap()):
    print(decided(here), decided(here, aim=Adaptation(cost_weight=0.5)))
"""


def test_the_decision_is_the_same_in_every_process() -> None:
    assert printed_everywhere(PROGRAM).count("as it is") >= 8


# -- how much it may take --------------------------------------------------------------------------------


def test_turns_are_bounded_and_what_was_found_by_then_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    here = one_slow(policy="fifo")

    def spent() -> tuple[int, tuple[list[Candidate], int, str]]:
        work = Optimiser(here.machine, here.estimates, here.t, LATER)
        steps = work.optimise(list(here.candidates().values()))
        while True:
            try:
                next(steps)
            except StopIteration as end:
                return work._turns, end.value

    turns, (full, _, _) = spent()
    one_play = 100
    for most in (0, 150, 500):
        monkeypatch.setattr(optimise, "MOST_TURNS", most)
        fewer, (judged, place, why) = spent()
        assert fewer <= most + one_play < turns
        assert judged[0].name == STAY.name
        assert 0 <= place < len(judged) <= len(full)
        assert len(judged) < len(full) or sum(one.seeds for one in judged) < sum(one.seeds for one in full)
        assert why


def test_between_two_yields_is_one_simulated_turn_or_one_copy(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever drives it can stop after each; with 1,000 tasks ahead a turn is a small part of a play."""
    here = standing(0.5, units(1_000), agents=universal_agents(8))
    slices, step, copy = [{"turns": 0, "copies": 0}], Machine.step, forecast.twin_of

    def counted(machine: Machine, event: Input) -> object:
        slices[-1]["turns"] += isinstance(event, TurnEnded)
        return step(machine, event)

    def copied(machine: Machine) -> Machine:
        slices[-1]["copies"] += 1
        return copy(machine)

    monkeypatch.setattr(Machine, "step", counted)
    monkeypatch.setattr(forecast, "twin_of", copied)
    work = Optimiser(here.machine, here.estimates, here.t, LATER)
    for _ in work.optimise([STAY, FIFO, Candidate(name="off", agents=(AgentSpec(id="agent 2", slots=0),))]):
        slices.append({"turns": 0, "copies": 0})
    assert {part["turns"] for part in slices} <= {0, 1}
    assert {part["copies"] for part in slices} <= {0, 1}
    assert sum(part["copies"] for part in slices) >= 3
    assert sum(part["turns"] for part in slices) >= 3 * 125, "eight at a time"


def test_generating_candidates_plays_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    here = one_slow()

    def never(*_: object) -> None:
        raise AssertionError("a turn was played")

    monkeypatch.setattr(Machine, "step", never)
    assert generate_candidates(here.machine, here.expected, here.t, Scope())


def test_no_configuration_is_listed_twice() -> None:
    rules = [Candidate(name=f"rule {name}", settings={"policy": name}) for name in ("upward_rank", "random")]
    judged, _, _ = decided(chain_and_leaves(), [STAY, *rules])
    assert len({one.name for one in judged}) == len(judged)
