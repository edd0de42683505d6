"""Ω: which configurations are looked at, that they are few, and that what is somebody else's stays so."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace
from itertools import pairwise
from random import Random

import pytest
from hypothesis import given
from hypothesis import settings as profile
from hypothesis import strategies as st

from dyntaskmas_nb.apee.forecast import twin_of
from dyntaskmas_nb.apee.machine import Machine
from dyntaskmas_nb.apee.simulate import Simulator
from dyntaskmas_nb.awm.configuration import (
    DEARER,
    MOST,
    STAY,
    Scope,
    commands,
    generate_candidates,
    together,
)
from dyntaskmas_nb.awm.estimate import Estimates, Expected
from dyntaskmas_nb.awm.monitor import Monitor
from dyntaskmas_nb.awm.optimise import Optimiser, under_way
from dyntaskmas_nb.core.command import CancelTask, Configure, RetryTask, SetAgent
from dyntaskmas_nb.core.event import (
    Candidate,
    CommandRejected,
    CommandSubmitted,
    DeltaSubmitted,
    RunStarted,
    TaskDone,
)
from dyntaskmas_nb.core.graph import TaskGraph
from dyntaskmas_nb.core.settings import Adaptation, AgentSpec, Settings, universal_agents
from dyntaskmas_nb.core.task import Task
from dyntaskmas_nb.dtgg.update import as_delta

#: No more than these whatever the run: as it is, settings, moves, agents, shared slots.
BOUND = 1 + 7 + len(DEARER) + (MOST + 1) + (3 + MOST + 1) + 1


@dataclass(frozen=True)
class Standing:
    """A run under way: its machine at time `t`, and what is known of it by then."""

    machine: Machine
    estimates: Estimates
    t: float

    @property
    def expected(self) -> Expected:
        return Expected(self.estimates, 0, under_way(self.machine, self.t))

    def candidates(self, scope: Scope = Scope()) -> dict[str, Candidate]:
        found = generate_candidates(self.machine, self.expected, self.t, scope)
        assert found[0] is STAY
        named = {one.name: one for one in found}
        assert len(named) == len(found), "each has a name of its own"
        return named

    def takes(self, candidate: Candidate) -> bool:
        """Whether a copy of the machine takes all commands of a candidate."""
        twin = twin_of(self.machine)
        for command in commands(candidate, self.machine):
            twin.step(CommandSubmitted(self.t, 0, command))
        return not any(isinstance(event, CommandRejected) for event in twin.log)


def standing(
    t: float,
    tasks: Sequence[Task] | TaskGraph,
    pace: Callable[[Task, str, float], float] = lambda task, agent, t: 1.0,
    agents: Sequence[AgentSpec] = universal_agents(3),
    settings: Settings = Settings(),
    fails: Callable[[Task, int, str], bool] = lambda task, number, agent: False,
) -> Standing:
    """Where a run stands at `t`, a task taking `pace` seconds a unit."""
    graph = tasks if isinstance(tasks, TaskGraph) else TaskGraph.of(tasks)
    machine = Machine("run")

    def attempt(task: Task, number: int, agent: str) -> tuple[float, bool]:
        now = machine.log[-1].t
        return task.complexity * pace(task, agent, now), not fails(task, number, agent)

    simulator = Simulator(machine, attempt)
    simulator.submit([RunStarted(0.0, "", settings, tuple(agents)), DeltaSubmitted(0.0, 0, as_delta(graph))])
    simulator.run(until=t)
    monitor = Monitor()
    monitor.catch_up(machine.log)
    return Standing(machine, monitor.estimates, t)


def units(count: int, role: str = "general", size: float = 1.0) -> list[Task]:
    return [Task(id=f"{role} {n}", role=role, complexity=size) for n in range(count)]


def by_agent(**seconds: float) -> Callable[[Task, str, float], float]:
    """Seconds a unit by the agent's number, as in ``by_agent(_2=8.0)``."""
    return lambda task, agent, t: seconds.get(f"_{agent.split()[-1]}", 1.0)


def stuck() -> Standing:
    """Agent 2 got 8 times slower after 6 s, and has worked on a long task for a while."""

    def pace(task: Task, agent: str, t: float) -> float:
        return 8.0 if agent == "agent 2" and t >= 6 else 1.0

    return standing(13.5, [*units(22), *units(12, size=2.0, role="long")], pace)


# -- which -----------------------------------------------------------------------------------------------


