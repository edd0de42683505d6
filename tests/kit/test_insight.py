"""Any number of a run, asked of the run itself."""

from __future__ import annotations

import pytest

from dyntaskmas_nb import Kit
from dyntaskmas_nb.apee.equations import KINDS, OF_EDGE
from dyntaskmas_nb.core.delta import ReviseTask
from dyntaskmas_nb.errors import InvalidInput, RunFailed
from dyntaskmas_nb.view.equation import MEASURED
from tests.view.test_equation import typeset

PLAN = {
    "subtasks": [
        {"id": "a"},
        {"id": "b", "complexity": 2.0},
        {"id": "c", "depends_on": ["a", "b"]},
        {"id": "d", "depends_on": ["c"]},
    ]
}


@pytest.fixture
def run():
    with Kit(clock="virtual", home=None) as kit:
        yield kit.start(PLAN, agents=2)


def test_every_kind_of_number_can_be_asked_for_and_is_what_the_run_shows(run):
    run.look_at_workflow()
    run.run_until(2.5)
    now, measures = run.snapshot(), run.measures()
    values = {
        "priority": now.tasks["a"].priority,
        "complexity": 1.0,
        "slack": run.slack()["a"],
        "weight": 1.0,
        "information": 0.0,
        "makespan": measures.makespan,
        "one after another": measures.serial,
        "speed-up": measures.speedup,
        "critical path": measures.critical_path,
        "lower bound": measures.lower_bound,
        "utilisation": measures.utilisation,
        "expected end": run.preview().before.makespan,
        "metric": run.metrics().whole.throughput,
        "objective": run.explain_workflow().decisions[-1].chosen.score,
    }
    assert set(values) == set(KINDS)
    for kind in KINDS:
        id = {"metric": "throughput", "objective": ""}.get(kind, "a")
        found = run.explain_number(kind, id, "c" if kind in OF_EDGE else "")
        assert found.value == values[kind], kind
        assert found.latex
        assert found.source
        assert found.words
        typeset(found.latex)


def test_explaining_changes_nothing(run):
    run.run_until(1.5)
    before = run.log_lines()
    for kind in ("priority", "slack", *MEASURED):
        run.explain_number(kind, "a")
    run.explain_number("metric", "utilisation", "agent 1")
    assert run.log_lines() == before


def test_numbers_can_be_had_after_the_kit_is_closed():
    with Kit(clock="virtual", home=None) as kit:
        run = kit.start(PLAN, agents=2)
        run.result()
        before = [run.explain_number(kind, "a") for kind in ("priority", "slack", "makespan")]
    assert [run.explain_number(kind, "a") for kind in ("priority", "slack", "makespan")] == before
    assert before[2].value == 4.0


def test_a_decision_is_asked_for_by_its_number(run):
    with pytest.raises(InvalidInput, match="decided nothing yet"):
        run.explain_number("objective")
    run.run_until(0.5)
    for t in (0.6, 0.7):
        run.look_at_workflow()
        run.run_until(t)
    assert "decision 2" in run.explain_number("objective").name
    assert "decision 1" in run.explain_number("objective", "1").name
    with pytest.raises(InvalidInput, match="There is no decision '3'"):
        run.explain_number("objective", "3")


@pytest.mark.parametrize("given", [("speed",), (1,), ("priority", None), ("weight", "a", 2), (["priority"],)])
def test_what_is_no_number_is_refused(run, given):
    with pytest.raises(InvalidInput):
        run.explain_number(*given)


def test_a_snapshot_has_breakpoints_and_groups_and_a_preview_has_attempts(run):
    run.break_at("d")
    assert run.expand("c", {"subtasks": [{"id": "c1"}, {"id": "c2", "depends_on": ["c1"]}]})
    now = run.snapshot()
    assert now.breakpoints == {"d": "before"}
    assert now.groups == {"c1": "c", "c2": "c"}
    foretold = run.preview().before
    assert [one.task for one in foretold.attempts] == ["b", "a", "c1", "c2", "d"]
    assert foretold.attempts[-1].end == foretold.makespan
    assert set(foretold.graph) == {"a", "b", "c1", "c2", "d"}
    run.undo()
    assert run.snapshot().groups == {}


def test_the_expected_end_is_the_previews_and_names_its_path(run):
    found = run.explain_number("expected end")
    assert found.value == run.preview().before.makespan
    assert found.operands["critical path"] == " → ".join(run.critical_path())


def test_a_preview_compares_two_futures_of_one_moment():
    """Under the real clock time passes while a run is paused: both futures start now."""
    with Kit(agents={"general": lambda task: task.id}, home=None) as kit:
        run = kit.start({"subtasks": [{"id": "a"}, {"id": "b"}]}, paused=True)
        run.preview()
        before = run.snapshot().t
        while run.snapshot().t < before + 0.05:
            pass
        assert abs(run.preview(ReviseTask(id="b", changes={"boost": 1.0})).gain) < 1e-9


def test_where_a_task_failed_can_be_read_and_is_not_in_the_log():
    def work(task):
        raise ValueError(f"no {task.id}")

    with Kit(agents={"general": work}, home=None) as kit:
        run = kit.start({"subtasks": [{"id": "a"}, {"id": "b", "depends_on": ["a"]}]})
        with pytest.raises(RunFailed):
            run.result()
        assert run.traceback("a").rstrip().endswith("ValueError: no a")
        assert "in work" in run.traceback("a")
        assert run.traceback("b") == ""
        assert b"Traceback" not in run.log_lines()
        with pytest.raises(InvalidInput):
            run.traceback("nobody")
