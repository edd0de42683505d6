from __future__ import annotations

import math
from collections.abc import Callable
from xml.etree import ElementTree as ET

from hypothesis import given
from hypothesis import strategies as st

from dyntaskmas_nb.core.graph import TaskGraph
from dyntaskmas_nb.core.settings import Settings
from dyntaskmas_nb.core.snapshot import AgentView, Entry, Snapshot
from dyntaskmas_nb.core.task import Task
from dyntaskmas_nb.view.graph_svg import graph_svg
from dyntaskmas_nb.view.lanes import MAX_BARS, MAX_LANES, lanes, ticks
from dyntaskmas_nb.view.network import Weights
from dyntaskmas_nb.view.timeline import timeline_svg

SVG = "{http://www.w3.org/2000/svg}"
HOSTILE = "<script>alert(1)</script>\"' onload=x \u202e\x1b[2J\ud800 &amp; href"


def titles(svg: str) -> list[str]:
    return [node.text or "" for node in ET.fromstring(svg).iter(f"{SVG}title")]


def words(svg: str) -> str:
    return "\n".join("".join(node.itertext()) for node in ET.fromstring(svg).iter(f"{SVG}text"))


def test_bars_tell_task_outcome_and_agent(travel: tuple[Snapshot, Weights]) -> None:
    hover = "\n".join(titles(timeline_svg(travel[0])))
    assert "preferences: failed after 1 s (0 s to 1 s) on ann, on the critical path" in hover
    assert "preferences #2: done after 2 s" in hover
    assert "flights: still running after 4 s (3 s to now) on ann" in hover
    assert "hotels: done after 3 s (3 s to 6 s) on bob" in hover
    assert "eve" in words(timeline_svg(travel[0])), "an idle agent has a lane too"


def test_the_picture_is_an_accessible_image(travel: tuple[Snapshot, Weights]) -> None:
    for svg in (timeline_svg(travel[0]), graph_svg(*travel)):
        root = ET.fromstring(svg)
        assert root.get("role") == "img"
        assert root.get("aria-label")
        assert not set(svg) & set("\x1b\u202e")


def test_hostile_names_are_text_in_both_pictures(make: Callable[..., Snapshot]) -> None:
    graph = TaskGraph.of(
        [Task(id="<b>", description="<i onload=alert(1)>", role="</svg>")], title=HOSTILE[:40]
    )
    entries = [
        Entry(task=HOSTILE, agent=HOSTILE, start=0.0, end=1.0, outcome=HOSTILE),
        Entry(task="<b>", agent="</svg><script>", start=0.0, end=None, outcome="running"),
    ]
    for svg in (timeline_svg(make(graph, entries=entries, t=2.0)), graph_svg(make(graph), {})):
        found = {node.tag.removeprefix(SVG) for node in ET.fromstring(svg).iter()}
        assert found <= {
            "svg",
            "g",
            "defs",
            "pattern",
            "path",
            "circle",
            "rect",
            "line",
            "polygon",
            "text",
            "tspan",
            "title",
        }
        names = {name for node in ET.fromstring(svg).iter() for name in node.attrib}
        assert not any(name.startswith("on") or "href" in name for name in names)


def test_an_agent_with_two_slots_has_two_lanes_that_do_not_overlap(make: Callable[..., Snapshot]) -> None:
    entries = [Entry(task=str(n), agent="a", start=n * 0.5, end=n * 0.5 + 1) for n in range(6)]
    rows = lanes(make(TaskGraph(), entries=entries, agents=[AgentView(id="a", roles=("*",), slots=2)]))
    assert [row.slots for row in rows] == [2, 2]
    for row in rows:
        for first, second in zip(row.entries, row.entries[1:], strict=False):
            assert first.end is not None
            assert first.end <= second.start


times = st.floats(0, 100)


@given(st.lists(st.tuples(st.sampled_from("ab"), times, st.none() | st.floats(0, 50)), max_size=20))
def test_every_attempt_lies_on_one_lane_of_its_agent(rows: list[tuple[str, float, float | None]]) -> None:
    entries = [
        Entry(task=str(n), agent=a, start=s, end=None if d is None else s + d)
        for n, (a, s, d) in enumerate(rows)
    ]
    fields = {"run": "r", "request": "", "status": "running", "seq": 0, "tasks": {}, "agents": []}
    snapshot = Snapshot(t=200.0, settings=Settings(), graph=TaskGraph(), entries=entries, **fields)
    shown = [entry for lane in lanes(snapshot) for entry in lane.entries]
    assert sorted(shown, key=lambda e: int(e.task)) == entries
    assert all(entry.agent == lane.agent for lane in lanes(snapshot) for entry in lane.entries)
    ET.fromstring(timeline_svg(snapshot))


@given(st.floats(0, 1e6), st.floats(1e-3, 1e6))
def test_ticks_are_few_round_and_inside(start: float, span: float) -> None:
    found = ticks(start, start + span)
    assert len(found) <= 10
    assert all(start - 1e-6 * (span + start) <= t <= start + span + 1e-6 * (span + start) for t in found)
    assert found == sorted(set(found))


def test_ticks_fit_a_quarter_second_and_hours() -> None:
    assert ticks(0, 0.25)[1] == 0.05
    assert ticks(0, 5 * 3600)[1] == 3600
    assert ticks(0, 0) == [0]
    assert ticks(0, math.inf) == [0]


def test_too_much_is_capped_and_said(make: Callable[..., Snapshot]) -> None:
    lanes_all, bars = MAX_LANES + 5, MAX_BARS + 200
    entries = [
        Entry(task=str(n), agent=f"agent {n % lanes_all}", start=float(n), end=n + 1.0 + n % 7)
        for n in range(bars)
    ]
    svg = timeline_svg(make(TaskGraph(), entries=entries, t=2000.0))
    assert "showing 200 of 205 lanes, the busiest" in words(svg)
    assert f"showing 1,000 of {bars:,} attempts, the longest" in words(svg)
    assert len(svg) < 900_000


def test_a_graph_past_the_limit_says_how_many_it_shows(make: Callable[..., Snapshot]) -> None:
    graph = TaskGraph.of([Task(id=str(n)) for n in range(50)])
    assert "showing 20 of 50 tasks" in words(graph_svg(make(graph), {}, limit=20))


def test_empty_runs_are_drawn(make: Callable[..., Snapshot]) -> None:
    ET.fromstring(timeline_svg(make(TaskGraph())))
    ET.fromstring(graph_svg(make(TaskGraph()), {}))
    ET.fromstring(timeline_svg(make(TaskGraph(), entries=[Entry(task="a", agent="x", start=0, end=0)])))


def test_two_pictures_of_one_page_do_not_share_pattern_names(make: Callable[..., Snapshot]) -> None:
    first, second = (timeline_svg(make(TaskGraph(), seq=seq)) for seq in (1, 2))
    ids = [
        {node.get("id") for node in ET.fromstring(svg).iter() if node.get("id")} for svg in (first, second)
    ]
    assert ids[0]
    assert not ids[0] & ids[1]