def test_where_all_is_as_expected_nothing_is_routed_ranked_or_moved() -> None:
    there = standing(5.5, units(40)).candidates()
    assert there.keys() == {
        "as it is",
        "rank by fifo",
        "rank by as_printed",
        "without agent 1",
        "without agent 2",
    }


def test_before_anything_was_learned_there_is_little_to_try() -> None:
    assert not standing(0.0, units(4)).estimates.roles()
    names = standing(0.0, units(4)).candidates().keys()
    assert not any("measured" in name or "move" in name for name in names)


def test_a_slow_agent_is_routed_around_relieved_and_left_out() -> None:
    here = stuck()
    there = here.candidates()
    table = there["route by measured pace"].settings
    assert table["routing"] == "frozen"
    paces = {agent: entry["log_mean"] for agent, entry in table["routing_table"]["general"].items()}
    assert max(paces, key=paces.__getitem__) == "agent 2"
    assert there["without agent 2"].agents == (AgentSpec(id="agent 2", slots=0),)
    (move,) = [one for one in there.values() if one.rerun]
    (id,) = move.rerun
    assert here.machine.records[id].agent == "agent 2"
    assert move.settings["pins"][id] in ("agent 1", "agent 3")
    assert commands(move, here.machine) == [Configure(changes=move.settings), RetryTask(id=id)]


def test_a_slow_role_is_ranked_again() -> None:
    tasks = [task for pair in zip(units(9, "slow"), units(9, "quick"), strict=True) for task in pair]
    here = standing(9.5, tasks, lambda task, agent, t: 3.0 if task.role == "slow" else 0.5)
    rates = here.candidates()["rank by measured pace"].settings["rates"]
    assert rates == {"slow": pytest.approx(3.0, rel=0.1), "quick": pytest.approx(0.5, rel=0.1)}
    ranked = standing(9.5, tasks, lambda task, agent, t: 3.0 if task.role == "slow" else 0.5,
                      settings=Settings(rates=rates))  # fmt: skip
    assert "rank by measured pace" not in ranked.candidates(), "it is what is set already"


def test_one_more_attempt_is_tried_where_some_have_failed() -> None:
    assert "one more attempt" not in standing(4.5, units(20)).candidates()
    failing = standing(
        4.5, [Task(id=f"{n}", attempts=3) for n in range(20)], fails=lambda task, number, _: number < 2
    )
    assert failing.candidates()["one more attempt"].settings == {"extra_attempts": 1}


def test_the_way_back_is_tried_as_well() -> None:
    here = standing(5.5, units(40), settings=Settings(policy="fifo", routing="frozen"))
    there = here.candidates(Scope(off=(AgentSpec(id="agent 9", slots=4),)))
    assert there["rank by upward_rank"].settings == {"policy": "upward_rank"}
    assert there["route by load alone"].settings == {"routing": "off"}
    assert there["with agent 9 again"].agents == (AgentSpec(id="agent 9", slots=4),)


def test_where_cost_matters_dear_agents_are_used_less() -> None:
    here = standing(5.5, units(40))
    for name, cost in (("agent 1", 10.0), ("agent 2", 1.0), ("agent 3", 1.0)):
        here.estimates.observe("general", name, 1.0, 1.0, cost=cost * 9)
    assert not any(name.startswith("dear") for name in here.candidates())
    here.machine.settings = replace(here.machine.settings, awm=Adaptation(deadline=30.0))
    dear = {name: one for name, one in here.candidates().items() if name.startswith("dear")}
    assert len(dear) == len(DEARER)
    for one in dear.values():
        assert here.takes(one)
        means = {
            agent: entry["log_mean"] for agent, entry in one.settings["routing_table"]["general"].items()
        }
        assert means["agent 1"] > means["agent 2"] == means["agent 3"]


def test_a_rule_of_the_users_own_is_not_replaced() -> None:
    here = standing(5.5, units(40))
    here.machine.settings = Settings(policy="custom")
    assert not any("policy" in one.settings for one in here.candidates().values())


def test_agents_are_hired_up_to_as_many_as_are_allowed() -> None:
    here = standing(2.5, units(20))
    assert not any("hire" in name for name in here.candidates())
    assert not any("hire" in name for name in here.candidates(Scope(most_agents=3)))
    assert here.candidates(Scope(most_agents=4))["hire agent 4"].agents == (AgentSpec(id="agent 4"),)
    named = standing(2.5, units(20), agents=[AgentSpec(id="agent 2"), AgentSpec(id="x")])
    assert "hire agent 3" in named.candidates(Scope(most_agents=9)), "under a name that is free"


