"""The offline page and the static fragment: parsed, not searched, so that only real elements count."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections import Counter
from collections.abc import Callable
from html.parser import HTMLParser
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dyntaskmas_nb.core.graph import TaskGraph
from dyntaskmas_nb.core.snapshot import AgentView, Entry, Snapshot, TaskView
from dyntaskmas_nb.core.task import Task, TaskState
from dyntaskmas_nb.view.fragment import fragment
from dyntaskmas_nb.view.html import to_html, vis_network
from dyntaskmas_nb.view.network import Weights, model

HOSTILE = [
    "<img src=x onerror=alert(1)> href",
    "</script><script>alert(2)</script>",
    "<!--<script>",
    '" onload=alert(3) x="',
    "' autofocus onfocus=alert(4) '",
    "__proto__",
    "javascript:alert(5)",
    "</title></style></pre></svg><iframe src=//example.org>",
    "{{7*7}} ${7*7} &lt;b&gt;",
    "שלום",
    "😀",
    "x" * 200,
]


class Page(HTMLParser):
    """Elements, attribute names and the text of scripts and styles."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.inside: dict[str, list[str]] = {"script": [], "style": []}
        self.text = ""
        self._open = ""
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self._open = tag
        if tag in self.inside:
            self.inside[tag].append("")

    def handle_data(self, data: str) -> None:
        if self._open in self.inside:
            self.inside[self._open][-1] += data
        else:
            self.text += data

    def handle_endtag(self, tag: str) -> None:
        self._open = ""


def shape(page: Page) -> Counter[Any]:
    """Which elements with which attribute names there are, leaving out names of fixed hover elements."""
    return Counter((tag, tuple(sorted(attrs))) for tag, attrs in page.tags)


def run_named(make: Callable[..., Snapshot], names: list[str]) -> Snapshot:
    graph = TaskGraph.of(
        [Task(id=f"t{n}", description=name, role=name[:150] or "r") for n, name in enumerate(names)],
        [(f"t{n}", f"t{n + 1}", 0.0) for n in range(len(names) - 1)],
        title=names[0],
    )
    views = {
        f"t{n}": TaskView(state=TaskState.DONE, agent=name, reason=name, result=name)
        for n, name in enumerate(names)
    }
    entries = [Entry(task=f"t{n}", agent=name, start=n, end=n + 1.0) for n, name in enumerate(names)]
    agents = [AgentView(id=name, roles=("*",)) for name in dict.fromkeys(names)]
    return make(
        graph, tasks=views, entries=entries, agents=agents, reason=names[0], request=names[-1], t=len(names)
    )


def test_hostile_ids_add_no_element_and_no_attribute(make: Callable[..., Snapshot]) -> None:
    graph = TaskGraph.of([Task(id=name) for name in HOSTILE])
    page = Page(to_html(make(graph), {}))
    tags = (
        "html head meta title style body main h1 h2 p dl div dt dd b small section svg g rect text tspan "
        "circle polygon defs pattern path line ul li table caption thead tr th tbody td bdi script"
    )
    assert {tag for tag, _ in page.tags} <= set(tags.split())
    names = {name for _, attributes in page.tags for name in attributes}
    assert not {name for name in names if name.startswith("on")} | (
        names & {"href", "src", "style", "action"}
    )
    for name in HOSTILE:
        assert name[:40] in page.text


@pytest.mark.parametrize("render", [to_html, fragment], ids=["page", "fragment"])
@given(names=st.lists(st.text(min_size=1, max_size=60) | st.sampled_from(HOSTILE), min_size=3, max_size=3))
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_the_elements_do_not_depend_on_the_data(
    make: Callable[..., Snapshot], render: Callable[..., str], names: list[str]
) -> None:
    names = [f"{n}{name}".replace("\0", "") for n, name in enumerate(names)]
    names = [name.encode("utf-8", "ignore").decode() for name in names]
    plain = Page(render(run_named(make, ["0plain", "1plain", "2plain"]), {}))
    assert shape(Page(render(run_named(make, names), {}))) == shape(plain)


