"""Eq. 4: laws of `apply`. networkx is the independent judge of what is acyclic."""

from __future__ import annotations

import itertools

import networkx as nx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dyntaskmas_nb.core.delta import (
    AddDependency,
    AddTask,
    Batch,
    Delta,
    ExpandTask,
    RemoveDependency,
    RemoveTask,
    ReviseDependency,
    ReviseTask,
    SetJoin,
    changed,
    touched,
)
from dyntaskmas_nb.core.graph import TaskGraph
from dyntaskmas_nb.core.task import Join, Task
from dyntaskmas_nb.dtgg.update import apply, as_delta
from dyntaskmas_nb.errors import CycleError, InvalidInput
from tests.strategies import deltas, graphs, tasks


def is_sound(graph: TaskGraph) -> bool:
    """Positions agree with every edge, both directions agree, and networkx finds no cycle."""
    edges = list(graph.dependencies())
    assert all(graph.position(u) < graph.position(v) for u, v, _ in edges)
    assert all(graph.after(v)[u] == i for u, v, i in edges)
    assert sum(len(graph.after(id)) for id in graph) == len(edges)
    assert len({graph.position(id) for id in graph}) == len(graph)
    assert graph.topological() == sorted(graph, key=graph.position)
    return nx.is_directed_acyclic_graph(nx.DiGraph([(u, v) for u, v, _ in edges]))


def chain(*ids: str) -> TaskGraph:
    return TaskGraph.of([Task(id=id) for id in ids], [(u, v, 1.0) for u, v in itertools.pairwise(ids)])


@given(graphs(), st.lists(deltas(), max_size=5))
def test_an_edit_and_its_inverse_are_the_identity(graph: TaskGraph, edits: list[Delta]) -> None:
    undo, states = [], []
    for edit in edits:
        before = graph.copy()
        try:
            inverse = apply(graph, edit)
        except InvalidInput:
            continue
        assert graph.version == before.version + 1
        assert is_sound(graph)
        undo.append(inverse)
        states.append(before)
    while undo:
        apply(graph, undo.pop())
        assert graph == states.pop()
        assert is_sound(graph)


@given(graphs(), deltas(bad=False))
def test_the_inverse_of_the_inverse_does_the_edit_again(graph: TaskGraph, edit: Delta) -> None:
    before = graph.copy()
    try:
        inverse = apply(graph, edit)
    except InvalidInput:
        return
    after = graph.copy()
    again = apply(graph, inverse)
    assert graph == before
    apply(graph, again)
    assert graph == after


@given(graphs(), st.lists(deltas(), min_size=1, max_size=6))
def test_a_refused_edit_changes_nothing(graph: TaskGraph, edits: list[Delta]) -> None:
    for edit in edits:
        before = graph.copy()
        try:
            apply(graph, edit)
        except InvalidInput:
            assert graph == before
            assert graph.version == before.version
            assert is_sound(graph)


@given(graphs(), st.lists(deltas(), max_size=6))
def test_a_batch_is_its_parts_or_nothing(graph: TaskGraph, edits: list[Delta]) -> None:
    apart, whole, fits = graph.copy(), graph.copy(), True
    for edit in edits:
        try:
            apply(apart, edit)
        except InvalidInput:
            fits = False
            break
    try:
        apply(whole, Batch(deltas=tuple(edits)))
    except InvalidInput:
        assert not fits
        assert whole == graph
    else:
        assert fits
        assert whole == apart


@given(graphs(min_size=2), st.data())
def test_an_edge_is_refused_exactly_when_networkx_sees_a_cycle(graph: TaskGraph, data: st.DataObject) -> None:
    u, v = data.draw(st.sampled_from(list(graph))), data.draw(st.sampled_from(list(graph)))
    if graph.has_dependency(u, v):
        return
    judge = graph.to_networkx()
    judge.add_edge(u, v)
    try:
        apply(graph, AddDependency(before=u, after=v))
    except CycleError as error:
        cycle = error.cycle
        assert cycle[0] == cycle[-1]
        assert all(judge.has_edge(*edge) for edge in itertools.pairwise(cycle))
        assert not nx.is_directed_acyclic_graph(judge)
    else:
        assert nx.is_directed_acyclic_graph(judge)


@given(graphs())
def test_as_delta_builds_the_graph_from_nothing(graph: TaskGraph) -> None:
    built = TaskGraph()
    undo = apply(built, as_delta(graph))
    assert built == graph
    apply(built, undo)
    assert not len(built)


