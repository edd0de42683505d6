"""The authority: SQLite holds nodes, tags, levels, versions and vectors (paper §III-C, Eqs. 6–8, 14–17).

One SQLite COMMIT is the only commit point. A row of `version` is written once and never changed but for
`current`; its `seq` numbers all versions ever written. `vector` holds the unit vectors of current versions
only. The semantic index is derived from `vector` and can be thrown away; nothing here depends on it.

WAL with synchronous=FULL: a commit that returned survives kill -9 and power loss. One connection writes,
one reads snapshots.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import orjson

from dyntaskmas_nb.errors import DynTaskError, StoreError
from dyntaskmas_nb.sacms.embed import Embedder, embed_units, vector_relevance
from dyntaskmas_nb.sacms.node import ContextNode, NodeId, Provenance, check_node, embedded_text
from dyntaskmas_nb.sacms.store import Place, check_batch

if TYPE_CHECKING:
    from dyntaskmas_nb.sacms.embed import Vectors

APPLICATION_ID = 0x44544D31  # "DTM1"
SCHEMA_VERSION = 2
SCHEMA = f"""
CREATE TABLE meta(embedder TEXT NOT NULL) STRICT;
CREATE TABLE version(
    seq INTEGER PRIMARY KEY AUTOINCREMENT, current INTEGER NOT NULL,
    id TEXT NOT NULL, version INTEGER NOT NULL, domain TEXT NOT NULL, parent TEXT, access INTEGER NOT NULL,
    owner TEXT NOT NULL, run TEXT, task TEXT, agent TEXT, attempt INTEGER, result INTEGER,
    created REAL NOT NULL, updated REAL NOT NULL, tags TEXT NOT NULL, text TEXT NOT NULL, data TEXT NOT NULL,
    UNIQUE(id, version)) STRICT;
CREATE UNIQUE INDEX current_id ON version(id) WHERE current;
CREATE INDEX current_parent ON version(parent) WHERE current;
CREATE INDEX current_root ON version(domain) WHERE current AND parent IS NULL;
CREATE INDEX current_result ON version(run, task, attempt) WHERE current AND result;
CREATE TABLE vector(seq INTEGER PRIMARY KEY, access INTEGER NOT NULL, unit BLOB NOT NULL) STRICT;
PRAGMA application_id={APPLICATION_ID};
PRAGMA user_version={SCHEMA_VERSION};
"""
_COLUMNS = (
    "id, version, domain, parent, access, owner, run, task, agent, attempt, result, "
    "created, updated, tags, text, data"
)
Outcome = tuple[int, ...] | Exception
"""A batch's new versions, or why it was refused."""


class Row(NamedTuple):
    """A version as the index knows it: its number, its level, its unit vector (float32 bytes)."""

    seq: int
    access: int
    unit: bytes = b""


