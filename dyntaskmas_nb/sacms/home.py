"""The directory of a Chroma context store: who owns it, and whether what lies in it can be trusted.

    context.db     the authority (SQLite)
    owner.db       locked by the one process that has the store open; owner.pid says which
    index/         Chroma's files; may be deleted at any time, is rebuilt from context.db
    index.log      what the index process wrote to its standard error, since it last started

An authority that is damaged or gone is refused, never replaced by an empty one: `context.db` appears under
its name only when it is complete, so its absence beside an index, or a length of zero, means damage.
"""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path

from dyntaskmas_nb.errors import StoreError
from dyntaskmas_nb.sacms.authority import SCHEMA, connect
from dyntaskmas_nb.sacms.embed import Embedder

APPLICATION_ID = 0x44544D31  # "DTM1"
SCHEMA_VERSION = 1


class Home:
    """An opened and owned store directory.

    Raises
    ------
    StoreError
        Not a directory we may write, owned by another process, damaged, written by another version of the
        kit, or filled by another embedder.
    """

    def __init__(self, path: Path, embedder: Embedder) -> None:
        self.path = path
        self.database = path / "context.db"
        self.index = path / "index"
        self.log = path / "index.log"
        try:
            path.mkdir(parents=True, exist_ok=True)
            self._lock = _own(path)
        except OSError as error:
            raise StoreError(
                f"the context store {path} cannot be opened: {error.strerror}. "
                "Choose a directory you may write."
            ) from None
        try:
            self._prepare(embedder)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Give the directory up."""
        self._lock.close()

    def _prepare(self, embedder: Embedder) -> None:
        try:
            if not self.database.exists():
                self._create(embedder)
            self._check(embedder)
        except sqlite3.DatabaseError as error:
            said = " ".join(str(error).split())
            raise StoreError(
                f"the context store {self.database} is damaged ({said}). Restore it from a backup, or move "
                "the directory away to start anew."
            ) from None
        except OSError as error:
            raise StoreError(f"the context store {self.path} cannot be written: {error.strerror}.") from None

    def _create(self, embedder: Embedder) -> None:
        remains = [p.name for p in (self.index, self.path / "context.db-wal") if p.exists()]
        if remains:
            raise StoreError(
                f"{self.database} is missing although {' and '.join(remains)} is there. Restore it from a "
                "backup, or move the directory away to start anew."
            )
        draft = self.path / "context.db.new"
        draft.unlink(missing_ok=True)
        db = sqlite3.connect(draft, isolation_level=None)
        try:
            db.executescript(f"BEGIN; {SCHEMA} PRAGMA application_id={APPLICATION_ID}; COMMIT;")
            db.execute(f"PRAGMA user_version={SCHEMA_VERSION}")
            facts = {"embedder": embedder.fingerprint, "dim": str(embedder.dim), "theta": str(embedder.theta)}
            db.executemany("INSERT INTO meta VALUES (?, ?)", facts.items())
        finally:
            db.close()
        os.replace(draft, self.database)
        if hasattr(os, "O_DIRECTORY"):  # the new name itself must survive power loss, too
            directory = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY)
            try:
                os.fsync(directory)
            finally:
                os.close(directory)

    def _check(self, embedder: Embedder) -> None:
        if self.database.stat().st_size == 0:
            raise sqlite3.DatabaseError("it is empty")
        db = connect(self.database)
        try:
            (kind,), (version,) = (
                db.execute(f"PRAGMA {n}").fetchone() for n in ("application_id", "user_version")
            )
            if kind != APPLICATION_ID or version != SCHEMA_VERSION:
                raise StoreError(
                    f"{self.database} is not a context store of this version (schema {version}, expected "
                    f"{SCHEMA_VERSION}). Choose another directory."
                )
            db.execute("PRAGMA journal_mode=WAL")
            (verdict,) = db.execute("PRAGMA quick_check(1)").fetchone()
            if verdict != "ok":
                raise sqlite3.DatabaseError(verdict)
            (made_by,) = db.execute("SELECT value FROM meta WHERE key = 'embedder'").fetchone()
        finally:
            db.close()
        if made_by != embedder.fingerprint:
            raise StoreError(
                f"the context store {self.path} holds vectors of {made_by!r}, not of "
                f"{embedder.fingerprint!r}. Open it with the embedder that filled it: vectors of two "
                "embedders cannot be compared."
            )


def _own(path: Path) -> sqlite3.Connection:
    """Lock the directory for this process; the lock ends with the connection, or the process."""
    owner = path / "owner.pid"
    lock = sqlite3.connect(path / "owner.db", timeout=0, isolation_level=None, check_same_thread=False)
    try:
        lock.execute("PRAGMA journal_mode=MEMORY")
        lock.execute("BEGIN EXCLUSIVE")
    except sqlite3.Error as error:
        lock.close()
        if "locked" not in str(error):
            raise StoreError(
                f"the context store {path} cannot be opened: {error}. Choose a directory you may write."
            ) from None
        pid = owner.read_text().strip() if owner.exists() else "unknown"
        raise StoreError(
            f"the context store {path} is open in process {pid}. Close it there, or choose another directory."
        ) from None
    owner.write_text(str(os.getpid()))
    return lock
