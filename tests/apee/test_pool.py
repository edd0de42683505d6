"""The load balancer: most suitable, then least loaded, then fewest assigned, then first to join."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dyntaskmas_nb.apee.pool import Agent, Pool
from dyntaskmas_nb.core.settings import AgentSpec
from dyntaskmas_nb.errors import InvalidInput
from tests.strategies import ROLES

teams = st.lists(
    st.tuples(st.lists(st.sampled_from([*ROLES, "*"]), min_size=1, unique=True), st.integers(1, 3)),
    min_size=1,
    max_size=4,
)


def best(pool: Pool, role: str) -> Agent | None:
    """The law, by looking at every agent."""
    for wanted in (role, "*"):
        fit = [a for a in pool if wanted in a.spec.roles and len(a.running) < a.spec.slots]
        if fit:
            return min(fit, key=lambda a: (len(a.running) / a.spec.slots, a.assigned, a.index))
    return None


@given(teams, st.lists(st.tuples(st.booleans(), st.integers(0, 9), st.booleans()), max_size=40))
def test_pick_follows_the_law(team: list[tuple[list[str], int]], steps: list[tuple[bool, int, bool]]) -> None:
    pool = Pool()
    for number, (roles, slots) in enumerate(team):
        pool.add(AgentSpec(id=f"agent {number}", roles=tuple(roles), slots=slots))
    running: list[tuple[str, str, float]] = []
    done: dict[str, int] = dict.fromkeys(pool.agents, 0)
    for t, (start, which, completed) in enumerate(steps):
        role = ROLES[which % 2]
        agent = pool.pick(role)
        assert agent is best(pool, role)
        if start and agent:
            pool.take(agent, f"task {t}", float(t))
            running.append((agent.spec.id, f"task {t}", float(t)))
        elif running:
            id, task, _ = running.pop(which % len(running))
            pool.release(pool.agents[id], task, float(t), completed=completed)
            done[id] += completed
        for member in pool:
            assert set(member.running) == {task for id, task, _ in running if id == member.spec.id}
            assert len(member.running) <= member.spec.slots
            assert member.completed == done[member.spec.id]
            assert member.load == len(member.running) / member.spec.slots


def test_busy_seconds_are_those_between_take_and_release() -> None:
    pool = Pool()
    agent = pool.add(AgentSpec(id="a", slots=2))
    pool.take(agent, "x", 1.0)
    pool.take(agent, "y", 2.0)
    pool.release(pool.agents["a"], "x", 4.0, completed=True)
    pool.release(pool.agents["a"], "y", 2.5)
    assert (agent.busy, agent.completed, agent.assigned) == (3.5, 1, 2)


def test_an_agent_of_the_role_goes_before_one_that_takes_any() -> None:
    pool = Pool()
    pool.add(AgentSpec(id="any"))
    cook = pool.add(AgentSpec(id="cook", roles=("cook",), slots=2))
    pool.take(cook, "x", 0.0)
    picked = pool.pick("cook")
    assert picked
    assert picked.spec.id == "cook", "suitable before idle"
    assert pool.count("cook") == 2
    assert pool.count("*") == 1
    assert pool.count("waiter") == 1


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        (AgentSpec(id="a"), "already an agent 'a'"),
        (AgentSpec(id="b", roles=()), "at least one role, and slots"),
        (AgentSpec(id="b", slots=-1), "at least one role, and slots"),
    ],
)
def test_an_agent_that_cannot_join(spec: AgentSpec, words: str) -> None:
    pool = Pool()
    pool.add(AgentSpec(id="a"))
    with pytest.raises(InvalidInput, match=words):
        pool.add(spec)
    assert list(pool.agents) == ["a"]
