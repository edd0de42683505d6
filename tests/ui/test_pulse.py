"""The costly figures: what they say, and how seldom they are looked at."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import anyio
import pytest

from dyntaskmas_nb import Kit
from dyntaskmas_nb.core.task import TaskState
from dyntaskmas_nb.ui import pulse as pulses
from dyntaskmas_nb.ui.pulse import KEPT, PACE, SHARE, Pulse
from tests.ui.fakes import PLAN, strict


class Time:
    """A clock that the test moves; a look at the figures takes `cost` seconds of it."""

    def __init__(self) -> None:
        self.now, self.cost = 50.0, 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def time() -> Time:
    return Time()


@pytest.fixture
def pulse(run: Any, time: Time, monkeypatch: pytest.MonkeyPatch) -> Pulse:
    metrics = run.metrics

    def slow() -> Any:
        time.now += time.cost
        return metrics()

    monkeypatch.setattr(run, "metrics", slow)
    return Pulse(run, time)


def test_it_foretells_what_a_preview_says(run: Any, pulse: Pulse) -> None:
    run.step("completion")
    told = strict(pulse.beat(run.snapshot()))
    forecast, expected = told["forecast"], run.preview().before
    assert forecast["makespan"] == expected.makespan
    assert forecast["path"] == list(expected.critical_path) == ["a", "b", "d"]
    assert forecast["slack"] == run.slack()
    assert [one["task"] for one in forecast["attempts"]] == [one.task for one in expected.attempts]


def test_it_tells_every_figure_with_its_meaning(run: Any, pulse: Pulse) -> None:
    run.resume()
    run.result()
    told = strict(pulse.beat(run.snapshot()))
    records = run.metrics().to_records()
    keys = {
        "name": "name",
        "at": "of",
        "scope": "window",
        "value": "value",
        "unit": "unit",
        "meaning": "definition",
    }
    assert [{key: row[key] for key in keys} for row in told["figures"]] == [
        {key: row[name] for key, name in keys.items()} for row in records
    ]
    (sample,) = told["samples"]
    metrics = run.metrics()
    expected = {"throughput": metrics.recent.throughput, "tokens": 0.0, "queue_depth": 0.0}
    assert sample["values"] | expected == sample["values"]
    assert sample["values"].keys() >= {f"agent:{one.agent}" for one in metrics.agents}
    assert sample["t"] == run.snapshot().t
    assert told["forecast"] is None, "a run that is over has no future"


async def slower(task: Any, context: Any) -> str:
    """An agent of whom one takes eight times as long from 5 s on."""
    if context.agent == "agent 2" and anyio.current_time() >= 4.9:
        await anyio.sleep(7 * task.complexity)
    return task.id


def test_it_tells_what_the_awm_proposes(monkeypatch: pytest.MonkeyPatch) -> None:
    with Kit(agents={"*": slower}, clock="virtual", home=None) as kit:
        run = kit.start({"subtasks": [{"id": f"t{n}"} for n in range(40)]}, agents=3, awm="advise")
        assert Pulse(run).beat(run.snapshot())["proposals"] == []
        while not (found := run.proposals()):
            run.run_until(run.snapshot().t + 1.0)
        monkeypatch.setattr(run, "proposals", lambda: found)  # it may look again at any time
        (proposal,) = strict(Pulse(run).beat(run.snapshot()))["proposals"]
        assert proposal == {
            "number": found[0].event.number,
            "name": found[0].chosen.name,
            "gain": found[0].predicted,
            "reason": found[0].event.reason,
        }


def test_it_looks_once_for_each_news_at_its_pace(run: Any, pulse: Pulse, time: Time) -> None:
    first = run.snapshot()
    assert pulse.wait(first.seq) == 0
    assert pulse.beat(first)
    assert (pulse.wait(first.seq), pulse.beat(first)) == (math.inf, {})
    run.revise("a", complexity=2.0)
    then = run.snapshot()
    assert (pulse.wait(then.seq), pulse.beat(then)) == (PACE, {})
    time.now += PACE
    assert pulse.wait(then.seq) == 0
    assert pulse.beat(then)["samples"]


@pytest.mark.parametrize(
    ("clock", "status", "state", "goes_on"),
    [
        ("real", "running", "running", True),
        ("real", "paused", "running", True),
        ("real", "planning", "running", True),
        ("real", "paused", "ready", False),
        ("real", "planning", "ready", False),
        ("real", "interrupted", "running", False),
        ("virtual", "running", "running", False),
    ],
)
def test_it_looks_again_while_real_time_passes_for_a_task(
    run: Any, time: Time, monkeypatch: pytest.MonkeyPatch, clock: str, status: Any, state: Any, goes_on: bool
) -> None:
    monkeypatch.setattr(type(run), "clock", clock)
    now = run.snapshot()
    view = replace(now.tasks["a"], state=TaskState(state))
    now = replace(now, status=status, tasks={**now.tasks, "a": view})
    pulse = Pulse(run, time)
    told = pulse.beat(now)
    assert bool(told) is (status != "planning" or goes_on)
    assert pulse.wait(now.seq) == (PACE if goes_on else math.inf)
    time.now += PACE
    assert bool(pulse.beat(now)) is goes_on


def test_the_more_a_look_costs_the_longer_it_rests(run: Any, pulse: Pulse, time: Time) -> None:
    time.cost = 0.5
    pulse.beat(run.snapshot())
    run.revise("a", complexity=2.0)
    assert pulse.wait(run.snapshot().seq) == pytest.approx(SHARE * 0.5)


def test_a_look_that_fails_is_not_tried_again_at_once(
    run: Any, time: Time, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run, "slack", lambda: 1 / 0)
    pulse, now = Pulse(run, time), run.snapshot()
    with pytest.raises(ZeroDivisionError):
        pulse.beat(now)
    assert pulse.wait(now.seq) == math.inf
    assert pulse.wait(now.seq + 1) == PACE
    assert pulse.beat(replace(now, seq=now.seq + 1)) == {}


def test_who_joins_late_gets_the_samples_so_far(run: Any, pulse: Pulse, time: Time) -> None:
    assert pulse.whole() == {}
    for number in range(3):
        run.revise("a", complexity=number + 2.0)
        time.now += PACE
        last = pulse.beat(run.snapshot())
    whole = pulse.whole()
    assert len(whole["samples"]) == 3
    assert whole["samples"][-1:] == last["samples"]
    assert whole["forecast"] == last["forecast"]
    for _ in range(KEPT):
        pulse._samples.append({})
    assert len(pulse.whole()["samples"]) == KEPT


def test_a_run_too_large_to_simulate_has_no_forecast(
    run: Any, pulse: Pulse, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pulses, "SIMULATED", len(PLAN["subtasks"]) - 1)
    monkeypatch.setattr(run, "preview", lambda: pytest.fail("simulated"))
    told = pulse.beat(run.snapshot())
    assert told["forecast"] is None
    assert told["figures"]


def test_numbers_that_are_none_are_nothing(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    metrics = run.metrics()
    odd = replace(
        metrics,
        recent=replace(metrics.recent, throughput=math.inf, latency_mean=math.nan),
        whole=replace(metrics.whole, cost=-math.inf),
    )
    monkeypatch.setattr(run, "metrics", lambda: odd)
    monkeypatch.setattr(run, "slack", lambda: {"a": math.nan, "b": 1.0})
    pulse = Pulse(run)
    told = strict(pulse.beat(run.snapshot()))
    (sample,) = told["samples"]
    assert [sample["values"][name] for name in ("throughput", "latency", "cost")] == [None] * 3
    assert told["forecast"]["slack"] == {"a": None, "b": 1.0}
    values = {(row["name"], row["scope"]): row["value"] for row in told["figures"]}
    assert values["throughput", "recent"] is None
    strict(pulse.whole())
