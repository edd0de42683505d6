"""A run as a live panel in a notebook: its picture, its controls, forms for its graph, refusals and errors.

The panel is a face like any other: it knows the run by the messages of a `Publisher` and changes it through
an `Inbox`, which call it on threads of their own. It stops when it is closed; a run shown twice has one.

Widgets live until they are closed, so a panel holds its run only until that is over. Once no variable holds
it either the run is gone: the panel says so, and is no more than a picture.
"""

from __future__ import annotations

import logging
import traceback
import weakref
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import asdict, replace
from itertools import count
from threading import RLock, Thread, main_thread
from typing import Any

from dyntaskmas_nb.apee.forecast import Preview
from dyntaskmas_nb.core.task import Task, TaskId
from dyntaskmas_nb.ui.bridge import Message, Publisher, RunHandle
from dyntaskmas_nb.ui.commands import id_of
from dyntaskmas_nb.ui.ghosts import plain, preview_data
from dyntaskmas_nb.ui.inbox import ACTIONS, Answer, Inbox
from dyntaskmas_nb.ui.lane import Lane
from dyntaskmas_nb.ui.left import FORGOTTEN, leave
from dyntaskmas_nb.view.layout import Place
from dyntaskmas_nb.view.words import paragraph, printable

log = logging.getLogger(__name__)

#: Errors, calls and versions that a panel remembers, and characters of a call.
ERRORS, CALLS, VERSIONS, CALL = 50, 500, 500, 4_000


class Panel:
    """Shows `run` and steers it; `widget` is what a notebook displays. A fork is held by its panel."""

    def __init__(self, run: RunHandle, *, forked: bool = False) -> None:
        from dyntaskmas_nb.ui.forms import Face

        self.closed, self.selected = False, ""
        self._run: Any = weakref.proxy(run)
        self._weak, self._forked = weakref.ref(run), forked
        self._held: RunHandle | None = run
        self._lock, self._numbers = RLock(), count(1)
        self._asked: dict[str, tuple[Callable[[Answer], None], Message]] = {}
        self._errors: deque[Message] = deque(maxlen=ERRORS)
        self._calls: deque[str] = deque(maxlen=CALLS)
        self._versions: deque[int] = deque(maxlen=VERSIONS)
        self._forks: list[Panel] = []
        self.face = Face(self)
        self._inbox = Inbox(self._run, self._answered)
        self._selections = Lane("selections", self._select)
        self._publisher = Publisher(self._run, self._receive, self.failed, extra=self._remembered)
        self._gone = weakref.finalize(run, _forget, weakref.ref(self))
        self._gone.atexit = False
        self._publisher.publish()

    @property
    def widget(self) -> Any:
        """The widget around all others."""
        return self.face.root

    def close(self) -> None:
        """Stop following the run and take the panel away. The run goes on."""
        with self._lock:
            self._stop()
            self.face.close()

    def _stop(self) -> None:
        self.closed, self._held = True, None
        self._gone.detach()
        self._publisher.close()
        for fork in self._forks:
            fork.close()

    def _forget(self) -> None:
        with self._lock:
            if not self.closed:
                self._send({"kind": "failure", **self._note("the kernel", "", FORGOTTEN, "")})
                self._stop()
                leave(self.face)

    def _hold(self) -> None:
        """Hold the run until it is over; a fork longer, for nobody else has it."""
        run = self._weak()
        self._held = run if run and (self._forked or not run.over) else None

    def places(self) -> Mapping[TaskId, Place]:
        """Where the tasks stand in the picture."""
        return dict(self._publisher.scene.places)

    def task(self, id: TaskId) -> Task | None:
        """A task, whole, as it was when the face was told of it last; None where there is none."""
        return self._publisher.scene.task(id)

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
                    self.selected = ids[0] if ids and isinstance(ids[0], str) else ""
                    self._selections.put(self.selected)
                case {"command": "failed", "args": {"message": str(message), "details": str(details)}}:
                    self._note("the browser", "", message, details)  # which shows it already
                case _:
                    if isinstance(said, dict):
                        self._send({"kind": "heard", "id": id_of(said)})
                    self._inbox.put(said)
        except Exception as error:  # noqa: BLE001  the border to the browser
            self.failed(error)

    def _select(self, _: object) -> None:
        try:
            with self._lock:
                self.face.selected(self.selected)
        except Exception as error:  # noqa: BLE001  the border of a thread of its own
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
            "drafts": self._inbox.drafts.count,
            "edits": self._edits(),
        }

    def _edits(self) -> list[int]:
        """The versions that edits made, the last of them."""
        known = self._versions
        known.extend(self._run.versions(known[-1] + 1 if known else 0))
        return list(known)

    def _receive(self, news: Message) -> None:
        with self._lock:
            if not self.closed:
                self._send(news)
                self.face.offer(list(self._publisher.scene.rows))
                self._hold()

    def _answered(self, answer: Answer) -> None:
        answered, asked = self._asked.pop(answer.id, (None, {}))
        try:
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
        elif answer.command == "explain_number":
            self.face.math.value = data.pop("html") if answer.ok else ""
        elif answer.command == "commit_drafts" and answer.ok:
            told |= data
        return told | {"call": paragraph(told["call"], CALL), "data": plain(data)}

    def _show_fork(self, run: Any) -> Message:
        """The panel of a run that was forked off, below this one."""
        run._panel = panel = Panel(run, forked=True)
        with self._lock:
            self._forks.append(panel)
            self.face.add(panel.widget)
        return {"run": run.id}

    def _send(self, content: Message) -> None:
        if not self.closed:
            self.face.live.send(content)


def _forget(panel: weakref.ref[Panel]) -> None:
    """What a run that is collected does, on whatever thread: which may hold any lock."""
    if (there := panel()) is not None and main_thread().is_alive():  # else the process is about to end
        Thread(target=there._forget, name="dyntaskmas forget", daemon=True).start()
