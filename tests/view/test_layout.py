from __future__ import annotations

import math

from hypothesis import given
from hypothesis import strategies as st

from dyntaskmas_nb.core.graph import TaskGraph
from dyntaskmas_nb.core.task import Task
from dyntaskmas_nb.view.layout import layout
from tests.strategies import NAMES, graphs


def graph_of(ids: str | list[str], *edges: tuple[str, str]) -> TaskGraph:
    return TaskGraph.of([Task(id=id) for id in ids], [(*edge, 0.0) for edge in edges])


def hold(graph: TaskGraph, places: dict[str, tuple[float, float]]) -> None:
    assert set(places) == set(graph)
    assert len(set(places.values())) == len(graph), "two tasks share a place"
    for before, after, _ in graph.dependencies():
        assert places[before][0] < places[after][0], f"{before} → {after} points back"


@given(graphs())
def test_places_are_lawful_the_same_every_time_and_stay(graph: TaskGraph) -> None:
    places = layout(graph)
    hold(graph, places)
    assert layout(graph.copy()) == places
    assert layout(graph, places) == places


numbers = st.sampled_from([0.0, 70.0, 200.0, -1e4, math.nan, math.inf])


@given(graphs(), st.dictionaries(st.sampled_from(NAMES), st.tuples(numbers, numbers)))
def test_any_previous_places_keep_the_laws(
    graph: TaskGraph, previous: dict[str, tuple[float, float]]
) -> None:
    hold(graph, layout(graph, previous))
    hold(graph, layout(graph, dict.fromkeys(graph, (0.0, 0.0))))


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
    places = layout(graph_of("abcd", ("a", "b"), ("c", "d")))
    moved = layout(graph_of("abcd", ("a", "b"), ("c", "d"), ("b", "d")), places)
    assert {id for id in places if moved[id] != places[id]} == {"d"}


def test_many_new_tasks_at_one_place_find_room() -> None:
    new = ["b", *(f"n{number}" for number in range(2000))]
    graph = graph_of(["a", *new], *(("a", id) for id in new))
    hold(graph, layout(graph, layout(graph_of("ab", ("a", "b")))))


def test_a_very_wide_layer_becomes_a_block() -> None:
    across, down = zip(*layout(graph_of([str(number) for number in range(400)])).values(), strict=True)
    assert 0.2 < (max(across) - min(across)) / (max(down) - min(down)) < 5
