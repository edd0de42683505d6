"""The forms with their real widgets: what is filled in becomes a command, refusals stand beside the field."""

from __future__ import annotations

from typing import Any

import pytest

from dyntaskmas_nb import Kit, Resource
from dyntaskmas_nb.core.task import Task
from dyntaskmas_nb.ui import forms
from tests.ui.fakes import EVIL
from tests.ui.stage import Stage

ADD, EDGE, CHANGE = "Add a task", "Dependencies", "Change a task"


def commands(stage: Stage) -> list[tuple[str, dict[str, Any], str]]:
    """What the forms gave, as the browser is told of it."""
    return [(one["command"], one["args"], one["mode"]) for one in stage.of("form")]


def refusal(stage: Stage, form: str, field: str) -> str:
    """What stands beside a field."""
    text: str = stage.form(form).refusals[field].value
    return text


# -- adding ------------------------------------------------------------------------------------------------


def test_a_task_is_added_with_all_that_was_filled_in(run: Any, stage: Stage) -> None:
    stage.show(run)
    form = stage.form(
        ADD,
        description="Check visa rules",
        id="visa",
        after=("a", "c"),
        before=("d",),
        role="clerk",
        complexity=2.5,
        boost=1.0,
        critical=False,
        timeout=30.0,
        attempts=3,
        resources="desk, phone ,",
        approval=True,
        join="any",
    )
    answer = stage.press(form, "apply")
    task = run.graph["visa"]
    expected = Task(
        id="visa",
        description="Check visa rules",
        role="clerk",
        complexity=2.5,
        boost=1.0,
        critical=False,
        timeout=30.0,
        attempts=3,
        resources=(Resource(key="desk"), Resource(key="phone")),
        approval=True,
        join=task.join,
    )
    assert task == expected
    assert (task.join.kind, run.graph.predecessors("visa")) == ("any", ("a", "c"))
    assert run.graph.successors("visa") == ("d",)
    assert (answer["id"], answer["ok"]) == ("p", True)
    assert answer["call"].startswith("run.add_task(description='Check visa rules'")
    assert [form.fields[name].value for name in ("description", "id", "after", "before")] == ["", "", (), ()]
    assert form.fields["role"].value == "clerk", "the next is of the same kind"
    (told,) = stage.of("form")
    assert told["answer"]["version"] == run.snapshot().seq - 1


def test_a_task_needs_no_more_than_a_description(run: Any, stage: Stage) -> None:
    stage.show(run)
    stage.press(stage.form(ADD, description="Check the visa rules"), "apply")
    assert run.graph["check_visa_rules"] == Task(id="check_visa_rules", description="Check the visa rules")


@pytest.mark.parametrize(
    ("values", "field", "says"),
    [
        ({"description": " "}, "description", "description is empty"),
        ({"description": "x", "role": ""}, "role", "role is empty"),
        ({"description": "x", "complexity": -1.0}, "complexity", "complexity must be at least 0"),
        ({"description": "x", "complexity": float("inf")}, "complexity", "complexity must be a number"),
        ({"description": "x", "timeout": -1.0}, "timeout", "timeout must be at least 0"),
        ({"description": "x", "resources": "y" * 201}, "resources", "resources is 201 characters long"),
        ({"description": "x", "id": "z" * 201}, "id", "at most 200"),
    ],
)
def test_a_refusal_stands_beside_its_field_and_keeps_what_was_filled_in(
    run: Any, stage: Stage, values: dict[str, Any], field: str, says: str
) -> None:
    stage.show(run)
    form, graph = stage.form(ADD, **values), run.graph
    answer = stage.press(form, "apply")
    assert not answer["ok"]
    assert says in answer["text"]
    assert says in refusal(stage, ADD, field)
    assert 'role="alert"' in refusal(stage, ADD, field)
    assert [name for name, note in form.refusals.items() if note.value] == [field]
    assert {name: form.fields[name].value for name in values} == values
    assert run.graph == graph
    stage.press(
        stage.form(ADD, description="fine", role="r", complexity=1.0, timeout=0.0, resources="", id=""),
        "apply",
    )
    assert not any(note.value for note in form.refusals.values())


def test_a_refusal_is_no_markup(run: Any, stage: Stage) -> None:
    stage.show(run)
    stage.press(stage.form(ADD, description="x", id=EVIL, complexity=-1.0), "apply")
    shown = refusal(stage, ADD, "complexity")
    assert "&lt;img src=x onerror=alert(1)&gt;" in shown
    assert "<img" not in shown


