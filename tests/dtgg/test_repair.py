"""What a model writes becomes a valid graph or a clear reason, whatever it is."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from dyntaskmas_nb.core.task import check_task
from dyntaskmas_nb.dtgg.reading import MAX_ANSWER, Broken, Read, read_json
from dyntaskmas_nb.dtgg.repair import Repaired, repair
from dyntaskmas_nb.dtgg.schema import ID_PATTERN, plan_schema
from dyntaskmas_nb.dtgg.subtask import slug


def row(id: object, *after: object, **fields: object) -> dict[str, object]:
    whole = {
        "id": id,
        "description": f"do {id}",
        "role": "expert",
        "complexity": 2,
        "depends_on": list(after),
    }
    return {**whole, **fields}


def repaired(*rows: object) -> Repaired:
    outcome = repair({"subtasks": list(rows)}, max_tasks=24)
    assert isinstance(outcome, Repaired), outcome
    return outcome


def edges(outcome: Repaired) -> set[tuple[str, str]]:
    return {(before, after) for before, after, _ in outcome.graph.dependencies()}


def test_a_good_plan_needs_no_repair() -> None:
    outcome = repaired(row("a"), row("b", "a"), row("c", "a", "b"))
    assert outcome.repairs == ()
    assert edges(outcome) == {("a", "b"), ("a", "c"), ("b", "c")}, "transitive redundancy is left alone"
    assert outcome.graph["a"].attempts == 2


REPAIRS: list[tuple[str, list[dict[str, object]], set[tuple[str, str]], str]] = [
    (
        "id",
        [row("Find Flights"), row("go", "Find Flights")],
        {("find_flights", "go")},
        "Id 'Find Flights' became",
    ),
    ("other spelling", [row("find_flights"), row("go", "Find-Flights")], {("find_flights", "go")}, ""),
    ("number", [row(1), row(2, 1)], {("task_1", "task_2")}, "Id '1' became 'task_1'."),
    ("no latin letter", [row("航班"), row("go", "航班")], {("task_1", "go")}, "became 'task_1'"),
    ("itself", [row("a", "a")], set(), "'a' depended on itself"),
    ("stranger", [row("a", "zebra")], set(), "'zebra', which is no subtask; that was dropped"),
    ("typo", [row("flights"), row("b", "fligths")], {("flights", "b")}, "'flights' was taken instead"),
    ("two close", [row("task_11"), row("task_12"), row("b", "task_1")], set(), "that was dropped"),
    ("twice", [row("a"), row("b", "a", "A")], {("a", "b")}, "named its dependency 'a' twice"),
    ("one dependency as text", [row("a"), row("b", depends_on="a")], {("a", "b")}, ""),
    ("no dependencies", [row("a", depends_on=None)], set(), ""),
    ("extra field", [row("a", tools=["rm"])], set(), "unknown field 'tools'"),
    ("merged", [row("a"), row("a"), row("b", "a")], {("a", "b")}, "'a' was there twice"),
]


@pytest.mark.parametrize(
    ("rows", "wanted", "note"), [case[1:] for case in REPAIRS], ids=[c[0] for c in REPAIRS]
)
def test_obvious_repairs(rows: list[dict[str, object]], wanted: set[tuple[str, str]], note: str) -> None:
    outcome = repaired(*rows)
    assert edges(outcome) == wanted
    assert any(note in said for said in outcome.repairs) if note else outcome.repairs == ()
    assert all(said.endswith(".") for said in outcome.repairs)


@pytest.mark.parametrize(
    ("field", "given", "wanted"),
    [
        ("complexity", 0, 0.1),
        ("complexity", -3, 0.1),
        ("complexity", 1e9, 100.0),
        ("complexity", 10**400, 100.0),
        ("complexity", "3", 3.0),
        ("complexity", "inf", 100.0),
        ("complexity", "hard", 1.0),
        ("complexity", True, 1.0),
        ("complexity", None, 1.0),
        ("role", "", "general"),
        ("role", None, "general"),
        ("role", ["cook"], "general"),
        ("role", "x" * 99, "x" * 60),
        ("description", None, "a"),
        ("description", "\0", "a"),
        ("description", "x" * 9_999, "x" * 2_000),
        ("description", "half \ud800", "half ?"),
    ],
)
def test_fields_are_made_what_the_schema_says(field: str, given: object, wanted: object) -> None:
    outcome = repaired(row("a", **{field: given}))
    assert getattr(outcome.graph["a"], field) == wanted
    if given not in ("3", "half \ud800"):
        assert outcome.repairs


def test_the_same_id_for_different_subtasks_is_renamed_when_nobody_depends_on_it() -> None:
    outcome = repaired(row("a"), row("a", description="another"), row("a_2"), row("b", "a_2"))
    assert list(outcome.graph) == ["a", "a_3", "a_2", "b"], "an id that is there stays whose it is"
    assert edges(outcome) == {("a_2", "b")}
    assert "Id 'a' was used twice; the later subtask became 'a_3'." in outcome.repairs


BROKEN: list[tuple[str, Any, str]] = [
    ("text", "no", 'no list "subtasks"'),
    ("empty", {"subtasks": []}, "empty"),
    ("no list", {"subtasks": "a"}, 'no list "subtasks"'),
    ("not an object", {"subtasks": ["a"]}, "subtasks[0] is 'a', not an object."),
    ("no id", {"subtasks": [{"description": "x"}]}, "subtasks[0] has no usable id."),
    ("cycle", {"subtasks": [row("a", "b"), row("b", "a")]}, "cycle: "),
    (
        "ambiguous",
        {"subtasks": [row("a"), row("A", role="x"), row("b", "a")]},
        "Id 'a' is used for 2 different",
    ),
    ("too many", {"subtasks": [row(f"t{n}") for n in range(25)]}, "25 subtasks; at most 24"),
    ("far too many", {"subtasks": [row("a")] * 1_001}, "far too many"),
    ("odd dependency", {"subtasks": [row("a", {})]}, "'a' depends on an object, which is not the id"),
    ("strangers", {"subtasks": [row("a", *(f"zz{n}" for n in range(11)))]}, "More than 10 dependencies"),
]


@pytest.mark.parametrize(("value", "reason"), [case[1:] for case in BROKEN], ids=[c[0] for c in BROKEN])
def test_what_can_be_meant_two_ways_is_not_repaired(value: Any, reason: str) -> None:
    outcome = repair(value, max_tasks=24)
    assert isinstance(outcome, Broken)
    assert reason in outcome.reason


@pytest.mark.parametrize(
    "wrapped", [lambda rows: rows, lambda rows: {"tasks": rows}, lambda rows: {"plan": rows, "n": 1}]
)
def test_the_list_is_found_under_another_name(wrapped: Any) -> None:
    outcome = repair(wrapped([row("a")]), max_tasks=9)
    assert isinstance(outcome, Repaired)
    assert len(outcome.repairs) == 1


# -- any JSON whatsoever ---------------------------------------------------------------------------------

WORDS = st.sampled_from(
    ["a", "A", "b", "b ", "a_2", "flights", "fligths", "Flights!", "1", "航班", "é", "", "x" * 50]
)
SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=30) | WORDS
JSON = st.recursive(
    SCALARS, lambda part: st.lists(part, max_size=4) | st.dictionaries(WORDS | st.text(), part, max_size=4)
)
ROWS = st.fixed_dictionaries(
    {"id": WORDS | JSON},
    optional={
        "description": st.text(max_size=20) | JSON,
        "role": st.text(max_size=80) | JSON,
        "complexity": st.integers() | st.floats() | JSON,
        "depends_on": st.lists(WORDS, max_size=6) | JSON,
        "other": JSON,
    },
)
PLANS = st.builds(lambda rows: {"subtasks": rows}, st.lists(ROWS | st.just({"id": "a"}), max_size=8))
FAIR = st.builds(
    lambda rows: {
        "subtasks": [row(f"t{at}" if odd else f"T {at}", *after) for at, (odd, after) in enumerate(rows)]
    },
    st.lists(
        st.tuples(st.booleans(), st.lists(st.sampled_from([f"t{n}" for n in range(9)]), max_size=3)),
        max_size=8,
    ),
)


@given(JSON | PLANS | FAIR, st.integers(1, 6))
@example([[]], 1)
@example({"subtasks": [{"id": "task_2"}, {"id": "航"}, {"id": "c", "depends_on": ["航"]}]}, 9)
def test_any_json_gives_a_valid_graph_or_a_reason(value: Any, max_tasks: int) -> None:
    outcome = repair(value, max_tasks=max_tasks)
    if isinstance(outcome, Broken):
        said = [outcome.reason]
    else:
        said = list(outcome.repairs)
        graph = outcome.graph
        assert 1 <= len(graph) <= max_tasks
        order = {id: place for place, id in enumerate(graph.topological())}
        assert all(order[before] < order[after] for before, after, _ in graph.dependencies())
        for id, task in graph.tasks.items():
            check_task(task)
            assert re.fullmatch(ID_PATTERN, id)
            assert 0 < task.complexity <= 100
            assert task.description
    assert all(text.endswith(".") and len(text) < 600 and text.encode() for text in said)


@given(JSON | PLANS | FAIR)
def test_a_repaired_plan_needs_no_repair(value: Any) -> None:
    outcome = repair(value, max_tasks=24)
    if isinstance(outcome, Repaired):
        rows = outcome.graph.to_plan()["subtasks"]
        for entry in rows:
            del entry["attempts"]
        again = repair({"subtasks": rows}, max_tasks=24)
        assert isinstance(again, Repaired)
        assert again.repairs == ()
        assert again.graph == outcome.graph


@given(st.text())
@example("x" * 50)
@example("a\n")
def test_a_slug_is_an_id_and_stays_one(name: str) -> None:
    id = slug(name)
    if id is not None:
        assert re.fullmatch(ID_PATTERN, id)
        assert slug(id) == id


# -- from text to JSON -----------------------------------------------------------------------------------

PLAN = '{"subtasks":[{"id":"a","depends_on":[]}]}'


@pytest.mark.parametrize(
    "text",
    [
        f"```json\n{PLAN}\n```",
        f"Here is the plan:\n\n{PLAN}\n\nLet me know!",
        f'<think>{{"subtasks": []}} no, {{"id": 1}} better</think> {PLAN}',
        f"{PLAN} {{and more}}",
        "{ " * 40 + PLAN,
    ],
)
def test_the_last_plan_in_the_text_is_found(text: str) -> None:
    read = read_json(text)
    assert read == Read(value=json.loads(PLAN), repairs=("The text around the JSON was left out.",))


@pytest.mark.parametrize(
    "text", ["", "{", "no", PLAN[:-3], '{"a": NaN}', '{"a":' * 60_000, "[" * 150_000, '{"a": 1' + "0" * 5_000]
)
def test_no_json_is_said_so(text: str) -> None:
    read = read_json(text)
    outcome = repair(read.value, max_tasks=9) if isinstance(read, Read) else read
    assert isinstance(outcome, Broken)


def test_nan_is_no_json() -> None:
    assert isinstance(read_json('{"a": NaN}'), Broken)


@pytest.mark.parametrize("field", ["id", "description", "role", "complexity", "depends_on", "other"])
def test_deep_nesting_anywhere_is_survived(field: str) -> None:
    deep: Any = []
    for _ in range(5_000):
        deep = [deep]
    assert isinstance(repair({"subtasks": [row("a") | {field: deep}]}, max_tasks=9), Repaired | Broken)
    assert isinstance(repair({"subtasks": [deep]}, max_tasks=9), Broken)


def test_an_endless_answer_is_not_looked_at() -> None:
    assert isinstance(read_json(PLAN + " " * MAX_ANSWER), Broken)


@given(st.text(alphabet='{}[]",:ab1\\ \n') | st.text())
def test_any_text_is_read_or_refused(text: str) -> None:
    read = read_json(text)
    if isinstance(read, Read):
        assert isinstance(repair(read.value, max_tasks=9), Repaired | Broken)


@pytest.mark.parametrize("refuses", [False, True])
@pytest.mark.parametrize("max_tasks", [1, 24, 200])
def test_the_grammar_compiler_takes_the_schema(max_tasks: int, refuses: bool) -> None:
    from llguidance import LLMatcher

    rules = LLMatcher.grammar_from_json_schema(json.dumps(plan_schema(max_tasks, refuses)))
    assert LLMatcher.validate_grammar(rules, None) == ""


def test_the_schema_closes_every_object_and_keeps_the_order_of_keys() -> None:
    plan = plan_schema(9, True)["anyOf"][0]
    subtask = plan["properties"]["subtasks"]["items"]
    assert (
        subtask["required"]
        == ["id", "description", "role", "complexity", "depends_on"]
        == list(subtask["properties"])
    )
    assert plan["additionalProperties"] is subtask["additionalProperties"] is False
