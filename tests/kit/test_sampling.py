"""The machine is sampled while somebody looks at a run, and not otherwise."""

from __future__ import annotations

from threading import Event

import pytest

from dyntaskmas_nb import Kit
from dyntaskmas_nb.awm import sampler
from dyntaskmas_nb.core.event import MachineSampled
from dyntaskmas_nb.kit import parts

PLAN = {"subtasks": [{"id": "a"}]}


@pytest.fixture
def sampling(monkeypatch):
    """When sampling has begun and when it has ended."""
    began, ended, sample = Event(), Event(), sampler.sample

    async def noted(post, every, now):
        began.set()
        try:
            await sample(post, every, now)
        finally:
            ended.set()

    monkeypatch.setattr(sampler, "sample", noted)
    monkeypatch.setattr(parts, "SAMPLED", sampler.SHORTEST)
    return began, ended


def samples(run):
    return [event for event in run._machine.log if isinstance(event, MachineSampled)]


def test_the_machine_is_sampled_while_a_face_watches(sampling):
    began, ended = sampling
    let = Event()

    def slow(task, context):
        assert let.wait(60)

    with Kit(home=None, agents={"*": slow}) as kit:
        run = kit.start(PLAN)
        run._background.call(run._engine.until, lambda: [*run._machine.running_tasks()])
        assert not began.is_set()
        idle = kit.start(PLAN, paused=True)
        idle.watch(lambda: None)
        idle._background.call(lambda: None)
        assert not began.is_set(), "nothing runs"
        one, other = run.watch(lambda: None), run.watch(lambda: None)
        run._background.call(run._engine.until, lambda: len(samples(run)) >= 2)
        one()
        seen = len(samples(run))
        run._background.call(run._engine.until, lambda: len(samples(run)) > seen)
        assert not ended.is_set(), "another face watches"
        other()
        assert ended.wait(60)
        began.clear()
        last = run.watch(lambda: None)
        assert began.wait(60), "and again"
        last()
        let.set()
        run.result(60)
    assert run.metrics().machine


def test_virtual_time_knows_no_machine(sampling):
    with Kit(clock="virtual", home=None) as kit:
        run = kit.start(PLAN)
        run.watch(lambda: None)
        run.result()
        assert samples(run) == []
    assert not sampling[0].is_set()
