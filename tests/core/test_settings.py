"""Settings and tasks that make no sense are refused by name."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given

from dyntaskmas_nb.core.settings import Adaptation, Settings, check_settings, configured, universal_agents
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


@pytest.mark.parametrize(
    ("name", "good", "bad"),
    [
        (
            "rates",
            [{}, {"cook": 0.01}],
            [{"cook": 0}, {"cook": -1}, {"cook": math.inf}, {"": 1}, {1: 1}, [], None],
        ),
        ("token_shares", [{"a": 1}, {"a": 1e-9}], [{"a": 0}, {"a": 1.01}, {"a": "1"}, {"a": True}, "a"]),
        ("pins", [{}, {"t": "a"}], [{"t": ""}, {"t": 1}, {"": "a"}, {"t" * 201: "a"}, {"t": None}, ["t"]]),
        ("extra_attempts", [0, 9], [-1, 1.0, True, "1", None]),
    ],
)
def test_settings_that_the_awm_may_change(name: str, good: list[Any], bad: list[Any]) -> None:
    for value in good:
        check_settings(Settings(**{name: value}))
        assert getattr(configured(Settings(), {name: value}), name) == value
    for value in bad:
        with pytest.raises(InvalidInput, match=name):
            check_settings(Settings(**{name: value}))
        with pytest.raises(InvalidInput, match=name):
            configured(Settings(), {name: value})


@pytest.mark.parametrize(
    ("name", "good", "bad"),
    [
        ("mode", ["off", "advise", "auto"], ["on", "", None, True]),
        ("every", [0, 5], [-1, 1.5, True]),
        ("cooldown", [0, 5], [-1, 1.5]),
        ("most_agents", [0, 5], [-1, "3"]),
        ("least_gain", [0, 0.5, 2.0], [-0.1, math.nan, "1"]),
        ("cost_weight", [0, 3.5], [-1, math.inf, None]),
        ("deadline", [None, 0.5], [0, -1, math.nan, "1"]),
        ("keep", [(), ("policy", "agents", "rerun")], ["policy", (1,), ("",)]),
        ("weights", [{}, {"a": 0.5}], [{"a": 0}, {"a": -1}, {1: 1}, None]),
    ],
)
def test_how_a_run_is_adapted(name: str, good: list[Any], bad: list[Any]) -> None:
    for value in good:
        found = configured(Settings(), {"awm": {name: value}}).awm
        assert found == Adaptation(**{name: value})
    for value in bad:
        with pytest.raises(InvalidInput, match="awm"):
            check_settings(Settings(awm=Adaptation(**{name: value})))
        with pytest.raises(InvalidInput, match="awm"):
            configured(Settings(), {"awm": {name: value}})


def test_adaptation_by_one_word_by_fields_and_as_json() -> None:
    assert configured(Settings(), {"awm": "auto"}).awm == Adaptation(mode="auto")
    kept = configured(Settings(), {"awm": {"mode": "advise", "keep": ["policy"]}})
    assert configured(kept, {"awm": "auto"}).awm == Adaptation(mode="auto", keep=("policy",))
    given = configured(Settings(), {"awm": {"mode": "advise", "keep": ["policy"], "weights": {"a": 2}}}).awm
    assert given == Adaptation(mode="advise", keep=("policy",), weights={"a": 2})
    for odd, words in (
        ("sometimes", "'off', 'advise' or 'auto'"),
        ({"mood": 1}, "has no 'mood'; it has mode"),
    ):
        with pytest.raises(InvalidInput, match=words):
            configured(Settings(), {"awm": odd})
    assert Settings().awm == Adaptation(mode="off"), "unless asked for it does nothing"


def test_a_setting_for_each_of_too_many_is_refused() -> None:
    many = {f"t{n}": "a" for n in range(100_001)}
    with pytest.raises(InvalidInput, match="pins maps up to 100,000 names"):
        check_settings(Settings(pins=many))
    del many["t0"]
    check_settings(Settings(pins=many))


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
