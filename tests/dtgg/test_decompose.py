"""Eq. 2 and Alg. 1: the splice is what repeated expansion gives, and stops where it should."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dyntaskmas_nb.core.delta import AddDependency, AddTask, ExpandTask
from dyntaskmas_nb.core.graph import TaskGraph
from dyntaskmas_nb.core.task import Join, Resource, Task, check_id
from dyntaskmas_nb.dtgg.decompose import Split, Splitter, asking, decompose
from dyntaskmas_nb.dtgg.update import apply
from dyntaskmas_nb.errors import CycleError, InvalidInput, Unavailable
from dyntaskmas_nb.llm.protocol import Request
from dyntaskmas_nb.llm.simulated import Simulated, constant

# A split by task: how many subtasks, and which ordered pairs of them depend on each other.
Shape = tuple[int, frozenset[tuple[int, int]]]


def big(id: str) -> Task:
    return Task(id=id, complexity=9)


def splitting(shapes: dict[str, Shape]) -> Splitter:
    async def split(task: Task, depth: int) -> Split | None:
        if task.id not in shapes:
            return None
        count, pairs = shapes[task.id]
        return Split(
            tasks=tuple(big(f"s{n}") for n in range(count)),
            dependencies=tuple((f"s{u}", f"s{v}", 1.0) for u, v in sorted(pairs)),
        )

    return split


def host() -> TaskGraph:
    """before → t → after."""
    return TaskGraph.of([big("before"), big("t"), big("after")], [("before", "t", 2.0), ("t", "after", 3.0)])


@st.composite
def shape(draw: st.DrawFn) -> Shape:
    count = draw(st.integers(2, 4))
    pairs = [(u, v) for u in range(count) for v in range(u + 1, count)]
    return count, frozenset(draw(st.sets(st.sampled_from(pairs))))


@given(shape(), shape(), shape())
async def test_the_splice_is_what_repeated_expansion_gives(first: Shape, second: Shape, third: Shape) -> None:
    shapes = {"t": first, "t.s0": second, "t.s1": third}
    delta = await decompose(big("t"), splitting(shapes), max_depth=2)
    assert delta is not None
    spliced, stepwise = host(), host()
    apply(spliced, delta)
    for id, (count, pairs) in shapes.items():
        tasks = tuple(big(f"{id}.s{n}") for n in range(count))
        links = tuple((f"{id}.s{u}", f"{id}.s{v}", 1.0) for u, v in sorted(pairs))
        apply(stepwise, ExpandTask(id=id, tasks=tasks, dependencies=links))
    assert spliced == stepwise


@given(shape(), shape())
async def test_order_between_leaves_is_that_declared_where_they_parted(outer: Shape, inner: Shape) -> None:
    """An oracle that knows nothing of splicing: u before v iff their ancestors in one split are ordered."""
    delta = await decompose(big("t"), splitting({"t": outer, "t.s0": inner}), max_depth=2)
    assert delta is not None
    graph = host()
    apply(graph, delta)
    above, below = closure(outer), closure(inner)
    for u in delta.tasks:
        assert "before" in graph.ancestors([u.id])
        assert "after" in graph.descendants([u.id])
        for v in delta.tasks:
            (a, *inside_u), (b, *inside_v) = parts(u.id), parts(v.id)
            ordered = (
                (inside_u[0], inside_v[0]) in below if a == b and inside_u and inside_v else (a, b) in above
            )
            assert (v.id in graph.descendants([u.id])) == ordered


def parts(id: str) -> list[int]:
    return [int(part[1:]) for part in id.split(".")[1:]]


def closure(shape: Shape) -> set[tuple[int, int]]:
    count, pairs = shape
    reached = set(pairs)
    for k in range(count):
        reached |= {
            (u, v) for u in range(count) for v in range(count) if (u, k) in reached and (k, v) in reached
        }
    return reached


@pytest.mark.parametrize("max_depth", [0, 1, 2, 3])
async def test_depth_is_bounded(max_depth: int) -> None:
    depths: list[int] = []

    async def split(task: Task, depth: int) -> Split:
        depths.append(depth)
        return Split(tasks=(big("x"), big("y")))

    delta = await decompose(big("t"), split, max_depth=max_depth)
    assert sorted(set(depths)) == list(range(1, max_depth + 1))
    if delta is None:
        assert max_depth == 0
    else:
        assert len(delta.tasks) == 2**max_depth
        assert all(task.id.count(".") == max_depth for task in delta.tasks)


async def test_an_atomic_task_stays_whole() -> None:
    async def never(task: Task, depth: int) -> Split:
        raise AssertionError(task.id)

    async def alone(task: Task, depth: int) -> Split:
        return Split(tasks=(big("x"),))

    assert await decompose(Task(id="t", complexity=2), never) is None
    assert await decompose(Task(id="t", complexity=9, inputs={"n": 1}), never) is None
    assert await decompose(big("t"), never, is_atomic=lambda task: True) is None
    assert await decompose(big("t"), alone) is None
    assert await decompose(big("t"), splitting({})) is None


async def test_subtasks_inherit_what_their_task_must_keep() -> None:
    parent = replace(
        big("t"), critical=False, boost=2.0, resources=(Resource(key="gpu"),), join=Join(kind="any")
    )
    delta = await decompose(parent, splitting({"t": (2, frozenset({(0, 1)}))}), max_depth=1)
    assert delta is not None
    entry, leaf = delta.tasks
    for task in (entry, leaf):
        assert (task.critical, task.boost, task.resources) == (False, 2.0, (Resource(key="gpu"),))
    assert (entry.join.kind, leaf.join.kind) == ("any", "all")


async def test_ids_are_legal_and_free() -> None:
    long = "x" * 195
    delta = await decompose(big(long), splitting({long: (3, frozenset())}), max_depth=1)
    assert delta is not None
    for task in delta.tasks:
        check_id(task.id)
    taken = await decompose(big("t"), splitting({"t": (2, frozenset())}), max_depth=1, taken={"t.s0"})
    assert taken is not None
    assert [task.id for task in taken.tasks] == ["t.s0~2", "t.s1"]
    graph = TaskGraph.of([big("t"), big("t.s0")])
    apply(graph, taken)

    async def dotted(task: Task, depth: int) -> Split | None:
        names = {"t": ("b", "b.c"), "t.b": ("c", "d")}.get(task.id)
        return names and Split(tasks=tuple(map(big, names)))

    delta = await decompose(big("t"), dotted)
    assert delta is not None
    assert [task.id for task in delta.tasks] == ["t.b.c", "t.b.c~2", "t.b.d"]


async def test_there_is_a_bound_on_subtasks() -> None:
    async def many(task: Task, depth: int) -> Split:
        return Split(tasks=tuple(big(f"s{n}") for n in range(30)))

    delta = await decompose(big("t"), many, max_depth=3)
    assert delta is not None
    assert 150 < len(delta.tasks) <= 200


async def test_errors_of_a_split_come_through_as_they_are() -> None:
    async def fails(task: Task, depth: int) -> Split:
        if depth == 2:
            raise Unavailable("no server")
        return Split(tasks=(big("x"), big("y")))

    async def cyclic(task: Task, depth: int) -> Split:
        return Split(tasks=(big("x"), big("y")), dependencies=(("x", "y", 0), ("y", "x", 0)))

    with pytest.raises(Unavailable, match="no server"):
        await decompose(big("t"), fails)
    with pytest.raises(CycleError):
        await decompose(big("t"), cyclic)
    with pytest.raises(InvalidInput, match="max_depth"):
        await decompose(big("t"), fails, max_depth=-1)


async def test_the_planner_splits_and_what_it_cannot_split_stays_whole() -> None:
    def reply(request: Request) -> str:
        rows = [{"id": "look", "complexity": 3}, {"id": "book", "complexity": 1, "depends_on": ["look"]}]
        return (
            json.dumps({"subtasks": rows}) if "part t of: Go to Oslo" in request.messages[1].content else "no"
        )

    split = asking(Simulated(latency=constant(0), replies=reply), "Go to Oslo")
    delta = await decompose(replace(big("t"), description="Find flights " * 900), split)
    assert delta is not None
    assert delta.dependencies == (("t.look", "t.book", 0.0),)


async def test_a_decomposition_is_undone_whole() -> None:
    graph = host()
    apply(graph, AddTask(task=big("side"), after={"before": 0.0}))
    apply(graph, AddDependency(before="side", after="t"))
    before = graph.copy()
    delta = await decompose(big("t"), splitting({"t": (3, frozenset({(0, 1)})), "t.s2": (2, frozenset())}))
    assert delta is not None
    inverse = apply(graph, delta)
    apply(graph, inverse)
    assert graph == before
