"""What comes in: nothing passes that is not in the table; everything is answered, in order."""

from __future__ import annotations

import gc
import inspect
import weakref
from collections.abc import Callable
from contextlib import suppress
from threading import Event
from typing import Any

import pytest

from dyntaskmas_nb import Kit
from dyntaskmas_nb.apee.forecast import Preview
from dyntaskmas_nb.core.event import DeltaApplied
from dyntaskmas_nb.errors import InvalidInput
from dyntaskmas_nb.kit.receipt import Receipt
from dyntaskmas_nb.kit.run import Run
from dyntaskmas_nb.ui import questions
from dyntaskmas_nb.ui.commands import ASKED, CALLS, COMMANDS, EDITS, ORDERS
from dyntaskmas_nb.ui.drafts import Drafts
from dyntaskmas_nb.ui.inbox import ACTIONS, WAITING_FOR, Answer, Inbox
from dyntaskmas_nb.ui.inbox import execute as carry_out
from dyntaskmas_nb.ui.lane import WAITING, Lane
from dyntaskmas_nb.ui.left import FORGOTTEN
from dyntaskmas_nb.view.numbers import key_numbers, measured
from tests.ui.fakes import PLAN, ask, work


def execute(run: Any, command: object, drafts: Drafts | None = None) -> Answer:
    return carry_out(run, command, drafts or Drafts(run))


#: A good use of every command: its arguments, and how to see on the run that it was done.
DONE: dict[str, tuple[dict[str, Any], Callable[[Any], Any]]] = {
    "add_task": (
        {"description": "Check visa", "after": ["a"], "before": ["d"], "id": "v", "complexity": 2.0,
         "boost": 1.5, "role": "clerk", "critical": False, "timeout": 9.0, "attempts": 2,
         "resources": ["desk"], "approval": True, "join": "any"},
        lambda run: (run.graph["v"].resources[0].key, run.graph["v"].join.kind, run.graph.predecessors("v")),
    ),
    "remove_task": ({"id": "d"}, lambda run: "d" not in run.graph),
    "revise": (
        {"id": "b", "complexity": 7.0, "description": "x", "resources": ["pan"]}, lambda run: run.graph["b"]
    ),
    "add_dependency": (
        {"before": "a", "after": "c", "information": 2.0}, lambda run: run.graph.information("a", "c")
    ),
    "remove_dependency": ({"before": "a", "after": "b"}, lambda run: run.graph.predecessors("b")),
    "revise_dependency": (
        {"before": "a", "after": "b", "information": 3.0}, lambda run: run.graph.information("a", "b")
    ),
    "set_join": ({"id": "d", "kind": "k_of_n", "k": 2}, lambda run: run.graph["d"].join),
    "pause": ({"hard": True}, lambda run: run.status),
    "resume": ({}, lambda run: run.status),
    "step": ({"until": "completion"}, lambda run: run.states()),
    "run_until": ({"point": "b"}, lambda run: run.states()),
    "play": ({"speed": 1e9}, lambda run: run.result()),
    "break_at": ({"id": "b", "when": "after", "on": True}, lambda run: run.snapshot().breakpoints),
    "undo": ({}, lambda run: list(run.graph)),
    "redo": ({}, lambda run: list(run.graph)),
    "cancel": ({"id": "c"}, lambda run: run.states()["c"]),
    "retry": ({"id": "c"}, lambda run: run.states()["c"]),
    "approve": ({"id": "e"}, lambda run: (run.run_until(run.snapshot().t + 1), run.states()["e"])[1]),
    "reject": ({"id": "e", "why": "no"}, lambda run: run.snapshot().tasks["e"].reason),
    "configure": (
        {"policy": "fifo", "awm": "advise", "routing": "frozen"},
        lambda run: (run.snapshot().settings.policy, run.snapshot().settings.awm.mode),
    ),
    "set_agent": (
        {"id": "q", "slots": 2, "roles": ["clerk"], "access": 1},
        lambda run: [(one.id, one.slots, one.roles, one.access) for one in run.snapshot().agents],
    ),
}  # fmt: skip
#: What has to be so first.
FIRST: dict[str, Callable[[Any], object]] = {
    "pause": lambda run: run.resume(),
    "undo": lambda run: run.remove_task("d"),
    "redo": lambda run: (run.remove_task("d"), run.undo()),
    "retry": lambda run: run.cancel("c"),
    "approve": lambda run: (run.add_task("e", id="e", approval=True), run.resume()),
    "reject": lambda run: (run.add_task("e", id="e", approval=True), run.resume(), run.run_until(1.0)),
}


