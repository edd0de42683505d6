from __future__ import annotations

import json
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dyntaskmas_nb.core.graph import TaskGraph
from dyntaskmas_nb.core.snapshot import Entry, Snapshot, TaskView
from dyntaskmas_nb.core.task import Task, TaskState
from dyntaskmas_nb.view.network import (
    LABELLED_EDGES,
    Weights,
    edge_width,
    model,
    safe_title,
    shown_note,
    to_pyvis,
)
from dyntaskmas_nb.view.theme import LOOKS

HOSTILE = "<img src=x onerror=alert(1)> href HREF"


def test_nodes_say_state_by_colour_shape_and_text(make: Callable[..., Snapshot]) -> None:
    graph = TaskGraph.of([Task(id=state.value) for state in TaskState])
    snapshot = make(graph, tasks={state.value: TaskView(state=state, priority=2.5) for state in TaskState})
    nodes = {node["id"]: node for node in model(snapshot, {})["nodes"]}
    for state in TaskState:
        node, look = nodes[state.value], LOOKS[state]
        assert node["shape"] == look.shape
        assert look.hollow or node["color"]["background"] == look.colour
        assert f"{look.mark} {state.value} · p 2.5" in node["label"]


def test_size_grows_with_complexity_and_width_with_weight(travel: tuple[Snapshot, Weights]) -> None:
    data = model(*travel)
    sizes = {node["id"]: node["size"] for node in data["nodes"]}
    assert sizes["flights"] > sizes["hotels"] > sizes["preferences"] > sizes["budget"]
    edges = {(edge["from"], edge["to"]): edge for edge in data["edges"]}
    heavy, light = edges["preferences", "flights"], edges["flights", "budget"]
    assert heavy["width"] > light["width"] > 1
    assert (heavy["label"], light["label"]) == ("4 s", "1 s")
    assert "information I: 0" in heavy["title"]


def test_the_critical_path_is_emphasised_on_nodes_and_edges(travel: tuple[Snapshot, Weights]) -> None:
    data = model(*travel)
    assert {node["id"] for node in data["nodes"] if node["critical"]} == {"preferences", "flights", "budget"}
    assert {(e["from"], e["to"]) for e in data["edges"] if e["critical"]} == {
        ("preferences", "flights"),
        ("flights", "budget"),
    }


def test_a_running_task_that_takes_longer_than_expected_moves_the_critical_path(
    make: Callable[..., Snapshot],
) -> None:
    graph = TaskGraph.of([Task(id="quick", complexity=1), Task(id="slow", complexity=2)])
    entry = Entry(task="quick", agent="a", start=0.0, end=None, outcome="running")
    for now, path in ((1.5, "slow"), (2.5, "quick")):
        nodes = model(make(graph, t=now, entries=[entry]), {})["nodes"]
        assert [node["id"] for node in nodes if node["critical"]] == [path]


@pytest.mark.parametrize("weight", [None, 0.0, float("nan"), float("inf"), -1.0])
def test_odd_weights_draw_a_thin_line(make: Callable[..., Snapshot], weight: float | None) -> None:
    graph = TaskGraph.of([Task(id="a"), Task(id="b")], [("a", "b", 1.0)])
    (edge,) = model(make(graph), {} if weight is None else {("a", "b"): weight})["edges"]
    assert edge["width"] == 1.0
    json.dumps(edge, allow_nan=False)


@given(st.floats(0, 1e9), st.floats(0, 1e9))
def test_width_stays_in_its_band(weight: float, heaviest: float) -> None:
    assert 1 <= edge_width(min(weight, heaviest), heaviest) <= 6


def test_edge_ids_are_unique_whatever_the_names(make: Callable[..., Snapshot]) -> None:
    graph = TaskGraph.of(
        [Task(id=id) for id in ("a", "a→b", "b→c", "c")], [("a", "b→c", 0.0), ("a→b", "c", 0.0)]
    )
    assert len({edge["id"] for edge in model(make(graph), {})["edges"]}) == 2


def test_many_edges_carry_no_labels_and_a_limit_is_said(make: Callable[..., Snapshot]) -> None:
    size = LABELLED_EDGES + 2
    graph = TaskGraph.of(
        [Task(id=str(n)) for n in range(size)], [(str(n), str(n + 1), 0.0) for n in range(size - 1)]
    )
    weights = {(str(n), str(n + 1)): 1.0 for n in range(size - 1)}
    assert not any(edge["label"] for edge in model(make(graph), weights)["edges"])
    part = model(make(graph), weights, limit=10)
    assert [node["id"] for node in part["nodes"]] == [str(n) for n in range(10)]
    assert shown_note(part) == f"showing 10 of {size} tasks"


@given(st.text())
def test_titles_stay_text_even_through_inner_html(text: str) -> None:
    title = safe_title([text, HOSTILE + text])
    assert not set("<>") & set(title)
    assert "href" not in title.lower()


def test_pyvis_gets_the_same_data_at_rest(travel: tuple[Snapshot, Weights]) -> None:
    network, data = to_pyvis(*travel), model(*travel)
    assert {node["id"]: (node["x"], node["y"], node["label"]) for node in network.nodes} == {
        node["id"]: (node["x"], node["y"], node["label"]) for node in data["nodes"]
    }
    assert [(edge["from"], edge["to"], edge["width"]) for edge in network.edges] == [
        (edge["from"], edge["to"], edge["width"]) for edge in data["edges"]
    ]
    assert network.options.physics.enabled is False
    assert network.directed


def test_pyvis_never_falls_into_its_inner_html_mode(make: Callable[..., Snapshot]) -> None:
    graph = TaskGraph.of([Task(id=HOSTILE, description=HOSTILE, role=HOSTILE)], title=HOSTILE)
    page = to_pyvis(make(graph), {}).generate_html()
    assert ".innerHTML = nodeData" not in page, "pyvis' link template, which runs titles as markup"
    assert "<img" not in page