class Authority:
    """An opened `context.db`, which `path` holds in good order. Writing and reading may go on at once."""

    def __init__(self, path: Path, embedder: Embedder) -> None:
        self._embedder = embedder
        self._writer, self._reader = connect(path), connect(path)
        self._writing, self._reading = threading.Lock(), threading.Lock()
        self.commits = 0

    def close(self) -> None:
        """Close once no read or write is under way."""
        with self._writing, self._reading:
            self._writer.close()
            self._reader.close()

    # -- writing -----------------------------------------------------------------------------------
    def commit(self, batches: Sequence[Sequence[ContextNode]]) -> tuple[list[Outcome], int, list[Row]]:
        """Write every batch, each all or none, in one transaction.

        Returns the outcomes, the number of the last version written, and what is no longer current.

        Raises StoreError if SQLite could not commit: nothing of any batch was written.
        """
        stale: list[Row] = []
        with self._writing, _told("written"), self._writer as db:  # leaving `db` commits or rolls back
            db.execute("BEGIN IMMEDIATE")
            outcomes = [self._attempt(batch, stale) for batch in batches]
            (last,) = db.execute("SELECT ifnull(max(seq), 0) FROM version").fetchone()
        self.commits += 1
        return outcomes, last, stale

    def _attempt(self, batch: Sequence[ContextNode], stale: list[Row]) -> Outcome:
        try:
            data = [check_node(node) for node in batch]
            units = embed_units(self._embedder, [embedded_text(node) for node in batch])
            check_batch(batch, self._place)
        except DynTaskError as error:
            return error
        return tuple(self._write(*one, stale) for one in zip(batch, data, units, strict=True))

    def _write(self, node: ContextNode, data: str, unit: Vectors, stale: list[Row]) -> int:
        version, created = 1, node.created
        sql = "SELECT seq, access, version, created FROM version WHERE id = ? AND current"
        if old := self._writer.execute(sql, (node.id,)).fetchone():
            seq, access, before, created = old
            version = before + 1
            self._writer.execute("UPDATE version SET current = 0 WHERE seq = ?", (seq,))
            self._writer.execute("DELETE FROM vector WHERE seq = ?", (seq,))
            stale.append(Row(seq, access))
        made = node.provenance
        row = (
            1, node.id, version, node.domain, node.parent, node.access, node.owner,
            *((made.run, made.task, made.agent, made.attempt, made.result) if made else (None,) * 5),
            created, node.updated, orjson.dumps(sorted(node.tags)).decode(), node.text, data,
        )  # fmt: skip
        marks = ", ".join("?" * len(row))
        sql = f"INSERT INTO version(current, {_COLUMNS}) VALUES ({marks})"  # noqa: S608 (constants)
        new = self._writer.execute(sql, row).lastrowid
        if unit.any():
            vector = (new, node.access, unit.astype("<f4").tobytes())
            self._writer.execute("INSERT INTO vector VALUES (?, ?, ?)", vector)
        return version

    def _place(self, id: NodeId) -> Place | None:
        sql = "SELECT domain, parent, access FROM version WHERE current AND id = ?"
        row = self._writer.execute(sql, (id,)).fetchone()
        return Place._make(row) if row else None

    # -- reading -----------------------------------------------------------------------------------
    @contextmanager
    def snapshot(self) -> Iterator[None]:
        """Make all reads inside see one state of the store."""
        with self._reading, _told("read"), self._reader as db:
            db.execute("BEGIN")
            yield

    def nodes(self, where: str, values: Sequence[object], *, access: int) -> list[ContextNode]:
        """Return current nodes at or below level `access` that fulfil a literal SQL condition."""
        sql = f"SELECT {_COLUMNS} FROM version WHERE current AND access <= ? AND {where}"  # noqa: S608 (literals)
        return [_node(*row) for row in self._reader.execute(sql, (access, *values))]

    def scores(
        self, query: Vectors, *, access: int, after: int = 0, among: Sequence[int] = ()
    ) -> list[tuple[float, int]]:
        """Return (relevance, seq) of versions that level `access` may read: `among`, and all > `after`."""
        import numpy as np

        sql = (
            "SELECT seq, unit FROM vector WHERE access <= ?1 AND "
            "(seq > ?2 OR seq IN (SELECT value FROM json_each(?3)))"
        )
        rows = self._reader.execute(sql, (access, after, orjson.dumps(among).decode())).fetchall()
        units = np.frombuffer(b"".join(unit for _, unit in rows), dtype="<f4").reshape(len(rows), len(query))
        return list(zip(vector_relevance(units, query).tolist(), (seq for seq, _ in rows), strict=True))

    def rows_after(self, seq: int, most: int) -> list[Row]:
        """Return up to `most` current versions with a greater number, in order."""
        sql = "SELECT seq, access, unit FROM vector WHERE seq > ? ORDER BY seq LIMIT ?"
        with self.snapshot():
            return list(map(Row._make, self._reader.execute(sql, (seq, most))))

    def levels(self) -> dict[int, int]:
        """Return {seq: level} of every current version that has a vector."""
        with self.snapshot():
            return dict(self._reader.execute("SELECT seq, access FROM vector"))


def connect(path: Path) -> sqlite3.Connection:
    """Return a connection that is durable at COMMIT and usable from any one thread at a time."""
    db = sqlite3.connect(path, timeout=10, isolation_level=None, check_same_thread=False)
    db.execute("PRAGMA synchronous=FULL")
    return db


@contextmanager
def _told(what: str) -> Iterator[None]:
    """Turn an error of SQLite's into a `StoreError` that says what was being done."""
    try:
        yield
    except sqlite3.Error as error:
        raise StoreError(
            f"the context store could not be {what}: {error}. Check disk space and rights, then reopen it.",
            error,
        ) from error


def _node(*row: Any) -> ContextNode:
    id, version, domain, parent, access, owner, run, task, agent, attempt, result, *rest = row
    created, updated, tags, text, data = rest
    made = None
    if run is not None:
        made = Provenance(run=run, task=task, agent=agent, attempt=attempt, result=bool(result))
    return ContextNode(
        id=id, version=version, domain=domain, parent=parent, access=access, owner=owner, provenance=made,
        created=created, updated=updated, text=text, data=orjson.loads(data),
        tags=frozenset(orjson.loads(tags)),
    )  # fmt: skip
