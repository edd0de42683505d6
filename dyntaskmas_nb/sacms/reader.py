"""Reading the authority: snapshots, and the access test inside every read (Eqs. 14, 15)."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dyntaskmas_nb.sacms.authority import COLUMNS, connect, told
from dyntaskmas_nb.sacms.node import ContextNode, Provenance
from dyntaskmas_nb.sacms.store import relevances

if TYPE_CHECKING:
    from dyntaskmas_nb.sacms.embed import Vectors

_TAGS = "(SELECT json_group_array(tag) FROM tag WHERE tag.seq = v.seq)"
_NODE = f"SELECT {COLUMNS}, {_TAGS} FROM version v"  # noqa: S608 (constants)


@dataclass(frozen=True, slots=True, kw_only=True)
class Scored:
    """A current version and its relevance to a query."""

    seq: int
    relevance: float


class Reader:
    """Snapshot reads on a connection of its own, from any one thread at a time."""

    def __init__(self, path: Path, dim: int) -> None:
        self._db = connect(path)
        self._db.execute("PRAGMA query_only=1")
        self._dim = dim
        self._lock = threading.Lock()

    @contextmanager
    def snapshot(self) -> Iterator[None]:
        """Make all reads inside see one state of the store."""
        with self._lock, told("read"):
            self._db.execute("BEGIN")
            try:
                yield
            finally:
                self._db.execute("ROLLBACK")

    def nodes(self, where: str, values: Sequence[object], *, access: int) -> tuple[ContextNode, ...]:
        """Return current nodes at or below level `access` that fulfil a literal SQL condition."""
        rows = self._db.execute(f"{_NODE} WHERE current AND access <= ? AND {where}", (access, *values))
        return tuple(_node(row) for row in rows)

    def node_at(self, seq: int, *, access: int, tags: frozenset[str]) -> ContextNode | None:
        """Return a current version by its number, if level `access` may read it and it has one of `tags`."""
        found = self.nodes("seq = ?", (seq,), access=access)
        return found[0] if found and (not tags or tags & found[0].tags) else None

    def score(
        self, query: Vectors, *, access: int, after: int = 0, among: Sequence[int] | None = None
    ) -> list[Scored]:
        """Return the relevance of every current version with seq > `after`, or of those `among`."""
        import numpy as np

        where, value = (
            ("seq > ?", str(after))
            if among is None
            else ("seq IN (SELECT value FROM json_each(?))", json.dumps(list(among)))
        )
        sql = f"SELECT seq, unit FROM vector WHERE access <= ? AND {where}"  # noqa: S608 (literals)
        rows = self._db.execute(sql, (access, after if among is None else value)).fetchall()
        if not rows:
            return []
        units = np.frombuffer(b"".join(unit for _, unit in rows), dtype="<f4").reshape(-1, self._dim)
        scores = relevances(units, query)
        return [Scored(seq=seq, relevance=score) for (seq, _), score in zip(rows, scores, strict=True)]

    def vectors_after(self, seq: int, most: int) -> list[tuple[int, int, bytes]]:
        """Return up to `most` (seq, access, unit vector) with a greater seq, in order."""
        sql = "SELECT seq, access, unit FROM vector WHERE seq > ? ORDER BY seq LIMIT ?"
        with self.snapshot():
            return self._db.execute(sql, (seq, most)).fetchall()

    def levels(self) -> dict[int, int]:
        """Return {seq: access} of every current version that has a vector."""
        with self.snapshot():
            return dict(self._db.execute("SELECT seq, access FROM vector"))

    def close(self) -> None:
        """Close the connection once no read is under way."""
        with self._lock:
            self._db.close()


def _node(row: tuple[Any, ...]) -> ContextNode:
    id, version, domain, parent, access, owner, run, task, agent, attempt, result, *rest = row
    created, updated, text, data, tags = rest
    node = ContextNode(
        id=id, version=version, domain=domain, parent=parent, access=access, owner=owner,
        created=created, updated=updated, text=text, data=json.loads(data), tags=frozenset(json.loads(tags)),
    )  # fmt: skip
    if run is None:
        return node
    made = Provenance(run=run, task=task, agent=agent, attempt=attempt, result=bool(result))
    return replace(node, provenance=made)