@given(graphs(min_size=1), deltas())
def test_only_what_an_edit_names_and_its_neighbours_change(graph: TaskGraph, edit: Delta) -> None:
    before = graph.copy()
    try:
        inverse = apply(graph, edit)
    except InvalidInput:
        return
    named = touched(edit) | touched(inverse)
    for id in set(before) | set(graph):
        if id not in named:
            assert graph[id] == before[id]
            assert graph.after(id) == before.after(id)
            assert graph.before(id) == before.before(id)
    for id in set(before) & set(graph) - changed(edit) - changed(inverse):
        assert graph[id] == before[id]
        assert graph.after(id) == before.after(id)


def test_expansion_splices_entries_and_exits() -> None:
    graph = chain("a", "b", "c")
    new = tuple(Task(id=id) for id in "pqr")
    apply(graph, ExpandTask(id="b", tasks=new, dependencies=(("p", "r", 2.0), ("q", "r", 0.0))))
    assert set(graph.dependencies()) == {
        ("a", "p", 1.0),
        ("a", "q", 1.0),
        ("p", "r", 2.0),
        ("q", "r", 0.0),
        ("r", "c", 1.0),
    }


def test_a_task_may_be_expanded_into_one_of_its_own_name() -> None:
    graph = chain("a", "b", "c")
    apply(graph, ExpandTask(id="b", tasks=(Task(id="b"), Task(id="b2"))))
    assert graph.predecessors("c") == ("b", "b2")
    assert graph.successors("a") == ("b", "b2")


def test_a_cycle_over_a_new_task_is_named() -> None:
    graph = chain("a", "b", "c")
    with pytest.raises(CycleError, match=r"n → a|c → n") as caught:
        apply(graph, AddTask(task=Task(id="n"), after={"c": 0.0}, before={"a": 0.0}))
    assert set(caught.value.cycle) == {"a", "b", "c", "n"}
    assert graph == chain("a", "b", "c")


def test_the_version_can_be_given() -> None:
    graph = chain("a", "b")
    apply(graph, RemoveTask(id="a"), version=41)
    assert graph.version == 41


@pytest.mark.parametrize(
    ("edit", "words"),
    [
        (AddTask(task=Task(id="a")), "already a task 'a'"),
        (AddTask(task=Task(id="n", complexity=-1)), "complexity must be at least 0"),
        (AddTask(task=Task(id="n"), after={"nowhere": 0.0}), "no task 'nowhere'"),
        (AddTask(task=Task(id="n"), after={"a": -1.0}), "information must be at least 0"),
        (AddTask(task=Task(id="n"), after={"a": 10**400}), "information must be a finite number"),
        (AddTask(task=Task(id="n"), after={"n": 0.0}), "no task 'n'"),
        (AddTask(task=Task(id="n"), after={"a": 0.0}, before={"a": 0.0}), "close a cycle"),
        (RemoveTask(id="bb"), "Did you mean 'b'"),
        (AddDependency(before="a", after="b"), "already depends"),
        (AddDependency(before="b", after="a"), "close a cycle: b → a → b|close a cycle: a → b → a"),
        (AddDependency(before="a", after="a"), "close a cycle: a → a"),
        (RemoveDependency(before="b", after="a"), "no dependency 'b' → 'a'"),
        (ReviseDependency(before="b", after="a", information=1.0), "no dependency"),
        (ReviseDependency(before="a", after="b", information=float("nan")), "finite number"),
        (ReviseTask(id="a", changes={"colour": 1}), "no field 'colour'"),
        (ReviseTask(id="a", changes={"complexity": 10**400}), "complexity must be a finite number"),
        (ReviseTask(id="a", changes={"complexity": True}), "complexity must be a finite number"),
        (ReviseTask(id="a", changes={"inputs": {1, 2}}), "inputs"),
        (ReviseTask(id="a", changes={"inputs": float("nan")}), "inputs"),
        (ReviseTask(id="a", changes={"resources": ["disk"]}), "not a Resource"),
        (SetJoin(id="a", join=Join(kind="most")), "join must be all, any, k_of_n or first_valid"),  # type: ignore[arg-type]
        (SetJoin(id="a", join=Join(kind="k_of_n", k=0)), "join.k must be a whole number"),
        (ExpandTask(id="a", tasks=()), "at least one subtask"),
        (ExpandTask(id="a", tasks=(Task(id="b"),)), "already a task 'b'"),
        (ExpandTask(id="a", tasks=(Task(id="n"), Task(id="n"))), "used twice"),
    ],
)
def test_an_impossible_edit_says_what_is_wrong(edit: Delta, words: str) -> None:
    graph = chain("a", "b")
    with pytest.raises(InvalidInput, match=words):
        apply(graph, edit)
    assert graph == chain("a", "b")
    assert graph.version == 0


@given(tasks())
def test_a_task_survives_removal_and_return(task: Task) -> None:
    graph = TaskGraph()
    apply(graph, AddTask(task=task))
    apply(graph, apply(graph, RemoveTask(id=task.id)))
    assert graph[task.id] == task
