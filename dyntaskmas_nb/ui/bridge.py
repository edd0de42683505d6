"""From a run to a browser: what changed, in numbered messages, at most ten a second however much happens.

The first message is a snapshot; each further one holds the rows that changed since the one before and the
tasks that went. A face that misses a number asks for a snapshot (`Publisher.resync`). No thread lives while
nothing happens, and none outlives the face.
"""

from __future__ import annotations

import time
import weakref
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from threading import Lock, Timer
from typing import Any, Protocol

from dyntaskmas_nb.core.event import RunStatus
from dyntaskmas_nb.core.snapshot import Snapshot
from dyntaskmas_nb.core.task import TaskId, TaskState
from dyntaskmas_nb.view.layout import layers
from dyntaskmas_nb.view.numbers import standing
from dyntaskmas_nb.view.words import printable

#: Seconds between two messages at least; or ten times as long as the last took to make, if that is more.
INTERVAL = 0.1


class Reply(Protocol):
    """What an edit or a control did, or why it was refused; `version` is the one that an edit made."""

    accepted: bool
    what: str
    reason: str
    version: int | None


class RunHandle(Protocol):
    """A run that can be watched and steered from any thread: `kit.run.Run`, or a test's own.

    It also has the methods that `inbox.CALLS` names; each answers with a `Reply`.
    """

    #: The panel that shows this run, once there is one: shown twice, it is one panel with two views.
    _panel: Any

    def snapshot(self) -> Snapshot:
        """The present moment, immutable."""

    def watch(self, changed: Callable[[], None]) -> Callable[[], None]:
        """Have `changed` called after every turn of the run, on its loop: it must neither wait nor raise.

        Returns what ends it, to be called once, from any thread.
        """

    def _repr_html_(self) -> str: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One task as a face shows it; `after` holds what it waits for, `layer` its place in the order."""

    id: TaskId
    description: str
    complexity: float
    layer: int
    after: tuple[tuple[TaskId, float], ...]
    state: TaskState
    priority: float
    attempt: int
    agent: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """What changed since message `seq` - 1, or all there is (`full`), at `t` s and `version` of the log."""

    seq: int
    t: float
    version: int
    status: RunStatus
    standing: str
    reason: str
    upserts: tuple[Row, ...]
    removals: tuple[TaskId, ...]
    full: bool


def rows_of(now: Snapshot) -> dict[TaskId, Row]:
    """A row for every task, in topological order."""
    rows = {}
    for id, layer in layers(now.graph).items():
        task, view = now.graph[id], now.tasks[id]
        rows[id] = Row(
            id=id,
            description=printable(task.description),
            complexity=task.complexity,
            layer=layer,
            after=tuple(now.graph.after(id).items()),
            state=view.state,
            priority=view.priority,
            attempt=view.attempt,
            agent=view.agent,
            reason=printable(view.reason, 400),
        )
    return rows


def difference(
    known: Mapping[TaskId, Row] | None, rows: Mapping[TaskId, Row], now: Snapshot, seq: int
) -> Message:
    """What tells a face that knows `known` the present `rows`: all of them when it knows nothing (None)."""
    before = known or {}
    return Message(
        seq=seq,
        t=now.t,
        version=now.seq,
        status=now.status,
        standing=standing(now),
        reason=printable(now.reason, 600),
        upserts=tuple(row for id, row in rows.items() if before.get(id) != row),
        removals=tuple(id for id in before if id not in rows),
        full=known is None,
    )


@dataclass(slots=True)
class Mirror:
    """What a face knows of a run, kept up by messages; a browser's half does the same."""

    seq: int = -1
    rows: dict[TaskId, Row] = field(default_factory=dict)

    def apply(self, news: Message) -> bool:
        """Take `news` in; False when one before it is missing: ask for a snapshot."""
        if news.full:
            self.rows = {}
        elif news.seq != self.seq + 1:
            return False
        for id in news.removals:
            del self.rows[id]
        self.rows |= {row.id: row for row in news.upserts}
        self.seq = news.seq
        return True


def _soon(delay: float, publish: Callable[[], None]) -> None:
    """Publish on a thread of its own: the run's loop may be on virtual time, and waits for no face."""
    timer = Timer(delay, publish)
    timer.daemon = True
    with suppress(RuntimeError):  # the process is about to end and starts no more threads
        timer.start()


class Publisher:
    """Tells one face what happens to a run, until it is closed or collected.

    `send` is given each message, one at a time, on a thread of the publisher; `failed` what went wrong with
    one, after which the next is a snapshot. `later` and `clock` are for tests.
    """

    def __init__(
        self,
        run: RunHandle,
        send: Callable[[Message], None],
        failed: Callable[[Exception], None],
        later: Callable[[float, Callable[[], None]], None] = _soon,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._run, self._send, self._failed, self._later, self._clock = run, send, failed, later, clock
        self._noting, self._publishing = Lock(), Lock()
        self._known: dict[TaskId, Row] | None = None
        self._seq, self._next = -1, 0.0
        self._due = self._rejoin = False
        changed = weakref.WeakMethod(self.changed)
        self._end = weakref.finalize(self, run.watch(lambda: (note := changed()) and note()))

    def changed(self) -> None:
        """Note, from any thread, that there is news: one message will tell it all."""
        with self._noting:
            due, self._due = self._due, True
        if not due and self._end.alive:
            self._later(max(0.0, self._next - self._clock()), self.publish)

    def resync(self) -> None:
        """Make the next message a snapshot."""
        self._rejoin = True
        self.changed()

    def publish(self) -> None:
        """Send what is new now."""
        with self._publishing:
            start = self._clock()
            self._due = False  # what changes from here on belongs to the next message
            try:
                if self._end.alive:
                    known, self._rejoin = None if self._rejoin else self._known, False
                    now = self._run.snapshot()
                    self._known, self._seq = rows_of(now), self._seq + 1
                    self._send(difference(known, self._known, now, self._seq))
            except Exception as error:  # noqa: BLE001  the border to the face, which shows it
                self._rejoin = True
                self._failed(error)
            self._next = start + max(INTERVAL, 10 * (self._clock() - start))

    def close(self) -> None:
        """Send nothing any more."""
        self._end()
