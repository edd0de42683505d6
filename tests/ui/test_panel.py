"""The panel without a browser: what it takes, what it answers, what it remembers, what it leaves behind."""

from __future__ import annotations

import gc
import json
import math
import sys
import threading
import weakref
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import ipywidgets
import pytest

from dyntaskmas_nb import Kit
from dyntaskmas_nb.errors import AgentError
from dyntaskmas_nb.ui import display, lane, left, live
from dyntaskmas_nb.ui import panel as panels
from dyntaskmas_nb.ui.display import mimebundle
from dyntaskmas_nb.ui.panel import CALL, CALLS, ERRORS, Panel
from tests.ui.fakes import EVIL, PLAN, ask, strict
from tests.ui.stage import Stage, alive

VIEW = "application/vnd.jupyter.widget-view+json"


# -- what it hears -----------------------------------------------------------------------------------------


def test_who_joins_is_told_everything(run: Any, stage: Stage) -> None:
    stage.show(run)
    stage.answer("pause")
    stage.hear("failed", message="TypeError: x", details="at y")
    before = len(stage.of("news"))
    stage.hear("join")
    news = stage.of("news")[-1]
    assert len(stage.of("news")) == before + 1
    assert news["full"]
    assert [row["id"] for row in news["upserts"]] == run.graph.topological()
    assert (news["clock"], news["policies"]) == ("virtual", list(run.policies()))
    assert news["calls"] == ["run.pause()"]
    assert [failure["message"] for failure in news["failures"]] == ["TypeError: x"]
    assert news["figures"]


def test_a_browser_follows_what_others_do(run: Any, stage: Stage) -> None:
    stage.show(run)
    run.step("completion")
    run.remove_task("d")
    stage.news()
    assert stage.mirror.rows.keys() == {"a", "b", "c"}
    assert stage.mirror.rows["a"]["state"] == "done"


