"""What a model writes becomes a valid graph or a clear reason, whatever it is."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dyntaskmas_nb.core.graph import TaskGraph
from dyntaskmas_nb.dtgg.repair import MAX_ANSWER, plan_schema, read_json, repair
from dyntaskmas_nb.errors import InvalidOutput


def row(id: object, *after: object, **fields: object) -> dict[str, object]:
    whole = {"id": id, "description": "x", "role": "expert", "complexity": 2, "depends_on": list(after)}
    return {**whole, **fields}


@pytest.mark.parametrize(
    ("rows", "wanted", "note"),
    [
        ([row("a"), row("b", "a"), row("c", "a", "b")], {("a", "b"), ("a", "c"), ("b", "c")}, ""),
        ([row("Find Food"), row("go", "Find-food")], {("find_food", "go")}, "Id 'Find Food' became"),
        ([row(1), row(2, 1, "1")], {("1", "2")}, ""),
        ([row("a", "a")], set(), "'a' depended on itself"),
        ([row("a", "zebra")], set(), "'zebra', which is no subtask; that was dropped"),
        ([row("a"), row("b", depends_on="a")], {("a", "b")}, ""),
        ([row("a"), row("a"), row("b", "a")], {("a", "b")}, "1 subtasks were there twice"),
    ],
)
def test_obvious_repairs(rows: list[object], wanted: set[tuple[str, str]], note: str) -> None:
    graph, repairs = repair({"subtasks": rows}, max_tasks=24)
    assert repair(rows, max_tasks=24)[0] == repair({"tasks": rows, "n": 1}, max_tasks=24)[0] == graph
    assert {(before, after) for before, after, _ in graph.dependencies()} == wanted
    assert any(note in said for said in repairs) if note else repairs == []
    assert all(task.attempts == 2 for task in graph.tasks.values())


@pytest.mark.parametrize(
    ("field", "given", "wanted"),
    [
        ("complexity", -3, 0.1),
        ("complexity", 1e9, 100),
        ("complexity", "3", 3),
        ("complexity", [10**400], 1),
        ("role", "", "general"),
        ("description", None, "a"),
    ],
)
def test_fields_are_made_what_the_schema_says(field: str, given: object, wanted: object) -> None:
    graph, repairs = repair({"subtasks": [row("a", **{field: given})]}, max_tasks=24)
    assert getattr(graph["a"], field) == wanted
    assert field in repairs[0]


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ("no", 'no list "subtasks"'),
        ({"subtasks": []}, "empty"),
        ({"subtasks": ["a"]}, r"subtasks\[0\] must be an object, not 'a'."),
        ({"subtasks": [{"id": "!"}]}, r"subtasks\[0\] has no usable id."),
        ({"subtasks": [row("a", "b"), row("b", "a")]}, "cycle: "),
        ({"subtasks": [row("a"), row("A", role="x")]}, "Id 'a' is used for different subtasks"),
        ({"subtasks": [row(f"t{n}") for n in range(25)]}, "25 subtasks; at most 24"),
        ({"subtasks": [row("a", role=["cook"])]}, r"subtasks\[0\].role"),
        ({"subtasks": [row("a", description="half \ud800")]}, "surrogate"),
    ],
)
def test_what_can_be_meant_two_ways_is_not_repaired(value: Any, reason: str) -> None:
    with pytest.raises(InvalidOutput, match=reason):
        repair(value, max_tasks=24)


WORDS = st.sampled_from(["a", "A", "b", "b ", "a_2", "Flights!", "1", "航班", "é", "", "x" * 50])
SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=30) | WORDS
JSON = st.recursive(
    SCALARS, lambda part: st.lists(part, max_size=4) | st.dictionaries(WORDS, part, max_size=4)
)
ROWS = st.fixed_dictionaries(
    {"id": WORDS | st.text() | JSON},
    optional={
        "description": JSON,
        "role": JSON,
        "complexity": JSON,
        "depends_on": st.lists(WORDS, max_size=6) | JSON,
    },
)
PLANS = st.builds(lambda rows: {"subtasks": rows}, st.lists(ROWS | st.just({"id": "a"}), max_size=8))


@given(JSON | PLANS | ROWS.map(lambda row: [row]), st.integers(1, 6))
def test_any_json_gives_a_valid_graph_that_needs_no_repair_or_a_reason(value: Any, max_tasks: int) -> None:
    try:
        graph, said = repair(value, max_tasks=max_tasks)
    except InvalidOutput as error:
        said = [str(error)]
    else:
        assert 1 <= len(graph) <= max_tasks
        assert all(0 < task.complexity <= 100 and task.description for task in graph.tasks.values())
        assert TaskGraph.from_plan(graph.to_plan()) == graph, "every task is valid, no cycle"
        assert repair(graph.to_plan(), max_tasks=max_tasks) == (graph, [])
    assert all(text.endswith(".") and len(text) < 600 and text.encode() for text in said)


PLAN = '{"subtasks":[{"id":"a","depends_on":[]}]}'


@pytest.mark.parametrize(
    "text",
    [
        f"```json\n{PLAN}\n```",
        f'<think>{{"subtasks": []}} no, {{"id": 1}} better</think> {PLAN}',
        f"{PLAN} {{and more}} as in [1] {{}}",
        "{ " * 40 + PLAN,
    ],
)
def test_the_last_plan_in_the_text_is_found(text: str) -> None:
    assert read_json(text) == (json.loads(PLAN), ["The text around the JSON was left out."])
    assert read_json(f" {PLAN}\n") == (json.loads(PLAN), [])


HOSTILE = ["", "{", "no", PLAN[:-3], '{"a":' * 30_000, "[{" * 75_000, '{"a": 1' + "0" * 5_000]


@pytest.mark.parametrize("text", [*HOSTILE, PLAN + " " * MAX_ANSWER])
def test_hostile_answers_are_refused(text: str) -> None:
    with pytest.raises(InvalidOutput):
        repair(read_json(text)[0], max_tasks=9)
    with pytest.raises(InvalidOutput, match="no JSON"):
        read_json('{"a": NaN}')


def test_deep_nesting_anywhere_is_survived() -> None:
    deep = json.loads("[" * 900 + "]" * 900)
    for field in ("id", "description", "role", "complexity", "depends_on", "other"):
        with suppress(InvalidOutput):
            repair({"subtasks": [row("a") | {field: deep}]}, max_tasks=9)


@given(st.text(alphabet='{}[]",:ab1\\ \n') | st.text())
def test_any_text_is_read_or_refused(text: str) -> None:
    with suppress(InvalidOutput):
        repair(read_json(text)[0], max_tasks=9)


@pytest.mark.parametrize("max_tasks", [1, 24, 200])
def test_the_grammar_compiler_takes_the_schema(max_tasks: int) -> None:
    from llguidance import LLMatcher

    for refuses in (False, True):
        rules = LLMatcher.grammar_from_json_schema(json.dumps(plan_schema(max_tasks, refuses)))
        assert LLMatcher.validate_grammar(rules, None) == ""
