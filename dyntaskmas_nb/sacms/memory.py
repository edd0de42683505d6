"""A context store in memory: exact, deterministic, no threads, no files (paper §III-C, Eqs. 6–8, 13–15).

For simulation, tests and the virtual clock: no method waits for anything. Vectors are computed when the
first query needs them, so that a `put` costs microseconds, and stay in one matrix, a row for each node.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from heapq import nsmallest
from typing import TYPE_CHECKING

import orjson

from dyntaskmas_nb.errors import StoreError
from dyntaskmas_nb.sacms.embed import Embedder, LexicalHashing, embed_units, vector_relevance
from dyntaskmas_nb.sacms.node import (
    ContextNode,
    NodeId,
    check_count,
    check_name,
    check_node,
    check_result,
    embedded_text,
)
from dyntaskmas_nb.sacms.store import Answer, Hit, Place, check_batch, check_query

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


@dataclass(slots=True, kw_only=True)
class _Entry:
    """A current node, its data as JSON (nobody shares our lists), when written, and its matrix row."""

    node: ContextNode
    data: str
    order: int
    row: int


class MemoryStore:
    """`ContextStore` that lives and dies with its owner. Use it from one event loop only."""

    def __init__(self, embedder: Embedder | None = None) -> None:
        self.embedder: Embedder = embedder or LexicalHashing()
        self._entries: dict[NodeId, _Entry] = {}  # in the order of rows
        self._unembedded: dict[NodeId, _Entry] = {}
        self._units: NDArray[np.float64] | None = None
        self._written = 0
        self._closed = False

    # -- ContextStore ------------------------------------------------------------------------------
    async def put(self, nodes: Sequence[ContextNode]) -> tuple[int, ...]:
        """See `ContextStore.put`."""
        self._check_open()
        encoded = [check_node(node) for node in nodes]
        check_batch(nodes, self._place)
        return tuple(map(self._write, nodes, encoded))

    async def get(self, id: NodeId, *, access: int) -> ContextNode | None:
        """See `ContextStore.get`."""
        entry = self._entries.get(NodeId(check_name(id, "the id")))
        found = self._read(lambda node: True, access, [entry] if entry else [])
        return found[0] if found else None

    async def children(self, id: NodeId, *, access: int) -> tuple[ContextNode, ...]:
        """See `ContextStore.children`."""
        check_name(id, "the id")
        return self._read(lambda node: node.parent == id, access)

    async def roots(self, domain: str, *, access: int) -> tuple[ContextNode, ...]:
        """See `ContextStore.roots`."""
        check_name(domain, "the domain")
        return self._read(lambda node: node.domain == domain and node.parent is None, access)

    async def result_of(
        self, run: str, task: str, attempt: int | None = None, *, access: int
    ) -> ContextNode | None:
        """See `ContextStore.result_of`."""
        check_result(run, task, 0 if attempt is None else attempt)

        def wanted(node: ContextNode) -> bool:
            made = node.provenance
            return made is not None and made.result and (made.run, made.task) == (run, task)

        found = {node.provenance.attempt: node for node in self._read(wanted, access) if node.provenance}
        return found.get(max(found, default=0) if attempt is None else attempt)

    async def query(self, text: str, *, access: int, theta: float | None = None, k: int = 10) -> Answer:
        """See `ContextStore.query`; compares with every node."""
        self._check_open()
        theta = check_query(text, access, theta, k, self.embedder)
        scores = vector_relevance(self._matrix(), embed_units(self.embedder, [text])[0])
        found = (
            (-score, entry.order, entry)
            for score, entry in zip(scores.tolist(), self._entries.values(), strict=True)
            if score > theta and entry.node.access <= access
        )
        best = nsmallest(k, found)
        hits = tuple(Hit(node=_copy(entry), relevance=-minus) for minus, _, entry in best)
        return Answer(hits=hits, theta=theta)

    async def aclose(self) -> None:
        """See `ContextStore.aclose`; everything is forgotten."""
        self._closed = True
        self._entries.clear()
        self._unembedded.clear()
        self._units = None

    # -- inside ------------------------------------------------------------------------------------
    def _check_open(self) -> None:
        if self._closed:
            raise StoreError("the context store is closed. Make a new one.")

    def _place(self, id: NodeId) -> Place | None:
        entry = self._entries.get(id)
        return Place(entry.node.domain, entry.node.parent, entry.node.access) if entry else None

    def _read(
        self, wanted: Callable[[ContextNode], bool], access: int, among: Iterable[_Entry] | None = None
    ) -> tuple[ContextNode, ...]:
        self._check_open()
        check_count(access, "access")
        entries = self._entries.values() if among is None else among
        found = [entry for entry in entries if entry.node.access <= access and wanted(entry.node)]
        return tuple(_copy(entry) for entry in sorted(found, key=lambda entry: entry.node.id))

    def _write(self, node: ContextNode, data: str) -> int:
        self._written += 1
        version, created, row = 1, node.created, len(self._entries)
        if old := self._entries.get(node.id):
            version, created, row = old.node.version + 1, old.node.created, old.row
        kept = replace(node, data=None, version=version, created=created, tags=frozenset(node.tags))
        entry = _Entry(node=kept, data=data, order=self._written, row=row)
        self._entries[node.id] = self._unembedded[node.id] = entry
        return version

    def _matrix(self) -> NDArray[np.float64]:
        """Return the unit vectors of all nodes, row by row, computing only those that are missing."""
        import numpy as np

        if self._units is None:
            self._units = np.zeros((0, self.embedder.dim))
        if (missing := len(self._entries) - len(self._units)) > 0:  # grow by half: few copies of a row
            more = np.zeros((missing + len(self._entries) // 2, self.embedder.dim))
            self._units = np.concatenate([self._units, more])
        if fresh := list(self._unembedded.values()):
            units = embed_units(self.embedder, [embedded_text(entry.node) for entry in fresh])
            self._units[[entry.row for entry in fresh]] = units
            self._unembedded.clear()
        return self._units[: len(self._entries)]


def _copy(entry: _Entry) -> ContextNode:
    return replace(entry.node, data=orjson.loads(entry.data))
