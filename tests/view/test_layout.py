from __future__ import annotations

import math

from hypothesis import given
from hypothesis import strategies as st

from dyntaskmas_nb.core.graph import TaskGraph
from dyntaskmas_nb.core.task import Task
from dyntaskmas_nb.view.layout import layers, layout


@st.composite
def graphs(draw: st.DrawFn, most: int = 24) -> TaskGraph:
    size = draw(st.integers(0, most))
    pairs = st.tuples(st.integers(0, max(size - 1, 0)), st.integers(0, max(size - 1, 0)))
    edges = {(min(p), max(p)) for p in draw(st.lists(pairs, max_size=3 * most)) if p[0] != p[1]}
    order = draw(st.permutations(range(size)))
    return TaskGraph.of(
        [Task(id=f"t{number}") for number in order], [(f"t{a}", f"t{b}", 0.0) for a, b in sorted(edges)]
    )


def hold(graph: TaskGraph, places: dict[str, tuple[float, float]]) -> None:
    assert set(places) == set(graph)
    assert len(set(places.values())) == len(graph), "two tasks share a place"
    for before, after, _ in graph.dependencies():
        assert places[before][0] < places[after][0], f"{before} → {after} points back"


@given(graphs())
def test_every_dependency_points_to_a_later_layer(graph: TaskGraph) -> None:
    layer = layers(graph)
    for before, after, _ in graph.dependencies():
        assert layer[before] < layer[after]
    assert all(layer[id] == 0 for id in graph.sources())


@given(graphs())
def test_places_are_lawful_and_the_same_every_time(graph: TaskGraph) -> None:
    places = layout(graph)
    hold(graph, places)
    assert layout(graph.copy()) == places


@given(graphs())
def test_an_unchanged_graph_stays_where_it_is(graph: TaskGraph) -> None:
    places = layout(graph)
    assert layout(graph, places) == places


@given(graphs(12), graphs(16))
def test_any_edit_keeps_the_laws(old: TaskGraph, new: TaskGraph) -> None:
    hold(new, layout(new, layout(old)))


@given(graphs(12), st.data())
def test_any_previous_places_keep_the_laws(graph: TaskGraph, data: st.DataObject) -> None:
    numbers = st.floats(-1e4, 1e4) | st.sampled_from([math.nan, math.inf, 0.0])
    previous = {id: data.draw(st.tuples(numbers, numbers)) for id in graph if data.draw(st.booleans())}
    hold(graph, layout(graph, previous))


@given(graphs(), st.data())
def test_a_new_task_without_successors_moves_nobody(graph: TaskGraph, data: st.DataObject) -> None:
    before = data.draw(st.sets(st.sampled_from(sorted(graph)), max_size=3)) if len(graph) else set()
    places = layout(graph)
    edges = [*graph.dependencies(), *((id, "new", 0.0) for id in sorted(before))]
    larger = TaskGraph.of([*graph.tasks.values(), Task(id="new")], edges)
    moved = layout(larger, places)
    hold(larger, moved)
    assert {id: moved[id] for id in graph} == places


def test_a_new_dependency_moves_only_what_it_must() -> None:
    tasks = [Task(id=id) for id in "abcd"]
    places = layout(TaskGraph.of(tasks, [("a", "b", 0.0), ("c", "d", 0.0)]))
    moved = layout(TaskGraph.of(tasks, [("a", "b", 0.0), ("c", "d", 0.0), ("b", "d", 0.0)]), places)
    assert {id for id in places if moved[id] != places[id]} == {"d"}


def test_many_new_tasks_at_one_place_find_room() -> None:
    few = TaskGraph.of([Task(id="a"), Task(id="b")], [("a", "b", 0.0)])
    new = [f"n{number}" for number in range(2000)]
    graph = TaskGraph.of(
        [*few.tasks.values(), *(Task(id=id) for id in new)], [("a", id, 0.0) for id in ["b", *new]]
    )
    hold(graph, layout(graph, layout(few)))


def test_a_very_wide_layer_becomes_a_block() -> None:
    places = layout(TaskGraph.of([Task(id=str(number)) for number in range(400)]))
    width = max(x for x, _ in places.values()) - min(x for x, _ in places.values())
    height = max(y for _, y in places.values()) - min(y for _, y in places.values())
    assert 0.2 < width / height < 5


def test_barycentre_sweeps_untangle_a_crossing() -> None:
    graph = TaskGraph.of([Task(id=id) for id in "abxy"], [("a", "y", 0.0), ("b", "x", 0.0)])
    places = layout(graph)
    assert (places["a"][1] < places["b"][1]) == (places["y"][1] < places["x"][1])
