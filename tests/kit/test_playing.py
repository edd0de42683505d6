"""Virtual time at a pace: the same run to the last byte, and one can look on, step in, stop and go on."""

from __future__ import annotations

import itertools
import logging
import threading

import anyio
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from dyntaskmas_nb import AgentSpec, Kit
from dyntaskmas_nb.apee.clock import VirtualClock
from dyntaskmas_nb.errors import AgentError, InvalidInput
from dyntaskmas_nb.kit.playing import Player
from dyntaskmas_nb.llm.simulated import Simulated

#: Durations whose sums round: what is off by one bit anywhere is seen in the log.
PLAN = {
    "task": "Odd times",
    "subtasks": [
        {"id": "a", "complexity": 0.1},
        {"id": "b", "complexity": 0.7, "attempts": 3},
        {"id": "c", "complexity": 1 / 3, "depends_on": ["a"]},
        {"id": "d", "complexity": 0.3, "depends_on": ["a", "b"]},
        {"id": "e", "complexity": 12345.678, "depends_on": ["c"]},
        {"id": "f", "complexity": 0.2, "depends_on": ["d", "e"]},
        {"id": "g", "complexity": 1e-7, "depends_on": ["f"]},
    ],
}


def chain(length):
    """So many tasks of a second each, one after another."""
    return {"subtasks": [{"id": str(n), "depends_on": [str(n - 1)] if n else []} for n in range(length)]}


def work(task, context):
    if task.id == "b" and context.attempt < 3:
        raise AgentError("not yet")
    return task.id


def start(kit, **given):
    return kit.start(PLAN, agents=[AgentSpec(id="x"), AgentSpec(id="y")], retry_delay=0.05, **given)


@pytest.fixture
def kit():
    with Kit(clock="virtual", home=None, agents={"*": work}) as kit:
        yield kit


def ended(run):
    """Wait for the run's end without moving its time."""
    run._background.call(run._engine.until, lambda: False)


def paced(run, seconds):
    """Let a second of ours be `seconds` long: how many it takes is then the same on every machine."""
    clock = itertools.count()

    class Paced(Player):
        async def _sleep(self, _):
            await anyio.lowlevel.checkpoint()

    run._player = Paced(run._engine, run._background.clock, lambda: seconds * next(clock))


@pytest.mark.parametrize(
    ("speed", "tick"), [(1e9, None), (1.0, 37.7), (0.3, 1001.0), (1234.5, 1.0), (1.0, 12346.0)]
)
def test_it_is_the_same_run_at_any_speed(kit, speed, tick):
    alone, run = start(kit, awm="auto"), start(kit, awm="auto")
    alone.result()
    if tick:
        paced(run, tick)
    assert run.play(speed)
    ended(run)
    assert run.log_lines() == alone.log_lines()
    assert run.result() == "g"
    assert run.playing == 0.0


def test_a_run_that_is_planned_while_it_plays_is_the_same_too():
    def replies(request):
        return '{"subtasks": [{"id": "one", "complexity": 0.1}, {"id": "two", "complexity": 0.7}]}'

    logs = []
    for play in (False, True):
        with Kit(Simulated(replies=replies), clock="virtual", home=None) as kit:
            run = kit.start("Plan a day in Rome")
            if play:
                paced(run, 0.013)
                run.play()
                ended(run)
            run.result()
            logs.append(run.log_lines())
    assert logs[0] == logs[1]


@given(st.lists(st.integers(1, 10**6), min_size=12, max_size=12), st.integers(1, 100))
@example([271141, 739206] + [10**6] * 10, 100)  # a jump from the one to the other goes too far by a bit
def test_whatever_the_durations(times, tick):
    chains = [{"id": str(n), "complexity": one / 7} for n, one in enumerate(times)]
    for n in range(4, 12):
        chains[n]["depends_on"] = [str(n - 4)]
    logs = []
    with Kit(clock="virtual", home=None, agents={"*": lambda task: task.id}) as kit:
        for play in (False, True):
            run = kit.start({"subtasks": chains}, agents=4)
            if play:
                paced(run, sum(times) / 100 / tick)
                run.play()
                ended(run)
            run.result()
            logs.append(run.log_lines())
    assert logs[0] == logs[1]


@given(st.floats(0, 1e12), st.floats(0, 1e12))
@example(2**-53, 1 + 2**-52)
def test_the_clock_comes_to_a_time_exactly(first, second):
    clock = VirtualClock()
    for t in sorted((first, second)):
        clock.advance(t)
        assert clock.now() == t


def test_each_second_of_ours_counts_at_the_speed_it_was_lived_at(kit):
    run = kit.start(chain(40), agents=1)
    seconds, reached, enough = itertools.count(), [], threading.Event()

    class Stepped(Player):
        async def _sleep(self, _):
            reached.append(self._engine.now())
            if len(reached) == 2:
                self.set(10.0)
            if len(reached) == 4:
                enough.set()
                await anyio.sleep_forever()

    run._player = Stepped(run._engine, run._background.clock, lambda: float(next(seconds)))
    run.play(2.5)
    assert enough.wait(60)
    assert reached == [2.5, 5.0, 7.5, 17.5]


