"""The authority: SQLite holds nodes, tags, levels, versions and vectors (paper §III-C, Eqs. 6–8, 14–17).

One SQLite COMMIT is the only commit point: of the versions (Eq. 16), of their vectors, which are what the
semantic index is made from (Eq. 17), and of whom they are to be delivered to (Alg. 3). A row of `version` is
written once and never changed but for `current`; its `seq` numbers all versions ever written. `vector` holds
the unit vectors of current versions only. The index can be thrown away; nothing here depends on it.

WAL with synchronous=FULL: a commit that returned survives kill -9 and power loss. One connection writes,
one reads snapshots. Commits are numbered, and the number of the last one stands beside the database, in
`context.high`: a database that knows fewer has lost its log, or is an older copy.
"""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import orjson

from dyntaskmas_nb.errors import DynTaskError, InvalidInput, StoreError
from dyntaskmas_nb.sacms.change import Change, resolve
from dyntaskmas_nb.sacms.distribution import Delivery, Subscription, Subscriptions
from dyntaskmas_nb.sacms.embed import Embedder, embed_units, vector_relevance
from dyntaskmas_nb.sacms.node import ContextNode, NodeId, Provenance, check_theta, embedded_text

if TYPE_CHECKING:
    from dyntaskmas_nb.sacms.embed import Vectors

