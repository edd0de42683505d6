from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from dyntaskmas_nb.core.graph import TaskGraph
from dyntaskmas_nb.core.snapshot import Entry, TaskView
from dyntaskmas_nb.core.task import Task, TaskState
from dyntaskmas_nb.view.numbers import measured
from dyntaskmas_nb.view.text import numbers_text, plan_text, progress_text, timeline_text
from tests.view.runs import make, travel

ESCAPE = "\x1b]0;owned\x07\x1b[2J\r\x08\u202e\x9b31m"


def test_the_plan_reads_in_an_order_that_works() -> None:
    text = plan_text(travel()[0].graph)
    assert text.splitlines()[1] == "4 tasks, 4 dependencies; 3 steps deep, up to 2 tasks at once"
    assert "4. budget  Check the budget  [traveller, complexity 1]  ← flights, hotels" in text


def test_progress_and_numbers_say_how_it_stands() -> None:
    lines = progress_text(travel()[0]).splitlines()
    assert lines[0] == "running · 2 of 4 done · 1 running · 1 pending · after 7 s"
    assert any("✓ preferences" in line and "attempt 2" in line and "bob" in line for line in lines)
    assert any("▶ flights" in line and "4 s" in line for line in lines)
    numbers = numbers_text(measured(travel()[0]))
    assert "speed-up 1.43× one after another ÷ makespan" in " ".join(numbers.split())
    assert numbers.endswith("path: preferences → flights")


def test_the_text_timeline_fits_its_width() -> None:
    for width in (40, 72, 120):
        lines = timeline_text(travel()[0], width).splitlines()
        assert max(map(cell_len, lines)) <= width + 4
        assert [line.split()[0] for line in lines[:3]] == ["ann", "bob", "eve"]
    ann, bob = timeline_text(travel()[0], 72).splitlines()[:2]
    assert bob.index("preferences#2") < bob.index("hotels")
    assert ann.endswith("▶"), "a running bar shows that it runs"


rows = st.lists(st.tuples(st.floats(0, 50), st.floats(0, 20), st.text("旅a😀", min_size=1)), min_size=1)


@given(rows, st.integers(30, 100))
def test_bars_of_one_lane_never_run_over(rows: list[tuple[float, float, str]], width: int) -> None:
    entries = [Entry(task=name, agent="旅agent", start=start, end=start + d) for start, d, name in rows]
    lines = timeline_text(make(entries=entries, t=99.0), width).splitlines()
    assert max(map(cell_len, lines)) <= width + 4


def test_no_escape_sequence_reaches_the_terminal() -> None:
    graph = TaskGraph.of([Task(id="a", description=ESCAPE, role=ESCAPE)], title=ESCAPE)
    view = TaskView(state=TaskState.FAILED, agent=ESCAPE, reason=ESCAPE)
    entry = Entry(task=ESCAPE, agent=ESCAPE, start=0.0, end=1.0, outcome="failed")
    snapshot = make(graph, tasks={"a": view}, reason=ESCAPE, entries=[entry])
    for text in (plan_text(graph), progress_text(snapshot), timeline_text(snapshot)):
        assert "owned" in text
        assert not set(text) & set("\x1b\x07\x08\r\u202e\x9b")


def test_long_lists_are_cut_and_empty_ones_said() -> None:
    many = make([str(number) for number in range(100)])
    assert plan_text(many.graph, limit=10).endswith("… and 90 more tasks")
    assert progress_text(many, limit=10).endswith("… and 90 more tasks")
    assert plan_text(TaskGraph()).startswith("0 tasks")
    assert timeline_text(make()) == "no task has started yet"
    assert numbers_text(measured(make())).startswith("makespan           0 s")
