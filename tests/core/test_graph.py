"""The graph's read side: networkx at its face, neighbourhoods, copies."""

from __future__ import annotations

import itertools
from typing import Any

import networkx as nx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dyntaskmas_nb.core.delta import AddDependency, RemoveTask
from dyntaskmas_nb.core.graph import TaskGraph
from dyntaskmas_nb.core.task import Task
from dyntaskmas_nb.dtgg.update import apply
from dyntaskmas_nb.errors import CycleError, InvalidInput
from tests.strategies import NAMES, graphs, plain_tasks


@given(graphs())
def test_networkx_there_and_back(graph: TaskGraph) -> None:
    there = graph.to_networkx()
    assert list(there.nodes) == list(graph)
    assert set(there.edges(data="information")) == set(graph.dependencies())
    assert TaskGraph.from_networkx(there) == graph


@given(graphs(min_size=1), st.data())
def test_reading_agrees_with_networkx(graph: TaskGraph, data: st.DataObject) -> None:
    judge = graph.to_networkx()
    id = data.draw(st.sampled_from(list(graph)))
    assert graph.ancestors([id]) == nx.ancestors(judge, id)
    assert graph.descendants([id]) == nx.descendants(judge, id)
    assert set(graph.predecessors(id)) == set(judge.predecessors(id))
    assert set(graph.successors(id)) == set(judge.successors(id))
    assert graph.sources() == [node for node in graph if judge.in_degree(node) == 0]
    assert graph.sinks() == [node for node in graph if judge.out_degree(node) == 0]
    place = {node: n for n, node in enumerate(graph.topological())}
    assert all(place[u] < place[v] for u, v in judge.edges)


@given(st.lists(st.tuples(st.sampled_from(NAMES), st.sampled_from(NAMES)), max_size=14, unique=True))
def test_of_refuses_exactly_the_cyclic(edges: list[tuple[str, str]]) -> None:
    judge = nx.DiGraph(edges)
    try:
        TaskGraph.of([Task(id=id) for id in NAMES], [(u, v, 0.0) for u, v in edges])
    except CycleError as error:
        walk = error.cycle
        assert not nx.is_directed_acyclic_graph(judge)
        assert walk[0] == walk[-1]
        assert all(judge.has_edge(*edge) for edge in itertools.pairwise(walk))
    else:
        assert nx.is_directed_acyclic_graph(judge)


@given(graphs(min_size=1, task=plain_tasks))
def test_a_copy_is_independent(graph: TaskGraph) -> None:
    before, copy = graph.copy(), graph.copy()
    assert copy == graph
    assert copy.topological() == graph.topological()
    apply(copy, RemoveTask(id=next(iter(copy))))
    assert graph == before
    assert graph != copy
    assert (graph.version, copy.version) == (0, 1)


def test_plain_networkx_attributes_make_tasks() -> None:
    graph = nx.DiGraph(title="Lunch")
    graph.add_node(1, description="Cook", complexity=2)
    graph.add_edge(1, "eat")
    built = TaskGraph.from_networkx(graph)
    assert built.title == "Lunch"
    assert built["1"].complexity == 2.0
    assert list(built.dependencies()) == [("1", "eat", 0.0)]


def cyclic() -> nx.DiGraph:
    return nx.DiGraph([("a", "b"), ("b", "a")])


@pytest.mark.parametrize(
    ("graph", "words"),
    [
        (nx.Graph([("a", "b")]), "networkx DiGraph, not Graph"),
        (nx.MultiDiGraph([("a", "b")]), "networkx DiGraph, not MultiDiGraph"),
        (None, "networkx DiGraph, not NoneType"),
        (cyclic(), "close a cycle"),
        (nx.DiGraph([("a", "a")]), "close a cycle: a → a"),
        (nx.DiGraph([((1, 2), "a")]), r"subtasks\[0\]\.id"),
        (nx.DiGraph([(1, "1")]), "used twice"),
        (nx.DiGraph([("a", "b", {"information": "much"})]), "information must be a finite number"),
    ],
)
def test_what_networkx_can_hold_and_we_cannot(graph: Any, words: str) -> None:
    with pytest.raises(InvalidInput, match=words):
        TaskGraph.from_networkx(graph)


def test_what_is_asked_of_an_unknown_task_names_the_close_ones() -> None:
    graph = TaskGraph.of([Task(id="flights"), Task(id="hotels")])
    for ask in (graph.__getitem__, graph.after, graph.before, graph.predecessors, graph.successors):
        with pytest.raises(InvalidInput, match=r"no task 'flihgts'\. Did you mean 'flights'"):
            ask("flihgts")
    with pytest.raises(InvalidInput, match="no dependency 'flights' → 'hotels'"):
        graph.information("flights", "hotels")
    with pytest.raises(InvalidInput, match="The graph is empty"):
        TaskGraph()["a"]


def test_views_cannot_be_written_through() -> None:
    graph = TaskGraph.of([Task(id="a"), Task(id="b")], [("a", "b", 1.0)])
    for view in (graph.tasks, graph.after("b"), graph.before("a")):
        with pytest.raises(TypeError):
            view["z"] = 1.0  # type: ignore[index]
    apply(graph, RemoveTask(id="a"))
    apply(graph, RemoveTask(id="b"))
    assert list(graph.dependencies()) == []


def test_equality_leaves_version_and_order_out() -> None:
    one = TaskGraph.of([Task(id="a"), Task(id="b")])
    two = TaskGraph.of([Task(id="b"), Task(id="a")])
    assert one == two
    apply(one, AddDependency(before="a", after="b"))
    assert one != two
    assert "2 tasks, 1 dependencies, version 1" in repr(one)
    assert one != "graph"
