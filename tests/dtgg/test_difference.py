"""Two graphs and the Δ between them."""

from __future__ import annotations

from hypothesis import given

from dyntaskmas_nb.core.codec import encode
from dyntaskmas_nb.core.delta import AddTask, Batch, RemoveTask, ReviseDependency, ReviseTask, SetJoin
from dyntaskmas_nb.core.graph import TaskGraph
from dyntaskmas_nb.core.task import Join, Task
from dyntaskmas_nb.dtgg.difference import delta_between, graph_diff
from dyntaskmas_nb.dtgg.update import apply
from tests.strategies import graphs


def plan(graph: TaskGraph) -> list[bytes]:
    """Everything a graph says, in an order of its own."""
    return sorted([*map(encode, graph.tasks.values()), *map(encode, graph.dependencies())])


@given(graphs(), graphs())
def test_the_delta_between_two_graphs_makes_one_of_the_other(a: TaskGraph, b: TaskGraph) -> None:
    made = a.copy()
    back = apply(made, delta_between(a, b))
    assert made == b
    assert plan(made) == plan(b)
    assert not graph_diff(made, b)
    assert bool(graph_diff(a, b)) is (plan(a) != plan(b))
    apply(made, back)
    assert made == a


def test_one_is_not_true() -> None:
    a, b = (TaskGraph.of([Task(id="a", inputs=value)]) for value in ([1], [True]))
    assert delta_between(a, b).deltas == (ReviseTask(id="a", changes={"inputs": [True]}),)


def test_a_difference_is_told_in_words() -> None:
    a = TaskGraph.of(
        [Task(id="a"), Task(id="b"), Task(id="old")], [("a", "b", 1.0), ("old", "b", 0.0), ("a", "old", 0.0)]
    )
    b = TaskGraph.of(
        [
            Task(id="a", complexity=2.0),
            Task(id="b", join=Join(kind="any")),
            Task(id="new", description="\x1b[31m"),
        ],
        [("a", "b", 3.0), ("new", "b", 0.5)],
    )
    assert repr(graph_diff(a, b)).splitlines() == [
        "+ 'new' ␛[31m",
        "- 'old'",
        "~ 'a' complexity: 1.0 → 2.0",
        "~ 'b' join: Join(kind='all', k=1) → Join(kind='any', k=1)",
        "+ 'new' → 'b', information 0.5",
        "- 'a' → 'old', information 0",
        "- 'old' → 'b', information 0",
        "~ 'a' → 'b', information: 1 → 3",
    ]
    assert repr(graph_diff(a, a.copy())) == "no difference"
    steps = delta_between(a, b).deltas
    assert list(map(type, steps)) == [RemoveTask, AddTask, ReviseDependency, ReviseTask, SetJoin], "no more"
    assert isinstance(delta_between(a, a), Batch)
