"""From a run to a browser: what changed, in numbered messages, at most ten a second however much happens.

The first message is a snapshot; each further one holds the rows that changed since the one before and the
tasks that went. A face that misses a number asks for a snapshot (`Publisher.resync`). No thread lives while
nothing happens, and none outlives the face.
"""

from __future__ import annotations

import math
import time
import weakref
from collections.abc import Callable
from contextlib import suppress
from threading import Lock, Timer
from typing import Any, Protocol

from dyntaskmas_nb.core.snapshot import Snapshot
from dyntaskmas_nb.ui.pulse import LIVE, Pulse
from dyntaskmas_nb.ui.scene import Scene

#: Seconds between two messages at least; or so many times as long as the last took to make.
INTERVAL, SHARE = 0.1, 12
#: Times as long as the browser took to draw the last message, that it is left alone with it; at most so long.
REST, LONGEST = 3, 5.0

Message = dict[str, Any]


class Reply(Protocol):
    """What an edit or a control did, or why it was refused; `version` is the one that an edit made."""

    accepted: bool
    what: str
    reason: str
    version: int | None


class RunHandle(Protocol):
    """A run that can be watched and steered from any thread: `kit.run.Run`, or a test's own.

    It also has the methods that `inbox.CALLS` and `questions` name; commands answer with a `Reply`.
    """

    #: The panel that shows this run, once there is one: shown twice, it is one panel with two views.
    _panel: Any

    @property
    def clock(self) -> str:
        """By which time passes: "real" or "virtual"."""

    @property
    def playing(self) -> float:
        """Seconds of virtual time that pass in a second, 0 where it stands still."""

    @property
    def over(self) -> bool:
        """Whether nothing will happen any more."""

    def snapshot(self) -> Snapshot:
        """The present moment, immutable."""

    def versions(self, since: int = 0) -> list[int]:
        """The numbers of the events, from `since` on, that are accepted edits."""

    def watch(self, changed: Callable[[], None]) -> Callable[[], None]:
        """Have `changed` called after every turn of the run, on its loop: it must neither wait nor raise.

        Returns what ends it, to be called once, from any thread.
        """

    def _repr_html_(self) -> str: ...


def _soon(delay: float, publish: Callable[[], None]) -> Callable[[], None]:
    """Publish on a thread of its own: the run's loop may be on virtual time, and waits for no face."""
    timer = Timer(delay, publish)
    timer.daemon = True
    with suppress(RuntimeError):  # the process is about to end and starts no more threads
        timer.start()
    return timer.cancel


class Publisher:
    """Tells one face what happens to a run, from the first `publish` until it is closed or collected.

    `send` is given each message, one at a time, on a thread of the publisher; `failed` what went wrong with
    one, after which the next is a snapshot. `extra` is sent along with a snapshot. `later`, which returns
    what calls it off, and `clock` are for tests.
    """

    def __init__(
        self,
        run: RunHandle,
        send: Callable[[Message], None],
        failed: Callable[[Exception], None],
        later: Callable[[float, Callable[[], None]], Callable[[], None]] = _soon,
        clock: Callable[[], float] = time.monotonic,
        extra: Callable[[], Message] = dict,
    ) -> None:
        self._run, self._send, self._failed, self._later, self._clock = run, send, failed, later, clock
        self._extra = extra
        self._noting, self._publishing = Lock(), Lock()
        self.scene, self._pulse = Scene(), Pulse(run, clock)
        self._seq, self._next, self._rest = -1, 0.0, 0.0
        self._due, self._more = True, False  # until the first `publish`, news are but noted
        self._rejoin, self._ticking = True, False
        self._off: dict[str, Callable[[], None]] = {}
        #: Version of the run that was told last.
        self.version = 0
        changed = weakref.WeakMethod(self.changed)
        self._end = weakref.finalize(self, run.watch(lambda: (note := changed()) and note()))

    def changed(self) -> None:
        """Note, from any thread, that there is news: one message will tell it all."""
        with self._noting:
            due, self._due, self._more = self._due, True, True
        if not due and self._end.alive:
            self._off["publish"] = self._later(max(0.0, self._next - self._clock()), self.publish)

    def resync(self) -> None:
        """Make the next message a snapshot."""
        self._rejoin = True
        self.changed()

    def drawn(self, seconds: float) -> None:
        """Hear how long the browser took for the last message: a slow one is told less often."""
        self._rest = min(REST * max(0.0, seconds), LONGEST)

    def publish(self) -> None:
        """Send what is new now."""
        with self._publishing:
            start = self._clock()
            with self._noting:  # what changes from here on waits for the next message
                self._due, self._more = True, False
            try:
                if self._end.alive:
                    self._tell()
            except Exception as error:  # noqa: BLE001  the border to the face, which shows it
                self._rejoin = True
                self._failed(error)
            self._next = start + max(INTERVAL, SHARE * (self._clock() - start), self._rest)
            with self._noting:
                self._due, more = False, self._more
        if more:
            self.changed()

    def _tell(self) -> None:
        full, self._rejoin = self._rejoin, False
        now = self._run.snapshot()
        news = self.scene.whole(now) if full else self.scene.look(now)
        try:
            news |= self._pulse.beat(now) | {"rate": self._rate(now)}
        except Exception as error:  # noqa: BLE001  without its figures a run can still be followed
            self._failed(error)
        if full:
            news |= self._pulse.whole() | self._extra()
        self._seq, self.version = self._seq + 1, now.seq
        self._send({"kind": "news", "seq": self._seq, "full": full, **news})
        wait = self._pulse.wait(now.seq)
        if math.isfinite(wait) and not self._ticking and self._end.alive:
            self._ticking = True
            tick = weakref.WeakMethod(self._tick)
            self._off["tick"] = self._later(max(wait, INTERVAL), lambda: (beat := tick()) and beat())

    def _rate(self, now: Snapshot) -> float:
        """Seconds of the run's time that pass in a second until the next message."""
        return self._run.playing if self._run.clock == "virtual" else float(now.status in LIVE)

    def _tick(self) -> None:
        self._ticking = False
        self.changed()

    def close(self) -> None:
        """Send nothing any more."""
        self._end()
        for off in tuple(self._off.values()):
            off()
