from __future__ import annotations

from collections.abc import Callable

from hypothesis import given
from hypothesis import strategies as st

from dyntaskmas_nb.core.graph import TaskGraph
from dyntaskmas_nb.core.settings import Settings
from dyntaskmas_nb.core.snapshot import AgentView, Entry, Snapshot, TaskView
from dyntaskmas_nb.core.task import Task, TaskState
from dyntaskmas_nb.view.network import Weights
from dyntaskmas_nb.view.numbers import chain, measured
from dyntaskmas_nb.view.text import numbers_text, plan_text, progress_text, timeline_text
from dyntaskmas_nb.view.words import columns

ESCAPE = "\x1b]0;owned\x07\x1b[2J\r\x08\u202e\x9b31m"


def test_the_plan_reads_in_an_order_that_works(travel: tuple[Snapshot, Weights]) -> None:
    text = plan_text(travel[0].graph)
    assert text.splitlines()[:2] == [
        "A trip to Kyoto",
        "4 tasks, 4 dependencies; 3 steps deep, up to 2 tasks at once",
    ]
    assert "4. budget  Check the budget  [traveller, complexity 1]  ← flights, hotels" in text
    assert text.index("preferences") < text.index("flights") < text.index("4. budget")


def test_progress_names_states_times_and_agents(travel: tuple[Snapshot, Weights]) -> None:
    lines = progress_text(travel[0]).splitlines()
    assert lines[0] == "running · 2 of 4 done · 1 running · 1 pending · after 7 s"
    assert any("✓ preferences" in line and "attempt 2" in line and "bob" in line for line in lines)
    assert any("▶ flights" in line and "4 s" in line for line in lines)


def test_the_text_timeline_fits_its_width(travel: tuple[Snapshot, Weights]) -> None:
    for width in (40, 72, 120):
        lines = timeline_text(travel[0], width).splitlines()
        assert max(map(columns, lines)) <= width + 4
        assert [line.split()[0] for line in lines[:3]] == ["ann", "bob", "eve"]
    bob = timeline_text(travel[0], 72).splitlines()[1]
    assert bob.index("preferences#2") < bob.index("hotels")
    assert timeline_text(travel[0], 72).splitlines()[0].endswith("▶"), "a running bar shows that it runs"


@given(
    st.lists(
        st.tuples(st.floats(0, 50), st.floats(0, 20), st.text("旅a😀", max_size=9)), min_size=1, max_size=25
    ),
    st.integers(30, 100),
)
def test_bars_of_one_lane_never_run_over(rows: list[tuple[float, float, str]], width: int) -> None:
    entries = [Entry(task=n or "x", agent="旅agent", start=s, end=s + d) for s, d, n in rows]
    fields = {"run": "r", "request": "", "status": "done", "seq": 0, "tasks": {}, "agents": []}
    snapshot = Snapshot(t=99.0, settings=Settings(), graph=TaskGraph(), entries=entries, **fields)
    assert all(columns(line) <= width + 4 for line in timeline_text(snapshot, width).splitlines())


def test_numbers_explain_what_parallelism_bought(travel: tuple[Snapshot, Weights]) -> None:
    text = numbers_text(measured(travel[0]))
    for name in ("makespan", "one after another", "speed-up", "critical path", "lower bound", "utilisation"):
        assert name in text
    assert "path: preferences → flights" in text


def test_no_escape_sequence_reaches_the_terminal(make: Callable[..., Snapshot]) -> None:
    graph = TaskGraph.of([Task(id="a", description=ESCAPE, role=ESCAPE)], title=ESCAPE)
    view = TaskView(state=TaskState.FAILED, agent=ESCAPE, reason=ESCAPE)
    snapshot = make(
        graph, tasks={"a": view}, reason=ESCAPE, t=1.0, agents=[AgentView(id=ESCAPE, roles=("*",))],
        entries=[Entry(task=ESCAPE, agent=ESCAPE, start=0.0, end=1.0, outcome="failed")],
    )  # fmt: skip
    texts = [
        plan_text(graph),
        progress_text(snapshot),
        timeline_text(snapshot),
        numbers_text(measured(snapshot)),
    ]
    for text in texts:
        assert not set(text) & set("\x1b\x07\x08\r\u202e\x9b")


def test_long_lists_are_cut_and_say_so(make: Callable[..., Snapshot]) -> None:
    graph = TaskGraph.of([Task(id=str(n)) for n in range(100)])
    assert plan_text(graph, limit=10).endswith("… and 90 more tasks")
    assert progress_text(make(graph), limit=10).endswith("… and 90 more tasks")
    assert chain([str(n) for n in range(20)], 4) == "0 → 1 → … 16 more tasks … → 18 → 19"


def test_nothing_yet_is_said(make: Callable[..., Snapshot]) -> None:
    assert plan_text(TaskGraph()) == "no tasks"
    assert timeline_text(make(TaskGraph())) == "no task has started yet"
    assert "makespan" in numbers_text(measured(make(TaskGraph())))
