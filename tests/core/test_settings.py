"""Settings and tasks that make no sense are refused by name."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given

from dyntaskmas_nb.core.settings import Settings, check_settings, universal_agents
from dyntaskmas_nb.core.task import Join, Task, check_task
from dyntaskmas_nb.errors import InvalidInput
from tests.strategies import tasks


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("seconds_per_unit", [0, -1, float("nan"), float("inf"), True, "1", None]),
        ("seconds_per_information", [0.0, float("-inf"), False]),
        ("seed", [1.0, True, 2**63, "x"]),
        ("agents_per_role", [0, -1, 1.5, True]),
    ],
)
def test_settings(name: str, values: list[Any]) -> None:
    check_settings(Settings())
    for value in values:
        with pytest.raises(InvalidInput, match=name.replace("seed", "The seed")):
            check_settings(Settings(**{name: value}))


def test_universal_agents() -> None:
    assert [agent.id for agent in universal_agents(2)] == ["agent 1", "agent 2"]
    for count in (0, -1, 10_001, 1.0, True, "3"):
        with pytest.raises(InvalidInput, match="number of agents"):
            universal_agents(count)  # type: ignore[arg-type]


@given(tasks())
def test_the_tasks_of_the_strategies_are_valid(task: Task) -> None:
    check_task(task)


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"id": 5}, "id must be a string, not 5"),
        ({"id": "x" * 201}, "201 characters"),
        ({"description": None}, "description must be text"),
        ({"critical": 1}, "critical must be true or false"),
        ({"attempts": True}, "attempts must be a whole number"),
        ({"attempts": 1.0}, "attempts must be a whole number"),
        ({"boost": float("inf")}, "boost must be a finite number"),
        ({"boost": -1e16}, "boost must be a finite number up to"),
        ({"timeout": -1}, "timeout must be at least 0"),
        ({"join": "all"}, "join must be all, any"),
        ({"inputs": {1: 2}}, "inputs must be JSON"),
        ({"inputs": [object()]}, "inputs must be JSON"),
    ],
)
def test_a_task_that_makes_no_sense(fields: dict[str, Any], words: str) -> None:
    with pytest.raises(InvalidInput, match=words):
        check_task(Task(**{"id": "a", **fields}))


def test_joins_need_no_more_than_there_are() -> None:
    needs = {
        (join.kind, n): join.needed(n)
        for join in (Join(), Join(kind="any"), Join(kind="first_valid"), Join(kind="k_of_n", k=2))
        for n in range(4)
    }
    assert [needs["all", n] for n in range(4)] == [0, 1, 2, 3]
    assert [needs["any", n] for n in range(4)] == [needs["first_valid", n] for n in range(4)] == [0, 1, 1, 1]
    assert [needs["k_of_n", n] for n in range(4)] == [0, 1, 2, 2]