def test_an_edit_is_tried_and_collected_without_being_made(run: Any, stage: Stage) -> None:
    stage.show(run)
    form, log = stage.form(ADD, description="Pack", id="pack", after=("a",)), run.log_lines()
    tried = stage.press(form, "preview")
    assert tried["ok"]
    assert tried["text"].startswith("makespan")
    assert tried["call"].startswith("run.what_if.add_task(")
    assert form.fields["description"].value == "Pack"
    (told,) = stage.of("form")
    assert [node["id"] for node in told["answer"]["data"]["nodes"]] == ["pack"]
    noted = stage.press(form, "draft")
    assert (noted["ok"], noted["call"]) == (True, "")
    assert noted["text"].startswith("noted")
    assert form.fields["description"].value == ""
    assert [mode for _, _, mode in commands(stage)] == ["preview", "draft"]
    assert run.log_lines() == log
    assert stage.answer("commit_drafts")["ok"]
    assert "pack" in run.graph


# -- dependencies ------------------------------------------------------------------------------------------


def test_dependencies_are_added_revised_and_removed(run: Any, stage: Stage) -> None:
    stage.show(run)
    form = stage.form(EDGE, before="a", after="c", information=2.0)
    assert stage.press(form, "add")["ok"]
    assert run.graph.information("a", "c") == 2
    form.fields["information"].value = 5.0
    assert stage.press(form, "revise")["ok"]
    assert run.graph.information("a", "c") == 5
    assert stage.press(form, "remove")["ok"]
    assert run.graph.predecessors("c") == ()
    assert stage.press(form, "preview")["call"].startswith("run.what_if.add_dependency(")
    edge = {"before": "a", "after": "c"}
    assert commands(stage) == [
        ("add_dependency", edge | {"information": 2.0}, ""),
        ("revise_dependency", edge | {"information": 5.0}, ""),
        ("remove_dependency", edge, ""),
        ("add_dependency", edge | {"information": 5.0}, "preview"),
    ]
    assert {name: form.fields[name].value for name in edge} == edge


def test_a_circle_is_refused(run: Any, stage: Stage) -> None:
    stage.show(run)
    answer = stage.press(stage.form(EDGE, before="d", after="a"), "add")
    assert (answer["ok"], "cycle" in answer["text"]) == (False, True)


def test_an_information_that_makes_no_sense_stands_beside_it(run: Any, stage: Stage) -> None:
    stage.show(run)
    stage.press(stage.form(EDGE, before="a", after="c", information=-1.0), "add")
    assert "information must be at least 0" in refusal(stage, EDGE, "information")


@pytest.mark.parametrize(
    ("name", "button", "says"),
    [
        (EDGE, "add", "Choose a task first: Task."),
        (EDGE, "preview", "Choose a task first: Task."),
        (CHANGE, "apply", "Choose a task first: Task."),
        (CHANGE, "remove", "Choose a task first: Task."),
        (CHANGE, "reject", "Choose a task first: Task."),
    ],
)
def test_where_nothing_is_chosen_it_says_so(
    run: Any, stage: Stage, name: str, button: str, says: str
) -> None:
    stage.show(run)
    answer = stage.press(stage.form(name), button)
    assert (answer["id"], answer["ok"], answer["text"]) == ("p", False, says)
    assert commands(stage) == []


# -- changing ----------------------------------------------------------------------------------------------


def test_what_is_selected_in_the_picture_fills_the_form(run: Any, stage: Stage) -> None:
    panel = stage.show(run)
    run.revise(
        "b",
        role="cook",
        boost=2.0,
        critical=False,
        timeout=4.0,
        attempts=2,
        approval=True,
        description="Boil",
    )
    run.set_join("b", "k_of_n", 2)
    stage.news()
    stage.hear("select", ids=["b"])
    assert {name: field.value for name, field in stage.form(CHANGE).fields.items()} == {
        "id": "b",
        "description": "Boil",
        "role": "cook",
        "complexity": 2.0,
        "boost": 2.0,
        "critical": False,
        "timeout": 4.0,
        "attempts": 2,
        "resources": "",
        "approval": True,
        "kind": "k_of_n",
        "k": 2,
        "why": "",
    }
    stage.hear("select", ids=["c"])
    assert stage.form(CHANGE).fields["timeout"].value == 0.0
    assert panel.selected == "c"


def test_only_what_was_changed_is_sent(run: Any, stage: Stage) -> None:
    stage.show(run)
    form = stage.form(CHANGE, id="b")
    assert "Nothing is different" in stage.press(form, "apply")["text"]
    form.fields["complexity"].value, form.fields["timeout"].value = 4.0, 6.0
    run.revise("b", boost=3.0, description="by someone else")
    stage.news()
    assert stage.press(form, "apply")["ok"]
    assert commands(stage) == [("revise", {"id": "b", "complexity": 4.0, "timeout": 6.0}, "")]
    assert (run.graph["b"].boost, run.graph["b"].description) == (3.0, "by someone else")
    assert "Nothing is different" in stage.press(form, "apply")["text"], "it was applied"
    form.fields["timeout"].value = 0.0
    stage.press(form, "apply")
    assert run.graph["b"].timeout is None