def test_time_passes_between_two_events_and_an_edit_comes_when_it_is_made(kit):
    run = kit.start({"subtasks": [{"id": "a", "complexity": 1e6}]})
    moved, over = threading.Event(), threading.Event()
    reached = []

    class Watched(Player):
        async def play(self):
            await super().play()
            over.set()

        async def _sleep(self, seconds):
            assert 0 < seconds <= 0.05
            reached.append(self._engine.now())
            if reached[-1] > 100:
                moved.set()
            await super()._sleep(seconds)

    run._player = Watched(run._engine, run._background.clock)
    run.play(10_000)
    assert run.playing == 10_000
    assert moved.wait(60)
    assert reached == sorted(reached), "time does not go back"
    assert run.add_task("more", id="b")
    assert run.pause()
    then = run.snapshot()
    assert then.tasks["a"].state == "running", "and nobody waited for its end"
    (begun,) = [entry.start for entry in then.entries if entry.task == "b"]
    assert 100 < begun <= then.t < 1e6
    assert run.playing == 0.0
    assert over.wait(60)
    assert run.snapshot().t == then.t, "time stands still again"


def test_it_stops_at_a_breakpoint_and_goes_past_it(kit):
    run = start(kit)
    run.break_at("e")
    run.play(1e9)
    run._background.call(run._engine.until, lambda: run._machine.paused)
    assert run.snapshot().status == "paused"
    now = run.snapshot().t
    assert run.playing == 0.0
    assert now < 10, "long before the end"
    assert run.states()["e"] == "ready"
    assert run.play(1e9)
    ended(run)
    assert run.result() == "g"


def test_another_call_changes_the_speed_of_the_one_that_plays(kit):
    run = start(kit)
    run.play(1e-9)
    assert run.playing == 1e-9
    player = run._player
    run.play(1e9)
    assert run._player is player
    ended(run)
    turns = [event for event in run._machine.log if type(event).__name__ == "TurnEnded"]
    assert [event.t for event in turns].count(0.0) == 1, "it was not begun twice"


def test_it_waits_for_an_approval_and_time_does_not_pile_up(kit):
    plan = {"subtasks": [{"id": "a", "approval": True}, {"id": "b", "depends_on": ["a"], "complexity": 2}]}
    run = kit.start(plan)
    waiting = threading.Event()

    time, reached = [0.0], []

    class Watched(Player):
        async def _sleep(self, seconds):
            time[0] += 0.125
            if seconds is None:
                waiting.set()
                await super()._sleep(seconds)
                time[0] += 1000
            else:
                reached.append(self._engine.now())
                await anyio.lowlevel.checkpoint()

    run._player = Watched(run._engine, run._background.clock, lambda: time[0])
    run.play(2.0)
    assert waiting.wait(60)
    assert run.playing == 2.0
    assert run.snapshot().t == 0.0
    run.approve("a")
    ended(run)
    assert reached[:4] == [0.0, 0.25, 0.5, 0.75]
    assert run.snapshot().t == 3.0


def test_what_can_never_end_is_said_and_ends_with_the_kit(caplog):
    async def forever(task, context):
        await anyio.Event().wait()

    said = threading.Event()

    class Heard(logging.Handler):
        def emit(self, record):
            if "'a' waits without a deadline" in record.getMessage():
                said.set()

    handler = Heard()
    logging.getLogger("dyntaskmas_nb.kit.playing").addHandler(handler)
    try:
        with Kit(clock="virtual", home=None, agents={"*": forever}) as kit:
            run = kit.start({"subtasks": [{"id": "a"}]})
            run.play()
            assert said.wait(60)
            player = run._player
    finally:
        logging.getLogger("dyntaskmas_nb.kit.playing").removeHandler(handler)
    assert not player.going
    assert run.playing == 0.0
    assert not run.play(), "the kit is closed"


def test_what_goes_wrong_in_it_is_logged_and_it_may_be_called_again(kit, caplog):
    run = start(kit)

    class Broken(Player):
        async def _pass(self, seconds):
            raise RuntimeError("no pace")

    run._player = Broken(run._engine, run._background.clock)
    run.play()
    run._background.call(run._background.clock.settle)
    assert "is not played any more" in caplog.text
    assert run.playing == 0.0
    run._player = None
    run.play(1e9)
    ended(run)
    assert run.result() == "g"


def test_the_real_clock_and_odd_speeds_are_refused_in_one_sentence(kit):
    run = start(kit, paused=True)
    for speed in (0, -1, float("nan"), float("inf"), True, "fast", None):
        with pytest.raises(InvalidInput, match="virtual seconds a second, above 0"):
            run.play(speed)
    assert run.status == "paused"
    with Kit(home=None, agents={"*": work}) as real:
        passing = real.start({"subtasks": [{"id": "a"}]}, paused=True)
        assert passing.clock == "real"
        with pytest.raises(InvalidInput, match=r"call resume\(\)"):
            passing.play()
        assert passing.status == "paused"
        passing.resume()
        passing.result()


def test_a_paused_run_is_resumed_and_an_ended_one_refused(kit):
    run = start(kit, paused=True)
    assert run.clock == "virtual"
    assert run.play(1e9)
    ended(run)
    receipt = run.play()
    assert not receipt
    assert receipt.reason == "The run has ended (done)."


def test_result_does_not_wait_for_the_pace(kit):
    run = start(kit)
    run.play(1e-6)
    assert run.result() == "g"
    assert run.playing == 0.0


def test_the_policies_that_configure_takes(kit):
    run = start(kit)
    for name in run.policies():
        assert run.configure(policy=name)
    assert "custom" not in run.policies()
    own = start(kit, policy=lambda task, successors, weights: 1.0)
    assert own.policies() == (*run.policies(), "custom")
    assert own.configure(policy="fifo")
    assert own.configure(policy="custom")
