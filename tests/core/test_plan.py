"""The plan file: round trips, and one clear error for every way in which a plan can be wrong."""

from __future__ import annotations

import itertools
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dyntaskmas_nb.core.graph import TaskGraph
from dyntaskmas_nb.core.task import Join, Resource
from dyntaskmas_nb.errors import CycleError, InvalidInput
from tests.strategies import graphs, json_values

FIELDS = (
    "id description role complexity boost critical resources timeout attempts join inputs "
    "depends_on information"
)


@given(graphs(min_size=1))
def test_a_plan_reads_back_as_the_same_graph(graph: TaskGraph) -> None:
    plan = graph.to_plan()
    assert TaskGraph.from_plan(plan) == graph
    assert TaskGraph.from_plan(orjson.loads(orjson.dumps(plan))) == graph
    assert TaskGraph.from_plan(plan).to_plan() == plan


def test_the_fields_of_a_subtask() -> None:
    plan = {
        "task": "Lunch",
        "subtasks": [
            {"id": 1},
            {
                "id": "eat",
                "description": "Eat",
                "role": "guest",
                "complexity": 2,
                "boost": 1,
                "critical": False,
                "timeout": 5,
                "attempts": 3,
                "resources": ["table", {"key": "salt", "exclusive": False}],
                "join": {"kind": "k_of_n", "k": 1},
                "inputs": {"n": 1},
                "depends_on": [1],
                "information": {"1": 0.5},
                "note": "fields that nobody knows are left alone",
            },
        ],
    }
    graph = TaskGraph.from_plan(plan)
    eat = graph["eat"]
    assert graph.title == "Lunch"
    assert (eat.complexity, eat.boost, eat.critical, eat.timeout, eat.attempts) == (2.0, 1.0, False, 5.0, 3)
    assert eat.resources == (Resource(key="table"), Resource(key="salt", exclusive=False))
    assert eat.join == Join(kind="k_of_n", k=1)
    assert eat.inputs == {"n": 1}
    assert graph.after("eat") == {"1": 0.5}
    assert graph["1"].role == "general"


near_subtask = st.fixed_dictionaries(
    {},
    optional={
        name: json_values | st.sampled_from(["a", ["a"], ["b"], 1, {"a": 1}]) for name in FIELDS.split()
    },
)
near_plan = st.fixed_dictionaries(
    {"subtasks": st.lists(near_subtask | json_values, max_size=4)}, optional={"task": json_values}
)


@given(near_plan | json_values)
def test_any_json_is_a_plan_or_gets_one_clear_error(plan: Any) -> None:
    try:
        graph = TaskGraph.from_plan(plan)
    except InvalidInput as error:
        complaint = str(error)
    else:
        assert TaskGraph.from_plan(graph.to_plan()) == graph
        return
    assert complaint
    assert "\n" not in complaint
    assert len(complaint) < 1_000


def nest(depth: int) -> list[Any]:
    inner: list[Any] = []
    for _ in range(depth):
        inner = [inner]
    return inner