def test_what_a_task_holds_is_changed_by_name(run: Any, stage: Stage) -> None:
    stage.show(run)
    assert stage.press(stage.form(CHANGE, id="b", resources="oven, pan"), "apply")["ok"]
    assert run.graph["b"].resources == (Resource(key="oven"), Resource(key="pan"))


def test_what_a_task_shares_stays_shared(kit: Kit, stage: Stage) -> None:
    run = kit.start(
        {"subtasks": [{"id": "a", "resources": [{"key": "x, y", "exclusive": False}]}]}, paused=True
    )
    stage.show(run)
    form = stage.form(CHANGE, id="a", complexity=3.0)
    assert form.fields["resources"].value == "x, y"
    assert stage.press(form, "apply")["ok"]
    assert run.graph["a"].resources == (Resource(key="x, y", exclusive=False),)


def test_every_button_gives_its_command(run: Any, stage: Stage) -> None:
    run.add_task("Ask first", id="e", approval=True)
    run.resume()
    run.run_until(0.5)
    stage.show(run)
    form = stage.form(CHANGE, id="e", why="too dear")
    assert stage.press(form, "reject")["ok"]
    assert run.snapshot().tasks["e"].reason == "rejected: too dear"
    stage.press(form, "retry")
    stage.press(form, "approve")
    form = stage.form(CHANGE, id="d", kind="k_of_n", k=2)
    assert stage.press(form, "join")["ok"]
    assert (run.graph["d"].join.kind, run.graph["d"].join.k) == ("k_of_n", 2)
    assert stage.press(form, "cancel")["ok"]
    assert run.states()["d"] == "cancelled"
    assert stage.press(form, "remove")["ok"]
    assert "d" not in run.graph
    assert [(name, args) for name, args, _ in commands(stage)] == [
        ("reject", {"id": "e", "why": "too dear"}),
        ("retry", {"id": "e"}),
        ("approve", {"id": "e"}),
        ("set_join", {"id": "d", "kind": "k_of_n", "k": 2}),
        ("cancel", {"id": "d"}),
        ("remove_task", {"id": "d"}),
    ]
    assert form.fields["id"].value is None
    assert {name for name, *_ in form.press.buttons} == {*form._ways, "preview", "draft"}


def test_a_cancelled_task_keeps_what_was_typed_for_it(run: Any, stage: Stage) -> None:
    stage.show(run)
    form = stage.form(CHANGE, id="b", complexity=7.0)
    stage.press(form, "cancel")
    assert form.fields["complexity"].value == 7
    assert stage.press(form, "apply")["ok"]
    assert run.graph["b"].complexity == 7


def test_an_edit_names_the_version_that_was_on_the_screen(run: Any, stage: Stage) -> None:
    stage.show(run)
    form = stage.form(CHANGE, id="b", complexity=7.0)
    run.revise("b", complexity=9.0)
    answer = stage.press(form, "apply")  # no news of it has come yet
    assert not answer["ok"]
    assert run.graph["b"].complexity == 9
    assert stage.press(form, "apply")["ok"], "now it has"


def test_a_button_that_there_is_not_is_an_error_to_be_seen(run: Any, stage: Stage) -> None:
    stage.show(run)
    assert stage.press(stage.form(ADD), "explode") is None
    assert stage.of("failure")[-1]["message"] == "KeyError: 'explode'"
    for junk in (None, [], {"id": 1, "name": "apply"}, {"id": "p"}):
        stage.form(ADD).press._handle_custom_msg(junk, [])
    assert len(stage.of("failure")) == 1


def test_an_error_of_a_form_is_one_of_the_panel(
    run: Any, stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage.show(run)
    form = stage.form(CHANGE, id="d")
    monkeypatch.setattr(form, "blamed", lambda reason: 1 / 0)
    stage.press(form, "approve")
    failure = stage.of("failure")[-1]
    assert failure["message"] == "ZeroDivisionError: division by zero"
    assert "_answered" in failure["details"]
    assert stage.answer("pause")["ok"]


# -- the lists ---------------------------------------------------------------------------------------------


def test_a_list_keeps_what_is_chosen_while_tasks_come_and_go(run: Any, stage: Stage) -> None:
    stage.show(run)
    add, edge = stage.form(ADD, after=("a", "c")), stage.form(EDGE, before="a", after="c")
    run.remove_task("a")
    run.add_task("e", id="e")
    stage.news()
    assert add.fields["after"].value == ("c",)
    assert (edge.fields["before"].value, edge.fields["after"].value) == (None, "c")
    assert set(edge.fields["before"].options) == {"b", "c", "d", "e"}
    run.undo()
    run.undo()
    stage.news()
    assert edge.fields["after"].value == "c"


def test_a_list_offers_no_more_than_it_can(run: Any, stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(forms, "CHOICES", 2)
    stage.show(run)
    first = tuple(run.graph.topological()[:2])
    assert all(chooser.options == first for chooser in stage.panel.face.choices)
    stage.hear("select", ids=["d"])
    assert stage.form(CHANGE).fields["id"].value is None
