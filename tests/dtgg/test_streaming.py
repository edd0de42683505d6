"""Subtasks are read as soon as they are written, wherever the pieces are cut; a plan replaces another."""

from __future__ import annotations

import json
from collections.abc import Iterable
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dyntaskmas_nb.core.delta import AddTask, RemoveTask
from dyntaskmas_nb.core.graph import TaskGraph
from dyntaskmas_nb.core.task import Task
from dyntaskmas_nb.dtgg.streaming import MAX_SUBTASK, SubtaskReader, supersede
from dyntaskmas_nb.dtgg.update import apply

NASTY = st.sampled_from(["}", '{"', "\\", '"', '\\"}', "]", "é\u2028", "\n", '"subtasks": [{'])
TEXT = st.lists(NASTY | st.text(max_size=3), max_size=5).map("".join)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=6,
)
ROWS = st.lists(st.dictionaries(TEXT, VALUES, max_size=3), max_size=5)


def pieces(text: str, cuts: Iterable[int]) -> list[str]:
    places = [0, *sorted(cut % (len(text) + 1) for cut in cuts), len(text)]
    return [text[start:end] for start, end in pairwise(places)]


def read(chunks: Iterable[str]) -> list[dict[str, Any]]:
    reader = SubtaskReader()
    return [row for chunk in chunks for row in reader.feed(chunk)]


@given(
    ROWS,
    st.booleans(),
    st.sampled_from([None, 1]),
    st.sampled_from(["", "Sure [1]:\n"]),
    st.lists(st.integers(0)),
)
def test_any_cutting_of_any_plan_gives_its_subtasks(
    rows: list[dict[str, Any]], ascii_only: bool, indent: int | None, before: str, cuts: list[int]
) -> None:
    text = before + json.dumps({"subtasks": rows, "more": [{}]}, ensure_ascii=ascii_only, indent=indent)
    assert read(pieces(text, cuts)) == read(text) == read([text]) == rows


@given(
    st.lists(NASTY | st.sampled_from(['{"subtasks":[', "{}", ",", "{", "NaN", "[", " "]), max_size=20).map(
        "".join
    ),
    st.lists(st.integers(0)),
)
def test_what_is_no_plan_is_cut_the_same(text: str, cuts: list[int]) -> None:
    assert read(pieces(text, cuts)) == read([text])


def test_a_subtask_comes_with_its_last_brace_and_not_later() -> None:
    reader = SubtaskReader()
    text = '{"subtasks":[{"id":"a","depends_on":[]},{"id":"b"}]}'
    found = [len(reader.feed(letter)) for letter in text]
    assert [at for at, count in enumerate(found) if count] == [text.index("]}") + 1, text.rindex('"}') + 1]


@pytest.mark.parametrize("step", [1, 100, 10**6])
def test_what_is_too_long_or_no_object_ends_the_reading(step: int) -> None:
    long = {"id": "x" * MAX_SUBTASK}
    for second in (long, 7, [{"id": "c"}]):
        text = json.dumps({"subtasks": [{"id": "a"}, second, {"id": "b"}]})
        assert read(text[at : at + step] for at in range(0, len(text), step)) == [{"id": "a"}]
    late = "so " * MAX_SUBTASK + '{"subtasks": [{"id": "a"}]}'
    assert read(late[at : at + step] for at in range(0, len(late), step)) == []
    assert read(['{"task": "x", "subtasks": [{"id": "draft"}]}']) == []
    reader = SubtaskReader()
    for piece in ['{"subtasks": [{"id": "', *["x" * 1_000] * 99]:
        reader.feed(piece)
    assert len(reader._text) < 2 * MAX_SUBTASK, "what will not be read is not kept"


def graph(text: str) -> TaskGraph:
    """ "a b<a c<a,b*" : a, then b after a, then c (described otherwise) after both."""
    tasks, edges = [], []
    for word in text.split():
        id, _, after = word.partition("<")
        tasks.append(Task(id=id.rstrip("*"), description="other" if "*" in id else ""))
        edges += [(before, id.rstrip("*"), 0.0) for before in after.split(",") if before]
    return TaskGraph.of(tasks, edges)


def shown(graph: TaskGraph) -> str:
    return " ".join(
        id
        + "*" * bool(graph[id].description)
        + "<" * bool(graph.after(id))
        + ",".join(sorted(graph.after(id)))
        for id in sorted(graph)
    )


@pytest.mark.parametrize(
    ("old", "new", "present", "fixed", "spent", "wanted"),
    [
        ("", "a b<a", "", "", "", "a b<a"),
        ("a", "a b<a", "a", "", "", "a b<a"),
        ("a", "a b<a", "a b*", "", "", "a b* b~2<a"),  # somebody has a task of that name
        ("", "b b~2 c<b", "b*", "", "", "b* b~2 b~3 c<b~3"),
        ("a b<a", "a b<a c<b", "a b", "", "", "a b c<b"),  # somebody removed a dependency,
        ("a b", "a b<a", "a b<a", "", "", "a b<a"),  # or added the one that was to come,
        ("a b<a", "a b<a c<b,a", "a", "", "", "a c<a"),  # or removed a task
        ("a b", "a* c", "a b mine<b", "", "", "a* c mine"),
        ("a b<a c<b", "a d<a", "a b<a c<b", "a", "", "a d<a"),  # what is done is used again
        ("a b<a c<b", "x d<x", "a b<a c<b", "a b", "", "a b<a d<x x"),
        ("a b<a", "a* b<a", "a b<a", "a b", "", "a a~2* b<a b~2<a~2"),  # same name, other work
        ("a b<a", "a b<a", "a b<a", "a", "b", "a b~2<a"),  # what failed is tried anew
        ("a", "a b", "a b*", "a b", "", "a b* b~2"),  # somebody's task runs
    ],
)
def test_a_plan_supersedes_another(
    old: str, new: str, present: str, fixed: str, spent: str, wanted: str
) -> None:
    now = graph(present)
    delta, notes = supersede(graph(old), graph(new), now, fixed=fixed.split(), spent=spent.split())
    apply(now, delta)
    assert shown(now) == wanted
    assert len(notes) == len({id for id in now if "~" in id} - set(graph(new)))


@st.composite
def graphs(draw: st.DrawFn) -> TaskGraph:
    names = draw(st.permutations("abcde"))[: draw(st.integers(0, 5))]
    pairs = [
        f"{v}"
        + "*" * draw(st.booleans())
        + "<" * (n > 0)
        + ",".join(draw(st.sets(st.sampled_from(names[:n]))) if n else ())
        for n, v in enumerate(names)
    ]
    return graph(" ".join(pairs))


@given(graphs(), graphs(), st.sets(st.sampled_from("abcde")))
def test_untouched_by_others_it_is_the_new_plan_and_what_is_fixed_stays(
    old: TaskGraph, new: TaskGraph, ids: set[str]
) -> None:
    fixed = {id for id in ids if id in old} | old.ancestors(id for id in ids if id in old)
    now = old.copy()
    apply(now, supersede(old, new, now)[0])
    assert now == new
    now = old.copy()
    apply(now, AddTask(task=Task(id="mine")))
    apply(now, supersede(old, new, now, fixed=fixed)[0])
    assert all(now[id] == old[id] and now.after(id) == old.after(id) for id in fixed)
    assert len(now) == 1 + len(fixed) + sum(id not in fixed or f"{id}~2" in now for id in new)
    apply(now, RemoveTask(id="mine"))
