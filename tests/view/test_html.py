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
from hypothesis import given
from hypothesis import strategies as st

from dyntaskmas_nb.core.graph import TaskGraph
from dyntaskmas_nb.core.snapshot import AgentView, Entry, Snapshot, TaskView
from dyntaskmas_nb.core.task import Task, TaskState
from dyntaskmas_nb.view.html import asset, foreign, fragment, listing, to_html, vis_network
from dyntaskmas_nb.view.network import model
from tests.view.runs import make, travel

HOSTILE = [
    "<img src=x onerror=alert(1)> href",
    "</script><script>alert(2)</script><!--<script>",
    "\" onload=alert(3) x=\"' autofocus onfocus=alert(4) '",
    "__proto__",
    "</title></style></pre></svg><iframe src=//example.org>",
    "{{7*7}} ${7*7} &lt;b&gt; שלום 😀",
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

    def shape(self) -> Counter[Any]:
        """Which elements with which attribute names there are."""
        return Counter((tag, tuple(sorted(attributes))) for tag, attributes in self.tags)


def run_named(names: list[str]) -> Snapshot:
    """A finished run in which every foreign text is one of `names`."""
    tasks = [Task(id=f"t{n}", description=name, role=name[:150]) for n, name in enumerate(names)]
    views = [TaskView(state=TaskState.DONE, agent=name, reason=name, result=name) for name in names]
    return make(
        TaskGraph.of(tasks, [("t0", f"t{n}", 0.0) for n in range(1, len(names))], title=names[0]),
        tasks={f"t{n}": view for n, view in enumerate(views)},
        entries=[Entry(task=f"t{n}", agent=name, start=n, end=n + 1.0) for n, name in enumerate(names)],
        agents=[AgentView(id=name, roles=("*",)) for name in names],
        reason=names[0],
        request=names[-1],
        t=len(names),
    )


def test_hostile_ids_add_no_element_and_no_attribute() -> None:
    page = Page(to_html(make(HOSTILE), {}))
    plain = Page(to_html(make([f"task {number}" for number in range(len(HOSTILE))]), {}))
    assert page.shape() == plain.shape()
    names = {name for _, attributes in page.tags for name in attributes}
    assert not {name for name in names if name.startswith("on")}
    assert not names & {"href", "src", "srcset", "data", "style", "action"}
    assert all(name[:40] in page.text for name in HOSTILE)


@pytest.mark.parametrize("render", [to_html, fragment], ids=["page", "fragment"])
@given(names=st.lists(st.text(min_size=1, max_size=60) | st.sampled_from(HOSTILE), min_size=3, max_size=3))
def test_elements_do_not_depend_on_the_data(render: Callable[..., str], names: list[str]) -> None:
    names = [
        f"{n}{name}".replace("\0", "").encode("utf-8", "ignore").decode() for n, name in enumerate(names)
    ]
    plain = Page(render(run_named(["0plain", "1plain", "2plain"]), {}))
    assert Page(render(run_named(names), {})).shape() == plain.shape()


def test_the_policy_allows_these_scripts_and_nothing_else() -> None:
    page = Page(to_html(*travel()))
    (policy,) = (a["content"] or "" for _, a in page.tags if a.get("http-equiv") == "Content-Security-Policy")
    rules = dict(rule.strip().split(" ", 1) for rule in policy.split(";"))
    closed = ("default-src", "connect-src", "base-uri", "form-action")
    assert all(rules[directive] == "'none'" for directive in closed)
    assert not re.search("unsafe|http|\\*", policy)
    kinds = [attributes.get("type") for tag, attributes in page.tags if tag == "script"]
    assert kinds == ["application/json", None, None]
    for directive, bodies in (("script-src", page.inside["script"][1:]), ("style-src", page.inside["style"])):
        digests = [base64.b64encode(hashlib.sha256(body.encode()).digest()).decode() for body in bodies]
        assert rules[directive].split() == [f"'sha256-{digest}'" for digest in digests]


def test_the_library_and_our_files_can_be_inlined() -> None:
    for source in (vis_network(), asset("page.js"), asset("page.css"), asset("fragment.css")):
        assert not re.search(r"</s|<!--|\r|\0|sourceMappingURL=", source, re.IGNORECASE)
    assert not re.search(r"url\(|@import", asset("page.css") + asset("fragment.css"))


def test_the_data_block_is_the_model_and_cannot_close_its_script() -> None:
    block = Page(to_html(make(HOSTILE), {})).inside["script"][0]
    assert json.loads(block) == json.loads(json.dumps(model(make(HOSTILE), {})))
    assert block.isascii()
    assert not set(block) & set("<>&")


def test_the_page_says_what_a_reader_asks() -> None:
    page = Page(to_html(*travel(), title="My trip"))
    facts = "2 of 4 done|speed-up|so far: preferences → flights|Find a hotel|2 s, attempt 2|4 s so far"
    for words in ("My trip", "Ryokan", "None yet.", *facts.split("|")):
        assert words in page.text


def test_large_runs_are_cut_and_say_so_and_the_fragment_has_no_script() -> None:
    run = run_named([f"task {number} with a name" for number in range(1200)])
    text = fragment(run, {})
    page = Page(text)
    assert not {"script", "iframe", "img", "link"} & {tag for tag, _ in page.tags}
    assert "showing 40 of 1,200 tasks" in page.text
    assert "showing 40 of 1,200 attempts" in page.text
    assert len(text) < 100_000
    assert "showing 1,000 of 1,200 tasks" in to_html(run, {})


def test_an_empty_run_is_drawn() -> None:
    assert "0 of 0 done" in fragment(make(), {})
    assert "None yet." in to_html(make(), {})


def test_no_dollar_sign_is_an_equation_to_a_notebook() -> None:
    run = make(["$a$"])
    for piece in (fragment(run, {}), listing("$a$", ("$b$",), [("$c$",)])):
        assert re.match(r'<div class="dyntask tex2jax_ignore mathjax_ignore">', piece)
        assert piece.endswith("</div>")
    assert foreign("$a$ and $b$") == '<bdi class="tex2jax_ignore mathjax_ignore">$a$ and $b$</bdi>'
