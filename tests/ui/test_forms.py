"""The forms with their real widgets: what is filled in becomes a command, refusals stand beside the field."""

from __future__ import annotations

from typing import Any

import ipywidgets
import pytest

from dyntaskmas_nb import Kit, Resource
from dyntaskmas_nb.core.task import Task
from dyntaskmas_nb.ui import forms
from dyntaskmas_nb.ui.panel import Panel
from tests.ui.fakes import EVIL
from tests.ui.stage import Stage, alive

ADD, EDGE, CHANGE = "Add a task", "Dependencies", "Change a task"
REVISED = set("description role complexity boost critical timeout attempts resources approval".split())


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
    assert stage.press(form, "apply")["ok"]
    assert run.graph.information("a", "c") == 2
    form.edit.value, form.fields["information"].value = "revise_dependency", 5.0
    assert stage.press(form, "apply")["ok"]
    assert run.graph.information("a", "c") == 5
    form.edit.value = "remove_dependency"
    assert stage.press(form, "apply")["ok"]
    assert run.graph.predecessors("c") == ()
    form.edit.value = "add_dependency"
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
    answer = stage.press(stage.form(EDGE, before="d", after="a"), "apply")
    assert (answer["ok"], "cycle" in answer["text"]) == (False, True)


def test_an_information_that_makes_no_sense_stands_beside_it(run: Any, stage: Stage) -> None:
    stage.show(run)
    stage.press(stage.form(EDGE, before="a", after="c", information=-1.0), "apply")
    assert "information must be at least 0" in refusal(stage, EDGE, "information")


