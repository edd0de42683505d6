"""The semantic index: Chroma in a process of its own, kept in step by one thread (paper §III-C, Eq. 17).

The index is derived data. It may lag, and says how far: every current version with seq ≤ `indexed` is in
it. It may die, hang, be deleted or damaged: then searches raise `IndexDown`, the caller answers from the
authority, and the thread starts the process again and compares what the index has with what it should
have. At the second failure in a row it deletes the index and rebuilds; after the fourth it gives up.
"""

from __future__ import annotations

import shutil
import threading
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeout
from contextlib import contextmanager
from enum import Enum
from pathlib import Path

from dyntaskmas_nb.sacms.authority import Stale
from dyntaskmas_nb.sacms.child import CHUNK, CLOSE_DEADLINE, Child, ChildGone, Found, Search
from dyntaskmas_nb.sacms.reader import Reader

SEARCH_DEADLINE = 10.0  # seconds; then the process counts as hung and is killed
WIPE_AT, GIVE_UP_AT = 2, 4  # failures in a row


class IndexDown(Exception):
    """The index cannot answer now; `lost` if it should have been able to, not if it is only starting."""

    def __init__(self, reason: str, *, lost: bool = True) -> None:
        super().__init__(reason)
        self.lost = lost


class State(Enum):
    """Where the index stands."""

    IDLE = "not started"
    STARTING = "starting"
    READY = "ready"
    BROKEN = "broken, being rebuilt"
    GIVEN_UP = "broken for good"
    CLOSED = "closed"


