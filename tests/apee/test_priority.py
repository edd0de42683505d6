"""Eq. 5 and the other rules, against naive recursive references; re-ranking against ranking afresh."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dyntaskmas_nb.apee.priority import (
    POLICIES,
    Ranking,
    Successors,
    as_printed,
    policy_of,
    upward_rank,
)
from dyntaskmas_nb.core.delta import Delta, touched
from dyntaskmas_nb.core.graph import TaskGraph
from dyntaskmas_nb.core.settings import Settings
from dyntaskmas_nb.core.task import Task
from dyntaskmas_nb.dtgg.update import apply
from dyntaskmas_nb.dtgg.weights import Coefficients, coefficients, edge_weight
from dyntaskmas_nb.errors import InvalidInput
from tests.strategies import deltas, graphs, quarters

SETTINGS = Settings(seconds_per_unit=2.0, seconds_per_information=0.5)


def path_reference(graph: TaskGraph, id: str) -> float:
    """Longest way from `id` to an end, in seconds, by walking every path."""
    rest = [0.5 * i + path_reference(graph, after) for after, i in graph.before(id).items()]
    return 2.0 * graph[id].complexity + max(rest, default=0.0)


def printed_reference(graph: TaskGraph, id: str) -> float:
    """Eq. 5 word for word, W from `edge_weight`; C(v) for a sink and where it would divide by 0."""
    below = [
        edge_weight(graph, id, after, SETTINGS) + printed_reference(graph, after)
        for after in graph.before(id)
    ]
    return graph[id].complexity / max(below) if below and max(below) else graph[id].complexity


def ranked(graph: TaskGraph, policy: str = "upward_rank", settings: Settings = SETTINGS) -> Ranking:
    ranking = Ranking(graph, policy_of(policy, settings.seed), settings)
    ranking.touch(graph)
    ranking.refresh()
    return ranking


@pytest.mark.parametrize(
    ("policy", "reference"), [("upward_rank", path_reference), ("as_printed", printed_reference)]
)
@given(graph=graphs(min_size=1))
def test_against_a_naive_recursion(
    policy: str, reference: Callable[[TaskGraph, str], float], graph: TaskGraph
) -> None:
    ranking = ranked(graph, policy)
    for id in graph:
        assert ranking[id] == pytest.approx(reference(graph, id) + graph[id].boost), (
            "the boost is the task's own"
        )


@given(graphs(min_size=1))
def test_fifo_is_level_and_random_depends_on_seed_and_id_only(graph: TaskGraph) -> None:
    fifo, drawn = ranked(graph, "fifo"), ranked(graph, "random", Settings(seed=1))
    assert all(fifo[id] == graph[id].boost for id in graph)
    alone = {id: ranked(TaskGraph.of([graph[id]]), "random", Settings(seed=1))[id] for id in graph}
    assert all(drawn[id] == alone[id] for id in graph)
    assert all(0 <= drawn[id] - graph[id].boost < 1 for id in graph)


def test_random_differs_by_seed_and_not_by_hash_seed() -> None:
    graph = TaskGraph.of([Task(id=id) for id in "abc"])
    by_seed = [[ranked(graph, "random", Settings(seed=seed))[id] for id in "abc"] for seed in range(5)]
    assert len({tuple(row) for row in by_seed}) == 5
    code = "from dyntaskmas_nb.apee.priority import shuffled as s; from dyntaskmas_nb.core.task import Task;"
    code += "print([s(1)(Task(id=id), (), None) for id in 'abc'])"
    for hash_seed in ("1", "2"):
        environment = {**os.environ, "PYTHONHASHSEED": hash_seed}
        out = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment
        )
        assert out.stdout.strip() == str(by_seed[1])


def nosy(task: Task, successors: Successors, weights: Coefficients) -> float:
    """A user's rule that reads what a successor is, not only how it ranks."""
    return len(task.description) + sum(
        len(after.role) + 10 * after.attempts + rank / 8 for after, _, rank in successors
    )


@pytest.mark.parametrize("policy", [*POLICIES, nosy])
@given(graph=graphs(min_size=1), edits=st.lists(st.lists(deltas(), max_size=2), max_size=5))
def test_re_ranking_after_edits_equals_ranking_afresh(
    policy: str, graph: TaskGraph, edits: list[list[Delta]]
) -> None:
    settings = Settings(seed=5)
    ranking = Ranking(graph, policy_of(policy, 5), settings)
    ranking.touch(graph)
    ranking.refresh()
    for several in edits:
        before = {id: ranking[id] for id in graph}
        for edit in several:
            try:
                inverse = apply(graph, edit)
            except InvalidInput:
                continue
            ranking.touch(touched(edit) | touched(inverse))
        told = set(ranking.refresh())
        fresh = Ranking(graph, policy_of(policy, 5), settings)
        fresh.touch(graph)
        fresh.refresh()
        for id in graph:
            assert ranking[id] == fresh[id]
            assert id in told or before.get(id) == ranking[id], "whose priority changed is told"


def test_only_ancestors_of_a_change_are_looked_at() -> None:
    graph = TaskGraph.of([Task(id=str(n)) for n in range(20)], [(str(n), str(n + 1), 0.0) for n in range(19)])
    seen: list[str] = []

    def watching(task: Task, successors: Successors, weights: Coefficients) -> float:
        seen.append(task.id)
        return upward_rank(task, successors, weights)

    ranking = Ranking(graph, policy_of(watching), Settings())
    ranking.touch(graph)
    assert len(ranking.refresh()) == 20
    seen.clear()
    assert ranking.refresh() == []
    ranking.touch(["3"])
    assert ranking.refresh() == ["3"]
    assert seen == ["3", "2"], "the task itself, and who may read it; no further, as its rank did not move"


@given(quarters, quarters, quarters)
def test_the_rules_by_hand(c: float, i: float, rank: float) -> None:
    task, after = Task(id="u", complexity=c), Task(id="v", complexity=3.0)
    weights = coefficients(SETTINGS)
    assert upward_rank(task, [(after, i, rank)], weights) == 2 * c + (i / 2 + rank)
    assert as_printed(task, [(after, i, rank)], weights) == c / (2 * 3 + i / 2 + rank)
    assert as_printed(task, [(Task(id="v", complexity=0), 0.0, 0.0)], weights) == c
    assert as_printed(task, (), weights) == c


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf"), 10**400, "high", None, [1]])
def test_a_rule_must_give_a_number(value: object) -> None:
    graph = TaskGraph.of([Task(id="a")])
    ranking = Ranking(graph, policy_of(lambda task, successors, weights: value), Settings())  # type: ignore[arg-type,return-value]
    ranking.touch(graph)
    with pytest.raises(InvalidInput, match=r"'custom' gave .* for task 'a'"):
        ranking.refresh()


def test_a_rule_that_raises_is_blamed() -> None:
    graph = TaskGraph.of([Task(id="a")])
    ranking = Ranking(graph, policy_of(lambda task, successors, weights: 1 / 0), Settings())
    ranking.touch(graph)
    with pytest.raises(InvalidInput, match=r"'custom' raised ZeroDivisionError: .* for task 'a'"):
        ranking.refresh()


def test_an_unknown_policy_lists_those_there_are() -> None:
    with pytest.raises(InvalidInput, match=r"'best'\. Choose from upward_rank, as_printed, fifo, random"):
        policy_of("best")
    assert [policy_of(name).name for name in POLICIES] == list(POLICIES)
    assert policy_of(upward_rank).name == "custom"
