"""Critique and revision are unrolled as tasks; they stop for one of three reasons, and say for which."""

from __future__ import annotations

from typing import Any

import pytest

from dyntaskmas_nb.core.graph import TaskGraph
from dyntaskmas_nb.core.task import Task
from dyntaskmas_nb.dtgg.reflection import reflect, step_of
from dyntaskmas_nb.dtgg.update import apply
from dyntaskmas_nb.errors import AgentError, InvalidInput


def draft() -> TaskGraph:
    tasks = [Task(id="notes"), Task(id="v", role="writer", inputs=[1]), Task(id="end")]
    return TaskGraph.of(tasks, [("notes", "v", 1.0), ("v", "end", 2.0)])


def worked(scores: list[Any], **rules: Any) -> tuple[Any, str, int, int]:
    """Work on every task in order; what `end` sees, why it stopped, and how often the agents were asked."""
    graph = draft()
    apply(graph, reflect(graph, "v", "judge", **rules))
    results: dict[str, Any] = {}
    judged = revised = 0
    for id in graph.topological():
        given = {before: results[before] for before in graph.after(id)}
        step = step_of(graph[id])
        if step is None:
            results[id] = given if id == "end" else "v0"
        elif step.over(given):
            results[id] = step.passed_on(given)
        elif graph[id].role == "judge":
            assert step.reads == (step.version,)
            results[id] = step.concluded(scores[judged], given)
            judged += 1
        else:
            assert (graph[id].role, step.inputs, len(step.reads)) == ("writer", [1], 2)
            revised += 1
            results[id] = step.concluded(f"v{revised}", given)
    last = max(id for id in graph if graph[id].role == "judge")
    (seen,) = results["end"].values()
    return seen, results[last]["stopped"], judged, revised


@pytest.mark.parametrize(
    ("scores", "rules", "wanted"),
    [
        ([0.8], {}, ("v0", "quality", 1, 0)),
        ([0.5, 0.9], {}, ("v1", "quality", 2, 1)),
        ([0.1, 0.2, 0.3], {}, ("v3", "count", 3, 3)),
        ([0.1], {"n": 1}, ("v1", "count", 1, 1)),
        ([0.1, 0.2, 0.21], {}, ("v2", "gain", 3, 2)),
        ([0.1, 0.2, 0.1], {}, ("v1", "gain", 3, 2)),  # the revision made it worse
        ([0.5, 0.4], {}, ("v0", "gain", 2, 1)),
        ([0.5, 0.5], {"epsilon": 0.0, "n": 2}, ("v2", "count", 2, 2)),
        ([0.5, 0.4], {"q": 0.4}, ("v0", "quality", 1, 0)),
    ],
)
def test_it_stops_on_quality_count_or_small_gain(scores: list[float], rules: Any, wanted: Any) -> None:
    assert worked(scores, **rules) == wanted


@pytest.mark.parametrize(
    ("answer", "score", "critique"),
    [
        (1, 1.0, ""),
        (" 0.7\n", 0.7, ""),
        ('Here: {"score": 0, "critique": "thin"}', 0.0, "thin"),
        ({"score": 0.5, "critique": None}, 0.5, ""),
    ],
)
def test_a_score_is_a_number_or_stands_beside_a_critique(answer: Any, score: float, critique: str) -> None:
    graph = draft()
    apply(graph, reflect(graph, "v", "judge"))
    step = step_of(graph["v.1"])
    assert step is not None
    said = step.concluded(answer, {"v": "v0"})
    assert (said["score"], said["critique"], said["stopped"]) == (
        score,
        critique,
        "quality" if score > 0.8 else "",
    )
    for bad in (
        1.1,
        -0.1,
        True,
        None,
        "nan",
        "1e999",
        "good",
        "[0.5]",
        {"score": "x"},
        {"mark": 1},
        [],
        "9" * 9_999,
    ):
        with pytest.raises(AgentError, match="a score from 0 to 1 is needed") as caught:
            step.concluded(bad, {"v": "v0"})
        assert len(str(caught.value)) < 200


def test_the_delta_is_undone_and_can_be_made_twice() -> None:
    graph = draft()
    inverse = apply(graph, reflect(graph, "v", "judge", n=2))
    assert graph.predecessors("end") == ("v.4",)
    assert graph.predecessors("v.4") == ("v.2", "v.3", "v")
    again = apply(graph, reflect(graph, "v.4", "judge", n=1))
    step = step_of(graph["v.4.2"])
    assert step is not None
    assert step.inputs == [1]
    apply(graph, again)
    apply(graph, inverse)
    assert graph == draft()


def test_without_a_result_nobody_is_asked() -> None:
    graph = draft()
    apply(graph, reflect(graph, "v", "judge", n=1))
    critique, revision = step_of(graph["v.1"]), step_of(graph["v.2"])
    assert critique is not None
    assert revision is not None
    assert critique.over({"v": None})
    said = critique.passed_on({"v": None})
    assert revision.over({"v": None, "v.1": said})
    assert revision.over({"v": "draft", "v.1": None}), "a judge that was skipped"
    assert revision.passed_on({"v": "draft", "v.1": None}) == "draft"
    assert step_of(Task(id="x", inputs={"reflection": {"mine": 1}})) is None


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"id": "w"}, "There is no task 'w'"),
        ({"judge": len}, "give the function to Kit"),
        ({"judge": ""}, "is empty"),
        ({"q": 2}, "q must be a number from 0 to 1"),
        ({"epsilon": float("nan")}, "epsilon must be a number"),
        ({"n": 0}, "n must be a whole number from 1 to 10"),
        ({"n": True}, "n must be a whole number"),
    ],
)
def test_bad_arguments_are_one_sentence(changes: dict[str, Any], said: str) -> None:
    given = {"id": "v", "judge": "judge", **changes}
    with pytest.raises(InvalidInput, match=said):
        reflect(draft(), given.pop("id"), given.pop("judge"), **given)
