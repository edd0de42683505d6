"""The numbers of tasks and dependencies: what stands in their equations gives what the scheduler goes by."""

from __future__ import annotations

from dataclasses import replace

import pytest

from dyntaskmas_nb.apee.equations import KINDS, OF_EDGE, OF_TASK, explain_number, priority_of
from dyntaskmas_nb.apee.explain import explain
from dyntaskmas_nb.apee.forecast import slack
from dyntaskmas_nb.apee.priority import Policy
from dyntaskmas_nb.core.delta import ReviseTask
from dyntaskmas_nb.core.graph import TaskGraph
from dyntaskmas_nb.core.settings import Settings, universal_agents
from dyntaskmas_nb.core.task import Task
from dyntaskmas_nb.dtgg.weights import edge_weight
from dyntaskmas_nb.errors import InvalidInput
from dyntaskmas_nb.view.equation import NumberExplained
from tests.apee.driving import Driver, driver, graph
from tests.apee.test_forecast import Usual
from tests.view.test_equation import HOSTILE, Page, typeset

FIELDS: dict[str, dict[str, object]] = {
    "a": {"complexity": 3.0, "boost": 0.5},
    "b": {"complexity": 2.0, "role": "slow"},
    "c": {"complexity": 5.0, "boost": 2.0},
    "d": {"complexity": 0.25},
}
RULES = Settings(seconds_per_unit=2.0, seconds_per_information=0.5, rates={"slow": 3.0})


def run(**settings: object) -> Driver:
    return driver("a>b:4", "a>c", "b>d", "c>d:1", settings=replace(RULES, **settings), **FIELDS)  # type: ignore[arg-type]


def told(run: Driver, kind: str, id: str, to: str = "") -> NumberExplained:
    return explain_number(run.machine, kind, id, to, Usual())


@pytest.mark.parametrize("policy", ["upward_rank", "as_printed", "fifo", "random", "custom"])
@pytest.mark.parametrize("printed", [False, True])
def test_a_priority_is_the_one_that_is_served_by(policy: str, printed: bool) -> None:
    own = Policy(name="custom", rule=lambda task, successors, weights: task.complexity / 7)
    settings = replace(RULES, policy=policy, as_printed=printed)
    graph_ = graph("a>b:4", "a>c", "b>d", "c>d:1", **FIELDS)
    here = Driver(graph_, universal_agents(2), settings, own if policy == "custom" else None)
    for id in "abcd":
        found, o = told(here, "priority", id), priority_of(here.machine, id).operands
        assert found.value == here.machine.priority(id)
        boost = o.get("boost", 0.0)
        if policy == "upward_rank":
            through = o["β"] * o["I"] + o["rank(u)"] if "β" in o else 0.0
            assert found.value == pytest.approx(o["α"] * o.get("r(v)", 1.0) * o["C(v)"] + through + boost)
            assert (r"\,r(v)" in found.latex) == (id == "b")
        elif policy == "as_printed":
            below = o["W(v, u)"] + o["P(u)"] if "P(u)" in o else 1.0
            assert found.value == pytest.approx(o["C(v)"] / below + boost)
        typeset(found.latex)
        assert (r"\mathrm{boost}" in found.latex) == ("boost" in found.operands) == (id in "ac")
        assert "next one" not in found.words
        assert found.unit == ("s" if policy == "upward_rank" and not printed else "")


def test_the_successor_that_decides_is_named() -> None:
    assert told(run(), "priority", "a").operands["u"] == "b"
    evenly = told(run(rates={}), "priority", "a")
    assert evenly.operands["u"] == "c", "b is slow no more"
    assert evenly.operands["rank(u)"] == 11.0, "without the boost of c, which is its own"
    assert "next one" not in evenly.words
    last = told(run(), "priority", "d")
    assert "u" not in last.operands
    assert "no successors" in last.words
    assert "Eq. 5" in last.source


def test_an_edit_that_no_turn_has_seen_is_said() -> None:
    here = run()
    here.submit(ReviseTask(id="d", changes={"complexity": 7.0}))
    old = told(here, "priority", "d")
    assert (old.value, old.operands["C(v)"]) == (0.5, 7.0)
    assert old.words.endswith("it is that of the last turn, edits since then count from the next one on")
    here.turn()
    assert told(here, "priority", "d").value == 14.0
    assert "next one" not in told(here, "priority", "d").words


