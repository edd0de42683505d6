"""Eq. 2 and Alg. 1: the splice orders what was declared, and stops where it should."""

from __future__ import annotations

import json
from collections.abc import Collection
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dyntaskmas_nb.core.delta import ExpandTask
from dyntaskmas_nb.core.graph import TaskGraph
from dyntaskmas_nb.core.task import Join, Resource, Task, check_id
from dyntaskmas_nb.dtgg.decompose import Splitter, asking, decompose
from dyntaskmas_nb.dtgg.update import apply
from dyntaskmas_nb.errors import InvalidInput
from dyntaskmas_nb.llm.protocol import Request
from dyntaskmas_nb.llm.simulated import Simulated, constant


def big(id: str) -> Task:
    return Task(id=id, complexity=9)


def splitting(shapes: dict[str, TaskGraph]) -> Splitter:
    async def split(task: Task, depth: int, room: int) -> TaskGraph | None:
        return shapes.get(task.id)

    return split


async def split_up(task: Task, split: Splitter, taken: Collection[str] = ()) -> ExpandTask:
    delta = await decompose(task, split, taken=taken)
    assert delta is not None
    return delta


def flat(*ids: str) -> TaskGraph:
    return TaskGraph.of(map(big, ids))


def host() -> TaskGraph:
    """before → t → after."""
    return TaskGraph.of([big("before"), big("t"), big("after")], [("before", "t", 2.0), ("t", "after", 3.0)])


@st.composite
def shape(draw: st.DrawFn) -> TaskGraph:
    names = ["s0", "s1", "s2", "s3"][: draw(st.integers(2, 4))]
    pairs = [(u, v, 1.0) for n, u in enumerate(names) for v in names[n + 1 :]]
    return TaskGraph.of(map(big, names), draw(st.sets(st.sampled_from(pairs))))


@given(shape(), shape())
async def test_leaves_are_ordered_as_declared_where_they_parted(outer: TaskGraph, inner: TaskGraph) -> None:
    """An oracle that knows nothing of splicing: u before v iff their ancestors in one split are ordered."""
    delta = await split_up(big("t"), splitting({"t": outer, "t.s0": inner}))
    graph = host()
    inverse = apply(graph, delta)
    for u in delta.tasks:
        assert "before" in graph.ancestors([u.id])
        assert "after" in graph.descendants([u.id])
        for v in delta.tasks:
            (a, *inside_u), (b, *inside_v) = u.id.split(".")[1:], v.id.split(".")[1:]
            inside = a == b and inside_u
            ordered = inside_v[0] in inner.descendants(inside_u) if inside else b in outer.descendants([a])
            assert (v.id in graph.descendants([u.id]) - {u.id}) == (ordered and u is not v)
    apply(graph, inverse)
    assert graph == host()


@pytest.mark.parametrize("max_depth", [0, 1, 2, 3])
async def test_depth_is_bounded(max_depth: int) -> None:
    async def split(task: Task, depth: int, room: int) -> TaskGraph:
        assert task.id.count(".") == depth - 1 < max_depth
        return flat("x", "y")

    delta = await decompose(big("t"), split, max_depth=max_depth)
    assert len(delta.tasks if delta else ()) == (2**max_depth if max_depth else 0)
    with pytest.raises(InvalidInput, match="max_depth"):
        await decompose(big("t"), split, max_depth=-1)


async def test_an_atomic_task_stays_whole() -> None:
    async def never(task: Task, depth: int, room: int) -> TaskGraph:
        raise AssertionError(task.id)

    assert await decompose(Task(id="t", complexity=2), never) is None
    assert await decompose(Task(id="t", complexity=9, inputs={"n": 1}), never) is None
    assert await decompose(big("t"), never, is_atomic=lambda task: True) is None
    assert await decompose(big("t"), splitting({"t": flat("alone")})) is None
    assert await decompose(big("t"), splitting({})) is None


async def test_subtasks_inherit_what_their_task_must_keep() -> None:
    kept = {"critical": False, "boost": 2.0, "resources": (Resource(key="gpu"),)}
    parent = replace(big("t"), join=Join(kind="any"), **kept)
    chain = TaskGraph.of([big("a"), big("b")], [("a", "b", 0.0)])
    delta = await split_up(parent, splitting({"t": chain}))
    entry, leaf = delta.tasks
    assert entry == replace(big("t.a"), join=Join(kind="any"), **kept)
    assert leaf == replace(big("t.b"), **kept)


async def test_ids_are_legal_and_free_and_there_is_a_bound_on_them() -> None:
    long = "x" * 195
    delta = await split_up(big(long), splitting({long: flat("y" * 200, "y" * 199)}))
    assert all(check_id(task.id) is None for task in delta.tasks)
    shapes = {"t": flat("b", "b.c"), "t.b": flat("c", "d")}
    delta = await split_up(big("t"), splitting(shapes), taken={"t.b.d"})
    assert [task.id for task in delta.tasks] == ["t.b.c", "t.b.c~2", "t.b.d~2"]
    many = flat(*(f"s{n}" for n in range(30)))
    delta = await split_up(big("t"), splitting({"t": many} | {f"t.s{n}": many for n in range(30)}))
    assert 150 < len(delta.tasks) <= 200


async def test_the_planner_splits_and_what_it_cannot_split_stays_whole() -> None:
    def reply(request: Request) -> str:
        rows = [{"id": "look", "complexity": 3}, {"id": "book", "depends_on": ["look"]}]
        whole = "part t of: Go to Oslo" in request.messages[1].content
        return json.dumps({"subtasks": rows}) if whole else "no"

    split = asking(Simulated(latency=constant(0), replies=reply), "Go to Oslo " * 900)
    delta = await split_up(replace(big("t"), description="Find flights " * 900), split)
    assert delta.dependencies == (("t.look", "t.book", 0.0),)
    notes: list[str] = []
    split = asking(Simulated(latency=constant(0), replies=reply), "Go to Oslo", notes=notes)
    assert await decompose(big("t"), split, max_tasks=1) is None
    assert notes == [], "there is no room for two"
    three = Simulated(
        latency=constant(0), replies={"planner": '{"subtasks": [{"id": "a"}, {"id": "B"}, {"id": 3}]}'}
    )
    split = asking(three, "Go to Oslo", notes=notes)
    assert await decompose(big("t"), split, max_tasks=2) is None
    assert notes[0].startswith("'t' was left whole. simulated gave no usable plan")
    assert "at most 2 are allowed" in notes[0]
    assert await decompose(big("t"), split, max_tasks=3)
    assert "In 't': Id 'B' became 'b'." in notes
