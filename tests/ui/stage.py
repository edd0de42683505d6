"""A panel on a real run, without a browser, whose threads and timers are the test's."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import ipywidgets
import pytest

from dyntaskmas_nb.ui import bridge, forms, lane, live
from dyntaskmas_nb.ui.forms import Form
from dyntaskmas_nb.ui.panel import Panel
from tests.ui.fakes import Mirror, ask, strict


class Now:
    """A thread that does its work where it is started."""

    def __init__(self, target: Callable[[], None], **_: Any) -> None:
        self.start = target


class Stage:
    """What a panel sends is kept, as the JSON that it must be; its news go out when the test says so."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.sent: list[tuple[Any, Any]] = []
        self.due: list[Callable[[], None]] = []
        self.panel: Panel

        def send(widget: Any, content: Any, buffers: Any = None) -> None:
            if widget.comm is not None:
                self.sent.append((widget, strict(content)))

        for module in (live, forms):
            patch.setattr(module, "bundle", lambda name: "")
        patch.setattr(live.Messages, "send", send)
        patch.setattr(lane, "Thread", Now)
        patch.setattr(bridge, "Timer", self._timer)

    def _timer(self, delay: float, then: Callable[[], None]) -> Any:
        wanted = then.__name__ == "publish"  # the figures' own pace is that of real time
        return SimpleNamespace(
            start=lambda: self.due.append(then) if wanted else None,
            cancel=lambda: self.due.remove(then) if then in self.due else None,
        )

    def show(self, run: Any) -> Panel:
        """A panel of `run`, told of everything."""
        self.panel = Panel(run)
        self.hear("join")
        return self.panel

    def news(self) -> None:
        """Let the browser have what it has not been told yet."""
        while self.due:
            self.due.pop(0)()

    def take(self, said: Any) -> list[Any]:
        """Let the browser send something; what it is sent then, news apart."""
        before = len(self.sent)
        self.panel.face.live._handle_custom_msg(said, [])
        answers = [message for _, message in self.sent[before:]]
        self.news()
        return answers

    def hear(self, command: str, /, **args: Any) -> list[Any]:
        """The same of something that is not answered."""
        return self.take(ask(command, **args))

    def answer(self, command: str, mode: str = "", /, **args: Any) -> Any:
        """The answer to a command."""
        (answer,) = [one for one in self.take(ask(command, None, mode, **args)) if one["kind"] == "answer"]
        return answer

    def of(self, kind: str) -> list[Any]:
        """The messages of a kind to the browser."""
        return [message for _, message in self.sent if message.get("kind") == kind]

    @property
    def mirror(self) -> Mirror:
        """What the browser knows."""
        mirror = Mirror()
        assert all(mirror.apply(message) for message in self.of("news"))
        return mirror

    def form(self, name: str, **values: Any) -> Form:
        """The form of this name, filled in."""
        form: Form = self.panel.face.forms[name]
        for field, value in values.items():
            form.fields[field].value = value
        return form

    def press(self, form: Form, button: str) -> Any:
        """Press a button of a form; what came of it."""
        before = len(self.sent)
        form.press._handle_custom_msg({"id": "p", "name": button}, [])
        answers = [message for widget, message in self.sent[before:] if widget is form.press]
        self.news()
        return answers[-1] if answers else None


def alive() -> int:
    """How many widgets there are."""
    return len(ipywidgets.widgets.widget._instances)