def test_the_only_agent_is_not_left_out() -> None:
    here = standing(2.5, units(9), agents=[AgentSpec(id="one"), AgentSpec(id="off", slots=0)])
    assert not any(one.agents for one in here.candidates().values())


# -- what is not to be touched ---------------------------------------------------------------------------


@pytest.mark.parametrize("name", [part.name for part in fields(Settings)])
def test_settings_that_are_kept_are_in_no_candidate(name: str) -> None:
    here = standing(13.5, [*units(22), *units(12, size=2.0, role="long")], by_agent(_2=8.0),
                    settings=Settings(policy="fifo", routing="on"))  # fmt: skip
    free, kept = here.candidates(), here.candidates(Scope(keep=frozenset({name})))
    assert not any(name in one.settings for one in kept.values())
    assert kept.keys() >= {key for key, one in free.items() if name not in one.settings}, "and nothing else"


def test_agents_and_what_runs_are_left_alone_where_they_are_to_be_kept() -> None:
    here = stuck()
    scope = Scope(
        keep=frozenset({"agents"}), off=(AgentSpec(id="z"),), most_agents=9, shared=(AgentSpec(id="z"),)
    )
    assert not any(one.agents for one in here.candidates(scope).values())
    assert any(one.rerun for one in here.candidates(scope).values())
    for keep in ("rerun", "pins"):
        there = here.candidates(Scope(keep=frozenset({keep})))
        assert not any(one.rerun or "pins" in one.settings for one in there.values())
    scope = Scope(keep=frozenset({"agent 2", "z"}), off=(AgentSpec(id="z"),))
    touched = {spec.id for one in here.candidates(scope).values() for spec in one.agents}
    assert touched == {"agent 1", "agent 3"}, "an agent that the user set stays as it is"


def test_what_is_pinned_is_not_moved_and_stays_pinned() -> None:
    here = stuck()
    (move,) = [one for one in here.candidates().values() if one.rerun]
    (id,) = move.rerun
    for pins in ({id: "agent 2"}, {id: "nobody"}):
        here.machine.settings = Settings(pins=pins)
        assert not any(one.rerun for one in here.candidates().values())
    here.machine.settings = Settings(pins={"other": "agent 3"})
    (move,) = [one for one in here.candidates().values() if one.rerun]
    assert move.settings["pins"].keys() == {"other", id}
    assert move.settings["pins"]["other"] == "agent 3"


def test_what_is_being_stopped_is_not_moved() -> None:
    here = stuck()
    (move,) = [one for one in here.candidates().values() if one.rerun]
    here.machine.step(CommandSubmitted(here.t, 1, CancelTask(id=move.rerun[0])))
    assert not any(one.rerun for one in here.candidates().values())


def test_a_role_that_nobody_else_takes_is_not_moved() -> None:
    specs = [AgentSpec(id="agent 1", roles=("a",)), AgentSpec(id="agent 2", roles=("b",))]
    tasks = [*units(19, "a"), *units(9, "b")]
    here = standing(9.5, tasks, lambda task, agent, t: 8.0 if agent == "agent 2" and t > 4 else 1.0, specs)
    there = here.candidates()
    assert not any(one.rerun for one in there.values())
    assert [here.takes(one) for name, one in there.items() if "without" in name] == [False, False]


# -- bounds and laws -------------------------------------------------------------------------------------


