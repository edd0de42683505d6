"""Writing the authority: one transaction for the batches of many writers (Eqs. 16, 17)."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from dyntaskmas_nb.errors import DynTaskError, InvalidInput, StoreError
from dyntaskmas_nb.sacms.authority import COLUMNS, Stale, connect, told
from dyntaskmas_nb.sacms.embed import Embedder, embed_units
from dyntaskmas_nb.sacms.forest import Place, check_batch
from dyntaskmas_nb.sacms.node import ContextNode, NodeId, check_node, embedded_text

if TYPE_CHECKING:
    from dyntaskmas_nb.sacms.embed import Vectors


class Writer:
    """The one connection that writes. `commit` is called by one thread at a time."""

    def __init__(self, path: Path, embedder: Embedder) -> None:
        self._db = connect(path)
        self._embedder = embedder
        self._lock = threading.Lock()
        self.commits = 0

    def commit(
        self, batches: Sequence[Sequence[ContextNode]]
    ) -> tuple[list[tuple[int, ...] | DynTaskError], list[Stale]]:
        """Write every batch, each all or none, in one transaction; give versions or why it was refused.

        Raises
        ------
        StoreError
            SQLite could not commit: nothing of any batch was written.
        """
        prepared = [self._prepare(batch) for batch in batches]
        outcomes: list[tuple[int, ...] | DynTaskError] = []
        stale: list[Stale] = []
        with self._lock, told("written"):
            self._db.execute("BEGIN IMMEDIATE")
            try:
                for batch, ready in zip(batches, prepared, strict=True):
                    outcomes.append(self._attempt(batch, ready, stale))
                self._db.execute("COMMIT")
            except BaseException:
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")
                raise
        self.commits += 1
        return outcomes, stale

    def close(self) -> None:
        """Close the connection once no commit is under way."""
        with self._lock:
            self._db.close()

    def _prepare(self, batch: Sequence[ContextNode]) -> tuple[list[str], Vectors] | DynTaskError:
        try:
            data = [check_node(node) for node in batch]
            return data, embed_units(self._embedder, [embedded_text(node) for node in batch])
        except (InvalidInput, StoreError) as error:
            return error

    def _attempt(
        self,
        batch: Sequence[ContextNode],
        ready: tuple[list[str], Vectors] | DynTaskError,
        stale: list[Stale],
    ) -> tuple[int, ...] | DynTaskError:
        if isinstance(ready, DynTaskError):
            return ready
        try:
            check_batch(batch, self)
        except InvalidInput as error:
            return error
        # All current rows go before new ones come: a batch may hand a result's slot over.
        old = [self._retire(node.id, stale) for node in batch]
        for node, data, vector, before in zip(batch, *ready, old, strict=True):
            self._insert(node, data, vector, before)
        return tuple(version + 1 for version, _ in old)

    def _retire(self, id: NodeId, stale: list[Stale]) -> tuple[int, float | None]:
        sql = "SELECT seq, version, created, access FROM version WHERE id = ? AND current"
        row = self._db.execute(sql, (id,)).fetchone()
        if row is None:
            return 0, None
        seq, version, created, access = row
        self._db.execute("UPDATE version SET current = 0 WHERE seq = ?", (seq,))
        self._db.execute("DELETE FROM vector WHERE seq = ?", (seq,))
        stale.append(Stale(seq=seq, access=access))
        return version, created

    def _insert(self, node: ContextNode, data: str, unit: Vectors, before: tuple[int, float | None]) -> None:
        made = node.provenance
        version, created = before
        origin = (made.run, made.task, made.agent, made.attempt, made.result) if made else (None,) * 5
        row = (
            1, node.id, version + 1, node.domain, node.parent, node.access, node.owner, *origin,
            node.created if created is None else created, node.updated, node.text, data,
        )  # fmt: skip
        marks = ", ".join("?" * len(row))
        sql = f"INSERT INTO version(current, {COLUMNS}) VALUES ({marks})"  # noqa: S608 (constants)
        seq = self._db.execute(sql, row).lastrowid
        self._db.executemany("INSERT INTO tag VALUES (?, ?)", [(seq, tag) for tag in sorted(node.tags)])
        if unit.any():
            self._db.execute(
                "INSERT INTO vector VALUES (?, ?, ?)", (seq, node.access, unit.astype("<f4").tobytes())
            )

    # -- Forest ------------------------------------------------------------------------------------
    def place(self, id: NodeId) -> Place | None:
        """See `Forest.place`."""
        return next(iter(self._places("id = ?", id)), None)

    def places_below(self, id: NodeId) -> list[Place]:
        """See `Forest.places_below`."""
        return self._places("parent = ?", id)

    def result_at(self, run: str, task: str, attempt: int) -> NodeId | None:
        """See `Forest.result_at`."""
        sql = "SELECT id FROM version WHERE run = ? AND task = ? AND attempt = ? AND result AND current"
        row = self._db.execute(sql, (run, task, attempt)).fetchone()
        return NodeId(row[0]) if row else None

    def _places(self, where: str, id: NodeId) -> list[Place]:
        sql = f"SELECT id, parent, domain, access FROM version WHERE current AND {where}"  # noqa: S608 (a literal)
        return [Place(id=i, parent=p, domain=d, access=a) for i, p, d, a in self._db.execute(sql, (id,))]
