"""The directory of a Chroma context store: who owns it, and whether what lies in it can be trusted.

context.db     the authority (SQLite), and its log
context.high   how many commits it has seen; without it the index is built anew
owner.db       locked by the one process that has the store open; owner.pid says which
index/         Chroma's files; may be deleted at any time, is rebuilt from context.db
index.log      what the index process wrote to its standard error, since it last started
"""

from __future__ import annotations

import os
import shutil
import sqlite3
from contextlib import closing, suppress
from pathlib import Path

from dyntaskmas_nb.errors import StoreError, StoreLocked
from dyntaskmas_nb.sacms.authority import APPLICATION_ID, OUTBOX, SCHEMA, SCHEMA_VERSION, THETA, connect
from dyntaskmas_nb.sacms.embed import Embedder
from dyntaskmas_nb.sacms.node import check_theta


def own(path: Path) -> sqlite3.Connection:
    """Lock the directory for this process; the lock ends with the connection, or the process."""
    owner = path / "owner.pid"
    try:
        path.mkdir(parents=True, exist_ok=True)
        lock = sqlite3.connect(path / "owner.db", timeout=0, isolation_level=None, check_same_thread=False)
        try:
            lock.execute("PRAGMA journal_mode=MEMORY")
            lock.execute("BEGIN EXCLUSIVE")
            owner.write_text(str(os.getpid()))
        except BaseException:
            lock.close()
            raise
    except (OSError, sqlite3.Error) as error:
        if "locked" in str(error):
            pid = owner.read_text(errors="replace") if owner.exists() else "unknown"
            raise StoreLocked(
                f"the context store {path} is open in process {pid}. Close it there, or choose another."
            ) from None
        advice = "Choose a directory you may write."
        if getattr(error, "sqlite_errorname", "") in {"SQLITE_NOTADB", "SQLITE_CORRUPT"}:
            advice = "Only its lock, owner.db, is damaged: delete that when no process has the store open."
        raise StoreError(f"the context store {path} cannot be opened: {error}. {advice}") from None
    return lock


def prepare(path: Path, embedder: Embedder) -> Path:
    """Return the authority's file, made if the store is new.

    It appears under its name only when it is complete, so a length of zero, or its absence beside its WAL or
    an index, means damage; raises StoreError then, InvalidInput if the embedder's θ is not in [0, 1].
    """
    theta = check_theta(embedder.theta, f"θ of embedder {embedder.name!r}")
    database = path / "context.db"
    try:
        if not database.exists():
            if any((path / name).exists() for name in ("index", "context.db-wal", "context.high")):
                raise sqlite3.DatabaseError("it is missing")
            draft = path / "context.db.new"
            draft.unlink(missing_ok=True)
            with closing(sqlite3.connect(draft, isolation_level=None)) as db:
                db.executescript(f"BEGIN; {SCHEMA} COMMIT;")
                db.execute("INSERT INTO meta(embedder, theta) VALUES (?, ?)", (embedder.fingerprint, theta))
            os.replace(draft, database)
        _check(database, embedder)
    except StoreError:
        raise
    except (OSError, sqlite3.Error, ValueError) as error:
        raise StoreError(
            f"the context store {database} is damaged or cannot be written ({' '.join(str(error).split())}). "
            "Restore it from a backup, or move its directory away to start anew."
        ) from None
    return database


def _check(database: Path, embedder: Embedder) -> None:
    if database.stat().st_size == 0:
        raise sqlite3.DatabaseError("it is empty")
    with closing(connect(database)) as db:
        (kind,), (version,) = (
            db.execute(f"PRAGMA {n}").fetchone() for n in ("application_id", "user_version")
        )
        if kind == APPLICATION_ID and version in {2, 3}:
            db.executescript(f"BEGIN IMMEDIATE; {OUTBOX if version == 2 else ''} {THETA} COMMIT;")
            version = SCHEMA_VERSION
        if (kind, version) != (APPLICATION_ID, SCHEMA_VERSION):
            raise StoreError(f"{database} is no context store of this version. Choose another directory.")
        db.execute("PRAGMA journal_mode=WAL")
        (verdict,) = db.execute("PRAGMA quick_check(1)").fetchone()
        if verdict != "ok":
            raise sqlite3.DatabaseError(verdict)
        ((made_by, commits, theta),) = db.execute("SELECT embedder, commits, theta FROM meta").fetchall()
        if theta is None and made_by == embedder.fingerprint:
            db.execute("UPDATE meta SET theta = ?", (theta := float(embedder.theta),))
    high = database.with_suffix(".high")
    seen = high.read_bytes() if high.exists() else b""
    if not seen.isdigit():
        remove(database.with_name("index"))  # nothing says that it is not a newer one's
    elif int(seen) > commits:
        raise StoreError(
            f"the context store {database} has {commits} of {int(seen)} commits: its log (context.db-wal) "
            f"is lost, or it is an older copy. Restore a whole backup, or go on by deleting {high.name}."
        )
    if made_by != embedder.fingerprint:
        raise StoreError(
            f"the context store {database} holds vectors of {made_by!r}, not of {embedder.fingerprint!r}. "
            "Open it with the embedder that filled it."
        )
    check_theta(theta, "its θ")


def remove(path: Path) -> None:
    """Delete a file or a directory, if it can be."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        with suppress(OSError):
            path.unlink()
