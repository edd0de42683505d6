"""Figures of M(t) with their formulas: what stands in them gives them, for the run, its window, an agent."""

from __future__ import annotations

import pytest

from dyntaskmas_nb.awm.explain import Decision
from dyntaskmas_nb.awm.figures import FIGURES
from dyntaskmas_nb.awm.formulas import explain_metric, explain_objective
from dyntaskmas_nb.awm.metrics import Metrics
from dyntaskmas_nb.awm.monitor import Monitor
from dyntaskmas_nb.core.command import CancelTask
from dyntaskmas_nb.core.event import MachineSampled, TaskStopped
from dyntaskmas_nb.core.settings import Adaptation
from dyntaskmas_nb.errors import InvalidInput
from tests.apee.driving import Driver, driver
from tests.awm.test_explain import MOVE, STAY, decided
from tests.view.test_equation import HOSTILE, Page, typeset


def lived() -> Driver:
    """One attempt failed and was tried again, one was stopped, four were done, on two agents."""
    run = driver("a>b", "a>c", "d", "e", agents=2, a={"attempts": 2})
    run.t = 1.0
    run.fail("a")
    run.t = 1.5
    run.done("d")
    run.t = 3.0
    run.tell(CancelTask(id="e"))
    run.feed(TaskStopped(3.0, "e", 1))
    run.turn()
    run.t = 4.0
    run.done("a")
    run.t = 6.0
    run.done("b", "c")
    run.feed(MachineSampled(6.0, 0.5, 2**20, ()))
    return run


@pytest.fixture
def metrics() -> Metrics:
    monitor = Monitor()
    monitor.catch_up(lived().machine.log)
    return monitor.metrics(8.0)


FORMULAS = {
    "attempts": lambda o: o["n"] + o["stopped"],
    "throughput": lambda o: o["done"] / o["seconds"],
    "completion_rate": lambda o: o["done"] / o["n"],
    "failure_rate": lambda o: o["failed"] / o["n"],
    "retry_rate": lambda o: o["retries"] / o["N"],
    "utilisation": lambda o: o["busy"] / o["available"],
    "coordination": lambda o: o["dispatching"] + o["handing_over"],
    "coordination_mean": lambda o: o["coordination"] / o["done"],
}


@pytest.mark.parametrize("scope", ["", "recent "])
def test_what_stands_in_a_formula_gives_the_figure(metrics: Metrics, scope: str) -> None:
    figures = metrics.recent if scope else metrics.whole
    for name, unit, definition in FIGURES:
        found = explain_metric(metrics, scope + name)
        assert (found.name, found.value) == (scope + name, getattr(figures, name))
        assert (found.unit, found.words) == (unit, definition)
        assert "§III-D" in found.source
        typeset(found.latex)
        assert bool(found.latex) == bool(found.operands)
        if name in FORMULAS:
            assert found.value == pytest.approx(FORMULAS[name](found.operands)), name
    assert figures.attempts == 6
    assert explain_metric(metrics, "retry_rate").operands == {"retries": 1, "N": 6}


def test_the_window_has_its_own_operands(metrics: Metrics) -> None:
    monitor = Monitor()
    monitor.catch_up(lived().machine.log)
    monitor._over.since = 3.0  # as if the window began here
    late = monitor.metrics(8.0)
    whole, recent = (explain_metric(late, f"{scope}utilisation") for scope in ("", "recent "))
    assert (whole.operands["available"], recent.operands["available"]) == (12.0, 6.0)
    assert explain_metric(late, "recent throughput").operands["seconds"] == 3.0


def test_figures_of_an_agent_a_role_and_the_machine(metrics: Metrics) -> None:
    agent = metrics.agents[0]
    found = explain_metric(metrics, "utilisation", agent.agent)
    assert found.value == agent.utilisation == agent.busy / agent.available
    assert found.operands == {"busy": agent.busy, "available": agent.available}
    assert found.name == f"utilisation of {agent.agent!r}"
    done = explain_metric(metrics, "done", agent.agent)
    assert (done.value, done.latex, done.operands) == (agent.done, "", {})
    slots = explain_metric(metrics, "slots", agent.agent)
    assert slots.value == 1
    assert "Eqs. 19 and 20" in slots.source
    typeset(slots.latex)
    (role,) = metrics.roles
    assert explain_metric(metrics, "seconds_per_unit", role.role).value == role.seconds_per_unit
    assert explain_metric(metrics, "spread", role.role).operands == {"T_c": role.seconds_per_unit}
    assert explain_metric(metrics, "memory", "machine").value == 2**20
    assert explain_metric(metrics, "recent memory", "machine").words == "its mean"
    for row in metrics.to_records():
        scope = "recent " if row["window"] == "recent" else ""
        assert explain_metric(metrics, scope + row["name"], row["of"]).value == row["value"]


def test_what_cannot_be_told_yet_is_none() -> None:
    found = explain_metric(Monitor().metrics(0.0), "throughput")
    assert (found.value, found.operands) == (None, {"done": 0, "seconds": 0.0})
    assert "throughput = –" in repr(found)


@pytest.mark.parametrize(
    ("id", "of", "words"),
    [
        ("speed", "", "no figure 'speed'; choose from seconds, attempts"),
        ("throughput", "agent 1", "'throughput' of 'agent 1'; choose from utilisation"),
        ("done", "nobody", "agents and roles"),
        ("recent done", "agent 1", "no figure 'recent done' of 'agent 1'"),
    ],
)
def test_what_there_is_not_is_refused(metrics: Metrics, id: str, of: str, words: str) -> None:
    with pytest.raises(InvalidInput, match=words):
        explain_metric(metrics, id, of)


def test_the_objective_of_a_decision_is_that_of_eq_18() -> None:
    found = explain_objective(Decision(decided(), 30.0), Adaptation(mode="auto", cost_weight=2.0))
    assert found.value == MOVE.score
    assert found.operands["f(as it was)"] == STAY.score
    assert (found.operands["|Ω|"], found.operands["n"], found.operands["λ"]) == (3, MOVE.seeds, 2.0)
    assert "Eq. 18" in found.source
    typeset(found.latex)
    late = explain_objective(Decision(decided(), 30.0), Adaptation(mode="auto", deadline=9.0))
    assert "late" in late.latex
    typeset(late.latex)


def test_names_are_neither_html_nor_latex() -> None:
    event = decided()
    event.reason = HOSTILE
    page = Page(explain_objective(Decision(event, 30.0), Adaptation())._repr_html_())
    assert "img" not in page.tags
    assert "javascript:alert" in page.ignored
    assert "javascript" not in page.read
