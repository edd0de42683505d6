"""A run as a live panel in a notebook: its tasks, its controls, forms for its graph, refusals and errors.

The panel is a face like any other: it knows the run by the messages of a `Publisher` and changes it through
an `Inbox`, which call it on threads of their own. It stops when it is closed; a run shown twice has one.
"""

from __future__ import annotations

import logging
import sys
from collections import deque
from collections.abc import Callable, Sequence
from itertools import count
from threading import RLock
from typing import Any

from dyntaskmas_nb.core.task import TaskId, TaskState
from dyntaskmas_nb.ui.bridge import Message, Mirror, Publisher, Row, RunHandle
from dyntaskmas_nb.ui.inbox import Answer, Inbox
from dyntaskmas_nb.view.html import foreign
from dyntaskmas_nb.view.numbers import showing
from dyntaskmas_nb.view.theme import LOOKS
from dyntaskmas_nb.view.words import number

log = logging.getLogger(__name__)

#: Tasks that the table shows at most.
LIMIT = 100
_MOVING = (TaskState.RUNNING, TaskState.FAILED, TaskState.READY, TaskState.BLOCKED, TaskState.PENDING)


class Panel:
    """Shows `run` and steers it; `widget` is what a notebook displays."""

    def __init__(self, run: RunHandle) -> None:
        from dyntaskmas_nb.ui.forms import Face

        self.closed = False
        self._mirror, self._version = Mirror(), 0
        self._lock, self._numbers = RLock(), count(1)
        self._asked: dict[str, tuple[Any, Callable[[], None]]] = {}
        self._errors: deque[str] = deque(maxlen=5)
        self.face = Face(self)
        self._inbox = Inbox(run, self._answered)
        self._publisher = Publisher(run, self._receive, self.failed)
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

    def press(self, command: str, args: dict[str, Any], note: Any, done: Callable[[], None]) -> None:
        """Hand in a command, as a button does; it is answered in `note`."""
        with self._lock:
            id = str(next(self._numbers))
            self._asked[id] = note, done
            note.value = f"… {command}"
        self._inbox.put({"id": id, "command": command, "args": args, "base": self._version})

    def failed(self, error: Exception) -> None:
        """Show an error of the panel itself, which nobody would see otherwise."""
        log.error("the panel failed", exc_info=error)
        with self._lock:
            self._errors.append(f"The panel failed. {_named(error)}")
            self.face.errors.value = f'<div role="alert">{"<br>".join(self._errors)}</div>'

    def _answered(self, answer: Answer) -> None:
        try:
            with self._lock:
                note, done = self._asked.pop(answer.id)
                self._version = max(self._version, answer.version or 0)
                note.value = note_html(answer)
                if answer.ok:
                    done()
        except Exception as error:  # noqa: BLE001  the border of a thread of its own
            self.failed(error)

    def _receive(self, news: Message) -> None:
        with self._lock:
            if self.closed:
                return
            if not self._mirror.apply(news):
                self._publisher.resync()
                return
            self._version = max(self._version, news.version)
            rows = sorted(self._mirror.rows.values(), key=lambda row: row.layer)
            self.face.head.value = f"<b>{foreign(news.standing)}</b> {foreign(news.reason, 600)}"
            self.face.table.value = table_html(rows)
            self.face.allow(news.status)
            self.face.offer([row.id for row in rows])

    def complexity_of(self, id: TaskId) -> float:
        """C of a task, for the form that revises it."""
        row = self._mirror.rows.get(id)
        return row.complexity if row else 1.0


def table_html(rows: Sequence[Row]) -> str:
    """The tasks as a table; of more than `LIMIT` those that move come first, and it says how many."""
    place = {state: place for place, state in enumerate(_MOVING)}
    chosen = rows
    if len(rows) > LIMIT:
        chosen = sorted(rows, key=lambda row: place.get(row.state, len(place)))[:LIMIT]
    names = ("task", "state", "priority", "agent", "complexity", "after", "remark")
    head = "".join(f'<th scope="col">{name}</th>' for name in names)
    body = "".join(map(_row, chosen))
    return (
        f"{showing(len(chosen), len(rows))}<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
    )


def _row(row: Row) -> str:
    look = LOOKS[row.state]
    what = f"<small>{foreign(row.description)}</small>" if row.description not in ("", row.id) else ""
    remark = " · ".join(filter(None, [f"attempt {row.attempt}" if row.attempt > 1 else "", row.reason]))
    after = ", ".join(before for before, _ in row.after)
    cells = (number(row.priority, 4), row.agent, number(row.complexity), after, remark)
    data = "".join(f"<td>{foreign(cell)}</td>" for cell in cells)
    state = f'<td><span style="color:{look.colour}">{look.mark}</span> {row.state.value}</td>'
    return f'<tr><th scope="row">{foreign(row.id)}{what}</th>{state}{data}</tr>'


def note_html(answer: Answer) -> str:
    """What became of a command, and the call that does the same from a cell."""
    version = f" (version {answer.version})" if answer.version is not None else ""
    said = f"✓ {foreign(answer.what, 400)}{version}"
    if not answer.ok:
        said = f'<span class="refused">✗ refused</span> {foreign(answer.reason, 600)}'
    call = f" · <code>{foreign(answer.call, 400)}</code>" if answer.call else ""
    return f'<div role="status">{said}{call}</div>'


def _named(error: Exception) -> str:
    return foreign(f"{type(error).__name__}: {error}", 600)


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
        log.exception("no live panel")
        return bundle | {"text/html": f"{bundle['text/html']}<p>No live panel: {_named(error)}</p>"}