@pytest.mark.parametrize(
    ("name", "button", "says"),
    [
        (EDGE, "apply", "Choose a task first: Task."),
        (EDGE, "preview", "Choose a task first: Task."),
        (CHANGE, "apply", "Choose a task first: Task."),
        (CHANGE, "retry", "Choose a task first: Task."),
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
    shared = [{"key": key, "exclusive": False} for key in ("x, y", "z")]
    plan = {"subtasks": [{"id": "a", "resources": shared[:1]}, {"id": "b", "resources": shared[1:]}]}
    run = kit.start(plan, paused=True)
    stage.show(run)
    form = stage.form(CHANGE, id="a", complexity=3.0)
    assert form.fields["resources"].value == "x, y (shared)"
    assert stage.press(form, "apply")["ok"]
    assert run.graph["a"].resources == (Resource(key="x, y", exclusive=False),), "it was not touched"
    form = stage.form(CHANGE, id="b")
    form.fields["resources"].value += ", oven"
    assert stage.press(form, "apply")["ok"]
    assert run.graph["b"].resources == (Resource(key="z", exclusive=False), Resource(key="oven"))
    assert form.fields["resources"].value == "z (shared), oven"


def test_a_long_text_is_changed_whole(run: Any, stage: Stage) -> None:
    text = "Boil the water.\n" * 100
    run.revise("b", description=text)
    stage.show(run)
    form = stage.form(CHANGE, id="b")
    assert isinstance(form.fields["description"], ipywidgets.Textarea)
    assert form.fields["description"].value == text
    form.fields["description"].value += "Then salt it."
    assert stage.press(form, "apply")["ok"]
    assert run.graph["b"].description == text + "Then salt it."


def test_what_is_chosen_waits_for_no_run(run: Any, stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    stage.show(run)
    with monkeypatch.context() as patch:
        patch.setattr(run, "_read", lambda look: pytest.fail("the loop of the run was asked"))
        stage.panel.hear({"command": "select", "args": {"ids": ["b"]}})
    assert stage.form(CHANGE).fields["complexity"].value == 2.0


def test_what_is_being_typed_outlives_tasks_that_come_and_go(run: Any, stage: Stage) -> None:
    stage.show(run)
    form = stage.form(CHANGE, id="b", description="Boil it", complexity=7.0, kind="k_of_n", k=3)
    typed = {name: field.value for name, field in form.fields.items()}
    run.add_task("e", id="e")
    stage.news()
    assert {name: field.value for name, field in form.fields.items()} == typed
    run.remove_task("a")
    stage.news()
    assert {name: field.value for name, field in form.fields.items()} == typed
    assert stage.press(form, "apply")["ok"]
    assert commands(stage)[-1][1] == {"id": "b", "description": "Boil it", "complexity": 7.0}


def test_a_task_that_is_chosen_while_the_lists_change_is_shown(
    run: Any, stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage.show(run)
    form, renew = stage.form(CHANGE, id="b"), forms._renew

    def renewed(chooser: Any, ids: Any) -> None:
        renew(chooser, ids)
        if chooser is form.fields["id"]:
            chooser.value = "d"

    monkeypatch.setattr(forms, "_renew", renewed)
    run.revise("d", description="Eat")
    run.add_task("e", id="e")
    stage.news()
    assert (form.fields["id"].value, form.fields["description"].value) == ("d", "Eat")


def test_what_is_typed_while_an_answer_is_under_way_is_sent_next_time(run: Any, stage: Stage) -> None:
    stage.show(run)
    form, hand_in = stage.form(CHANGE, id="b", complexity=7.0), stage.panel.press

    def press(*args: Any) -> None:
        form.fields["complexity"].value = 8.0
        hand_in(*args)

    stage.panel.press = press  # type: ignore[method-assign]
    stage.press(form, "apply")
    del stage.panel.press
    assert stage.press(form, "apply")["ok"]
    assert [args["complexity"] for _, args, _ in commands(stage)] == [7.0, 8.0]


def test_every_edit_of_a_task_is_tried_and_collected(run: Any, stage: Stage) -> None:
    stage.show(run)
    form, log = stage.form(CHANGE, id="d", complexity=4.0, kind="any"), run.log_lines()
    given = {
        "revise": {"id": "d", "complexity": 4.0},
        "set_join": {"id": "d", "kind": "any", "k": 1},
        "remove_task": {"id": "d"},
    }
    assert [command for _, command in form.edit.options] == list(given)
    for command in given:
        form.edit.value = command
        assert stage.press(form, "preview")["call"].startswith(f"run.what_if.{command}(")
        assert stage.press(form, "draft")["text"].startswith("noted")
    modes = ("preview", "draft")
    assert commands(stage) == [(command, args, mode) for command, args in given.items() for mode in modes]
    assert run.log_lines() == log
    assert stage.answer("commit_drafts")["ok"]
    assert "d" not in run.graph


@pytest.mark.parametrize(
    ("name", "edit", "hidden"),
    [
        (EDGE, "add_dependency", set()),
        (EDGE, "remove_dependency", {"information"}),
        (CHANGE, "revise", {"kind", "k"}),
        (CHANGE, "set_join", REVISED),
        (CHANGE, "remove_task", REVISED | {"kind", "k"}),
    ],
)
def test_only_the_fields_of_the_chosen_edit_are_shown(
    run: Any, stage: Stage, name: str, edit: str, hidden: set[str]
) -> None:
    stage.show(run)
    form = stage.form(name)
    form.edit.value = edit
    assert {name for name, row in form.rows.items() if row.layout.display == "none"} == hidden


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
    form.edit.value = "set_join"
    assert stage.press(form, "apply")["ok"]
    assert (run.graph["d"].join.kind, run.graph["d"].join.k) == ("k_of_n", 2)
    assert stage.press(form, "cancel")["ok"]
    assert run.states()["d"] == "cancelled"
    form.edit.value = "remove_task"
    assert stage.press(form, "apply")["ok"]
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
    buttons = [name for name, *_ in form.press.buttons]
    assert buttons == ["apply", "preview", "draft", "cancel", "retry", "approve", "reject"]


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


# -- the widgets -------------------------------------------------------------------------------------------


def test_a_field_says_what_was_typed_when_it_is_complete(run: Any, stage: Stage) -> None:
    stage.show(run)
    fields = [field for form in (ADD, EDGE, CHANGE) for field in stage.form(form).fields.values()]
    typed = [field for field in fields if hasattr(field, "continuous_update")]
    assert {type(field) for field in typed} == {
        *(ipywidgets.Text, ipywidgets.Textarea),
        *(ipywidgets.FloatText, ipywidgets.BoundedIntText),
    }
    assert not any(field.continuous_update for field in typed)


def test_fields_of_one_width_share_their_looks_with_no_other_panel(run: Any, kit: Kit, stage: Stage) -> None:
    before, other = alive(), Panel(kit.start({"subtasks": [{"id": "z"}]}, paused=True))
    panel = stage.show(run)
    fields = [field for name in (ADD, EDGE, CHANGE) for field in stage.form(name).fields.values()]
    assert len({id(field.layout) for field in fields}) == len({field.layout.width for field in fields})
    assert len({id(field.style) for field in fields}) == len({type(field.style) for field in fields})
    panel.face._look.field(ipywidgets.Text, "of a look that no other has", "", "7px").close()
    panel.close()
    assert all(widget.comm is not None for widget in forms.every(other.widget)), "it broke another"
    other.close()
    assert alive() == before


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
