"""Numbers with their equations: what stands in them gives them, and nothing foreign is HTML or LaTeX."""

from __future__ import annotations

import re
from html.parser import HTMLParser

import pytest

from dyntaskmas_nb.core.graph import TaskGraph
from dyntaskmas_nb.core.snapshot import AgentView, Entry, Snapshot
from dyntaskmas_nb.core.task import Task
from dyntaskmas_nb.errors import InvalidInput
from dyntaskmas_nb.view.equation import MEASURED, NAMED, NumberExplained, explain_measure
from dyntaskmas_nb.view.numbers import key_numbers, measured
from tests.view.runs import make

HOSTILE = r"$\href{javascript:alert(1)}{\(x\)}$<img src=x onerror=alert(2)>"


class Page(HTMLParser):
    """What a page says where MathJax reads, what it says elsewhere, and its tags."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.read = self.ignored = ""
        self.tags: set[str] = set()
        self._inside = 0
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self._inside += tag == "bdi"
        if tag == "bdi":
            assert dict(attrs) == {"class": "tex2jax_ignore mathjax_ignore"}

    def handle_endtag(self, tag: str) -> None:
        self._inside -= tag == "bdi"

    def handle_data(self, data: str) -> None:
        if self._inside:
            self.ignored += data
        else:
            self.read += data


def typeset(latex: str) -> None:
    """Hold LaTeX to what MathJax can read: braces and delimiters in pairs, commands it knows."""
    assert latex.count("{") == latex.count("}")
    assert latex.count(r"\bigl") == latex.count(r"\bigr")
    assert latex.count(r"\Bigl") == latex.count(r"\Bigr")
    assert not set("$<>&%#") & set(latex)
    assert latex.isascii()
    known = (
        "alpha arg beta bigl bigr Bigl Bigr cdot eta varepsilon frac ge in lambda le log mathrm max min Omega"
        " omega quad rho sigma sum approx"
    )
    assert set(re.findall(r"\\([a-zA-Z]+)", latex)) <= set(known.split())


def run(*names: str) -> Snapshot:
    """Three tasks on two slots at 5 s: the first took two attempts, the last runs."""
    a, b, c = names or ("a", "b", "c")
    graph = TaskGraph.of([Task(id=a), Task(id=b), Task(id=c)], [(a, c, 0.0)])
    entries = [
        Entry(task=a, agent="x", start=0.5, end=1.0, outcome="failed"),
        Entry(task=b, agent="y", start=0.5, end=2.0),
        Entry(task=a, agent="x", start=1.0, end=2.5, attempt=2),
        Entry(task=b, agent="y", start=2.0, end=2.25, attempt=2, outcome="stopped"),
        Entry(task=c, agent="x", start=2.5, end=None, outcome="running"),
    ]
    agents = [AgentView(id=id, roles=("*",)) for id in "xy"]
    return make(graph, t=5.0, entries=entries, agents=agents)


def test_what_stands_in_the_equations_gives_the_numbers() -> None:
    found = {name: explain_measure(run(), name) for name in MEASURED}
    o = {name: one.operands for name, one in found.items()}
    value = {name: one.value for name, one in found.items()}
    assert value["makespan"] == o["makespan"]["max e"] - o["makespan"]["min s"] == 4.5  # type: ignore[operator]
    assert o["one after another"] == {"t(a)": 2.0, "t(b)": 1.5, "t(c)": 2.5}
    assert value["one after another"] == 6.0
    assert o["speed-up"] == {"S": 6.0, "makespan": 4.5}
    assert value["speed-up"] == 6 / 4.5
    assert o["critical path"] == {"p": "a → c", "t(a)": 1.5, "t(c)": 2.5}
    assert value["critical path"] == 4.0
    assert o["lower bound"] == {"L": 4.0, "Σ t(v)": 5.5, "m": 2}
    assert value["lower bound"] == 4.0
    assert o["utilisation"] == {"Σ (e − s)": 6.25, "m": 2, "makespan": 4.5}
    assert value["utilisation"] == 6.25 / 9


def test_they_are_the_key_numbers_in_their_words() -> None:
    numbers = key_numbers(measured(run()))
    assert [name for name, _, _ in numbers] == list(MEASURED)
    for name, _, words in numbers:
        found = explain_measure(run(), name)
        assert (found.name, found.words) == (name, words)
        typeset(found.latex)
        assert found.latex
        assert found.source.startswith(("§", "Not the paper's"))


def test_of_many_tasks_the_longest_are_named_and_the_sum_is_whole() -> None:
    graph = TaskGraph.of(
        [Task(id=f"t{n}") for n in range(40)], [(f"t{n}", f"t{n + 1}", 0) for n in range(39)]
    )
    entries = [Entry(task=f"t{n}", agent="x", start=n * n, end=(n + 1) ** 2) for n in range(40)]
    now = make(graph, t=1600.0, entries=entries)
    found = explain_measure(now, "one after another")
    assert list(found.operands)[-1] == "t of 29 others"
    assert len(found.operands) == NAMED
    assert sum(found.operands.values()) == found.value == 1600.0  # type: ignore[arg-type]
    path = explain_measure(now, "critical path").operands
    assert str(path.pop("p")).endswith("t11 → …")
    assert sum(path.values()) == 1600.0  # type: ignore[arg-type]


def test_names_of_tasks_are_neither_html_nor_latex() -> None:
    now = run(HOSTILE, HOSTILE + "2", HOSTILE + "3")
    for name in MEASURED:
        found = explain_measure(now, name)
        typeset(found.latex)
        page = Page(found._repr_html_())
        assert page.read == rf"\({found.latex}\)"
        assert page.tags <= {"div", "p", "strong", "bdi", "small", "table", "tr", "th", "td"}
    shown = Page(explain_measure(now, "critical path")._repr_html_())
    assert r"$\href{javascript:alert(1)}" in shown.ignored


def test_nothing_has_been_measured_yet() -> None:
    for name in MEASURED:
        found = explain_measure(make(["a"]), name)
        assert found.value == (1.0 if name == "speed-up" else 0.0)
        assert repr(found)


def test_as_text() -> None:
    assert repr(explain_measure(run(), "speed-up")).splitlines() == [
        "speed-up = 1.33333 ×",
        "one after another ÷ makespan",
        r"\frac{S}{\mathrm{makespan}}",
        "with S = 6, makespan = 4.5",
        "§IV-B, Table I (traditional ÷ DynTaskMAS)",
    ]
    bare = NumberExplained(
        name="n", value=None, unit="s", latex="", operands={}, source="", words="a\x1b[31m"
    )
    assert repr(bare) == "n = – s\na␛[31m"
    assert Page(bare._repr_html_()).read == ""


def test_there_is_no_other_number() -> None:
    with pytest.raises(InvalidInput, match="'speed'; choose from makespan, one after another"):
        explain_measure(run(), "speed")
