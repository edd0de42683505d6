"""Timeline and graph as SVG, read back as XML."""

from __future__ import annotations

from itertools import pairwise
from xml.etree import ElementTree as ET

from hypothesis import given
from hypothesis import strategies as st

from dyntaskmas_nb.core.snapshot import AgentView, Entry
from dyntaskmas_nb.view.lanes import lanes, ticks
from dyntaskmas_nb.view.network import model
from dyntaskmas_nb.view.picture import graph_svg
from dyntaskmas_nb.view.timeline import timeline_svg
from tests.view.runs import make, travel

SVG = "{http://www.w3.org/2000/svg}"


def words(svg: str, tag: str = "text") -> str:
    return "\n".join("".join(node.itertext()) for node in ET.fromstring(svg).iter(SVG + tag))


def test_pictures_tell_task_outcome_agent_and_weight() -> None:
    hover = words(timeline_svg(travel()[0]), "title")
    assert "preferences: failed after 1 s (0 s to 1 s) on ann, on the critical path" in hover
    assert "preferences #2: done after 2 s" in hover
    assert "flights: still running after 4 s (3 s to now) on ann" in hover
    assert "hotels: done after 3 s (3 s to 6 s) on bob" in hover
    assert "eve" in words(timeline_svg(travel()[0])), "an idle agent has a lane too"
    assert ET.fromstring(timeline_svg(travel()[0])).get("role") == "img"
    graph = words(graph_svg(model(*travel())))
    assert all(label in graph for label in ("▶ running · p 5", "Find flights for two", "4 s"))


numbers = st.integers(0, 9)


@given(st.lists(st.tuples(st.sampled_from("ab"), numbers, st.none() | numbers), max_size=20))
def test_every_attempt_lies_on_one_lane_of_its_agent(rows: list[tuple[str, int, int | None]]) -> None:
    entries = [
        Entry(task=str(n), agent=agent, start=start, end=None if long is None else start + long)
        for n, (agent, start, long) in enumerate(rows)
    ]
    run = make(entries=entries, t=200.0, agents=[AgentView(id="a", roles=("*",), slots=2)])
    shown = [(entry, lane.name) for lane in lanes(run) for entry in lane.entries]
    assert sorted((entry for entry, _ in shown), key=lambda entry: int(entry.task)) == entries
    assert all(name.split()[0] == entry.agent for entry, name in shown)
    for lane in lanes(run):
        for first, second in pairwise(lane.entries):
            assert first.end is not None
            assert first.end <= second.start + 1e-9
    ET.fromstring(timeline_svg(run))


@given(st.floats(0, 1e6), st.floats(1e-3, 1e6))
def test_ticks_are_few_round_and_inside(start: float, span: float) -> None:
    found = ticks(start, start + span)
    assert len(found) <= 10
    assert all(start - 1e-6 * (span + start) <= t <= start + span + 1e-6 * (span + start) for t in found)
    assert found == sorted(set(found))


def test_too_many_attempts_are_cut_and_said() -> None:
    entries = [Entry(task=str(n), agent=f"agent {n % 7}", start=n, end=n + 1.0) for n in range(1200)]
    shown = words(timeline_svg(make(entries=entries, t=2000.0)))
    assert "showing 1,000 of 1,200 attempts" in shown
    assert "✓ 1199" in shown, "the latest are kept"