def test_a_weight_is_that_of_eq_3_in_both_readings() -> None:
    here = run()
    for before, after, _ in here.machine.graph.dependencies():
        found = told(here, "weight", before, after)
        o = found.operands
        assert found.value == edge_weight(here.machine.graph, before, after, here.machine.settings)
        assert found.value == o["α"] * o.get("r(v_j)", 1) * o["C(v_j)"] + o["β"] * o["I(v_i, v_j)"]  # type: ignore[operator]
        assert (o["α"], o["β"], o["T_c"], o["T_t"]) == (2.0, 0.5, 2.0, 0.5)
        assert (found.unit, o["v_i"], o["v_j"]) == ("s", before, after)
        typeset(found.latex)


@pytest.mark.parametrize(("t_t", "beta"), [(0.5, 1.0), (2.0, 0.5), (8.0, 0.25)])
def test_as_printed_beta_is_moved_and_alpha_is_not(t_t: float, beta: float) -> None:
    here = run(as_printed=True, seconds_per_information=t_t, rates={})
    found = told(here, "weight", "a", "b")
    o = found.operands
    assert (o["α"], o["β"]) == (0.5, beta)
    assert found.value == edge_weight(here.machine.graph, "a", "b", here.machine.settings)
    assert found.value == o["α"] * o["T_c"] * o["C(v_j)"] + o["β"] * o["T_t"] * o["I(v_i, v_j)"]  # type: ignore[operator]
    assert found.source.endswith("Eq. 3, as printed")
    assert found.unit == ""


def test_slack_is_what_the_run_says() -> None:
    here = run()
    for id, seconds in slack(here.machine.graph, Usual()).items():
        found = told(here, "slack", id)
        o = found.operands
        assert found.value == seconds == o["L"] - o["head(v)"] - o["tail(v)"]  # type: ignore[operator]
        assert o["t(v)"] == here.machine.graph[id].complexity
    assert told(here, "slack", "b").value == 3.0
    assert told(here, "slack", "c").value == 0.0


def test_what_is_given_says_so_and_what_it_comes_to() -> None:
    b, edge = told(run(), "complexity", "b"), told(run(), "information", "a", "b")
    assert (b.value, edge.value) == (2.0, 4.0)
    assert "comes to 12 s of work" in b.words, "2 units of 2 s at a third of the pace"
    assert "comes to 2 s" in edge.words
    assert ("line 20" in b.source, "line 21" in edge.source) == (True, True)


def test_names_of_tasks_stay_out_of_html_and_latex() -> None:
    tasks = [Task(id=HOSTILE), Task(id=HOSTILE + "2")]
    here = Driver(TaskGraph.of(tasks, [(HOSTILE, HOSTILE + "2", 0.0)]), universal_agents(1))
    one, other = here.machine.graph.topological()
    pages = [told(here, kind, one, other if kind in OF_EDGE else "") for kind in (*OF_TASK, *OF_EDGE)]
    for found in pages:
        typeset(found.latex)
        page = Page(found._repr_html_())
        assert page.read == rf"\({found.latex}\)"
        assert "javascript:alert" in page.ignored
        assert "img" not in page.tags
    why = explain(here.machine, one)
    page = Page(why._repr_html_())
    assert page.read == rf"\({why.latex}\)"
    assert "img" not in page.tags


def test_an_explanation_has_its_equation_in_latex_too() -> None:
    here = run()
    why, number = explain(here.machine, "a"), told(here, "priority", "a")
    assert (why.latex, why.source) == (number.latex, number.source)
    assert {**why.operands, "u": why.successor} == number.operands
    assert why.latex not in repr(why), "the text stays as it was"
    assert why.equation == "upward rank α·C(v) + max over successors u of (β·I(v, u) + rank(u)) + boost"


@pytest.mark.parametrize(
    ("kind", "id", "to", "words"),
    [
        ("speed", "a", "", "no number 'speed'; choose from priority"),
        ("priority", "z", "", "z"),
        ("weight", "a", "z", "z"),
        ("weight", "a", "d", "a"),
        ("information", "d", "a", "d"),
        ("slack", "", "", "There is no task"),
    ],
)
def test_what_there_is_not_is_refused(kind: str, id: str, to: str, words: str) -> None:
    with pytest.raises(InvalidInput, match=words):
        told(run(), kind, id, to)


def test_the_kinds_are_all_that_run_explain_number_takes() -> None:
    assert set(OF_TASK + OF_EDGE) < set(KINDS)
    assert {"metric", "objective", "makespan"} < set(KINDS)
