"""The journal: every event of every run in one SQLite file, written before any of its effects leaves.

One turn of the engine is one row and one transaction; WAL with `synchronous=NORMAL` survives kill -9. A run
that is not over belongs to one process, its `holder`; one without a living holder was interrupted.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import astuple, dataclass, fields, replace
from itertools import chain
from pathlib import Path
from threading import Lock
from typing import Any, TypeAlias

from dyntaskmas_nb.apee.holder import Holder, living
from dyntaskmas_nb.apee.upgrade import Upgrade
from dyntaskmas_nb.core.codec import decode_all, encode_all
from dyntaskmas_nb.core.event import DeltaApplied, Event, RunEnded, StateChanged
from dyntaskmas_nb.errors import InvalidInput, StoreError

#: What each schema adds to the one before; a file's `user_version` counts the steps it has seen. The place of
#: a turn, an integer key because that is four times as fast, is its run's number and its first event's.
_STEPS: tuple[tuple[str, ...], ...] = (
    (
        "CREATE TABLE IF NOT EXISTS runs"
        "(run TEXT PRIMARY KEY, created TEXT, request TEXT, status TEXT, clock TEXT)",
        "CREATE TABLE IF NOT EXISTS events"
        "(run TEXT, seq INTEGER, body BLOB, PRIMARY KEY (run, seq)) WITHOUT ROWID",
    ),
    (
        "ALTER TABLE runs ADD COLUMN functions TEXT NOT NULL DEFAULT ''",
        "ALTER TABLE runs ADD COLUMN holder TEXT NOT NULL DEFAULT ''",
        "UPDATE runs SET status = 'running' WHERE status = 'interrupted'",  # has no holder: told when listed
    ),
    (
        "CREATE TABLE turns (place INTEGER PRIMARY KEY, body BLOB)",
        "ALTER TABLE runs RENAME TO runs2",
        "CREATE TABLE runs (number INTEGER PRIMARY KEY, run TEXT UNIQUE, created TEXT, request TEXT, "
        "status TEXT, clock TEXT, functions TEXT NOT NULL DEFAULT '', holder TEXT NOT NULL DEFAULT '')",
        "INSERT INTO runs SELECT NULL, * FROM runs2 ORDER BY created, run",
        "INSERT INTO turns SELECT number << 32, upgraded(body) FROM runs JOIN "
        "(SELECT run, body FROM events ORDER BY run, seq) USING (run) GROUP BY run",
        "DROP TABLE runs2",
        "DROP TABLE events",
    ),
)
SCHEMA = len(_STEPS)
_APPEND = "INSERT INTO turns VALUES (?, ?)"


@dataclass(frozen=True, slots=True, kw_only=True)
class RunInfo:
    """One line of the list of runs; `created` is ISO 8601, UTC; `functions` the roles of Python functions."""

    run: str
    created: str
    request: str
    status: str
    clock: str
    functions: tuple[str, ...] = ()


class Journal:
    """The journal in the file `path`, or in memory for `Kit(home=None)`. Runs share it from several threads.

    Raises
    ------
    StoreError
        Made, or used later: the file cannot be read or written, or a newer version wrote it. `retryable`
        when there was no space: nothing was written, and the same call may succeed later.
    """

    def __init__(self, path: Path | None = None) -> None:
        self.path = path or Path(":memory:")
        self._holders = path and path.with_suffix(".holders")
        self._holder: Holder | None = None
        self._numbers: dict[str, int] = {}
        self._ours: set[str] = set()
        self._one_at_a_time = Lock()
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with ExitStack() as undo:
                db = sqlite3.connect(self.path, isolation_level=None, check_same_thread=False, timeout=10)
                self._db = undo.enter_context(closing(db))
                self._set_up()
                undo.pop_all()
        except (sqlite3.Error, OSError) as error:
            raise StoreError(
                f"The journal {self.path} cannot be opened ({error}). Choose a writable directory with "
                "Kit(home=…) or --home, or repair the file."
            ) from None

    def _set_up(self) -> None:
        with self._db as db:
            db.execute("BEGIN IMMEDIATE")
            (found,) = db.execute("PRAGMA user_version").fetchone()
            if found > SCHEMA:
                raise StoreError(
                    f"The journal {self.path} was written by a newer version (schema {found}, this one "
                    f"knows {SCHEMA}). Upgrade dyntaskmas_nb, or choose another home directory."
                )
            if found < SCHEMA:
                db.create_aggregate("upgraded", 1, Upgrade)  # type: ignore[arg-type]
            for sql in chain(*_STEPS[found:], [f"PRAGMA user_version={SCHEMA}"]):
                db.execute(sql)
        db.execute("PRAGMA journal_mode=WAL")
        db.execute("PRAGMA synchronous=NORMAL")

    # -- whose run it is -----------------------------------------------------------------------------

    def open_run(self, info: RunInfo) -> None:
        """Make a run known, and this process's; it is listed once it has events."""
        with self._transaction() as db:
            row = (*astuple(info)[:5], "\n".join(info.functions), self._name())
            db.execute("INSERT INTO runs VALUES (NULL, ?, ?, ?, ?, ?, ?, ?)", row)

    def claim(self, run: str) -> None:
        """Let no other process go on with `run` before it is over, `release`, or this process's end.

        Raises `StoreError` naming the process that has it. A run that is over is nobody's.
        """
        with self._transaction() as db:
            self._check_free(run)
            sql = "UPDATE runs SET holder = ? WHERE run = ? AND status = 'running'"
            db.execute(sql, (self._name(), run))

    def release(self, run: str) -> None:
        """Let others go on with `run`."""
        self._ours.discard(run)
        with self._transaction() as db:
            db.execute("UPDATE runs SET holder = '' WHERE run = ? AND holder = ?", (run, self._name()))

    def _name(self) -> str:
        if self._holder is None and self._holders:
            self._holder = Holder(self._holders)
        return self._holder.name if self._holder else ""

    def _check_free(self, run: str) -> tuple[str, str]:
        """How `run` stands and who holds it; raises `StoreError` if another living process does."""
        row = self._db.execute("SELECT status, holder FROM runs WHERE run = ?", (run,)).fetchone()
        status, holder = row or ("", "")
        if self._holders and holder != self._name() and (process := living(self._holders, holder)):
            raise StoreError(
                f"Run {run!r} goes on in process {process}. Close it there, or wait until it is over."
            )
        return status, holder

    # -- events --------------------------------------------------------------------------------------

    def append(self, run: str, first: int, events: Sequence[Event]) -> None:
        """Store events with sequence numbers from `first` in one transaction; returns when they are safe.

        The list of runs learns in the same transaction that a run is over, or goes on after all.
        """
        if not events:
            return
        turn = self._place(run) + first, encode_all(events)
        status = _standing(events)
        try:
            if run in self._ours and status in ("", "running"):
                with self._told("written"):
                    self._db.execute(_APPEND, turn)
                return
            with self._transaction() as db:
                before = self._check_free(run)
                db.execute(_APPEND, turn)
                status = status or before[0]
                now = status, self._name() if status == "running" else ""
                if now != before:
                    db.execute("UPDATE runs SET status = ?, holder = ? WHERE run = ?", (*now, run))
            (self._ours.add if status == "running" else self._ours.discard)(run)
        except sqlite3.IntegrityError:
            raise StoreError(f"Run {run!r} went on elsewhere; kit.open_run({run!r}) reads it.") from None

    def _place(self, run: str) -> int:
        """Where the turns of `run` begin."""
        if run not in self._numbers:
            found = self._read("SELECT number FROM runs WHERE run = ?", run)
            if not found:
                return -1
            self._numbers[run] = found[0][0]
        return self._numbers[run] << 32

    def events(self, run: str) -> list[Event]:
        """All events of a run in order; raises `InvalidInput` for an unknown run."""
        begin = self._place(run)
        rows = self._read("SELECT body FROM turns WHERE place >= ? AND place < ?", begin, begin + 2**32)
        if begin < 0 or not rows:
            known = ", ".join(info.run for info in self.runs()[-5:])
            raise InvalidInput(f"There is no run {run!r} in {self.path}. The latest are: {known or 'none'}.")
        try:
            return [event for (body,) in rows for event in decode_all(body)]
        except InvalidInput as error:
            raise StoreError(
                f"The journal {self.path} is damaged: an event of run {run!r} is unreadable. {error}"
            ) from None

    def runs(self) -> list[RunInfo]:
        """Known runs, oldest first. One that should be running but has no living holder is "interrupted"."""
        rows = self._read(
            "SELECT * FROM runs WHERE EXISTS "
            "(SELECT 1 FROM turns WHERE place >= number << 32 AND place < number + 1 << 32) "
            "ORDER BY created, run"
        )
        names = [field.name for field in fields(RunInfo)]
        found = []
        for _, *values, functions, holder in rows:
            info = RunInfo(**dict(zip(names, values, strict=False)), functions=tuple(functions.splitlines()))
            lost = info.status == "running" and self._holders and not living(self._holders, holder)
            found.append(replace(info, status="interrupted") if lost else info)
        return found

    def close(self) -> None:
        """Close, and hold no run any more; a later call raises `StoreError`."""
        with self._one_at_a_time:
            self._db.close()
            if self._holder:
                self._holder.close()

    # -- SQLite --------------------------------------------------------------------------------------

    def _read(self, sql: str, *values: str | int) -> list[tuple[Any, ...]]:
        with self._told("read"):
            return self._db.execute(sql, values).fetchall()

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        """What happens inside is written whole, or not at all."""
        with self._told("written"), self._db as db:  # leaving `db` commits or rolls back
            db.execute("BEGIN IMMEDIATE")
            yield db

    @contextmanager
    def _told(self, what: str) -> Iterator[None]:
        try:
            with self._one_at_a_time:
                yield
        except sqlite3.IntegrityError:
            raise
        except (sqlite3.Error, OSError) as error:
            advice = "Free space or choose another home."
            raise StoreError(f"The journal {self.path} cannot be {what} ({error}). {advice}", error) from None


