"""How soon a role is needed again, counted in steps of the graph."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dyntaskmas_nb.apee.hints import HORIZON, steps_to_next_use
from dyntaskmas_nb.core.graph import TaskGraph
from dyntaskmas_nb.core.settings import universal_agents
from dyntaskmas_nb.core.task import Task
from tests.apee.driving import Driver
from tests.strategies import graphs


def plan(**roles: tuple[str, str]) -> TaskGraph:
    """task=("role", "its predecessors")."""
    rows: list[dict[str, Any]] = [
        {"id": id, "role": role, "depends_on": before.split()} for id, (role, before) in roles.items()
    ]
    return TaskGraph.from_plan({"subtasks": rows})


@pytest.mark.parametrize(
    ("role", "steps"),
    [
        ("scout", 1),  # b ends with the first step, then d can begin
        ("writer", 2),  # e waits for d, f for c and e
        ("editor", 3),
        ("cook", None),  # runs now, and is not needed again
        ("nobody", None),
    ],
)
def test_steps_are_those_before_a_task_of_the_role_can_begin(role: str, steps: int | None) -> None:
    graph = plan(
        a=("cook", ""),
        b=("scout", ""),
        c=("reader", "a"),
        d=("scout", "b"),
        e=("writer", "d"),
        f=("editor", "c e"),
    )
    driver = Driver(graph, universal_agents(2))
    assert set(driver.running) == {"a", "b"}
    assert steps_to_next_use(driver.machine, role) == steps


def test_a_ready_task_is_needed_at_once() -> None:
    driver = Driver(plan(a=("cook", ""), b=("cook", "")), universal_agents(1))
    assert len(driver.running) == 1
    assert steps_to_next_use(driver.machine, "cook") == 0


def test_a_chain_beyond_the_horizon_counts_as_not_needed() -> None:
    rows = {f"t{n}": (f"r{n}", f"t{n - 1}" if n else "") for n in range(HORIZON + 3)}
    driver = Driver(plan(**rows), universal_agents(1))
    found = [steps_to_next_use(driver.machine, f"r{n}") for n in range(HORIZON + 3)]
    assert found == [None, *range(1, HORIZON + 1), None, None]


def with_role(id: str) -> st.SearchStrategy[Task]:
    return st.builds(Task, id=st.just(id), role=st.sampled_from(("cook", "scout", "poet")))


@given(graphs(min_size=2, max_size=8, task=with_role))
def test_it_is_the_longest_chain_of_what_is_not_done(graph: TaskGraph) -> None:
    """Against the definition written out by recursion."""
    driver = Driver(graph, universal_agents(2))
    machine = driver.machine
    roles = {task.role for task in machine.graph.tasks.values()}

    def begins(id: str) -> int:
        if id in driver.running or id in machine.queue:
            return 0
        return 1 + max((begins(before) for before in machine.graph.predecessors(id)), default=99)

    for role in roles:
        wanted = [
            begins(id)
            for id, task in machine.graph.tasks.items()
            if task.role == role and id not in driver.running
        ]
        possible = [steps for steps in wanted if steps <= HORIZON]
        assert steps_to_next_use(machine, role) == min(possible, default=None)
