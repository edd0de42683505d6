"""A run as a live panel in a notebook: its picture, its controls, forms for its graph, refusals and errors.

The panel is a face like any other: it knows the run by the messages of a `Publisher` and changes it through
an `Inbox`, which call it on threads of their own. It stops when it is closed; a run shown twice has one.
"""

from __future__ import annotations

import logging
import sys
import traceback
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import asdict, replace
from itertools import count
from threading import RLock
from typing import Any

from dyntaskmas_nb.apee.forecast import Preview
from dyntaskmas_nb.core.task import TaskId
from dyntaskmas_nb.errors import DynTaskError
from dyntaskmas_nb.ui.bridge import Message, Publisher, RunHandle
from dyntaskmas_nb.ui.ghosts import plain, preview_data
from dyntaskmas_nb.ui.inbox import ACTIONS, Answer, Inbox
from dyntaskmas_nb.ui.scene import Row
from dyntaskmas_nb.view.html import foreign
from dyntaskmas_nb.view.layout import Place
from dyntaskmas_nb.view.words import paragraph, printable

log = logging.getLogger(__name__)

#: Errors and calls that a panel remembers, and characters of a call.
ERRORS, CALLS, CALL = 50, 500, 4_000


class Panel:
    """Shows `run` and steers it; `widget` is what a notebook displays."""

    def __init__(self, run: RunHandle) -> None:
        from dyntaskmas_nb.ui.forms import Face

        self.closed, self.selected = False, ""
        self._run: Any = run
        self._lock, self._numbers = RLock(), count(1)
        self._asked: dict[str, tuple[Callable[[Answer], None], Message]] = {}
        self._errors: deque[Message] = deque(maxlen=ERRORS)
        self._calls: deque[str] = deque(maxlen=CALLS)
        self._forks: list[Panel] = []
        self.face = Face(self)
        self._inbox = Inbox(run, self._answered)
        with self._lock:  # the run may have news at once
            self._publisher = Publisher(run, self._receive, self.failed, extra=self._remembered)
        self._publisher.publish()

    @property
    def widget(self) -> Any:
        """The widget around all others."""
        return self.face.root

    def close(self) -> None:
        """Stop following the run and take the panel away. The run goes on."""
        with self._lock:
            self.closed = True
            self._publisher.close()
            self.face.close()
            for fork in self._forks:
                fork.close()

    def places(self) -> Mapping[TaskId, Place]:
        """Where the tasks stand in the picture."""
        return dict(self._publisher.scene.places)

    def row(self, id: TaskId) -> Row | None:
        """A task as the face was told of it, None where there is none."""
        return self._publisher.scene.rows.get(id)

    # -- from the browser ----------------------------------------------------------------------------

    def hear(self, said: Any) -> None:
        """Take in what a browser sends, on whatever thread; nothing is done here but to take note."""
        try:
            match said:
                case {"command": "join"}:
                    self._publisher.resync()
                case {"command": "applied", "args": {"ms": int() | float() as ms}}:
                    self._publisher.drawn(ms / 1000)
                case {"command": "select", "args": {"ids": [*ids]}}:
                    with self._lock:
                        self.selected = ids[0] if ids and isinstance(ids[0], str) else ""
                        self.face.selected(self.selected)
                case {"command": "failed", "args": {"message": str(message), "details": str(details)}}:
                    self._note("the browser", "", message, details)  # which shows it already
                case _:
                    if isinstance(said, dict):
                        self._send({"kind": "heard", "id": said.get("id")})
                    self._inbox.put(said)
        except Exception as error:  # noqa: BLE001  the border to the browser
            self.failed(error)

    def press(
        self, command: str, args: dict[str, Any], answered: Callable[[Answer], None], mode: str = ""
    ) -> None:
        """Hand in a command, as a form's button does."""
        with self._lock:
            id = f"form {next(self._numbers)}"
            self._asked[id] = answered, {"command": command, "args": plain(args), "mode": mode}
        version = self._publisher.version
        self._inbox.put({"id": id, "command": command, "args": args, "base": version, "mode": mode})

    # -- to the browser ------------------------------------------------------------------------------

    def failed(self, error: BaseException, where: str = "the panel", task: str = "") -> None:
        """Show an error that nobody would see otherwise, with its traceback folded."""
        log.error("%s failed", where, exc_info=error)
        message = f"{type(error).__name__}: {error}"
        details = "".join(traceback.format_exception(error)[-20:])
        with self._lock:
            self._send({"kind": "failure", **self._note(where, task, message, details)})

    def _note(self, where: str, task: str, message: str, details: str) -> Message:
        failure: Message = {
            "where": where,
            "task": task,
            "message": printable(message, 1_000),
            "details": paragraph(details, 8_000),
        }
        self._errors.append(failure)
        return failure

    def _remembered(self) -> Message:
        """What a face that joins is told beside the run itself."""
        return {
            "failures": list(self._errors),
            "calls": list(self._calls),
            "clock": self._run.clock,
            "policies": list(self._run.policies()),
        }

    def _receive(self, news: Message) -> None:
        with self._lock:
            if not self.closed:
                self._send(news)
                self.face.offer(list(self._publisher.scene.rows))

    def _answered(self, answer: Answer) -> None:
        answered, asked = self._asked.pop(answer.id, (None, {}))
        try:
            with self._lock:
                told = self._told(answer)
        except Exception as error:  # noqa: BLE001  the border of a thread of its own
            self.failed(error)
            reason = f"{type(error).__name__}: {printable(error, 600)}"
            answer = replace(answer.bare(), ok=False, reason=reason)
            told = asdict(answer)
        try:
            with self._lock:
                kept = answer.ok and answer.command in ACTIONS and not isinstance(answer.data, Preview)
                if kept and told["call"]:
                    self._calls.append(told["call"])
                if answered is None:
                    self._send({"kind": "answer", **told})
                else:
                    self._send({"kind": "form", **asked, "answer": told})
                    answered(answer)
        except Exception as error:  # noqa: BLE001  the border to the widgets
            self.failed(error)

    def _told(self, answer: Answer) -> Message:
        data = answer.data
        told = asdict(answer.bare())
        if isinstance(data, Preview):
            data = preview_data(data, self._run.snapshot().settings, self.places())
        elif answer.command == "fork" and answer.ok:
            data = self._show_fork(data)
        elif answer.command == "explain_number" and answer.ok:
            self.face.math.value = data.pop("html")
        elif answer.command == "commit_drafts" and answer.ok:
            told |= data
        return told | {"call": paragraph(told["call"], CALL), "data": plain(data)}

    def _show_fork(self, run: Any) -> Message:
        """The panel of a run that was forked off, below this one."""
        run._panel = run._panel or Panel(run)
        self._forks.append(run._panel)
        self.face.add(run._panel.widget)
        return {"run": run.id}

    def _send(self, content: Message) -> None:
        if not self.closed:
            self.face.live.send(content)


def mimebundle(run: RunHandle) -> dict[str, Any]:
    """A run for a notebook: the panel where a kernel is there to move it, always also HTML and text.

    Whoever cannot show widgets (GitHub, nbconvert, a mail) shows the HTML.
    """
    bundle: dict[str, Any] = {"text/plain": repr(run), "text/html": run._repr_html_()}
    ipython = sys.modules.get("IPython")
    if ipython is None or getattr(ipython.get_ipython(), "kernel", None) is None:
        return bundle
    try:
        if run._panel is None or run._panel.closed:
            run._panel = Panel(run)
        view: dict[str, Any] = run._panel.widget._repr_mimebundle_()
        return view | bundle
    except Exception as error:
        if not isinstance(error, DynTaskError):
            log.exception("no live panel")
        named = foreign(f"{type(error).__name__}: {error}", 600)
        return bundle | {"text/html": f"{bundle['text/html']}<p>No live panel: {named}</p>"}
