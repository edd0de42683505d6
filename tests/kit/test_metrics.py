"""What a run says it measures, and that every face of it agrees with the log."""

from __future__ import annotations

import pytest

from dyntaskmas_nb import AgentSpec, Kit
from dyntaskmas_nb.awm.monitor import Monitor

PLAN = {
    "task": "Two and one",
    "subtasks": [{"id": "a"}, {"id": "b", "complexity": 2}, {"id": "c", "depends_on": ["a", "b"]}],
}


@pytest.fixture
def run():
    with Kit(clock="virtual", home=None) as kit:
        yield kit.start(PLAN, agents=[AgentSpec(id="x"), AgentSpec(id="y")])


def test_a_run_measures_itself_while_it_goes_on(run):
    assert run.metrics().whole.attempts == 0
    run.run_until(1.5)
    half = run.metrics()
    assert (half.t, half.whole.done, half.whole.utilisation) == (1.5, 1, (1 + 1.5) / 3)
    run.result()
    whole = run.metrics().whole
    assert (whole.done, whole.seconds, whole.throughput, whole.utilisation) == (3, 3.0, 1.0, 4 / 6)
    assert whole.utilisation == run.measures().utilisation
    assert [(one.agent, one.busy, one.done) for one in run.metrics().agents] == [("x", 3.0, 2), ("y", 1.0, 1)]
    assert half.whole.done == 1, "it is a copy"


def test_it_is_what_a_monitor_makes_of_the_log(run):
    run.run_until(0.5)
    run.metrics()
    run.add_task("more", id="d", after=["c"])
    run.result()
    monitor = Monitor()
    monitor.catch_up(run._machine.log)
    assert run.metrics() == monitor.metrics(run.snapshot().t)
    assert run.critical_path() == ("b", "c", "d"), "previews go by what it has learned"


def test_metrics_can_be_had_after_the_kit_is_closed():
    with Kit(clock="virtual", home=None) as kit:
        run = kit.start(PLAN, agents=1)
        run.result()
        before = run.metrics()
    assert run.metrics() == before
    assert before.whole.utilisation == 1.0