def test_a_slow_browser_is_told_less_often(run: Any, stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn = list[float]()
    panel = stage.show(run)
    monkeypatch.setattr(panel._publisher, "drawn", drawn.append)
    assert stage.hear("applied", seq=1, ms=500) == []
    assert stage.hear("applied", seq=2, ms=12.5) == []
    assert drawn == [0.5, 0.0125]


@pytest.mark.parametrize(
    ("ids", "chosen"),
    [(["b"], "b"), (["b", "c"], "b"), ([], None), ([7], None), ([["b"]], None), (["gone"], None)],
)
def test_what_is_selected_is_in_the_form(run: Any, stage: Stage, ids: list[Any], chosen: str | None) -> None:
    panel = stage.show(run)
    assert stage.hear("select", ids=ids) == []
    assert panel.selected == (ids[0] if ids and isinstance(ids[0], str) else "")
    assert stage.form("Change a task").fields["id"].value == chosen
    assert stage.of("failure") == []


def test_an_error_of_the_browser_is_remembered_not_sent_back(run: Any, stage: Stage) -> None:
    stage.show(run)
    assert stage.hear("failed", message="x\x1b" * 5_000, details="at\n\x1by" * 5_000) == []
    (failure,) = list(stage.panel._errors)
    assert failure["where"] == "the browser"
    assert len(failure["message"]) <= 1_000
    assert len(failure["details"]) <= 8_000
    assert "\x1b" not in failure["message"] + failure["details"]
    for _ in range(ERRORS + 5):
        stage.hear("failed", message="x", details="")
    assert len(stage.panel._errors) == ERRORS


@pytest.mark.parametrize("id", ["x" * 10_000, ["x"] * 10_000])
def test_what_is_heard_is_echoed_within_bounds(run: Any, stage: Stage, id: Any) -> None:
    stage.show(run)
    heard, answer = stage.take(ask("pause") | {"id": id})
    assert heard["id"] == answer["id"]
    assert len(heard["id"]) <= 64


def test_a_command_is_heard_then_answered(run: Any, stage: Stage) -> None:
    stage.show(run)
    heard, answer = stage.take(ask("remove_task", run.snapshot().seq, id="d") | {"id": "f-1"})
    assert heard == {"kind": "heard", "id": "f-1"}
    assert (answer["kind"], answer["id"], answer["ok"]) == ("answer", "f-1", True)
    assert answer["call"] == "run.remove_task(id='d')"
    assert answer["version"] == run.snapshot().seq - 1
    assert stage.mirror.rows.keys() == {"a", "b", "c"}


JUNK: list[Any] = [
    None,
    "pause",
    [],
    7,
    {},
    {"command": None},
    {"command": "applied", "args": {"ms": "fast"}},
    {"command": "applied"},
    {"command": "select", "args": {"ids": "a"}},
    {"command": "failed", "args": {"message": 1}},
    {"command": "failed", "args": None},
    {"id": {"x": [1]}, "command": "resume", "args": []},
]


@pytest.mark.parametrize("said", JUNK, ids=str)
def test_junk_is_refused_and_nothing_else(run: Any, stage: Stage, said: Any) -> None:
    stage.show(run)
    before = run.log_lines()
    answer = stage.take(said)[-1]
    assert (answer["kind"], answer["ok"]) == ("answer", False)
    assert answer["reason"]
    assert stage.of("failure") == []
    assert run.log_lines() == before


def test_an_error_of_the_panel_lands_in_it_with_its_traceback(
    run: Any, stage: Stage, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    panel = stage.show(run)
    monkeypatch.setattr(panel.face, "selected", lambda id: 1 / 0)
    (failure,) = stage.hear("select", ids=["a"])
    assert failure["kind"] == "failure"
    assert failure["message"] == "ZeroDivisionError: division by zero"
    assert "Traceback" in failure["details"]
    assert "test_panel.py" in failure["details"]
    assert stage.answer("pause")["ok"], "it goes on"
    assert "ZeroDivisionError" in caplog.text


def test_a_message_that_cannot_be_made_lands_there_too(
    run: Any, stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    panel = stage.show(run)
    with monkeypatch.context() as patch:
        patch.setattr(panel.face, "offer", lambda ids: 1 / 0)
        run.remove_task("d")
        stage.news()
    assert stage.of("failure")[-1]["message"] == "ZeroDivisionError: division by zero"
    run.remove_task("c")
    stage.news()
    assert stage.of("news")[-1]["full"]
    assert stage.mirror.rows.keys() == {"a", "b"}


def test_an_answer_that_cannot_be_told_is_a_refusal(
    run: Any, stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage.show(run)
    monkeypatch.setattr(panels, "preview_data", lambda *_: 1 / 0)
    heard, failure, answer = stage.take(ask("remove_task", None, "preview", id="d") | {"id": "f-2"})
    assert (heard["kind"], failure["kind"]) == ("heard", "failure")
    assert (answer["id"], answer["ok"]) == ("f-2", False)
    assert answer["reason"] == "ZeroDivisionError: division by zero"


# -- what it answers ---------------------------------------------------------------------------------------


def test_an_edit_tried_is_told_as_ghosts(run: Any, stage: Stage) -> None:
    stage.show(run)
    answer = stage.answer("add_task", "preview", description="New", id="n", after=["a"], complexity=3.0)
    data = answer["data"]
    assert answer["ok"]
    assert data["accepted"]
    assert [node["id"] for node in data["nodes"]] == ["n"]
    assert [(edge["from"], edge["to"]) for edge in data["edges"]] == [("a", "n")]
    assert (data["gone"], data["goneEdges"]) == ([], [])
    assert data["words"] == answer["what"]
    places = stage.panel.places()
    assert (data["nodes"][0]["x"], data["nodes"][0]["y"]) not in places.values()
    assert data["before"]["makespan"] == run.preview().before.makespan

    moved = {id: (x + 5_000, y) for id, (x, y) in places.items()}
    stage.panel._publisher.scene.places.update(moved)
    data = stage.answer("add_task", "preview", description="New", id="n", after=["a"])["data"]
    assert data["nodes"][0]["x"] > moved["a"][0], "it stands among the tasks as they are on the screen"

    data = stage.answer("remove_task", "preview", id="b")["data"]
    assert data["gone"] == ["b"]
    assert sorted(map(tuple, data["goneEdges"])) == [("a", "b"), ("b", "d")]
    assert data["after"]["makespan"] < data["before"]["makespan"]
    assert data["gain"] == data["before"]["makespan"] - data["after"]["makespan"]

    answer = stage.answer("add_dependency", "preview", before="d", after="a")
    assert not answer["ok"]
    assert not answer["data"]["accepted"]
    assert "cycle" in answer["data"]["reason"]


def test_an_explained_number_is_typeset_beside(run: Any, stage: Stage) -> None:
    panel = stage.show(run)
    answer = stage.answer("explain_number", kind="weight", id="a", to="b")
    assert answer["data"]["value"] == 2
    assert "html" not in answer["data"]
    assert r"\alpha" in panel.face.math.value
    assert panel.face.live.math == f"IPY_MODEL_{panel.face.math.model_id}"


def test_a_number_that_cannot_be_explained_leaves_no_equation(run: Any, stage: Stage) -> None:
    panel = stage.show(run)
    for refused in (
        ask("explain_number", kind="soul"),
        ask("explain_number", kind="weight", id="a", to="d"),
        ask("explain_number", kind=7),
    ):
        stage.take(ask("explain_number", kind="weight", id="a", to="b"))
        assert panel.face.math.value
        assert not stage.take(refused)[-1]["ok"]
        assert panel.face.math.value == ""


def test_who_joins_is_told_what_is_collected_and_which_versions_there_are(run: Any, stage: Stage) -> None:
    stage.show(run)
    assert stage.answer("remove_task", "draft", id="d")["drafts"] == 1
    stage.answer("pause")
    version = stage.answer("revise", id="b", complexity=3.0)["version"]
    stage.hear("join")
    news = stage.of("news")[-1]
    assert news["drafts"] == 1
    assert news["edits"] == run.versions()
    assert news["edits"][-1] == version
    for number in range(panels.VERSIONS):
        run.revise("b", complexity=4.0 + number)
    stage.hear("join")
    news = stage.of("news")[-1]
    assert news["edits"] == run.versions()[-panels.VERSIONS :]
    assert len(run.versions()) > panels.VERSIONS


def test_a_selection_waits_for_nobody(run: Any, stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    later = list[Any]()
    panel = stage.show(run)
    with monkeypatch.context() as patch:
        patch.setattr(lane, "Thread", lambda target, **_: SimpleNamespace(start=lambda: later.append(target)))
        stage.hear("select", ids=["b"])
        stage.hear("select", ids=["c"])
    assert stage.form("Change a task").fields["id"].value != "c", "nothing is done where it is heard"
    (work,) = later
    work()
    assert stage.form("Change a task").fields["id"].value == panel.selected == "c"


def test_the_panel_is_free_while_an_answer_is_made(
    run: Any, stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    panel, free = stage.show(run), list[bool]()
    snapshot = run.snapshot

    def see() -> None:
        free.append(panel._lock.acquire(blocking=False))
        if free[-1]:
            panel._lock.release()

    def looked() -> Any:
        other = threading.Thread(target=see)
        other.start()
        other.join(60)
        return snapshot()

    monkeypatch.setattr(run, "snapshot", looked)
    stage.answer("remove_task", "preview", id="d")
    assert free
    assert all(free)


def test_a_fork_is_shown_below(run: Any, stage: Stage) -> None:
    panel = stage.show(run)
    run.step("completion")
    answer = stage.answer("fork")
    assert answer["ok"]
    fork = panel._forks[0]
    assert answer["data"] == {"run": fork._run.id}
    assert fork._run is not run
    assert fork._run._panel is fork
    fork._run.resume()
    fork._run.result()
    stage.news()
    gc.collect()
    assert fork._run.status == "done", "nobody but its panel holds it"
    assert panel.widget.children[-1] is fork.widget
    assert fork._run.states()["a"] == "done"
    panel.close()
    assert fork.closed


def test_it_remembers_the_calls_that_did_something(run: Any, stage: Stage) -> None:
    panel = stage.show(run)
    for said in (
        ask("pause"),
        ask("explain", id="a"),
        ask("history"),
        ask("remove_task", None, "preview", id="d"),
        ask("remove_task", id="nowhere"),
        ask("revise", None, "draft", id="b", complexity=3.0),
        ask("set_join", None, "draft", id="d", kind="any"),
        ask("preview_drafts"),
        ask("commit_drafts"),
        ask("fork"),
        ask("undo"),
    ):
        stage.take(said)
    block = (
        "with run.batch() as edits:\n    edits.revise('b', complexity=3.0)\n    edits.set_join('d', 'any', 1)"
    )
    calls = ["run.pause()", block, "run.fork()", "run.undo()"]
    assert list(panel._calls) == calls
    stage.take(ask("revise", id="b", description="x" * 19_000))
    assert len(panel._calls[-1]) <= CALL
    for _ in range(CALLS):
        stage.take(ask("pause"))
    assert len(panel._calls) == CALLS


def test_edits_collected_by_a_browser_are_committed_as_one(run: Any, stage: Stage) -> None:
    stage.show(run)
    for said in (ask("remove_task", None, "draft", id="d"), ask("remove_task", None, "draft", id="c")):
        assert stage.take(said)[-1]["call"] == ""
    assert stage.answer("preview_drafts")["data"]["gone"] == ["c", "d"]
    answer = stage.answer("commit_drafts")
    assert (answer["what"], answer["version"]) == ("applied 2 edits at once", run.snapshot().seq - 1)
    assert answer["call"].startswith("with run.batch() as edits:")
    assert run.graph.tasks.keys() == {"a", "b"}


# -- what a wire takes -------------------------------------------------------------------------------------

QUESTIONS = [
    ask("explain", id="c"),
    ask("explain_number", kind="priority", id="c"),
    ask("explain_number", kind="slack", id="c"),
    ask("explain_number", kind="makespan"),
    ask("explain_number", kind="metric", id="throughput"),
    ask("manifest", id="c"),
    ask("history"),
    ask("at", version=4),
    ask("trace"),
    ask("to_python"),
    ask("context_tree"),
    ask("context_query", text="x"),
    ask("revise", None, "preview", id="d", complexity=1e15),
]


def odd(task: Any, context: Any) -> Any:
    if task.id == "a":
        return {"set": {1, 2}}
    if task.id == "c":
        return [math.nan]
    raise AgentError("\ud800 \x1b")


def test_whatever_happens_is_json(stage: Stage) -> None:
    """`Stage` takes no message that is none; here agents, a rule and the figures try to make one."""
    value = 1.0
    with Kit(clock="virtual", home=None, agents={"*": odd}) as kit:
        run = kit.start(PLAN, policy=lambda task, successors, weights: value, seconds_per_unit=1e15)
        stage.show(run)
        run.revise("d", complexity=1e15, boost=-1e15, timeout=1e15)
        for value in (math.nan, math.inf, 10**400, "high", None):  # noqa: B007  the rule reads it
            run.revise("b", complexity=2.0 + len(stage.sent))
            stage.hear("join")
        for said in QUESTIONS:
            stage.take(said)
        value = 1.0
        with pytest.raises(Exception, match="a: "):
            run.result()
        stage.hear("join")
        assert stage.mirror.known["status"] == "failed"
        for said in QUESTIONS:
            assert stage.take(said)[-1]["kind"] == "answer"


def test_figures_that_are_no_numbers_are_nothing(
    run: Any, stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    metrics, explained = run.metrics(), run.explain("a")
    figures = replace(metrics.whole, throughput=math.nan, cost=math.inf)
    monkeypatch.setattr(run, "metrics", lambda: replace(metrics, whole=figures, recent=figures))
    monkeypatch.setattr(run, "explain", lambda id: replace(explained, priority=math.inf))
    stage.show(run)
    assert {
        row["value"] for row in stage.mirror.known["figures"] if row["name"] in ("throughput", "cost")
    } == {None}
    assert stage.answer("explain", id="a")["data"]["priority"] is None


# -- what it leaves behind ---------------------------------------------------------------------------------


def test_a_closed_panel_watches_nothing_and_leaves_no_widget(run: Any, stage: Stage) -> None:
    before, watching = alive(), list(run._engine._watchers)
    panel = stage.show(run)
    stage.take(ask("fork"))
    stage.take(ask("explain_number", kind="priority", id="a"))
    gone = weakref.ref(panel)
    run.pause()
    panel.close()
    assert alive() == before
    assert list(run._engine._watchers) == watching
    sent = len(stage.sent)
    panel.hear(ask("pause"))
    run.resume()
    stage.news()
    assert len(stage.sent) == sent
    panel.close()
    del panel, stage.panel
    stage.sent.clear()
    gc.collect()
    assert gone() is None


def test_what_is_under_way_while_it_is_closed_ends_quietly(
    run: Any, stage: Stage, caplog: pytest.LogCaptureFixture
) -> None:
    panel = stage.show(run)
    form = stage.form("Change a task")
    form.fields["id"].value = "d"
    remove = run.remove_task

    def closing(*args: Any, **given: Any) -> Any:
        panel.close()
        return remove(*args, **given)

    run.remove_task = closing
    form.edit.value = "remove_task"
    stage.press(form, "apply")
    assert "d" not in run.graph
    assert caplog.text == ""


# -- in a notebook -----------------------------------------------------------------------------------------


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


@pytest.fixture
def kernel(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if there were a kernel."""
    shell = SimpleNamespace(kernel=object())
    monkeypatch.setitem(sys.modules, "IPython", SimpleNamespace(get_ipython=lambda: shell))


def test_without_a_kernel_a_run_is_html_and_text(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "IPython", SimpleNamespace(get_ipython=lambda: None))
    expected = {"text/plain": repr(run), "text/html": run._repr_html_()}
    assert mimebundle(run) == run._repr_mimebundle_() == expected
    monkeypatch.delitem(sys.modules, "IPython")
    assert mimebundle(run) == expected
    assert run._panel is None


@pytest.mark.usefixtures("kernel")
def test_with_a_kernel_it_is_one_panel_however_often_shown(run: Any, stage: Stage) -> None:
    first, again = mimebundle(run), mimebundle(run)
    assert first == again
    assert first.keys() == {VIEW, "text/html", "text/plain"}
    assert first[VIEW]["model_id"] == run._panel.widget.model_id
    assert (first["text/html"], first["text/plain"]) == (run._repr_html_(), repr(run))
    run._panel.close()
    assert mimebundle(run)[VIEW] != first[VIEW]


@pytest.mark.usefixtures("kernel", "widgets")
def test_a_copy_that_was_not_built_says_so_and_the_html_stays(
    run: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    monkeypatch.setattr(live, "resources", SimpleNamespace(files=lambda package: tmp_path))
    monkeypatch.setattr("dyntaskmas_nb.ui.forms.bundle", live.bundle.__wrapped__)
    before = alive()
    shown = mimebundle(run)
    assert shown.keys() == {"text/html", "text/plain"}
    static, note = shown["text/html"].split("<p>No live panel: ")
    assert static == run._repr_html_()
    assert "panel.js is not there: this copy was not built. Run `pip install -e .` once more." in note
    assert "Traceback" not in note
    assert caplog.text == ""
    assert run._panel is None
    assert alive() == before


@pytest.mark.usefixtures("kernel")
def test_a_panel_that_cannot_be_made_says_so_and_the_html_stays(
    run: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(_: object) -> Panel:
        raise OSError(EVIL)

    monkeypatch.setattr(display, "Panel", broken)
    shown = mimebundle(run)
    assert shown.keys() == {"text/html", "text/plain"}
    assert shown["text/html"].startswith(run._repr_html_() + "<p>No live panel: ")
    assert not Tags(shown["text/html"]).handlers
    assert "no live panel" in caplog.text


@pytest.mark.usefixtures("kernel")
def test_a_cell_that_is_run_again_frees_the_run_before(stage: Stage) -> None:
    runs, shown, told, widgets = list[Any](), list[Any](), list[Any](), list[int]()
    with Kit(home=None, agents={"*": lambda task, context: task.id}) as kit:
        for _ in range(20):
            run = kit.start({"subtasks": [{"id": "a"}]})
            mimebundle(run)
            run.result(60)
            kit._parts._drivers[-1].result(60)
            stage.news()
            runs.append(weakref.ref(run))
            shown.append(weakref.ref(run._panel))
            gc.collect()
            for thread in threading.enumerate():
                if thread.name == "dyntaskmas forget":
                    thread.join(60)
            told += stage.of("failure")
            stage.sent.clear()
            widgets.append(alive())
        gc.collect()
        assert left.FORGOTTEN in {failure["message"] for failure in told}
        assert sum(one() is not None for one in runs) <= 2
        assert sum(one() is not None for one in shown) <= 2
        assert len(set(widgets[left.KEPT + 2 :])) == 1, "no widget more"
        assert len(kit._parts._wirings) <= 2, "nor an engine"


@pytest.mark.usefixtures("kernel")
def test_a_run_that_goes_on_is_held_by_its_panel(stage: Stage) -> None:
    run = Kit(clock="virtual", home=None).start(PLAN, paused=True)
    mimebundle(run)
    there = weakref.ref(run)
    del run
    gc.collect()
    again = there()
    assert again is not None
    again.resume()
    assert again.result()
    live = again._panel.face.live
    del again
    stage.news()
    gc.collect()
    assert there() is None
    for thread in threading.enumerate():
        if thread.name == "dyntaskmas forget":
            thread.join(60)
    assert stage.of("failure")[-1]["message"] == left.FORGOTTEN
    live._handle_custom_msg(ask("pause") | {"id": "late"}, [])
    assert strict(stage.of("answer")[-1]) == {
        "kind": "answer",
        "id": "late",
        "ok": False,
        "reason": left.FORGOTTEN,
    }


def test_a_saved_notebook_holds_no_script_of_a_run(run: Any, stage: Stage) -> None:
    """What a run says travels as messages: traits would be saved into the notebook."""
    panel = stage.show(run)
    run.add_task("unmistakable", id="unmistakable")
    stage.news()
    assert "unmistakable" in stage.mirror.rows
    state = {name: value for name, value in panel.face.live.get_state().items() if not name.startswith("_")}
    assert "unmistakable" not in json.dumps(state, default=str)
    strict({name: value for name, value in state.items() if name != "layout"})
    assert isinstance(panel.widget, ipywidgets.VBox)
