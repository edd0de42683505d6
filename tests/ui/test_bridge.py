"""What goes out: whoever follows the messages knows the run; few of them for many events, none afterwards."""

from __future__ import annotations

import gc
import math
import threading
import weakref
from dataclasses import replace
from typing import Any

import pytest

from dyntaskmas_nb import Kit
from dyntaskmas_nb.core.snapshot import Snapshot
from dyntaskmas_nb.llm.simulated import Simulated
from dyntaskmas_nb.ui.bridge import INTERVAL, LONGEST, REST, SHARE, Message, Publisher
from dyntaskmas_nb.ui.pulse import PACE
from tests.ui.fakes import PLAN, Bench, Mirror, strict


def test_who_follows_the_messages_knows_the_run_to_its_end(run: Any) -> None:
    bench, mirror = Bench(run), Mirror()
    bench.publisher.publish()
    for act in (run.step, lambda: run.add_task("x", id="x", after=["a"]), run.resume, run.result):
        act()
        bench.settle()
    assert all(mirror.apply(strict(message)) for message in bench.sent)
    assert {row["state"] for row in mirror.rows.values()} == {"done"}
    assert mirror.rows.keys() == set("abcdx")
    assert mirror.known["status"] == "done"
    assert len(mirror.attempts) == 5
    assert [message["seq"] for message in bench.sent] == list(range(len(bench.sent)))
    assert [message["full"] for message in bench.sent] == [True] + [False] * (len(bench.sent) - 1)
    assert bench.errors == []


def test_a_missing_message_is_noticed_and_a_snapshot_heals(run: Any) -> None:
    bench, mirror = Bench(run, extra=lambda: {"calls": ["run.pause()"]}), Mirror()
    run.step("completion")
    bench.publisher.publish()
    for id in ("a", "b"):
        run.remove_task(id)
        bench.fire()
    first, _, third = bench.sent
    assert mirror.apply(first)
    assert not mirror.apply(third)
    assert "a" in mirror.rows
    bench.publisher.resync()
    bench.settle()
    full = next(message for message in bench.sent[3:] if message["full"])
    assert mirror.apply(full)
    assert mirror.rows.keys() == {"c", "d"}
    assert mirror.attempts.keys() == {"a#1", "c#1"}
    assert mirror.known["calls"] == ["run.pause()"]
    assert "calls" not in third


def test_many_events_are_one_message_at_most_ten_a_second(run: Any) -> None:
    bench = Bench(run)
    bench.publisher.publish()
    bench.settle()
    start = bench.time
    for number in range(40):
        run.revise("a", complexity=number + 1.0)
        assert len(bench.due) <= 2, "the next message, and the next look at the figures"
        bench.time += 0.01
        while bench.due and min(when for when, _ in bench.due) <= bench.time:
            bench.fire()
    bench.settle()
    rows = [row["complexity"] for message in bench.sent[1:] for row in message["upserts"] if row["id"] == "a"]
    assert rows[-1] == 40
    assert 3 <= len(rows) <= 2 + (bench.time - start) / INTERVAL
    assert len(rows) <= 6


def test_news_after_a_rest_go_out_at_once(run: Any) -> None:
    bench = Bench(run)
    bench.publisher.publish()
    bench.settle()
    bench.time += 60
    run.pause()
    assert bench.fire() == 0


def test_a_message_that_takes_long_makes_the_next_wait_longer(run: Any) -> None:
    def slow(_: Message) -> None:
        bench.time += 0.2

    bench = Bench(run, slow)
    bench.publisher.publish()
    bench.due.clear()
    run.pause()
    assert bench.fire() == pytest.approx((SHARE - 1) * 0.2)


def test_what_changes_while_a_message_is_made_waits_for_the_time_of_the_next(run: Any) -> None:
    def slow(message: Message) -> None:
        bench.time += 0.2
        if len(taken) < 1:
            bench.publisher.changed()
            bench.publisher.changed()
        taken.append(message)

    taken = list[Message]()
    bench = Bench(run, slow)
    bench.publisher.publish()
    assert len(bench.due) == 1
    assert bench.fire() == pytest.approx((SHARE - 1) * 0.2)
    assert bench.due == []
    assert len(taken) == 2


@pytest.mark.parametrize(
    ("seconds", "wait"),
    [(0.0, INTERVAL), (0.3, REST * 0.3), (99.0, LONGEST), (-1.0, INTERVAL), (math.nan, INTERVAL)],
)
def test_a_browser_that_draws_slowly_is_told_less_often(run: Any, seconds: float, wait: float) -> None:
    bench = Bench(run)
    bench.publisher.drawn(seconds)
    bench.publisher.publish()
    bench.due.clear()
    run.pause()
    assert bench.fire() == pytest.approx(wait)