class Index:
    """Runs the index process in a thread of its own; `start` does not wait for it."""

    def __init__(self, directory: Path, log: Path, reader: Reader) -> None:
        self._directory, self._log, self._reader = directory, log, reader
        self._changed = threading.Condition()
        self._searches: deque[tuple[Search, Future[Found]]] = deque()
        self._stale: deque[Stale] = deque()
        self._dirty = False
        self._notes = 0
        self._closing = False
        # An index that is gone although there is something to index was lost, not never made.
        self._lost = not directory.exists() and bool(reader.vectors_after(0, 1))
        self._failures = 0
        self._made_before = self._importing = False
        self._thread: threading.Thread | None = None
        self._child: Child | None = None
        self.state = State.IDLE
        self.reason = ""
        self.indexed = 0

    @property
    def pid(self) -> int | None:
        """Process id of the index process, while there is one."""
        child = self._child
        return child.pid if child else None

    # -- called from any thread --------------------------------------------------------------------
    def start(self) -> None:
        """Start the thread, once."""
        with self._changed:
            if self._thread is None and not self._closing:
                self.state = State.BROKEN if self._lost else State.STARTING
                self._thread = threading.Thread(target=self._run, name="sacms-index", daemon=True)
                self._thread.start()

    def note(self, stale: Sequence[Stale]) -> None:
        """Say that there are new versions in the authority, and which are no longer current."""
        with self._changed:
            self._dirty = True
            self._notes += 1
            self._stale.extend(stale)
            self._changed.notify_all()
        self.start()

    def search(self, unit: bytes, *, access: int, n: int) -> Found:
        """Return, for each level ≤ `access`, up to n versions nearest to a unit vector, with distances.

        Raises
        ------
        IndexDown
            The index is not ready, failed while searching, or took longer than `SEARCH_DEADLINE`.
        """
        request = Search(unit=unit, access=access, n=n)
        answer: Future[Found] = Future()
        with self._changed:
            if self.state is not State.READY:
                starting = self.state in (State.IDLE, State.STARTING)
                raise IndexDown(self.state.value, lost=not starting)
            self._searches.append((request, answer))
            self._changed.notify_all()
        try:
            return answer.result(SEARCH_DEADLINE)
        except FutureTimeout:
            self._enter(State.BROKEN, "the index process hangs")
            if child := self._child:
                child.kill()
            raise IndexDown(f"no answer within {SEARCH_DEADLINE:g} s") from None

    def wait_settled(self, timeout: float) -> bool:
        """Wait until the index is ready and has caught up; False if that takes longer or it gave up."""
        with self._changed:
            self._changed.wait_for(lambda: self._settled() or self._ended(), timeout)
            return self._settled()

    def close(self) -> None:
        """End thread and process; whoever searches gets IndexDown."""
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        if self._importing and (child := self._child):
            child.kill()  # it has not touched the index yet: no need to wait
        if self._thread is not None:
            self._thread.join(CLOSE_DEADLINE)
            if self._thread.is_alive() and (child := self._child):
                child.kill()
            self._thread.join()
        self.state = State.CLOSED

    def _settled(self) -> bool:
        return self.state is State.READY and not self._dirty and not self._stale

    def _ended(self) -> bool:
        return self._closing or self.state is State.GIVEN_UP

    # -- the thread --------------------------------------------------------------------------------
    def _run(self) -> None:
        while not self._closing:
            try:
                with self._process() as child:
                    self._reconcile(child)
                    self._enter(State.READY)
                    self._work(child)
            except Exception as error:  # noqa: BLE001 (the border of the thread: whatever failed, the store goes on)
                self._failures += 1
                gone = self._failures >= GIVE_UP_AT
                reason = f"{type(error).__name__}: {error} (see {self._log})"
                self._enter(State.GIVEN_UP if gone else State.BROKEN, reason)
                if gone or self._closing:
                    return
                if self._failures >= WIPE_AT:
                    _wipe(self._directory)
        self._enter(State.CLOSED)

    @contextmanager
    def _process(self) -> Iterator[Child]:
        self._made_before = self._directory.exists()
        self._importing = True
        child = self._child = Child(self._directory, self._log)
        if self._closing:
            child.kill()  # `close` came too early to see this process
        try:
            child.ask(None)
            self._importing = False
            child.ask(None)
            yield child
        finally:
            self._child = None
            child.close()

    def _enter(self, state: State, reason: str = "") -> None:
        with self._changed:
            self.state, self.reason = state, reason
            if state is not State.READY:
                self.indexed = 0
                while self._searches:
                    self._searches.popleft()[1].set_exception(IndexDown(reason or state.value))
            self._changed.notify_all()

    def _reconcile(self, child: Child) -> None:
        """Make the index hold exactly the current versions: idempotent recovery and rebuild in one."""
        with self._changed:
            self._dirty = True  # versions written from here on are pushed afterwards
            self._stale.clear()
        has = child.ids()
        wants = self._reader.levels()
        if wants and not has and self._made_before:
            self._enter(State.BROKEN, "the index was empty")
        child.delete((Stale(seq=s, access=a) for s, a in has.items() if wants.get(s) != a))
        last = max(wants, default=0)
        after = 0
        while after < last and not self._closing:
            rows = self._reader.vectors_after(after, CHUNK)
            if not rows:
                break
            after = rows[-1][0]
            child.upsert([row for row in rows if has.get(row[0]) != row[1]])
        self.indexed = last

    def _work(self, child: Child) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._searches or self._dirty or self._stale or self._closing)
                if self._closing:
                    return
                searches = [self._searches.popleft() for _ in range(len(self._searches))]
            self._answer(child, searches)
            if self._dirty:
                self._push(child)
            elif self._stale:
                self._sweep(child)

    def _answer(self, child: Child, searches: list[tuple[Search, Future[Found]]]) -> None:
        for done, (request, answer) in enumerate(searches):
            try:
                found = child.search(request)
            except ChildGone as error:
                self._enter(State.BROKEN, str(error))  # before anybody who waits can look again
                for _, later in searches[done:]:
                    later.set_exception(IndexDown(str(error)))
                raise
            self._failures = 0
            answer.set_result(found)

    def _push(self, child: Child) -> None:
        """Send the next chunk of new versions; `_dirty` falls when that was all there is."""
        notes = self._notes
        rows = self._reader.vectors_after(self.indexed, CHUNK)
        child.upsert(rows)
        with self._changed:
            if rows:
                self.indexed = rows[-1][0]
            self._dirty = len(rows) == CHUNK or self._notes != notes
            self._changed.notify_all()

    def _sweep(self, child: Child) -> None:
        with self._changed:
            batch = [self._stale.popleft() for _ in range(min(CHUNK, len(self._stale)))]
        child.delete(batch)
        with self._changed:
            self._changed.notify_all()


def _wipe(directory: Path) -> None:
    if directory.is_dir():
        shutil.rmtree(directory, ignore_errors=True)
    else:
        directory.unlink(missing_ok=True)