@given(
    st.integers(0, 10_000), st.integers(2, 40), st.integers(1, 4), st.sampled_from(["off", "on", "frozen"])
)
@profile(max_examples=25)
def test_they_are_few_and_the_machine_takes_them_or_the_optimiser_drops_them(
    seed: int, agents: int, roles: int, routing: str
) -> None:
    draw = Random(seed)
    specs = [
        AgentSpec(
            id=f"agent {n}", slots=draw.randint(0, 3), roles=draw.choice([("*",), ("r0",), ("r0", "r1")])
        )
        for n in range(agents)
    ]
    specs.append(AgentSpec(id="agent last"))
    tasks = [
        Task(
            id=f"t{n}", role=f"r{draw.randrange(roles)}", complexity=draw.choice([0.0, 0.5, 2.0]), attempts=3
        )
        for n in range(120)
    ]
    edges = [(f"t{u}", f"t{v}", 0.0) for u, v in pairwise(sorted(draw.sample(range(120), 40)))]
    speed = {spec.id: draw.choice([0.2, 1.0, 9.0]) for spec in specs}
    broken = {spec.id for spec in specs if draw.random() < 0.2}
    here = standing(
        draw.uniform(0.0, 12.0),
        TaskGraph.of(tasks, edges),
        lambda task, agent, t: speed[agent] * (1 if t < 4 else 6),
        specs,
        Settings(routing=routing, policy=draw.choice(["fifo", "upward_rank"])),  # type: ignore[arg-type]
        lambda task, number, agent: agent in broken and number < 3,
    )
    off = tuple(AgentSpec(id=f"gone {n}") for n in range(50))
    there = here.candidates(Scope(off=off, most_agents=99, shared=(AgentSpec(id="agent last", slots=2),)))
    assert 1 < len(there) <= BOUND
    accepted = {name for name, one in there.items() if here.takes(one)}
    assert "as it is" in accepted
    judged = judged_by(here, [*there.values()][:9])
    assert {one.name for one in judged} >= accepted & set([*there][:9])
    assert not {one.name for one in judged} & (there.keys() - accepted)


def judged_by(here: Standing, candidates: Sequence[Candidate]) -> list[Candidate]:
    work = Optimiser(here.machine, here.estimates, here.t, Adaptation()).optimise(candidates)
    while True:
        try:
            next(work)
        except StopIteration as end:
            return list(end.value[0])


def test_many_stuck_tasks_are_no_more_candidates() -> None:
    def pace(task: Task, agent: str, t: float) -> float:
        return 6.0 if int(agent.split()[1]) <= 6 else 1.0

    here = standing(25.5, units(900), pace, universal_agents(24))
    there = here.candidates()
    single = [one for one in there.values() if len(one.rerun) == 1]
    assert len(single) == MOST
    (joint,) = [one for one in there.values() if len(one.rerun) > 1]
    assert set(joint.rerun) == {one.rerun[0] for one in single}
    assert joint.settings["pins"] == {id: pin for one in single for id, pin in one.settings["pins"].items()}
    assert here.takes(joint)


def test_taken_together_the_first_wins_and_pins_add_up() -> None:
    one, other = AgentSpec(id="a", slots=2), AgentSpec(id="a", slots=0)
    parts = [
        Candidate(name="p", settings={"policy": "fifo", "pins": {"x": "a", "z": "a"}}, rerun=("x",)),
        Candidate(name="q", settings={"policy": "random"}, agents=(one,)),
        Candidate(name="r", agents=(other,)),
        Candidate(name="s", settings={"pins": {"y": "b", "z": "b"}}, rerun=("y", "x")),
    ]
    joint = together(parts)
    assert joint.settings == {"policy": "fifo", "pins": {"x": "a", "y": "b", "z": "a"}}
    assert (joint.agents, joint.rerun) == ((one,), ("x", "y"))
    assert joint.name == "p + q + s", "r has nothing to add"
    assert together([]) == Candidate(name="")


def test_the_commands_make_it_so() -> None:
    here = stuck()
    spec = AgentSpec(id="agent 3", slots=2)
    candidate = Candidate(name="all", settings={"policy": "fifo"}, agents=(spec,))
    assert commands(candidate, here.machine) == [Configure(changes={"policy": "fifo"}), SetAgent(agent=spec)]
    assert commands(STAY, here.machine) == []
    twin = twin_of(here.machine)
    for command in commands(candidate, here.machine):
        twin.step(CommandSubmitted(here.t, 0, command))
    assert (twin.settings.policy, twin.pool.agents["agent 3"].spec) == ("fifo", spec)
    assert here.machine.settings.policy == "upward_rank"


def test_what_has_ended_or_moved_by_then_is_not_run_again() -> None:
    """Between a proposal and its acceptance a run goes on."""
    here = stuck()
    (move,) = [one for one in here.candidates().values() if one.rerun]
    (id,) = move.rerun
    record = here.machine.records[id]
    elsewhere = replace(move, settings={"pins": {id: record.agent}})
    assert not any(isinstance(command, RetryTask) for command in commands(elsewhere, here.machine))
    here.machine.step(TaskDone(here.t, id, record.attempt, None))
    assert record.state == "done"
    assert commands(move, here.machine) == [Configure(changes=move.settings)]