@pytest.mark.parametrize(
    ("plan", "words"),
    [
        (None, "A plan is an object"),
        ([], "not a list"),
        ({}, '"subtasks" must be a list, not missing'),
        ({"subtasks": {}}, '"subtasks" must be a list, not an object'),
        ({"subtasks": []}, "at least one subtask"),
        ({"subtasks": [None]}, r"subtasks\[0\] must be an object, not missing"),
        ({"subtasks": [{}]}, r"subtasks\[0\]\.id: field required"),
        ({"subtasks": [{"id": ""}]}, "id is empty"),
        ({"subtasks": [{"id": " a"}]}, "leading"),
        ({"subtasks": [{"id": "a\nb"}]}, "unprintable"),
        ({"subtasks": [{"id": True}]}, r"subtasks\[0\]\.id"),
        ({"subtasks": [{"id": 10**5000}]}, r"subtasks\[0\]\.id"),
        ({"subtasks": [{"id": nest(1200)}]}, r"subtasks\[0\]\.id"),
        ({"subtasks": [{"id": "a"}, {"id": "a"}]}, "'a' is used twice"),
        ({"subtasks": [{"id": "a", "complexity": "two"}]}, r"subtasks\[0\]\.complexity"),
        ({"subtasks": [{"id": "a", "complexity": -1}]}, "complexity must be at least 0"),
        ({"subtasks": [{"id": "a", "complexity": float("nan")}]}, "finite number"),
        ({"subtasks": [{"id": "a", "complexity": 10**400}]}, r"subtasks\[0\]\.complexity"),
        ({"subtasks": [{"id": "a", "complexity": 1e300}]}, "complexity must be a finite number up to"),
        ({"subtasks": [{"id": "a", "attempts": 0}]}, "attempts must be a whole number"),
        ({"subtasks": [{"id": "a", "timeout": 0}]}, "timeout must be more than 0"),
        ({"subtasks": [{"id": "a", "role": " "}]}, "role is empty"),
        ({"subtasks": [{"id": "a", "complexty": 1}]}, "Did you mean 'complexity'"),
        ({"subtasks": [{"id": "a", "join": "most"}]}, "join must be all, any"),
        ({"subtasks": [{"id": "a", "join": {"kind": "any", "n": 1}}]}, r"subtasks\[0\]\.join"),
        ({"subtasks": [{"id": "a", "join": {"kind": nest(1200)}}]}, "join"),
        ({"subtasks": [{"id": "a", "resources": [{"name": "x"}]}]}, r"subtasks\[0\]\.resources"),
        ({"subtasks": [{"id": "a", "resources": [{"key": 5}]}]}, "resource key must be text"),
        ({"subtasks": [{"id": "a", "resources": [{}]}]}, "resource key is empty"),
        ({"subtasks": [{"id": "a", "inputs": nest(150)}]}, "inputs nests deeper than 100"),
        ({"subtasks": [{"id": "a", "inputs": {1, 2}}]}, "inputs must be JSON"),
        ({"subtasks": [{"id": "a", "inputs": 2**64}]}, "inputs must be JSON"),
        ({"subtasks": [{"id": "a", "inputs": "\ud800"}]}, "inputs must be JSON"),
        ({"subtasks": [{"id": "a", "description": "x\0"}]}, "NUL"),
        ({"subtasks": [{"id": "\ud800"}]}, "id"),
        ({"subtasks": [{"id": "a", "description": "x" * 20_001}]}, "20,001 characters"),
        ({"subtasks": [{"id": "a", "depends_on": "b"}]}, r"subtasks\[0\]\.depends_on"),
        (
            {"subtasks": [{"id": "abc"}, {"id": "b", "depends_on": ["abd"]}]},
            "no subtask of the plan. Did you mean 'abc'",
        ),
        ({"subtasks": [{"id": "a", "information": {"b": 1}}, {"id": "b"}]}, "not in its depends_on"),
        (
            {"subtasks": [{"id": "b"}, {"id": "a", "depends_on": ["b"], "information": {"b": -1}}]},
            "at least 0",
        ),
        ({"task": 5, "subtasks": [{"id": "a"}]}, '"task" must be text'),
        ({"task": "\ud800", "subtasks": [{"id": "a"}]}, '"task" holds a lone surrogate'),
    ],
)
def test_a_bad_plan_is_told_what_is_wrong(plan: Any, words: str) -> None:
    with pytest.raises(InvalidInput, match=words) as caught:
        TaskGraph.from_plan(plan)
    assert len(str(caught.value)) < 1_000


@pytest.mark.parametrize(
    ("edges", "cycle"),
    [
        ({"a": ["a"]}, {"a"}),
        ({"a": ["b"], "b": ["a"]}, {"a", "b"}),
        ({"a": [], "b": ["a", "d"], "c": ["b"], "d": ["c"], "e": ["d"]}, {"b", "c", "d"}),
    ],
)
def test_a_cycle_is_named(edges: dict[str, list[str]], cycle: set[str]) -> None:
    plan = {"subtasks": [{"id": id, "depends_on": before} for id, before in edges.items()]}
    with pytest.raises(CycleError) as caught:
        TaskGraph.from_plan(plan)
    walk = caught.value.cycle
    assert walk[0] == walk[-1]
    assert set(walk) == cycle
    assert all(before in edges[after] for before, after in itertools.pairwise(walk))