@pytest.mark.parametrize("name", DONE)
def test_a_command_is_carried_out_and_its_call_does_the_same(kit: Kit, name: str) -> None:
    args, seen = DONE[name]
    run, twin = kit.start(PLAN, paused=True), kit.start(PLAN, paused=True)
    for one in (run, twin):
        FIRST.get(name, id)(one)
    before = state(run, name)
    answer = execute(run, ask(name, **args))
    assert (answer.ok, answer.reason, answer.command) == (True, "", name)
    assert answer.what
    after = seen(run)
    assert after != before
    if name in {*EDITS, "undo", "redo"}:
        assert isinstance(run._machine.log[answer.version], DeltaApplied)
    else:
        assert answer.version is None
    reply = eval(answer.call, {"run": twin})
    assert reply.accepted
    assert seen(twin) == after


def state(run: Any, name: str) -> Any:
    """What is to be seen of a command beforehand, if that can be asked already."""
    with suppress(InvalidInput):
        return DONE[name][1](run)


def test_every_command_is_in_one_of_these_tests() -> None:
    assert DONE.keys() == (EDITS.keys() | COMMANDS.keys()) - {"accept"}
    assert ANSWERS.keys() == ASKED.keys() | ORDERS.keys() == questions.QUESTIONS.keys()
    assert set(CALLS) > ACTIONS
    assert set(COMMANDS) > WAITING_FOR


@pytest.mark.parametrize("name", EDITS.keys() | COMMANDS.keys())
def test_runs_offer_what_the_table_says(name: str) -> None:
    given = dict.fromkeys(CALLS[name]) | ({"base": None} if name in EDITS else {})
    method = inspect.signature(getattr(Run, name))
    method.bind(None, **given)
    assert name not in EDITS or "base" in method.parameters


def test_an_edit_is_made_against_the_version_its_sender_saw(run: Any) -> None:
    seen = run.snapshot().seq
    run.revise("b", complexity=3.0)
    answer = execute(run, ask("revise", seen, id="b", complexity=4.0))
    assert not answer.ok
    assert run.graph["b"].complexity == 3
    assert execute(run, ask("revise", seen, id="c", complexity=4.0)).ok
    assert execute(run, ask("revise", answer.version, id="b", complexity=4.0)).ok


def test_a_proposal_of_the_awm_that_there_is_not_is_refused(run: Any) -> None:
    answer = execute(run, ask("accept", number=3))
    assert (answer.ok, "no open proposal 3" in answer.reason) == (False, True)


# -- questions ---------------------------------------------------------------------------------------------

#: A good use of every question, and what its answer holds.
ANSWERS: dict[str, tuple[dict[str, Any], Callable[[Any], bool]]] = {
    "explain": ({"id": "a"}, lambda data: data["id"] == "a" and data["equation"]),
    "explain_number": (
        {"kind": "weight", "id": "a", "to": "b"}, lambda data: data["value"] == 2 and data["html"]
    ),
    "traceback": ({"id": "a"}, lambda data: data == ""),
    "manifest": ({"id": "a"}, lambda data: data["task"] == "a"),
    "history": ({}, lambda data: len(data["rows"]) == data["total"] > 0),
    "at": (
        {"version": 2},
        lambda data: data["full"] and len(data["upserts"]) == 4 and "samples" not in data and data["figures"],
    ),
    "fork": ({"version": 2}, lambda data: isinstance(data, Run)),
    "trace": ({}, lambda data: data["traceEvents"]),
    "to_python": ({}, lambda data: "run.pause()" in data),
    "preview_drafts": ({}, lambda data: data.accepted),
    "commit_drafts": ({}, lambda data: data["version"]),
    "drop_drafts": ({}, lambda data: data is None),
    "context_tree": ({"access": None}, lambda data: data["nodes"] == []),
    "context_node": ({"id": "none"}, lambda data: False),
    "context_query": ({"text": "x", "access": 1, "theta": 0.5, "k": 3}, lambda data: data["theta"] == 0.5),
    "context_for": ({"agent": "q", "text": "x"}, lambda data: data["text"] == "x"),
}  # fmt: skip


