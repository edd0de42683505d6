"""Panel, publisher and inbox on runs that really go on, with the threads they have in a notebook."""

from __future__ import annotations

import threading
from collections.abc import Callable
from threading import Condition, Event
from typing import Any

import pytest

from dyntaskmas_nb import Kit
from dyntaskmas_nb.ui import forms, live
from dyntaskmas_nb.ui.inbox import WAITING_FOR
from dyntaskmas_nb.ui.panel import Panel
from tests.ui.fakes import PLAN, Mirror, ask, strict


class Browser:
    """Takes a panel's messages in as they come, from whatever thread."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.mirror, self.answers, self.failures = Mirror(), dict[str, Any](), list[Any]()
        self._changed = Condition()
        for module in (live, forms):
            patch.setattr(module, "bundle", lambda name: "")
        patch.setattr(
            live.Messages, "send", lambda widget, content, buffers=None: self._take(strict(content))
        )

    def _take(self, message: Any) -> None:
        with self._changed:
            match message:
                case {"kind": "news"} if not self.mirror.apply(message):
                    self.failures.append("a message is missing")
                case {"kind": "answer", "id": id}:
                    self.answers[id] = message
                case {"kind": "failure"}:
                    self.failures.append(message)
            self._changed.notify_all()

    def until(self, what: Callable[[], Any]) -> None:
        """Wait until it is so."""
        with self._changed:
            assert self._changed.wait_for(what, 60)


def ours() -> list[threading.Thread]:
    """Threads of panels."""
    names = {f"dyntaskmas {name}" for name in ("commands", "questions", "selections", *WAITING_FOR)}
    return [one for one in threading.enumerate() if isinstance(one, threading.Timer) or one.name in names]


@pytest.mark.usefixtures("widgets")
@pytest.mark.parametrize("clock", ["real", "virtual"])
def test_a_run_is_edited_stepped_and_followed_to_its_end(clock: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    browser = Browser(monkeypatch)
    with Kit(home=None, clock=clock, agents={"*": lambda task, context: task.id}) as kit:
        run = kit.start(PLAN, paused=True)
        panel = Panel(run)

        def say(command: str, /, **args: Any) -> Any:
            number = str(len(browser.answers))
            panel.face.live._handle_custom_msg(
                ask(command, panel._publisher.version, **args) | {"id": number}, []
            )
            browser.until(lambda: number in browser.answers)
            return browser.answers[number]

        assert say("add_task", description="Check visa", id="v", after=["a"])["ok"]
        browser.until(lambda: "v" in browser.mirror.rows)
        assert say("undo")["ok"]
        browser.until(lambda: "v" not in browser.mirror.rows)
        assert say("add_task", description="Pack", id="p", after=["c"])["ok"]
        assert say("step", until="completion")["ok"]
        assert say("explain", id="d")["data"]["id"] == "d"
        assert say("resume")["ok"]
        run.result(60)
        browser.until(lambda: browser.mirror.known["status"] == "done")
        now = run.snapshot()
        assert {id: row["state"] for id, row in browser.mirror.rows.items()} == now.states()
        assert browser.mirror.attempts.keys() == {f"{one.task}#{one.attempt}" for one in now.entries}
        assert browser.failures == []
        panel.close()
        for one in ours():
            one.join(60)
        assert ours() == []


@pytest.mark.usefixtures("widgets")
def test_a_pause_gets_through_while_agents_work_and_others_edit(monkeypatch: pytest.MonkeyPatch) -> None:
    browser, let = Browser(monkeypatch), Event()

    def slow(task: Any, context: Any) -> str:
        assert let.wait(60)
        return str(task.id)

    with Kit(home=None, agents={"*": slow}) as kit:
        run = kit.start(PLAN)
        panel = Panel(run)
        hear = panel.face.live._handle_custom_msg
        browser.until(lambda: any(row["state"] == "running" for row in browser.mirror.rows.values()))
        hear(ask("run_until", point="b") | {"id": "wait"}, [])
        editors = [
            threading.Thread(target=lambda n=n: [run.add_task(f"t{n}{m}", id=f"t{n}{m}") for m in range(20)])
            for n in range(3)
        ]
        for editor in editors:
            editor.start()
        hear(ask("pause") | {"id": "now"}, [])
        browser.until(lambda: "now" in browser.answers)
        assert browser.answers["now"]["ok"]
        for editor in editors:
            editor.join()
        browser.until(lambda: browser.mirror.rows.keys() == run.graph.tasks.keys())
        assert len(browser.mirror.rows) == 64
        let.set()
        browser.until(lambda: "wait" in browser.answers)  # the pause ended it, or came before it
        run.resume()
        run.result(60)
        browser.until(lambda: browser.mirror.known["status"] == "done")
        assert {row["state"] for row in browser.mirror.rows.values()} == {"done"}
        assert browser.failures == []
        panel.close()