APPLICATION_ID = 0x44544D31  # "DTM1"
SCHEMA_VERSION = 4
#: What schema 3 adds to schema 2.
OUTBOX = """
CREATE TABLE subscription(
    agent TEXT PRIMARY KEY, tags TEXT NOT NULL, access INTEGER NOT NULL, theta REAL NOT NULL) STRICT;
CREATE TABLE outbox(
    agent TEXT NOT NULL, seq INTEGER NOT NULL, relevance REAL NOT NULL, PRIMARY KEY(agent, seq))
    STRICT, WITHOUT ROWID;
ALTER TABLE meta ADD COLUMN commits INTEGER NOT NULL DEFAULT 0;
"""
#: What schema 4 adds to schema 3: the default θ (Eq. 15); `home` fills it in.
THETA = "ALTER TABLE meta ADD COLUMN theta REAL; PRAGMA user_version=4;"
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
{OUTBOX}{THETA}"""
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
        self._subscriptions = Subscriptions()
        with _told("opened"):
            self.commits, self.theta = self._writer.execute("SELECT commits, theta FROM meta").fetchone()
            self._high = os.open(path.with_suffix(".high"), os.O_WRONLY | os.O_CREAT, 0o666)
            for agent, tags, access, theta in self._writer.execute("SELECT * FROM subscription"):
                tagged = frozenset(orjson.loads(tags))
                self._subscriptions.add(Subscription(agent=agent, tags=tagged, access=access, theta=theta))

    def close(self) -> None:
        """Close once no read or write is under way."""
        with self._writing, self._reading:
            self._writer.close()
            self._reader.close()
            os.close(self._high)

    # -- writing -----------------------------------------------------------------------------------
    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        """What happens inside is written whole, or not at all."""
        with self._writing, _told("written"):
            with self._writer as db:  # leaving `db` commits or rolls back
                db.execute("BEGIN IMMEDIATE")
                yield db
                sql = "UPDATE meta SET commits = commits + 1 RETURNING commits"
                ((commits,),) = db.execute(sql).fetchall()
            self.commits = commits
            with suppress(OSError):  # it stays behind, and then can notice less
                os.pwrite(self._high, b"%020d" % commits, 0)

    def commit(self, batches: Sequence[Sequence[Change]]) -> tuple[list[Outcome], int, list[Row]]:
        """Write every batch, each all or none, in one transaction.

        Returns the outcomes, the number of the last version written, and what is no longer current.

        Raises StoreError if SQLite could not commit: nothing of any batch was written.
        """
        stale: list[Row] = []
        with self._transaction() as db:
            outcomes = [self._attempt(batch, stale) for batch in batches]
            (last,) = db.execute("SELECT ifnull(max(seq), 0) FROM version").fetchone()
        return outcomes, last, stale

    def _attempt(self, batch: Sequence[Change], stale: list[Row]) -> Outcome:
        try:
            made = resolve(batch, self._look, self._below)
            new = [node for node in made.nodes.values() if node]
            units = embed_units(self._embedder, [embedded_text(node) for node in new])
        except DynTaskError as error:
            return error
        except (TypeError, AttributeError, ValueError, OverflowError) as error:
            return InvalidInput(f"the transaction makes no sense: {type(error).__name__}: {error}")
        for id in made.nodes:
            stale += self._retire(id)
        for node, unit in zip(new, units, strict=True):
            self._write(node, made.data[node.id], unit)
        return made.versions

    def _retire(self, id: NodeId) -> list[Row]:
        """Make a node's version no longer current."""
        sql = "UPDATE version SET current = 0 WHERE id = ? AND current RETURNING seq, access"
        gone = [Row(seq, access) for seq, access in self._writer.execute(sql, (id,))]
        self._writer.executemany("DELETE FROM vector WHERE seq = ?", [(row.seq,) for row in gone])
        return gone

    def _write(self, node: ContextNode, data: str, unit: Vectors) -> None:
        made = node.provenance
        row = (
            1, node.id, node.version, node.domain, node.parent, node.access, node.owner,
            *((made.run, made.task, made.agent, made.attempt, made.result) if made else (None,) * 5),
            node.created, node.updated, orjson.dumps(sorted(node.tags)).decode(), node.text, data,
        )  # fmt: skip
        marks = ", ".join("?" * len(row))
        sql = f"INSERT INTO version(current, {_COLUMNS}) VALUES ({marks})"  # noqa: S608 (constants)
        seq = self._writer.execute(sql, row).lastrowid
        if unit.any():
            vector = (seq, node.access, unit.astype("<f4").tobytes())
            self._writer.execute("INSERT INTO vector VALUES (?, ?, ?)", vector)
        told = [
            (agent, seq, relevance)
            for agent, relevance in self._subscriptions.recipients(node.tags, node.access)
            if made is None or agent != made.agent
        ]
        self._writer.executemany("INSERT INTO outbox VALUES (?, ?, ?)", told)

    def _look(self, id: NodeId) -> tuple[ContextNode | None, int]:
        sql = f"SELECT current, {_COLUMNS} FROM version WHERE id = ? ORDER BY version DESC LIMIT 1"  # noqa: S608
        row = self._writer.execute(sql, (id,)).fetchone()
        if row is None:
            return None, 0
        node = _node(*row[1:])
        return (node if row[0] else None), node.version

    def _below(self, id: NodeId) -> list[NodeId]:
        sql = "SELECT id FROM version WHERE current AND parent = ? ORDER BY id"
        return [id for (id,) in self._writer.execute(sql, (id,))]

    def reembed(self, embedder: Embedder, chunk: int = 500) -> int:
        """Make every vector anew by another embedder, in one transaction; return how many there are."""
        theta = check_theta(embedder.theta, f"θ of embedder {embedder.name!r}")
        with self._transaction() as db:
            db.execute("DELETE FROM vector")
            (count,) = db.execute("SELECT count(*) FROM version WHERE current").fetchone()
            after = 0
            while rows := db.execute(
                f"SELECT seq, {_COLUMNS} FROM version WHERE current AND seq > ? ORDER BY seq LIMIT ?",  # noqa: S608
                (after, chunk),
            ).fetchall():
                after = rows[-1][0]
                nodes = [(seq, _node(*row)) for seq, *row in rows]
                units = embed_units(embedder, [embedded_text(node) for _, node in nodes])
                made = [
                    (seq, node.access, unit.astype("<f4").tobytes())
                    for (seq, node), unit in zip(nodes, units, strict=True)
                    if unit.any()
                ]
                db.executemany("INSERT INTO vector VALUES (?, ?, ?)", made)
            db.execute("UPDATE meta SET embedder = ?, theta = ?", (embedder.fingerprint, theta))
        self._embedder, self.theta = embedder, theta
        return int(count)

    # -- distribution ------------------------------------------------------------------------------
    def subscribe(self, subscription: Subscription) -> None:
        """Remember whom to tell of what is written from now on."""
        tags = orjson.dumps(sorted(subscription.tags)).decode()
        row = (subscription.agent, tags, subscription.access, subscription.theta)
        with self._transaction() as db:
            db.execute("INSERT OR REPLACE INTO subscription VALUES (?, ?, ?, ?)", row)
        self._subscriptions.add(subscription)

    def unsubscribe(self, agent: str) -> None:
        """Forget an agent, and what it was to be told."""
        with self._transaction() as db:
            db.execute("DELETE FROM subscription WHERE agent = ?", (agent,))
            db.execute("DELETE FROM outbox WHERE agent = ?", (agent,))
        self._subscriptions.remove(agent)

    def subscribers(self) -> tuple[str, ...]:
        """Return who subscribes, by name."""
        with self._writing:
            return self._subscriptions.agents()

    def acknowledge(self, agent: str, seq: int) -> None:
        """Drop deliveries up to `seq`."""
        with self._transaction() as db:
            db.execute("DELETE FROM outbox WHERE agent = ? AND seq <= ?", (agent, seq))

    def deliveries(self, agent: str, most: int) -> list[tuple[Delivery, ContextNode]]:
        """Return an agent's deliveries, oldest first, without what is above its level by now."""
        sql = (
            f"SELECT seq, relevance, {_COLUMNS} FROM version "  # noqa: S608 (constants)
            "JOIN (SELECT seq, relevance FROM outbox WHERE outbox.agent = ?1) USING (seq) "
            "JOIN (SELECT access AS level FROM subscription WHERE subscription.agent = ?1) "
            "WHERE access <= level AND NOT EXISTS (SELECT 1 FROM version AS now "
            "WHERE now.id = version.id AND now.current AND now.access > level) ORDER BY seq LIMIT ?2"
        )
        with self.snapshot():
            rows = self._reader.execute(sql, (agent, most)).fetchall()
        found = [(seq, relevance, _node(*row)) for seq, relevance, *row in rows]
        return [
            (Delivery(seq=seq, agent=agent, node=node.id, version=node.version, relevance=relevance), node)
            for seq, relevance, node in found
        ]

    # -- reading -----------------------------------------------------------------------------------
    @contextmanager
    def snapshot(self) -> Iterator[None]:
        """Make all reads inside see one state of the store."""
        with self._reading, _told("read"), self._reader as db:
            db.execute("BEGIN")
            yield

    def nodes(
        self, where: str, values: Sequence[object], *, access: int, every: bool = False
    ) -> list[ContextNode]:
        """Return nodes at or below level `access` that fulfil a literal SQL condition, or `every` version."""
        current = "" if every else "current AND "
        sql = f"SELECT {_COLUMNS} FROM version WHERE {current}access <= ? AND {where}"  # noqa: S608 (literals)
        return [_node(*row) for row in self._reader.execute(sql, (access, *values))]

    def below(self, id: NodeId, *, access: int) -> list[ContextNode]:
        """Return a node and all below it that level `access` may read, each before its children, by id."""
        found: list[ContextNode] = []
        waiting = self.nodes("id = ?", (id,), access=access)
        while waiting:
            found.append(waiting.pop())
            waiting += self.nodes("parent = ? ORDER BY id DESC", (found[-1].id,), access=access)
        return found

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
    """Turn an error of SQLite's, or of what it gave, into a `StoreError` that says what was being done."""
    try:
        yield
    except DynTaskError:
        raise
    except (sqlite3.Error, OSError, ValueError, TypeError) as error:
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