@pytest.mark.parametrize("name", ANSWERS.keys() - {"context_node"})
def test_a_question_is_answered_and_changes_nothing(run: Any, name: str) -> None:
    args, right = ANSWERS[name]
    drafts = Drafts(run)
    run.set_agent("q")
    execute(run, ask("add_task", None, "draft", description="new"), drafts)
    before = run.log_lines()
    answer = execute(run, ask(name, **args), drafts)
    assert (answer.ok, answer.reason) == (True, "")
    assert right(answer.data)
    assert (run.log_lines() == before) is (name != "commit_drafts")
    assert answer.call == "" or eval(answer.call, {"run": run}) is not None


def test_the_past_has_the_key_numbers_of_its_moment(run: Any) -> None:
    run.resume()
    run.run_until(2.5)
    then = run.snapshot()
    run.result()
    figures = execute(run, ask("at", version=then.seq)).data["figures"]
    measures = measured(run.at(then.seq))
    assert [(one["name"], one["shown"], one["meaning"]) for one in figures] == key_numbers(measures)
    assert {(one["scope"], one["at"]) for one in figures} == {("run", "")}
    found = {one["name"]: (one["value"], one["unit"]) for one in figures}
    assert found["one after another"] == (measures.serial, "s")
    assert found["speed-up"] == (measures.speedup, "×")
    assert found["utilisation"] == (measures.utilisation, "share")
    assert 0 < measures.serial < run.measures().serial


