"""What goes out: a face that follows the messages knows what the run is; few messages for many events."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Callable
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from dyntaskmas_nb.core.graph import TaskGraph
from dyntaskmas_nb.core.snapshot import TaskView
from dyntaskmas_nb.core.task import Task, TaskState
from dyntaskmas_nb.ui.bridge import Message, Mirror, Publisher, difference, rows_of
from tests.ui.fakes import FakeRun
from tests.view.runs import make

moments = st.dictionaries(
    st.sampled_from("abcdef"), st.tuples(st.sampled_from(TaskState), st.integers(0, 3)), max_size=6
)


class Bench:
    """A publisher whose waiting and time are the test's."""

    def __init__(self, run: FakeRun) -> None:
        self.sent: list[Message] = []
        self.errors: list[Exception] = []
        self.due: list[tuple[float, Callable[[], None]]] = []
        self.time = 100.0
        self.publisher = Publisher(
            run,
            self.sent.append,
            self.errors.append,
            lambda delay, then: self.due.append((delay, then)),
            lambda: self.time,
        )

    def fire(self) -> float:
        """Let the one publication that waits happen; how long it had to wait."""
        ((delay, then),) = self.due
        self.due.clear()
        then()
        return delay


@given(st.lists(moments, max_size=6))
def test_a_mirror_knows_what_the_messages_told(sequence: list[dict[str, tuple[TaskState, int]]]) -> None:
    mirror, known = Mirror(), None
    for seq, moment in enumerate(sequence):
        graph = TaskGraph.of([Task(id=id, complexity=float(c)) for id, (_, c) in moment.items()])
        now = make(graph, tasks={id: TaskView(state=state) for id, (state, _) in moment.items()})
        rows = rows_of(now)
        news = difference(known, rows, now, seq)
        assert mirror.apply(news)
        assert mirror.rows == rows
        assert all((known or {}).get(row.id) != row for row in news.upserts)
        known = rows


def test_a_missing_message_is_noticed_and_a_snapshot_heals() -> None:
    run = FakeRun("a", "b")
    bench, mirror = Bench(run), Mirror()
    bench.publisher.publish()
    run.remove_task("a")
    bench.fire()
    run.remove_task("b")
    bench.fire()
    first, _lost, third = bench.sent
    assert first.full
    assert mirror.apply(first)
    assert not mirror.apply(third)
    assert mirror.rows.keys() == {"a", "b"}
    bench.publisher.resync()
    bench.fire()
    assert bench.sent[-1].full
    assert mirror.apply(bench.sent[-1])
    assert mirror.rows == {}


def test_many_events_are_one_message_at_most_ten_a_second() -> None:
    run = FakeRun("a")
    bench = Bench(run)
    bench.publisher.publish()
    bench.time += 0.03
    for t in range(1_000):
        run.become(t=float(t))
    assert abs(bench.fire() - 0.07) < 1e-9
    assert [message.t for message in bench.sent] == [0.0, 999.0]
    assert not bench.due
    bench.time += 5
    run.become(status="done")
    assert bench.fire() == 0
    assert bench.sent[-1].status == "done"
    assert [message.seq for message in bench.sent] == [0, 1, 2]


def test_a_message_that_takes_long_makes_the_next_wait_longer() -> None:
    run = FakeRun("a")
    bench = Bench(run)

    def slow(_: Message) -> None:
        bench.time += 0.2

    bench.publisher._send = slow
    bench.publisher.publish()
    run.become()
    assert abs(bench.fire() - 1.8) < 1e-9


def test_a_failure_is_told_and_the_next_message_is_a_snapshot() -> None:
    run = FakeRun("a")
    bench = Bench(run)
    bench.publisher.publish()
    tasks = run.now.tasks
    run.become(tasks={})  # a task without a view
    bench.fire()
    assert [type(error) for error in bench.errors] == [KeyError]
    run.become(tasks=tasks)
    bench.fire()
    assert bench.sent[-1].full
    assert Mirror().apply(bench.sent[-1])


def test_nothing_is_sent_after_close() -> None:
    run = FakeRun("a")
    bench = Bench(run)
    run.become()
    bench.publisher.close()
    assert run.observers == []
    bench.fire()
    bench.publisher.changed()
    assert bench.sent == []
    assert bench.due == []


def test_a_publisher_nobody_holds_stops_watching() -> None:
    run = FakeRun("a")
    bench = Bench(run)
    gone = weakref.ref(bench.publisher)
    (observe,) = run.observers
    del bench
    gc.collect()
    assert gone() is None
    assert run.observers == []
    observe()  # one that was just being called


def test_rows_hold_foreign_text_within_bounds() -> None:
    graph = TaskGraph.of([Task(id="a", description="x\x1b[31m" * 3_000)])
    now = make(graph)
    now = replace(now, tasks={"a": TaskView(state=TaskState.FAILED, reason="y\u202e" * 5_000)})
    row = rows_of(now)["a"]
    assert len(row.description) <= 200
    assert len(row.reason) <= 400
    assert not set("\x1b\u202e") & set(row.description + row.reason)
