"""What comes in: nothing passes that is not in the table; everything is answered, in order."""

from __future__ import annotations

import inspect
from threading import Event
from typing import Any

import pytest

from dyntaskmas_nb.kit.receipt import Receipt
from dyntaskmas_nb.kit.run import Run
from dyntaskmas_nb.ui.inbox import CALLS, EDITS, WAITING, Answer, Inbox, execute
from tests.ui.fakes import FakeRun


def ask(command: str, base: int | None = None, **args: Any) -> dict[str, Any]:
    return {"id": "7", "command": command, "args": args, "base": base}


def test_an_edit_is_answered_with_its_version_and_the_call_that_does_the_same() -> None:
    run = FakeRun("a")
    answer = execute(run, ask("add_task", 1, description="Check visa", after=["a"], complexity=2))
    assert answer == Answer(
        id="7",
        ok=True,
        call="run.add_task(description='Check visa', after=['a'], complexity=2)",
        what="add_task",
        version=2,
    )
    assert run.now.graph.predecessors("Check visa") == ("a",)
    assert run.calls == [("add_task", {"base": 1})]


def test_a_refusal_is_answered_with_its_reason() -> None:
    answer = execute(FakeRun("a", "b"), ask("add_dependency", before="a", after="nowhere"))
    assert not answer.ok
    assert "nowhere" in answer.reason


HOSTILE: list[tuple[object, str]] = [
    (None, "A command is an object"),
    (ask("__class__"), "no command '__class__'"),
    (ask("_apply"), "no command '_apply'"),
    (ask("snapshot"), "no command 'snapshot'"),
    ({"command": ["pause"]}, "no command"),
    (ask("pause") | {"args": []}, "args must be an object"),
    (ask("pause", hard=1), "pause: hard must be true or false"),
    (ask("pause", why="x"), "pause has no 'why'; it takes hard"),
    (ask("resume", x=1), "it takes nothing"),
    (ask("remove_task"), "missing a required argument: 'id'"),
    (ask("remove_task", id=["a"]), "remove_task: id must be a string"),
    (ask("remove_task", id="x" * 999), "at most 200"),
    (ask("remove_task", True, id="a"), "base must be a version"),
    (ask("remove_task", -1, id="a"), "base must be a version"),
    (ask("add_task", description=""), "description is empty"),
    (ask("add_task", description="x" * 20_001), "at most 20,000"),
    (ask("add_task", description="\ud800"), "surrogate"),
    (ask("add_task", description="x", after="a"), "after must be a list"),
    (ask("add_task", description="x", after=["a"] * 1_001), "after must be a list"),
    (ask("add_task", description="x", after=[{}]), "after id must be a string"),
    (ask("add_task", description="x", inputs={}), "add_task has no 'inputs'"),
    (ask("revise", id="a", complexity=float("nan")), "complexity must be a number"),
    (ask("revise", id="a", complexity="2"), "complexity must be a number"),
    (ask("revise", id="a", complexity=True), "complexity must be a number"),
    (ask("revise", id="a", complexity=10**400), "complexity must be a number"),
]


@pytest.mark.parametrize(("command", "reason"), HOSTILE, ids=lambda value: str(value)[:60])
def test_what_is_not_in_the_table_never_reaches_the_run(command: object, reason: str) -> None:
    run = FakeRun("a")
    answer = execute(run, command)
    assert not answer.ok
    assert reason in answer.reason
    assert len(answer.reason) < 500
    assert run.calls == []


def test_an_id_that_is_no_text_is_answered_within_bounds() -> None:
    assert len(execute(FakeRun(), {"id": ["x"] * 10_000}).id) <= 64
    assert len(execute(FakeRun(), {"id": "x" * 10_000}).id) <= 64


def test_an_unexpected_failure_is_an_answer(caplog: pytest.LogCaptureFixture) -> None:
    run = FakeRun("a")

    def broken() -> Receipt:
        raise ZeroDivisionError("boom")

    run.resume = broken  # type: ignore[method-assign]
    answer = execute(run, ask("resume"))
    assert (answer.ok, answer.reason) == (False, "ZeroDivisionError: boom")
    assert "failed unexpectedly" in caplog.text


class Held(FakeRun):
    """Its step and its pause wait until they are let go."""

    def __init__(self, held: str) -> None:
        super().__init__("a")
        self.go, self.there = Event(), Event()
        setattr(self, held, self._held)

    def _held(self, **_: Any) -> Receipt:
        self.there.set()
        assert self.go.wait(30)
        return Receipt(what="held")


class Answers(list[Answer]):
    """Collects answers; `all` is set once there are `wanted`."""

    def __init__(self, wanted: int) -> None:
        super().__init__()
        self.wanted, self.all = wanted, Event()

    def take(self, answer: Answer) -> None:
        self.append(answer)
        if len(self) == self.wanted:
            self.all.set()


def test_commands_are_carried_out_in_their_order() -> None:
    run, answers = FakeRun(), Answers(90)
    inbox = Inbox(run, answers.take)
    for number in range(90):
        inbox.put(ask("add_task", description=f"t{number}") | {"id": str(number)})
    assert answers.all.wait(30)
    assert [answer.id for answer in answers] == [str(number) for number in range(90)]
    assert list(run.now.graph) == [f"t{number}" for number in range(90)]


def test_a_step_that_waits_does_not_hold_up_a_pause() -> None:
    run, answers = Held("step"), Answers(1)
    inbox = Inbox(run, answers.take)
    inbox.put(ask("step"))
    inbox.put(ask("pause"))
    assert answers.all.wait(30)
    assert answers[0].what == "pause"
    run.go.set()


def test_too_many_commands_are_refused_at_once() -> None:
    run, answers = Held("pause"), Answers(1)
    inbox = Inbox(run, answers.take)
    inbox.put(ask("pause"))
    assert run.there.wait(30)
    for _ in range(WAITING + 1):
        inbox.put(ask("resume"))
    assert answers.all.wait(30)
    assert "waiting already" in answers[0].reason
    answers.all.clear()
    answers.wanted = WAITING + 2
    run.go.set()
    assert answers.all.wait(30)


@pytest.mark.parametrize("name", CALLS)
@pytest.mark.parametrize("kind", [FakeRun, Run])
def test_runs_offer_what_the_table_says(kind: type, name: str) -> None:
    given = dict.fromkeys(CALLS[name]) | ({"base": None} if name in EDITS else {})
    method = inspect.signature(getattr(kind, name))
    method.bind(None, **given)
    assert name not in EDITS or "base" in method.parameters
