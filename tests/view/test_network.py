from __future__ import annotations

from operator import attrgetter

from hypothesis import given
from hypothesis import strategies as st

from dyntaskmas_nb.core.graph import TaskGraph
from dyntaskmas_nb.core.snapshot import TaskView
from dyntaskmas_nb.core.task import Task, TaskState
from dyntaskmas_nb.view.network import model, safe_title, to_pyvis
from dyntaskmas_nb.view.theme import EDGE, LOOKS
from tests.view.runs import make, travel

HOSTILE = "<img src=x onerror=alert(1)> href HREF"


def test_nodes_say_state_by_colour_shape_and_text() -> None:
    views = {state.value: TaskView(state=state, priority=2.5) for state in TaskState}
    nodes = {node["id"]: node for node in model(make(list(views), tasks=views), {})["nodes"]}
    for state in TaskState:
        node, look = nodes[state.value], LOOKS[state]
        assert node["shape"] == look.shape
        assert look.hollow or node["color"]["background"] == look.colour
        assert f"{look.mark} {state.value} · p 2.5" in node["label"]


def test_size_grows_with_complexity_width_with_weight_and_the_critical_path_is_marked() -> None:
    data = model(*travel())
    sizes = {node["id"]: node["size"] for node in data["nodes"]}
    assert sizes["flights"] > sizes["hotels"] > sizes["preferences"] > sizes["budget"]
    edges = {(edge["from"], edge["to"]): edge for edge in data["edges"]}
    heavy, light = edges["preferences", "flights"], edges["flights", "budget"]
    assert 6 == heavy["width"] > light["width"] > 1
    assert (heavy["label"], light["label"]) == ("4 s", "1 s")
    assert "information I: 0" in heavy["title"]
    path = {("preferences", "flights"), ("flights", "budget")}
    assert {ends for ends, edge in edges.items() if edge["critical"]} == path
    assert {node["id"] for node in data["nodes"] if node["critical"]} == {"preferences", "flights", "budget"}
    assert model(travel()[0], {})["edges"][0].items() >= {"width": 1, "label": ""}.items()


@given(st.text())
def test_titles_stay_text_even_through_inner_html(text: str) -> None:
    title = safe_title([text, HOSTILE + text])
    assert not set("<>") & set(title)
    assert "href" not in title.lower()


def test_pyvis_gets_the_same_data_at_rest() -> None:
    network, data = to_pyvis(*travel()), model(*travel())
    for drawn, ours in zip(network.nodes + network.edges, data["nodes"] + data["edges"], strict=True):
        assert drawn.items() >= ours.items()
    assert network.options.physics.enabled is False
    assert network.directed


def test_pyvis_never_falls_into_its_inner_html_mode() -> None:
    graph = TaskGraph.of([Task(id=HOSTILE, description=HOSTILE, role=HOSTILE)], title=HOSTILE)
    page = to_pyvis(make(graph), {}).generate_html()
    assert ".innerHTML = nodeData" not in page, "pyvis' link template, which runs titles as markup"
    assert "<img" not in page


def luminance(colour: str) -> float:
    """Relative luminance, WCAG 2."""
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.03928 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def test_each_state_has_its_own_mark_form_and_a_colour_that_stands_out_on_light_and_dark() -> None:
    light, dark = luminance("#ffffff"), luminance("#14181c")
    for own in map(luminance, [EDGE, *(look.colour for look in LOOKS.values())]):
        assert min((light + 0.05) / (own + 0.05), (own + 0.05) / (dark + 0.05)) >= 3
    for fact in (attrgetter("colour"), attrgetter("mark"), attrgetter("shape", "hollow")):
        assert len({fact(LOOKS[state]) for state in TaskState}) == len(TaskState)