class MemoryJournal:
    """What a `Journal` does, for a kit that keeps nothing on disk: the events as they are, while it lives."""

    path = Path(":memory:")

    def __init__(self) -> None:
        self._runs: dict[str, RunInfo] = {}
        self._events: dict[str, list[Event]] = {}

    def open_run(self, info: RunInfo) -> None:
        """Make a run known."""
        self._runs[info.run], self._events[info.run] = info, []

    def claim(self, run: str) -> None:
        """No other process can have the run."""

    release = claim

    def append(self, run: str, first: int, events: Sequence[Event]) -> None:
        """Keep events with sequence numbers from `first`."""
        kept = self._events[run]
        if len(kept) != first:
            raise StoreError(f"Run {run!r} went on elsewhere; kit.open_run({run!r}) reads it.")
        kept += events
        if status := _standing(events):
            self._runs[run] = replace(self._runs[run], status=status)

    def events(self, run: str) -> list[Event]:
        """All events of a run in order; raises `InvalidInput` for an unknown run."""
        if not (kept := self._events.get(run)):
            known = ", ".join(list(self._runs)[-5:])
            raise InvalidInput(f"There is no run {run!r} in memory. The latest are: {known or 'none'}.")
        return list(kept)

    def runs(self) -> list[RunInfo]:
        """Known runs, oldest first."""
        return [info for run, info in self._runs.items() if self._events[run]]

    def close(self) -> None:
        """Nothing is to be closed."""


Keeper: TypeAlias = Journal | MemoryJournal


def _standing(events: Sequence[Event]) -> str:
    """How a run stands after `events`: over, going on (perhaps after it was over), "" if they do not tell."""
    for event in reversed(events):
        if isinstance(event, RunEnded):
            return event.status
        if isinstance(event, DeltaApplied | StateChanged):
            return "running"
    return ""
