"""The journal: every event of every run in one SQLite file, written before any of its effects leaves.

One turn of the engine is one transaction. WAL with `synchronous=NORMAL` survives kill -9; `durability=
"full"` adds an fsync a turn against power loss.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

from dyntaskmas_nb.core.codec import decode, encode
from dyntaskmas_nb.core.event import Event
from dyntaskmas_nb.errors import InvalidInput, StoreError

SCHEMA = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class RunInfo:
    """One line of the list of runs; `created` is ISO 8601, UTC."""

    run: str
    created: str
    request: str
    status: str
    clock: str


class Journal(Protocol):
    """Where events are kept."""

    def open_run(self, info: RunInfo) -> None:
        """Make a run known."""

    def append(self, run: str, first: int, events: Sequence[Event]) -> None:
        """Store events with sequence numbers from `first`; returns when they are safe."""

    def set_status(self, run: str, status: str) -> None:
        """Note how the run stands, for the list."""

    def events(self, run: str) -> list[Event]:
        """All events of a run in order; raises `InvalidInput` for an unknown run."""

    def runs(self) -> list[RunInfo]:
        """Known runs, oldest first."""

    def close(self) -> None:
        """Close; a later call raises `StoreError`."""


class SqliteJournal:
    """The journal of a kit's home directory. One caller at a time."""

    def __init__(self, path: Path, durability: Literal["normal", "full"] = "normal") -> None:
        """Open or create `path`; raises `StoreError` when that cannot be."""
        self.path = path
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with ExitStack() as undo:
                self._db = undo.enter_context(
                    closing(sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=10))
                )
                self._set_up(durability)
                undo.pop_all()
        except (sqlite3.Error, OSError) as error:
            raise StoreError(
                f"The journal {path} cannot be opened ({error}). Choose a writable directory with "
                "Kit(home=…) or --home, or repair the file."
            ) from None

    def _set_up(self, durability: str) -> None:
        found = self._db.execute("PRAGMA user_version").fetchone()[0]
        if found > SCHEMA:
            raise StoreError(
                f"The journal {self.path} was written by a newer version (schema {found}, this one "
                f"knows {SCHEMA}). Upgrade dyntaskmas_nb, or choose another home directory."
            )
        self._db.execute("PRAGMA journal_mode=WAL")
        self._db.execute(f"PRAGMA synchronous={'FULL' if durability == 'full' else 'NORMAL'}")
        self._db.executescript(
            """
            BEGIN;
            CREATE TABLE IF NOT EXISTS runs
                (run TEXT PRIMARY KEY, created TEXT, request TEXT, status TEXT, clock TEXT);
            CREATE TABLE IF NOT EXISTS events
                (run TEXT, seq INTEGER, body BLOB, PRIMARY KEY (run, seq)) WITHOUT ROWID;
            COMMIT;
            """
        )
        self._db.execute(f"PRAGMA user_version={SCHEMA}")

    def open_run(self, info: RunInfo) -> None:
        """See `Journal.open_run`."""
        self._execute(
            "INSERT OR REPLACE INTO runs VALUES (?, ?, ?, ?, ?)",
            (info.run, info.created, info.request, info.status, info.clock),
        )

    def append(self, run: str, first: int, events: Sequence[Event]) -> None:
        """See `Journal.append`; one transaction."""
        rows = [(run, first + offset, encode(event)) for offset, event in enumerate(events)]
        try:
            self._db.execute("BEGIN")
            try:
                self._db.executemany("INSERT INTO events VALUES (?, ?, ?)", rows)
            except BaseException:
                self._db.execute("ROLLBACK")
                raise
            self._db.execute("COMMIT")
        except sqlite3.Error as error:
            raise StoreError(
                f"The journal {self.path} cannot be written ({error}). Free space or choose another home."
            ) from None

    def set_status(self, run: str, status: str) -> None:
        """See `Journal.set_status`."""
        self._execute("UPDATE runs SET status = ? WHERE run = ?", (status, run))

    def events(self, run: str) -> list[Event]:
        """See `Journal.events`."""
        rows = self._execute("SELECT body FROM events WHERE run = ? ORDER BY seq", (run,))
        if not rows:
            known = ", ".join(info.run for info in self.runs()[-5:])
            raise InvalidInput(f"There is no run {run!r} in {self.path}. The latest are: {known or 'none'}.")
        try:
            return [decode(body) for (body,) in rows]
        except InvalidInput as error:
            raise StoreError(
                f"The journal {self.path} is damaged: an event of run {run!r} is unreadable. {error}"
            ) from None

    def runs(self) -> list[RunInfo]:
        """See `Journal.runs`."""
        rows = self._execute(
            "SELECT run, created, request, status, clock FROM runs ORDER BY created, run", ()
        )
        return [RunInfo(run=a, created=b, request=c, status=d, clock=e) for a, b, c, d, e in rows]

    def close(self) -> None:
        """See `Journal.close`."""
        self._db.close()

    def _execute(self, sql: str, values: tuple[object, ...]) -> list[tuple[str, ...]]:
        try:
            with closing(self._db.execute(sql, values)) as cursor:
                return cursor.fetchall()
        except sqlite3.Error as error:
            raise StoreError(f"The journal {self.path} cannot be used ({error}).") from None


class MemoryJournal:
    """A journal that ends with the process, for `Kit(home=None)`."""

    def __init__(self) -> None:
        self._events: dict[str, list[Event]] = {}
        self._runs: dict[str, RunInfo] = {}

    def open_run(self, info: RunInfo) -> None:
        """See `Journal.open_run`."""
        self._runs[info.run] = info
        self._events[info.run] = []

    def append(self, run: str, first: int, events: Sequence[Event]) -> None:
        """See `Journal.append`."""
        self._events[run][first:] = events

    def set_status(self, run: str, status: str) -> None:
        """See `Journal.set_status`."""
        from dataclasses import replace

        self._runs[run] = replace(self._runs[run], status=status)

    def events(self, run: str) -> list[Event]:
        """See `Journal.events`."""
        if run not in self._events:
            raise InvalidInput(
                f"There is no run {run!r}. The latest are: {', '.join(list(self._runs)[-5:]) or 'none'}."
            )
        return list(self._events[run])

    def runs(self) -> list[RunInfo]:
        """See `Journal.runs`."""
        return list(self._runs.values())

    def close(self) -> None:
        """See `Journal.close`."""
