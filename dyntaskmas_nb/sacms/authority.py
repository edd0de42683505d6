"""The authority: SQLite holds nodes, tags, levels, versions and vectors (paper §III-C, Eqs. 6–8, 16, 17).

One SQLite COMMIT is the only commit point. A row of `version` is written once and never changed but for
`current`; its `seq` numbers all versions ever written. `vector` holds the unit vectors of current versions
only. The semantic index is derived from `vector` and can be thrown away; nothing here depends on it.

WAL with synchronous=FULL: a commit that returned survives kill -9 and power loss. The one
connection that writes is `writer`; readers (`reader`) have connections, and thereby snapshots, of their own.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from dyntaskmas_nb.errors import StoreError

SCHEMA = """
CREATE TABLE meta(key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;
CREATE TABLE version(
    seq INTEGER PRIMARY KEY AUTOINCREMENT, current INTEGER NOT NULL,
    id TEXT NOT NULL, version INTEGER NOT NULL, domain TEXT NOT NULL, parent TEXT, access INTEGER NOT NULL,
    owner TEXT NOT NULL, run TEXT, task TEXT, agent TEXT, attempt INTEGER, result INTEGER,
    created REAL NOT NULL, updated REAL NOT NULL, text TEXT NOT NULL, data TEXT NOT NULL,
    UNIQUE(id, version)) STRICT;
CREATE UNIQUE INDEX current_id ON version(id) WHERE current;
CREATE INDEX current_parent ON version(parent) WHERE current;
CREATE INDEX current_root ON version(domain) WHERE current AND parent IS NULL;
CREATE UNIQUE INDEX current_result ON version(run, task, attempt) WHERE current AND result;
CREATE TABLE tag(seq INTEGER NOT NULL, tag TEXT NOT NULL, PRIMARY KEY(seq, tag)) STRICT, WITHOUT ROWID;
CREATE TABLE vector(seq INTEGER PRIMARY KEY, access INTEGER NOT NULL, unit BLOB NOT NULL) STRICT;
"""
COLUMNS = (
    "id, version, domain, parent, access, owner, run, task, agent, attempt, result, "
    "created, updated, text, data"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Stale:
    """A version that is no longer current; the index may forget it."""

    seq: int
    access: int


def connect(path: Path) -> sqlite3.Connection:
    """Return a connection that is durable at COMMIT and usable from any one thread at a time."""
    db = sqlite3.connect(path, timeout=10, isolation_level=None, check_same_thread=False)
    db.execute("PRAGMA synchronous=FULL")
    return db


@contextmanager
def told(what: str) -> Iterator[None]:
    """Turn an error of SQLite's into a `StoreError` that says what was being done."""
    try:
        yield
    except sqlite3.Error as error:
        raise StoreError(
            f"the context store could not be {what}: {error}. Check disk space and rights, then reopen it."
        ) from error
