"""`simulate`: counts, bounds, transfers, durations, and what the policies are worth."""

from __future__ import annotations

import itertools
from collections import Counter
from random import Random
from statistics import fmean
from typing import Any

import networkx as nx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dyntaskmas_nb.apee.simulate import Schedule, simulate
from dyntaskmas_nb.core.graph import TaskGraph
from dyntaskmas_nb.core.task import Join, Task
from dyntaskmas_nb.errors import InvalidInput
from tests.strategies import graphs, plain_tasks


def chain(*complexities: float, information: float = 0.0) -> TaskGraph:
    tasks = [Task(id=f"t{n}", complexity=c) for n, c in enumerate(complexities)]
    return TaskGraph.of(tasks, [(u.id, v.id, information) for u, v in itertools.pairwise(tasks)])


def layered(seed: int, count: int = 60) -> TaskGraph:
    """Six layers of ten, each task after one to three of the layer before; heavy-tailed complexities."""
    draw = Random(seed)
    tasks = [Task(id=f"t{n}", complexity=draw.lognormvariate(0, 0.7)) for n in range(count)]
    edges = []
    for n in range(10, count):
        layer = range(n // 10 * 10 - 10, n // 10 * 10)
        edges += [(f"t{u}", f"t{n}", 0.0) for u in draw.sample(layer, draw.randint(1, 3))]
    return TaskGraph.of(tasks, edges)


def test_ten_equal_tasks_on_three_agents() -> None:
    plan = simulate(TaskGraph.of([Task(id=str(n)) for n in range(10)]), agents=3)
    assert sorted(Counter(entry.agent for entry in plan.entries).values()) == [3, 3, 4]
    assert (plan.makespan, plan.lower_bound, plan.serial) == (4.0, 10 / 3, 10.0)
    assert plan.utilisation == pytest.approx(10 / 12)


@given(
    graphs(min_size=1, task=plain_tasks),
    st.integers(1, 4),
    st.sampled_from(["upward_rank", "as_printed", "fifo", "random"]),
)
def test_no_schedule_breaks_the_rules(graph: TaskGraph, agents: int, policy: str) -> None:
    plan = simulate(graph, agents, policy, seed=3, seconds_per_information=2.0)
    by_task = {entry.task: entry for entry in plan.entries}
    assert by_task.keys() == set(graph)
    assert len(plan.entries) == len(graph)
    assert plan.makespan >= plan.lower_bound - 1e-9
    for entry in plan.entries:
        assert entry.end == entry.start + graph[entry.task].complexity
        ready = [by_task[before].end + 2 * i for before, i in graph.after(entry.task).items()]  # type: ignore[operator]
        assert entry.start >= max(ready, default=0.0), "a transfer is charged on every dependency"
        same = [other for other in plan.entries if other.agent == entry.agent and other is not entry]
        assert all(other.end <= entry.start or other.start >= entry.end for other in same)  # type: ignore[operator]
    starts = [entry.start for entry in plan.entries]
    assert starts == sorted(starts)


@given(graphs(min_size=1, task=plain_tasks))
def test_the_bound_leaves_transfers_out(graph: TaskGraph) -> None:
    plan = simulate(graph, agents=len(graph))
    judge = nx.DiGraph()
    for id in graph:
        judge.add_edge((id, "in"), (id, "out"), w=graph[id].complexity)
    judge.add_edges_from(((u, "out"), (v, "in"), {"w": 0.0}) for u, v, _ in graph.dependencies())
    work = sum(task.complexity for task in graph.tasks.values())
    assert plan.lower_bound == max(nx.dag_longest_path_length(judge, "w"), work / len(graph))
    assert sum(graph[id].complexity for id in plan.critical_path) == nx.dag_longest_path_length(judge, "w")
    with_transfers = nx.DiGraph()
    with_transfers.add_weighted_edges_from(((u, "in"), (u, "out"), graph[u].complexity) for u in graph)
    with_transfers.add_weighted_edges_from(((u, "out"), (v, "in"), i) for u, v, i in graph.dependencies())
    assert plan.makespan == nx.dag_longest_path_length(with_transfers), "enough agents: only paths count"


def test_by_hand() -> None:
    plan = simulate(chain(1, 2, 3, information=4), agents=2, seconds_per_unit=2, seconds_per_information=0.5)
    assert [(entry.start, entry.end) for entry in plan.entries] == [(0, 2), (4, 8), (10, 16)]
    assert (plan.lower_bound, plan.makespan, plan.critical_path) == (12, 16, ("t0", "t1", "t2"))


def test_durations_can_be_given() -> None:
    plan = simulate(chain(1, 1), duration=lambda task, attempt: 5.0 if task.id == "t1" else 0.0)
    assert (plan.makespan, plan.lower_bound, plan.serial) == (5.0, 5.0, 5.0)


def test_the_same_seed_gives_the_same_schedule() -> None:
    graph = layered(1)
    assert simulate(graph, policy="random", seed=7) == simulate(graph, policy="random", seed=7)
    assert simulate(graph, policy="random", seed=7) != simulate(graph, policy="random", seed=8)
    before = graph.copy()
    simulate(graph)
    assert graph == before
    assert graph.version == 0


def test_upward_rank_is_worth_having() -> None:
    def mean(policy: str) -> float:
        plans: list[Schedule] = [simulate(layered(seed), 4, policy, seed) for seed in range(15)]
        return fmean(plan.makespan / plan.lower_bound for plan in plans)

    upward = mean("upward_rank")
    assert upward < 1.06
    assert upward + 0.02 < min(mean("fifo"), mean("random"), mean("as_printed"))


def test_a_rule_of_ones_own() -> None:
    graph = TaskGraph.of([Task(id=id) for id in "abc"])
    plan = simulate(graph, 1, lambda task, successors, weights: ord(task.id))
    assert [entry.task for entry in plan.entries] == ["c", "b", "a"]


def broken(*_: object) -> float:
    return 1 / 0


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"graph": TaskGraph()}, "no tasks"),
        ({"agents": 0}, "number of agents must be a whole number from 1"),
        ({"agents": 1.5}, "number of agents"),
        ({"agents": True}, "number of agents"),
        ({"policy": "best"}, "no priority policy 'best'"),
        ({"policy": broken}, "'custom' raised ZeroDivisionError"),
        ({"seconds_per_unit": 0.0}, "seconds_per_unit must be a finite number above 0"),
        ({"seconds_per_information": float("inf")}, "seconds_per_information"),
        ({"seed": "x"}, "seed must be a whole number"),
        (
            {"duration": lambda task, attempt: -1.0},
            "duration of 't0' must be seconds of at least 0, not -1.0",
        ),
        ({"duration": lambda task, attempt: float("nan")}, "duration of 't0'"),
        ({"duration": lambda task, attempt: None}, "duration of 't0'"),
    ],
)
def test_what_makes_no_sense_is_refused(arguments: dict[str, Any], words: str) -> None:
    with pytest.raises(InvalidInput, match=words):
        simulate(**{"graph": chain(1, 1), **arguments})


def test_a_join_of_any_starts_early() -> None:
    tasks = [Task(id="slow", complexity=5), Task(id="quick"), Task(id="z", join=Join(kind="any"))]
    plan = simulate(TaskGraph.of(tasks, [("slow", "z", 0.0), ("quick", "z", 0.0)]))
    assert {entry.task: entry.start for entry in plan.entries} == {"slow": 0.0, "quick": 0.0, "z": 1.0}
    assert plan.makespan >= plan.lower_bound, "a bound that holds for early joins too"
