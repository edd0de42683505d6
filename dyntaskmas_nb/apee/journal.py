"""The journal: every event of every run in one SQLite file, written before any of its effects leaves.

One turn of the engine is one transaction. WAL with `synchronous=NORMAL` survives kill -9; `durability=
"full"` adds an fsync a turn against power loss.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from contextlib import ExitStack, closing
from dataclasses import astuple, dataclass
from pathlib import Path
from threading import Lock
from typing import Any, Literal

from dyntaskmas_nb.core.codec import decode, encode
from dyntaskmas_nb.core.event import Event
from dyntaskmas_nb.errors import InvalidInput, StoreError

SCHEMA = 1
_TABLES = """
    BEGIN;
    CREATE TABLE IF NOT EXISTS runs
        (run TEXT PRIMARY KEY, created TEXT, request TEXT, status TEXT, clock TEXT);
    CREATE TABLE IF NOT EXISTS events
        (run TEXT, seq INTEGER, body BLOB, PRIMARY KEY (run, seq)) WITHOUT ROWID;
    COMMIT;
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunInfo:
    """One line of the list of runs; `created` is ISO 8601, UTC."""

    run: str
    created: str
    request: str
    status: str
    clock: str


class Journal:
    """The journal in the file `path`, or in memory for `Kit(home=None)`. Runs share it from several threads.

    Raises
    ------
    StoreError
        Made, or used later: the file cannot be read or written, or a newer version wrote it.
    """

    def __init__(self, path: Path | None = None, durability: Literal["normal", "full"] = "normal") -> None:
        self.path = path or Path(":memory:")
        self._one_at_a_time = Lock()
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with ExitStack() as undo:
                db = sqlite3.connect(self.path, isolation_level=None, check_same_thread=False, timeout=10)
                self._db = undo.enter_context(closing(db))
                self._set_up(durability)
                undo.pop_all()
        except (sqlite3.Error, OSError) as error:
            raise StoreError(
                f"The journal {self.path} cannot be opened ({error}). Choose a writable directory with "
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
        self._db.executescript(_TABLES)
        self._db.execute(f"PRAGMA user_version={SCHEMA}")

    def open_run(self, info: RunInfo) -> None:
        """Make a run known."""
        self._execute("INSERT OR REPLACE INTO runs VALUES (?, ?, ?, ?, ?)", *astuple(info))

    def append(self, run: str, first: int, events: Sequence[Event]) -> None:
        """Store events with sequence numbers from `first` in one transaction; returns when they are safe."""
        rows = [(run, first + offset, encode(event)) for offset, event in enumerate(events)]
        try:
            with self._one_at_a_time:
                self._db.execute("BEGIN")
                with self._db:  # commits, or rolls back
                    self._db.executemany("INSERT INTO events VALUES (?, ?, ?)", rows)
        except sqlite3.Error as error:
            raise StoreError(
                f"The journal {self.path} cannot be written ({error}). Free space or choose another home."
            ) from None

    def set_status(self, run: str, status: str) -> None:
        """Note how the run stands, for the list."""
        self._execute("UPDATE runs SET status = ? WHERE run = ?", status, run)

    def events(self, run: str) -> list[Event]:
        """All events of a run in order; raises `InvalidInput` for an unknown run."""
        rows = self._execute("SELECT body FROM events WHERE run = ? ORDER BY seq", run)
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
        """Known runs, oldest first."""
        rows = self._execute("SELECT run, created, request, status, clock FROM runs ORDER BY created, run")
        return [RunInfo(run=a, created=b, request=c, status=d, clock=e) for a, b, c, d, e in rows]

    def close(self) -> None:
        """Close; a later call raises `StoreError`."""
        self._db.close()

    def _execute(self, sql: str, *values: object) -> list[tuple[Any, ...]]:
        try:
            with self._one_at_a_time:
                return self._db.execute(sql, values).fetchall()
        except sqlite3.Error as error:
            raise StoreError(f"The journal {self.path} cannot be used ({error}).") from None
