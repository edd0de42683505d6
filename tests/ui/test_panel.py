"""The panel without a browser: what it shows, what its buttons do, what it leaves behind."""

from __future__ import annotations

import gc
import sys
import weakref
from collections.abc import Iterator
from html.parser import HTMLParser
from types import SimpleNamespace
from typing import Any

import ipywidgets
import pytest

from dyntaskmas_nb.core.snapshot import TaskView
from dyntaskmas_nb.core.task import TaskState
from dyntaskmas_nb.ui import panel as panels
from dyntaskmas_nb.ui.panel import LIMIT, Panel, mimebundle
from tests.ui.fakes import FakeRun, buttons, fields

EVIL = "<img src=x onerror=alert(1)>"
VIEW = "application/vnd.jupyter.widget-view+json"


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Commands and updates happen where they are asked for; afterwards no widget is left."""
    monkeypatch.setattr("dyntaskmas_nb.ui.inbox.Thread", Now)
    monkeypatch.setattr("dyntaskmas_nb.ui.bridge.Timer", Now)
    yield
    ipywidgets.Widget.close_all()


class Now:
    """A thread or timer that does its work when it is started."""

    def __init__(self, *args: Any, target: Any = None, **_: Any) -> None:
        self._work, self._args = target or args[1], _.get("args", ())

    def start(self) -> None:
        self._work(*self._args)


class Tags(HTMLParser):
    """The elements and event handlers of markup, as a browser would see them."""

    def __init__(self, markup: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.handlers: list[str] = []
        self.feed(markup)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.handlers += [name for name, _ in attrs if name.startswith("on")]


def test_controls_reach_the_run_and_are_answered_in_place() -> None:
    run = FakeRun("a")
    panel = Panel(run)
    press = buttons(panel)
    assert press["Resume"].disabled
    press["Pause"].click()
    assert "✓ <bdi>pause</bdi>" in panel.face.note.value
    assert "run.pause()" in panel.face.note.value
    assert (press["Pause"].disabled, press["Resume"].disabled) == (True, False)
    for label in ("Step", "Resume", "Stop and pause", "Cancel the run"):
        press[label].click()
    assert [call for call, _ in run.calls] == ["pause", "step", "resume", "pause", "cancel"]
    assert run.calls[3][1] == {"hard": True}
    assert press["Step"].disabled
    press["Redo"].click()
    assert "refused" in panel.face.note.value
    assert "nothing to redo" in panel.face.note.value


def test_forms_edit_the_graph_and_a_refusal_keeps_what_was_filled_in() -> None:
    run = FakeRun("a", "b")
    panel = Panel(run)
    press, texts = buttons(panel), fields(panel, ipywidgets.Text)
    what, (after, _) = texts[0], fields(panel, ipywidgets.SelectMultiple)
    press["Add the task"].click()
    assert "description is empty" in panel.face.edit_note.value
    what.value, after.value = "c", ("a", "b")
    press["Add the task"].click()
    assert run.now.graph.predecessors("c") == ("a", "b")
    assert (what.value, after.value) == ("", ())

    first, second, which = fields(panel, ipywidgets.Dropdown)
    first.value, second.value = "c", "a"
    press["Add the dependency"].click()
    assert "cycle" in panel.face.edit_note.value.lower()
    assert (first.value, second.value) == ("c", "a")
    first.value, second.value = "a", "c"

    which.value = "b"
    cost = fields(panel, ipywidgets.FloatText)[2]
    cost.value = 4.0
    press["Revise"].click()
    assert run.now.graph["b"].complexity == 4
    which.value = "a"
    assert cost.value == 1
    which.value = "b"
    assert cost.value == 4
    assert [args["base"] for _, args in run.calls] == [1, 2, 2]


def test_an_edit_is_made_against_the_version_that_the_last_answer_told() -> None:
    run = FakeRun("a")
    panel = Panel(run)
    fields(panel, ipywidgets.Dropdown)[2].value = "a"
    panel._publisher.close()  # no update comes any more
    for _ in range(2):
        buttons(panel)["Revise"].click()
    assert [args["base"] for _, args in run.calls] == [1, 2]


def test_a_list_keeps_what_is_chosen_while_tasks_come_and_go() -> None:
    run = FakeRun("a", "b", "c")
    panel = Panel(run)
    after, which = fields(panel, ipywidgets.SelectMultiple)[0], fields(panel, ipywidgets.Dropdown)[2]
    after.value, which.value = ("a", "c"), "c"
    run.remove_task("a")
    assert (after.value, which.value) == (("c",), "c")
    run.remove_task("c")
    assert (after.options, after.value, which.value) == (("b",), (), None)
    buttons(panel)["Remove"].click()
    assert "Choose a task first" in panel.face.edit_note.value
    assert list(run.now.graph) == ["b"]


def test_the_table_says_state_priority_agent_and_why() -> None:
    run = FakeRun("a")
    view = TaskView(state=TaskState.FAILED, priority=2.5, agent="ann", attempt=3, reason="no network")
    run.become(tasks={"a": view})
    table = Panel(run).face.table.value
    for text in ("✗</span> failed", "2.5", "ann", "attempt 3 · no network"):
        assert text in table


def test_a_large_run_shows_what_moves_and_says_how_many() -> None:
    ids = [f"t{number}" for number in range(LIMIT + 50)]
    run = FakeRun(*ids)
    done, running = TaskView(state=TaskState.DONE), TaskView(state=TaskState.RUNNING)
    run.become(tasks=dict.fromkeys(ids, done) | {ids[-1]: running})
    panel = Panel(run)
    assert f"showing {LIMIT} of {LIMIT + 50} tasks" in panel.face.table.value
    assert f"<bdi>{ids[-1]}</bdi>" in panel.face.table.value
    assert panel.face.table.value.count("<tr>") == LIMIT + 1
    assert fields(panel, ipywidgets.Dropdown)[0].options == tuple(ids)


def test_nothing_of_a_run_is_markup() -> None:
    run = FakeRun(EVIL, "b")
    run.add_dependency(EVIL, "b")
    evil = TaskView(state=TaskState.FAILED, agent=EVIL, reason=EVIL)
    run.become(tasks={EVIL: evil, "b": evil}, reason=EVIL, status="failed")
    panel = Panel(run)
    for label in ("Add the dependency", "Revise", "Remove"):
        fields(panel, ipywidgets.Dropdown)[2].value = EVIL
        buttons(panel)[label].click()
        shown = "".join(widget.value for widget in fields(panel, ipywidgets.HTML))
        assert "&lt;img" in shown
        seen = Tags(shown)
        assert not seen.tags & {"img", "script"}
        assert not seen.handlers
    panel.failed(ValueError(EVIL))
    assert "&lt;img" in panel.face.errors.value
    assert not Tags(panel.face.errors.value).handlers


def test_errors_of_callbacks_and_updates_are_shown_not_lost() -> None:
    run = FakeRun("a")
    panel = Panel(run)
    panel._inbox.put = None  # type: ignore[assignment,method-assign]
    buttons(panel)["Pause"].click()
    assert "TypeError" in panel.face.errors.value
    run.become(tasks={})
    assert "KeyError" in panel.face.errors.value


def test_a_closed_panel_watches_nothing_and_leaves_no_widget() -> None:
    before = len(ipywidgets.widgets.widget._instances)
    run = FakeRun("a")
    panel = Panel(run)
    gone = weakref.ref(panel)
    panel.close()
    assert run.observers == []
    assert len(ipywidgets.widgets.widget._instances) == before
    run.become(status="done")
    del panel
    gc.collect()
    assert gone() is None


# -- in a notebook ----------------------------------------------------------------------------------------


@pytest.fixture
def kernel(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if there were a kernel."""
    shell = SimpleNamespace(kernel=object())
    monkeypatch.setitem(sys.modules, "IPython", SimpleNamespace(get_ipython=lambda: shell))


def test_without_a_kernel_a_run_is_html_and_text(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "IPython", raising=False)
    run = FakeRun("a")
    assert mimebundle(run) == {"text/plain": "static", "text/html": "<p>static</p>"}
    assert run._panel is None


@pytest.mark.usefixtures("kernel")
def test_with_a_kernel_it_is_one_panel_however_often_shown() -> None:
    run = FakeRun("a")
    first, again = mimebundle(run), mimebundle(run)
    assert first == again
    assert first.keys() == {VIEW, "text/html", "text/plain"}
    assert first["text/html"] == "<p>static</p>"
    run._panel.close()
    assert mimebundle(run)[VIEW] != first[VIEW]


@pytest.mark.usefixtures("kernel")
def test_a_panel_that_cannot_be_made_says_so_and_the_html_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(_: object) -> Panel:
        raise OSError(EVIL)

    monkeypatch.setattr(panels, "Panel", broken)
    bundle = mimebundle(FakeRun("a"))
    assert bundle.keys() == {"text/html", "text/plain"}
    assert "<p>static</p><p>No live panel" in bundle["text/html"]
    assert not Tags(bundle["text/html"]).handlers