def test_the_policy_allows_these_scripts_and_nothing_else(travel: tuple[Snapshot, Weights]) -> None:
    page = Page(to_html(*travel))
    (policy,) = (
        a["content"] or "" for tag, a in page.tags if a.get("http-equiv") == "Content-Security-Policy"
    )
    rules = dict(rule.strip().split(" ", 1) for rule in policy.split(";"))
    assert (
        rules["default-src"] == rules["connect-src"] == rules["base-uri"] == rules["form-action"] == "'none'"
    )
    assert "unsafe" not in policy
    assert "http" not in policy
    kinds = [attributes.get("type") for tag, attributes in page.tags if tag == "script"]
    assert kinds == ["application/json", None, None]
    for directive, bodies in (("script-src", page.inside["script"][1:]), ("style-src", page.inside["style"])):
        hashes = [
            "'sha256-" + base64.b64encode(hashlib.sha256(b.encode()).digest()).decode() + "'" for b in bodies
        ]
        assert rules[directive].split() == hashes


def test_nothing_is_loaded_from_anywhere(travel: tuple[Snapshot, Weights]) -> None:
    text = to_html(*travel)
    page = Page(text)
    assert not any({"src", "href", "srcset", "data"} & set(attributes) for _, attributes in page.tags)
    style = "".join(page.inside["style"])
    assert "url(" not in style
    assert "@import" not in style
    assert "sourceMappingURL" not in text


def test_the_data_block_is_the_model(travel: tuple[Snapshot, Weights]) -> None:
    page = Page(to_html(*travel))
    assert json.loads(page.inside["script"][0]) == json.loads(json.dumps(model(*travel)))


def test_the_data_block_cannot_close_its_script(make: Callable[..., Snapshot]) -> None:
    page = Page(to_html(make(TaskGraph.of([Task(id=name) for name in HOSTILE])), {}))
    block = page.inside["script"][0]
    assert block.isascii()
    assert not set(block) & set("<>&")
    assert {node["id"] for node in json.loads(block)["nodes"]} == set(HOSTILE)


def test_the_page_says_what_a_reader_asks(travel: tuple[Snapshot, Weights]) -> None:
    page = Page(to_html(*travel, title="My trip"))
    for words in (
        "My trip",
        "2 of 4 done",
        "speed-up",
        "critical path so far",
        "Find a hotel",
        "Ryokan",
        "attempt 2",
    ):
        assert words in page.text
    assert "None yet." in page.text


def test_results_of_several_sinks_stand_under_their_names(make: Callable[..., Snapshot]) -> None:
    graph = TaskGraph.of([Task(id="left"), Task(id="right")])
    views = {id: TaskView(state=TaskState.DONE, result=f"{id}\n  result") for id in graph}
    page = Page(to_html(make(graph, tasks=views, status="done"), {}))
    assert "left\n  result" in page.text
    assert "right\n  result" in page.text
    assert [tag for tag, _ in page.tags].count("h3") == 2


def test_large_runs_are_capped_and_say_so(make: Callable[..., Snapshot]) -> None:
    graph = TaskGraph.of([Task(id=f"task {n}") for n in range(3200)])
    text = to_html(make(graph), {})
    assert "On the canvas: showing 3,000 of 3,200 tasks." in text
    assert "showing 1,000 of 3,200 tasks" in text
    assert len(text) < 5_000_000


def test_the_fragment_has_no_script_and_stays_small(make: Callable[..., Snapshot]) -> None:
    names = [f"task {n} with a name" for n in range(300)]
    text = fragment(run_named(make, names), {(f"t{n}", f"t{n + 1}"): 1.0 for n in range(299)})
    page = Page(text)
    assert not {"script", "iframe", "img", "link"} & {tag for tag, _ in page.tags}
    assert "showing 40 of 300 tasks" in page.text
    assert len(text) < 100_000


def test_the_fragment_of_an_empty_run(make: Callable[..., Snapshot]) -> None:
    assert "0 of 0 done" in fragment(make(TaskGraph()), {})


def test_the_bundled_library_can_be_inlined() -> None:
    source = vis_network()
    assert not re.search(r"</script|<!--", source, re.IGNORECASE)
    assert "\r" not in source
    assert "\0" not in source


def test_the_same_run_makes_the_same_page(travel: tuple[Snapshot, Weights]) -> None:
    assert to_html(*travel) == to_html(*travel)