def test_a_long_history_is_cut_and_says_how_long_it_is(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    run.remove_task("d")
    rows = run.history().records
    monkeypatch.setattr(questions, "EVENTS", 2)
    data = execute(run, ask("history")).data
    assert (data["rows"], data["total"]) == (rows[-2:], len(rows))


def test_a_context_node_that_there_is_not_is_refused(run: Any) -> None:
    answer = execute(run, ask("context_node", id="none"))
    assert (answer.ok, "no node 'none'" in answer.reason) == (False, True)


def test_the_past_stands_where_the_panel_has_it(run: Any) -> None:
    class Shown:
        def places(self) -> Any:
            return {"a": (1_000.0, 7.0)}

    run._panel = Shown()
    data = execute(run, ask("at", version=2)).data
    (row,) = [row for row in data["upserts"] if row["id"] == "a"]
    assert (row["node"]["x"], row["node"]["y"]) == (1_000.0, 7.0)


# -- what is refused ---------------------------------------------------------------------------------------


def nest(depth: int) -> Any:
    deep: Any = []
    for _ in range(depth):
        deep = [deep]
    return deep


HOSTILE: list[tuple[object, str]] = [
    (None, "A command is an object"),
    ("pause", "A command is an object"),
    ([ask("pause")], "A command is an object"),
    (nest(100_000), "A command is an object"),
    ({}, "no command None"),
    (ask("__class__"), "no command '__class__'"),
    (ask("_submit"), "no command '_submit'"),
    (ask("snapshot"), "no command 'snapshot'"),
    (ask("apply"), "no command 'apply'"),
    (ask("x" * 100_000), "no command 'xxx"),
    (ask(["pause"]), "no command"),
    (ask(nest(100_000)), "no command"),
    (ask("pause") | {"args": []}, "args must be an object"),
    (ask("pause") | {"args": nest(100_000)}, "args must be an object"),
    (ask("pause", hard=1), "pause: hard must be true or false"),
    (ask("pause", why="x"), "pause has no 'why'; it takes hard"),
    (ask("resume", x=1), "it takes nothing"),
    (ask("resume") | {"args": {7: 1}}, "resume has no 7"),
    (ask("resume", None, "preview"), "resume: mode must be one of preview, draft, of an edit"),
    (ask("explain", None, "draft", id="a"), "mode must be"),
    (ask("revise", None, "apply", id="a"), "mode must be"),
    (ask("revise", None, None, id="a"), "mode must be"),
    (ask("revise", None, ["draft"], id="a"), "mode must be"),
    (ask("remove_task"), "remove_task: missing a required argument: 'id'"),
    (ask("explain"), "explain: missing a required argument: 'id'"),
    (ask("context_query"), "context_query: missing a required argument: 'text'"),
    (ask("explain_number", id="a"), "explain_number: missing a required argument: 'kind'"),
    (ask("at"), "at: missing a required argument: 'version'"),
    (ask("remove_task", id=["a"]), "remove_task: id must be a string"),
    (ask("remove_task", id=None), "remove_task: id must be a string"),
    (ask("remove_task", id="x" * 999), "at most 200"),
    (ask("remove_task", id="nowhere"), "no task 'nowhere'"),
    (ask("remove_task", True, id="a"), "base must be a version"),
    (ask("remove_task", -1, id="a"), "base must be a version"),
    (ask("remove_task", 1.0, id="a"), "base must be a version"),
    (ask("remove_task", "1", id="a"), "base must be a version"),
    (ask("add_task"), "missing a required argument: 'description'"),
    (ask("add_task", description=""), "description is empty"),
    (ask("add_task", description=None), "description must be text"),
    (ask("add_task", description="x" * 20_001), "at most 20,000"),
    (ask("add_task", description="\ud800"), "surrogate"),
    (ask("add_task", description="x", after="a"), "after must be a list"),
    (ask("add_task", description="x", after={"a": 1}), "after must be a list"),
    (ask("add_task", description="x", after=["a"] * 1_001), "after must be a list of at most 1,000 tasks"),
    (ask("add_task", description="x", after=[{}]), "after id must be a string"),
    (ask("add_task", description="x", resources=["y"] * 1_001), "resources must be a list of at most 1,000"),
    (ask("add_task", description="x", resources=[{"key": "y"}]), "resources must be text"),
    (ask("add_task", description="x", resources=["y" * 201]), "at most 200"),
    (ask("add_task", description="x", resources=[" "]), "resources is empty"),
    (ask("add_task", description="x", inputs={}), "add_task has no 'inputs'"),
    (ask("add_task", description="x", join="most"), "should be 'all', 'any'"),
    (ask("add_task", description="x", attempts=1.5), "attempts must be a whole number"),
    (ask("add_task", description="x", attempts=0), "attempts must be a whole number of at least 1"),
    (ask("add_task", description="x", timeout=0), "timeout must be more than 0"),
    (ask("add_task", description="x", after=["nowhere"]), "nowhere"),
    (ask("add_dependency", before="b", after="a"), "cycle"),
    (ask("add_dependency", before="a", after="a"), "cycle"),
    (ask("revise", id="a", complexity=float("nan")), "complexity must be a number"),
    (ask("revise", id="a", complexity=float("inf")), "complexity must be a number"),
    (ask("revise", id="a", complexity="2"), "complexity must be a number"),
    (ask("revise", id="a", complexity=True), "complexity must be a number"),
    (ask("revise", id="a", complexity=10**400), "complexity must be a number"),
    (ask("revise", id="a", complexity=-1), "complexity must be at least 0"),
    (ask("revise", id="a", timeout="1"), "timeout must be a number up to 1e+15, or nothing"),
    (ask("revise", id="a"), "Say what to change"),
    (ask("set_join", id="d", kind="all", k=-1), "k must be a whole number, 0 or more"),
    (ask("set_join", id="d", kind="all", k=2**70), "k must be a whole number"),
    (ask("set_join", id="d", kind="most"), "most"),
    (ask("step", until="tomorrow"), "tomorrow"),
    (ask("run_until", point=[]), "point must be a task, or seconds"),
    (ask("run_until", point=True), "point must be a task, or seconds"),
    (ask("run_until", point="nowhere"), "nowhere"),
    (ask("run_until", point=-1), "It is 0 s already"),
    (ask("play", speed=0), "above 0"),
    (ask("play", speed=1e12), "above 0"),
    (ask("play", speed=nest(9)), "speed must be a number"),
    (ask("break_at", id="a", when="never"), "never"),
    (ask("configure"), "Name settings"),
    (ask("configure", policy="worst"), "no priority policy 'worst'"),
    (ask("configure", seed=3), "configure has no 'seed'"),
    (ask("set_agent", id="q", roles=[]), "role"),
    (ask("set_agent", id="q", roles="cook"), "roles must be a list"),
    (ask("undo"), "no edit of yours to undo"),
    (ask("redo"), "no edit of yours to redo"),
    (ask("retry", id="nowhere"), "nowhere"),
    (ask("approve", id="a"), "a"),
    (ask("explain", id="nowhere"), "nowhere"),
    (ask("manifest", id="nowhere"), "nowhere"),
    (ask("explain_number", kind="soul"), "no number 'soul'"),
    (ask("explain_number", kind="weight", id="a", to="d"), "a"),
    (ask("at", version=10**9), "no version 1000000000"),
    (ask("fork", version=10**9), "no version 1000000000"),
    (ask("context_query", text="x", k=0), "k"),
    (ask("context_query", text="x", access="1"), "access must be a number"),
    (ask("preview_drafts"), "No edit has been collected yet"),
    (ask("commit_drafts"), "No edit has been collected yet"),
]


@pytest.mark.parametrize(("command", "reason"), HOSTILE, ids=range(len(HOSTILE)))
def test_what_makes_no_sense_is_refused_in_a_sentence_and_nothing_changes(
    run: Any, command: object, reason: str, caplog: pytest.LogCaptureFixture
) -> None:
    graph, states, settings = content(run), run.states(), run.snapshot().settings
    answer = execute(run, command)
    assert (answer.ok, answer.data, answer.version) == (False, None, None)
    assert reason in answer.reason
    assert len(answer.reason) < 1_000
    assert "\n" not in answer.reason
    assert caplog.text == "", "a refusal is expected, not an error"
    assert (content(run), run.states(), run.snapshot().settings) == (graph, states, settings)


def content(run: Any) -> Any:
    """Tasks and dependencies of a run's graph."""
    graph = run.graph
    return graph.tasks, sorted(graph.dependencies())


def test_an_id_that_is_no_text_is_answered_within_bounds(run: Any) -> None:
    for id in (["x"] * 10_000, "x" * 10_000, {"x": 1}, None, nest(100_000)):
        assert len(execute(run, {"id": id}).id) <= 64


def test_an_unexpected_failure_is_an_answer(
    run: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(**_: Any) -> Receipt:
        raise ZeroDivisionError("boom\x1b" * 900)

    for name, command in (("resume", ask("resume")), ("explain", ask("explain", id="a"))):
        monkeypatch.setattr(run, name, broken if name == "resume" else lambda id: broken())
        answer = execute(run, command)
        assert not answer.ok
        assert answer.reason.startswith("ZeroDivisionError: boom␛")
        assert len(answer.reason) < 700
    assert "failed unexpectedly" in caplog.text


# -- tried and collected -----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", EDITS)
def test_an_edit_tried_says_what_it_would_do_and_changes_nothing(run: Any, name: str) -> None:
    before = run.log_lines()
    answer = execute(run, ask(name, None, "preview", **DONE[name][0]))
    assert (answer.ok, answer.reason) == (True, "")
    assert isinstance(answer.data, Preview)
    assert answer.what == repr(answer.data)
    assert run.log_lines() == before
    assert eval(answer.call, {"run": run}) == answer.data
    assert run.log_lines() == before


def test_an_edit_that_would_be_refused_says_why(run: Any) -> None:
    answer = execute(run, ask("add_dependency", None, "preview", before="d", after="a"))
    assert (answer.ok, "cycle" in answer.reason) == (False, True)
    assert isinstance(answer.data, Preview)


def test_edits_collected_are_applied_as_one(kit: Kit, run: Any) -> None:
    drafts, before, log = Drafts(run), run.snapshot(), run.log_lines()
    edits = [
        ask("add_task", None, "draft", description="Pack", id="p", after=["c"], resources=["bag"]),
        ask("add_dependency", None, "draft", before="p", after="d", information=2.0),
        ask("remove_dependency", None, "draft", before="a", after="b"),
        ask("set_join", None, "draft", id="d", kind="any"),
    ]
    for edit in edits:
        answer = execute(run, edit, drafts)
        assert (answer.ok, answer.version, answer.call) == (True, None, "")
        assert answer.what.startswith("noted: ")
    refused = execute(run, ask("add_dependency", None, "draft", before="d", after="p"), drafts)
    assert (refused.ok, "cycle" in refused.reason) == (False, True)
    assert run.log_lines() == log
    tried = execute(run, ask("preview_drafts"), drafts).data
    assert tried.after.graph.predecessors("p") == ("c",)
    assert run.log_lines() == log
    answer = execute(run, ask("commit_drafts"), drafts)
    assert answer.ok
    assert run.graph == tried.after.graph
    versions = [row for row in run.history().records if row["seq"] >= before.seq]
    assert len([row for row in versions if row["by"] == "user"]) == 1
    assert answer.data["version"] == run.snapshot().seq - 1
    assert not execute(run, ask("commit_drafts"), drafts).ok, "they are applied once"

    twin = kit.start(PLAN, paused=True)
    exec(answer.data["call"], {"run": twin})
    assert content(twin) == content(run)
    assert run.undo()
    assert content(run) == content(kit.start(PLAN, paused=True))


def test_collected_edits_can_be_dropped(run: Any) -> None:
    drafts = Drafts(run)
    execute(run, ask("remove_task", None, "draft", id="d"), drafts)
    assert execute(run, ask("drop_drafts"), drafts).ok
    assert not execute(run, ask("preview_drafts"), drafts).ok
    execute(run, ask("remove_task", None, "draft", id="c"), drafts)
    assert execute(run, ask("commit_drafts"), drafts).ok
    assert run.graph.tasks.keys() == {"a", "b", "d"}


@pytest.mark.parametrize(
    "other", [lambda run: run.remove_task("b"), lambda run: run.revise("b", complexity=9.0)]
)
def test_collected_edits_that_no_longer_fit_are_kept_until_they_are_dropped(run: Any, other: Any) -> None:
    drafts = Drafts(run)
    execute(run, ask("revise", None, "draft", id="b", complexity=5.0), drafts)
    execute(run, ask("remove_task", None, "draft", id="c"), drafts)
    other(run)
    before = content(run)
    tried, answer = (execute(run, ask(f"{what}_drafts"), drafts) for what in ("preview", "commit"))
    assert not answer.ok
    assert content(run) == before
    assert "'b'" in answer.reason
    assert "kept" in answer.reason
    assert not tried.data.accepted
    assert answer.reason.startswith(tried.data.reason), "what is previewed is what will happen"
    assert (answer.drafts, drafts.count) == (2, 2)
    assert execute(run, ask("drop_drafts"), drafts).drafts == 0
    assert "No edit has been collected" in execute(run, ask("commit_drafts"), drafts).reason
    execute(run, ask("remove_task", None, "draft", id="c"), drafts)
    assert execute(run, ask("commit_drafts"), drafts).ok, "the next ones are based on what is there now"


def test_a_first_edit_that_is_refused_begins_no_batch(run: Any) -> None:
    drafts = Drafts(run)
    assert not execute(run, ask("add_dependency", None, "draft", before="d", after="a"), drafts).ok
    assert not execute(run, ask("remove_task", None, "draft", id=""), drafts).ok
    run.add_task("new", id="new")
    run.revise("b", complexity=9.0)
    assert execute(run, ask("revise", None, "draft", id="b", complexity=5.0), drafts).ok
    assert execute(run, ask("add_dependency", None, "draft", before="new", after="b"), drafts).ok
    assert execute(run, ask("commit_drafts"), drafts).ok
    assert (run.graph["b"].complexity, "new" in run.graph.predecessors("b")) == (5, True)


def test_every_answer_says_how_many_edits_are_collected(run: Any) -> None:
    drafts = Drafts(run)
    said = [
        ask("remove_task", None, "draft", id="d"),
        ask("remove_task", None, "draft", id="nowhere"),
        ask("remove_task", None, "draft", id="c"),
        ask("preview_drafts"),
        ask("pause"),
        ask("commit_drafts"),
        ask("remove_task", None, "draft", id="b"),
        ask("drop_drafts"),
    ]
    assert [execute(run, one, drafts).drafts for one in said] == [1, 1, 2, 2, 2, 0, 1, 0]


def test_an_edit_is_tried_against_the_version_its_sender_saw(run: Any) -> None:
    seen = run.snapshot().seq
    run.revise("b", complexity=3.0)
    tried = execute(run, ask("revise", seen, "preview", id="b", complexity=4.0))
    made = execute(run, ask("revise", seen, id="b", complexity=4.0))
    assert (tried.ok, made.ok) == (False, False)
    assert tried.reason == made.reason
    assert execute(run, ask("revise", seen, "preview", id="c", complexity=4.0)).ok


def test_a_run_that_is_gone_says_so(kit: Kit) -> None:
    gone = weakref.proxy(kit.start(PLAN, paused=True))
    gc.collect()
    for command in (ask("pause"), ask("history"), ask("remove_task", None, "draft", id="d")):
        assert execute(gone, command).reason == FORGOTTEN


# -- in order ----------------------------------------------------------------------------------------------


class Answers(list[Answer]):
    """Collects answers; `all` is set once there are `wanted`."""

    def __init__(self, wanted: int) -> None:
        super().__init__()
        self.wanted, self.all = wanted, Event()

    def take(self, answer: Answer) -> None:
        self.append(answer)
        if len(self) == self.wanted:
            self.all.set()


class Held:
    """A call that waits until it is let go."""

    def __init__(self, run: Any, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
        self.go, self.there, self.times = Event(), Event(), 0
        monkeypatch.setattr(run, name, self.wait)

    def wait(self, **_: Any) -> Receipt:
        self.times += 1
        self.there.set()
        assert self.go.wait(30)
        return Receipt(what="held")


def test_commands_are_carried_out_in_their_order(run: Any) -> None:
    answers = Answers(90)
    inbox = Inbox(run, answers.take)
    for number in range(90):
        inbox.put(ask("add_task", description=f"t{number}", id=f"t{number}") | {"id": str(number)})
    assert answers.all.wait(30)
    assert [answer.id for answer in answers] == [str(number) for number in range(90)]
    assert list(run.graph)[4:] == [f"t{number}" for number in range(90)]


@pytest.mark.parametrize("name", WAITING_FOR)
def test_what_waits_for_the_run_does_not_hold_up_a_pause(
    run: Any, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers, held = Answers(1), Held(run, name, monkeypatch)
    inbox = Inbox(run, answers.take)
    for _ in range(3):
        inbox.put(ask(name))
    assert held.there.wait(30)
    inbox.put(ask("pause"))
    assert answers.all.wait(30)
    assert [answer.command for answer in answers] == ["pause"]
    assert held.times == 1, "one after the other"
    answers.all.clear()
    answers.wanted = 4
    held.go.set()
    assert answers.all.wait(30)
    assert held.times == 3


@pytest.mark.parametrize(
    "command", [ask("at", version=1), ask("revise", None, "preview", id="b", complexity=3.0)]
)
def test_a_question_does_not_hold_up_a_pause(run: Any, command: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    go, there, answers = Event(), Event(), Answers(1)

    def slow(*_: Any, **__: Any) -> None:
        there.set()
        assert go.wait(30)
        raise InvalidInput("at last")

    monkeypatch.setattr(run, "at", slow)
    monkeypatch.setattr(run, "preview", slow)
    inbox = Inbox(run, answers.take)
    inbox.put(command)
    assert there.wait(30)
    inbox.put(ask("pause"))
    assert answers.all.wait(30)
    assert [answer.command for answer in answers] == ["pause"]
    answers.all.clear()
    answers.wanted = 2
    go.set()
    assert answers.all.wait(30)
    assert answers[-1].reason == "at last"


def test_a_lane_goes_on_after_a_failure(caplog: pytest.LogCaptureFixture) -> None:
    done, over = list[object](), Event()

    def do(thing: object) -> None:
        done.append(thing)
        if thing == "bad":
            raise ZeroDivisionError("boom")
        over.set()

    lane = Lane("test", do)
    lane.put("bad")
    lane.put("good")
    assert over.wait(30)
    assert done == ["bad", "good"]
    assert "boom" in caplog.text


@pytest.mark.parametrize("name", ["pause", "step"])
def test_too_many_commands_are_refused_at_once(run: Any, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    answers, held = Answers(1), Held(run, name, monkeypatch)
    inbox = Inbox(run, answers.take)
    inbox.put(ask(name))
    assert held.there.wait(30)
    for _ in range(WAITING):
        inbox.put(ask(name))
    inbox.put(ask(name) | {"id": "one more"})
    assert answers.all.wait(30)
    assert (answers[0].id, answers[0].ok) == ("one more", False)
    assert "waiting already" in answers[0].reason
    answers.all.clear()
    answers.wanted = WAITING + 2
    held.go.set()
    assert answers.all.wait(30)
    assert held.times == WAITING + 1


def test_a_real_clock_is_paused_while_a_step_waits() -> None:
    let, paused = Event(), Event()

    def slow(task: Any, context: Any) -> Any:
        assert let.wait(30)
        return work(task, context)

    def take(answer: Answer) -> None:
        if answer.what == "paused":
            paused.set()

    with Kit(home=None, agents={"*": slow}) as kit:
        inbox = Inbox(kit.start(PLAN, paused=True), take)
        inbox.put(ask("step", until="completion"))
        inbox.put(ask("pause"))
        assert paused.wait(30)
        let.set()