def test_a_failure_is_told_and_the_next_message_is_a_snapshot(
    run: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench = Bench(run)
    bench.publisher.publish()

    def broken() -> Snapshot:
        raise ZeroDivisionError("boom")

    with monkeypatch.context() as patch:
        patch.setattr(run, "snapshot", broken)
        bench.publisher.changed()
        bench.settle()
    assert {str(error) for error in bench.errors} == {"boom"}
    assert len(bench.sent) == 1
    run.remove_task("a")
    bench.settle()
    assert bench.sent[1]["full"]
    mirror = Mirror()
    assert mirror.apply(bench.sent[1])
    assert mirror.rows.keys() == {"b", "c", "d"}


def test_a_run_is_followed_though_its_figures_fail(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken() -> None:
        raise ZeroDivisionError("no figures")

    monkeypatch.setattr(run, "metrics", broken)
    bench, mirror = Bench(run), Mirror()
    bench.publisher.publish()
    run.remove_task("a")
    bench.settle()
    assert all(mirror.apply(message) for message in bench.sent)
    assert mirror.rows.keys() == {"b", "c", "d"}
    assert 1 <= len(bench.errors) <= 2


def test_nothing_is_due_once_nothing_happens(run: Any) -> None:
    bench = Bench(run)
    bench.publisher.publish()
    for act in (run.step, run.resume, run.result):
        act()
        assert bench.settle() <= 3
    sent = len(bench.sent)
    bench.time += 100
    assert bench.due == []
    assert len(bench.sent) == sent


def test_nothing_is_due_while_a_plan_is_waited_for() -> None:
    answer = (
        '{"subtasks": [{"id": "a", "description": "do it", "role": "r", "complexity": 1, "depends_on": []}]}'
    )
    with Kit(
        model=Simulated(lambda request, chance: 8.0, lambda request: answer), clock="virtual", home=None
    ) as kit:
        run = kit.start("Do it")
        run.run_until(1.0)
        bench, mirror = Bench(run), Mirror()
        bench.publisher.publish()
        bench.settle()
        assert [message["status"] for message in bench.sent] == ["planning"] * len(bench.sent)
        assert all("figures" not in message for message in bench.sent), "there is nothing to measure yet"
        run.wait_for_plan()
        bench.settle()
        assert all(mirror.apply(message) for message in bench.sent)
        assert (mirror.known["status"], list(mirror.rows)) == ("running", ["a"])
        assert mirror.known["figures"], "the pulse begins once there is a plan"


def test_nothing_is_sent_after_close(run: Any) -> None:
    before = list(run._engine._watchers)
    bench = Bench(run)
    bench.publisher.publish()
    run.pause()
    assert bench.due
    (then,) = [then for when, then in bench.due if when < bench.time + PACE]
    bench.publisher.close()
    assert bench.due == []
    sent = len(bench.sent)
    then()  # the one that was just going off
    run.remove_task("a")
    bench.publisher.changed()
    assert (bench.due, len(bench.sent)) == ([], sent)
    assert list(run._engine._watchers) == before


def test_a_publisher_nobody_holds_stops_watching(run: Any) -> None:
    before = list(run._engine._watchers)
    bench = Bench(run)
    gone = weakref.ref(bench.publisher)
    bench.publisher.publish()
    *others, observe = run._engine._watchers
    assert others == before
    del bench
    gc.collect()
    assert gone() is None
    assert list(run._engine._watchers) == before
    observe()  # one that was just being called


def test_a_run_may_have_news_while_its_publisher_is_being_made(
    run: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    watch, threads = run.watch, list[threading.Thread]()

    def at_once(changed: Any) -> Any:
        threads.append(threading.Thread(target=changed))
        threads[0].start()
        return watch(changed)

    monkeypatch.setattr(run, "watch", at_once)
    monkeypatch.setattr(threading, "excepthook", lambda args: pytest.fail(str(args)))
    bench = Bench(run)
    threads[0].join()
    assert bench.due == []
    bench.publisher.publish()
    bench.settle()
    assert [message["full"] for message in bench.sent] == [True, False][: len(bench.sent)]


def test_real_timers_end_with_their_publisher() -> None:
    """No thread lives while nothing happens, and none outlives the face."""

    def timers() -> list[threading.Timer]:
        return [one for one in threading.enumerate() if isinstance(one, threading.Timer)]

    with Kit(clock="virtual", home=None, agents={"*": lambda task, context: 1}) as kit:
        run, sent = kit.start(PLAN, paused=True), list[Message]()
        publisher = Publisher(run, sent.append, lambda error: pytest.fail(str(error)))
        publisher.drawn(99.0)
        publisher.publish()
        run.add_task("z", id="z")
        assert len(sent) == 1
        last = [one for one in timers() if one.interval > LONGEST / 2]
        assert last, "the next message waits for the browser"
        publisher.close()
        assert all(one.finished.is_set() for one in last)
        for one in timers():
            one.join(60)
        assert timers() == []


def test_it_tells_how_fast_the_time_of_the_run_passes(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    bench = Bench(run)
    bench.publisher.publish()
    monkeypatch.setattr(type(run), "playing", 2.5)
    bench.publisher.resync()
    bench.fire()
    with Kit(home=None, agents={"*": lambda task, context: 1}) as kit:
        real = kit.start(PLAN, paused=True)
        other = Bench(real)
        other.publisher.publish()
        real.resume()
        real.result()
        other.fire()
    assert [message["rate"] for message in bench.sent + other.sent] == [0.0, 2.5, 1.0, 0.0]
    running = replace(real.snapshot(), status="running")
    assert other.publisher._rate(running) == 1.0


def test_a_task_that_takes_long_is_measured_and_foretold_between_events() -> None:
    let = threading.Event()

    def slow(task: Any, context: Any) -> str:
        assert let.wait(60)
        return str(task.id)

    with Kit(home=None, agents={"*": slow}) as kit:
        run = kit.start({"subtasks": [{"id": "a"}]})
        run._background.call(run._engine.until, lambda: [*run._machine.running_tasks()])
        bench = Bench(run)
        bench.publisher.publish()
        start = bench.time
        for _ in range(10):
            bench.fire()
        told = [message for message in bench.sent if "samples" in message]
        assert 4 <= len(told) <= 1.001 + (bench.time - start) / PACE
        assert {message["version"] for message in told} == {told[0]["version"]}, "nothing happened"
        assert all(message["forecast"]["attempts"] for message in told)
        let.set()
        run.result(60)
        bench.settle()
        assert bench.sent[-1]["status"] == "done"
        assert bench.due == []
