"""The semantic index: Chroma in a process of its own, kept in step by one thread (paper §III-C, Eq. 17).

The index is derived data. It may lag, and says how far: every current version with seq ≤ `indexed` is in
it. It may die, hang, be deleted or damaged: then a search gives None, the caller answers from the
authority, and the thread starts the process again and compares what the index has with what it should
have. At the second failure in a row it deletes the index and rebuilds; after the fourth it gives up.
"""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import orjson

from dyntaskmas_nb.sacms.authority import Authority, Row
from dyntaskmas_nb.sacms.home import remove

SCRIPT = Path(__file__).with_name("chroma_child.py")
START_DEADLINE, DEADLINE, CLOSE_DEADLINE = 120.0, 15.0, 5.0  # seconds; who takes longer hangs and is killed
CHUNK = 64  # versions sent at once: a search waits for at most one chunk
WIPE_AT, GIVE_UP_AT = 2, 4  # failures in a row


class IndexDown(Exception):
    """The index process died, hung, or could not do what it was asked."""


class Child:
    """The owner's end of one index process, whose other end is `chroma_child`; one request at a time."""

    def __init__(self, directory: Path, log: Path) -> None:
        # By path, with -P: neither the current directory nor the package's can shadow a module of Chroma's.
        command, pipe = [sys.executable, "-P", str(SCRIPT), str(directory)], subprocess.PIPE
        with log.open("wb") as errors:
            self._process = subprocess.Popen(
                command, stdin=pipe, stdout=pipe, stderr=errors, start_new_session=True
            )
        self._asking = threading.Lock()
        self.pid = self._process.pid
        self.broken = ""

    def ask(self, request: dict[str, Any] | None) -> Any:
        """Send `request` (None: only wait for the first word) and return its answer; raises IndexDown."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        try:
            with self._asking, self._at_most(START_DEADLINE if request is None else DEADLINE):
                if request is not None:
                    self._process.stdin.write(orjson.dumps(request) + b"\n")
                    self._process.stdin.flush()
                answer = orjson.loads(
                    self._process.stdout.readline() or b'{"error": "the index process ended"}'
                )
        except (OSError, ValueError) as error:
            answer = {"error": f"the index process ended ({error})"}
        if "error" in answer:
            self.broken = answer["error"]
            raise IndexDown(self.broken)
        return answer["ok"]

    def change(self, rows: Sequence[Row], gone: Sequence[Row]) -> None:
        """Add versions (one already there is written again), forget others (one not there is no error)."""
        new = [(str(row.seq), row.access, row.unit.hex()) for row in rows]
        self.ask({"op": "change", "rows": new, "gone": [(str(row.seq), row.access) for row in gone]})

    def end(self) -> None:
        """Ask the process to end: it does at once unless it has opened the index, else with its input."""
        self._process.terminate()

    def close(self) -> None:
        """Close the pipes and wait for the end."""
        self.end()
        with self._asking, self._at_most(CLOSE_DEADLINE), suppress(OSError), self._process:
            pass  # leaving closes and waits; OSError: the other end is gone, which is what we want

    @contextmanager
    def _at_most(self, seconds: float) -> Iterator[None]:
        late = threading.Timer(seconds, self._process.kill)
        late.daemon = True
        late.start()
        try:
            yield
        finally:
            late.cancel()


class Index:
    """Runs the index process in a thread of its own; `start` does not wait for it."""

    def __init__(self, directory: Path, log: Path, authority: Authority) -> None:
        self._directory, self._log, self._authority = directory, log, authority
        self._changed = threading.Condition()
        self._stale: list[Row] = []
        self._last = 0  # the last version that should be indexed
        self._failures = 0
        self._closing = False
        self._thread: threading.Thread | None = None
        self.child: Child | None = None
        self.ready = False
        self.reason = "not started"
        self.indexed = 0

    # -- called from any thread --------------------------------------------------------------------
    def start(self) -> None:
        """Start the thread, once."""
        with self._changed:
            if self._thread is None and not self._closing:
                self._thread = threading.Thread(target=self._run, name="sacms-index", daemon=True)
                self._thread.start()

    def note(self, last: int, stale: Sequence[Row]) -> None:
        """Say which version the authority wrote last, and which are no longer current."""
        with self._changed:
            self._last = max(self._last, last)
            if self._thread is not None:  # before it starts there is nothing to keep: it compares by itself
                self._stale.extend(stale)
            self._changed.notify_all()

    def search(self, unit: bytes, *, access: int, n: int) -> list[tuple[list[int], list[float], bool]] | None:
        """Return, for each level ≤ `access`, up to n versions nearest to a unit vector, and cosine distances.

        The third value is False where there are fewer than n although the level holds more: Chroma could not
        reach them. None: the index is starting, broken or being rebuilt.
        """
        child = self.child
        if not self.ready or child is None:
            return None
        try:
            found = child.ask({"op": "search", "access": access, "unit": unit.hex(), "n": n})
        except IndexDown as down:
            if self.child is child:
                self._enter(ready=False, reason=str(down))
            return None
        self._failures = 0
        return [([int(id) for id in ids], far, whole) for ids, far, whole in found]

    def wait_settled(self, timeout: float) -> bool:
        """Wait until the index is ready and has caught up; False if that takes longer or it gave up."""
        with self._changed:
            ended = self._changed.wait_for(
                lambda: self._settled() or self._failures >= GIVE_UP_AT or self._closing, timeout
            )
            return ended and self._settled()

    def close(self) -> None:
        """End thread and process."""
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        if child := self.child:
            child.end()
        if self._thread is not None:
            self._thread.join()

    def _settled(self) -> bool:
        return self.ready and not self._behind()

    def _behind(self) -> bool:
        return self._last > self.indexed or bool(self._stale)

    def _enter(self, *, ready: bool, reason: str = "") -> None:
        with self._changed:
            self.ready, self.reason = ready, reason
            self._changed.notify_all()

    # -- the thread --------------------------------------------------------------------------------
    def _run(self) -> None:
        while not self._closing and self._failures < GIVE_UP_AT:
            if self._failures >= WIPE_AT:
                remove(self._directory)
            try:
                child = self.child = Child(self._directory, self._log)
                try:
                    self._reconcile(child)
                    self._follow(child)
                finally:
                    child.close()
            except Exception as error:  # noqa: BLE001 (the border of the thread: whatever failed, the store goes on)
                self._failures += 1
                self._enter(ready=False, reason=f"{error} (see {self._log})")

    def _reconcile(self, child: Child) -> None:
        """Find out what the index lacks and rid it of what is not current: recovery and rebuild in one."""
        child.ask(None)
        with self._changed:
            self._stale.clear()  # what follows sees it; what comes from here on is deleted afterwards
        has = {int(id): int(level) for level, ids in child.ask({"op": "ids"}).items() for id in ids}
        wants = self._authority.levels()
        gone = [Row(seq, level) for seq, level in has.items() if wants.get(seq) != level]
        for start in range(0, len(gone), CHUNK):
            child.change((), gone[start : start + CHUNK])
        missing = [seq for seq, level in wants.items() if has.get(seq) != level]
        last = max(wants, default=0)
        with self._changed:
            self._last = max(self._last, last)
            self.indexed = min(missing) - 1 if missing else last

    def _follow(self, child: Child) -> None:
        """Send what is new, forget what is stale, chunk by chunk; ready once a chunk was the last."""
        near = not self._behind()
        while True:
            with self._changed:
                if near and not child.broken:
                    self._enter(ready=True)
                self._changed.wait_for(lambda: self._closing or child.broken or self._behind())
                if self._closing:
                    return
                if child.broken:
                    raise IndexDown(child.broken)
                last, stale = self._last, self._stale[:CHUNK]
            rows = self._authority.rows_after(self.indexed, CHUNK)
            child.change(rows, stale)
            with self._changed:
                sent = rows[-1].seq if rows else 0
                self.indexed = sent if len(rows) == CHUNK else max(last, sent)
                del self._stale[: len(stale)]
                near = len(rows) < CHUNK or not self._behind()  # what is newer by now is compared exactly
