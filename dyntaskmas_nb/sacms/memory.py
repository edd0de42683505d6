"""A context store in memory: exact, deterministic, no threads, no files (paper §III-C, Eqs. 6–8, 13–15).

For simulation, tests and the virtual clock: no method awaits anything that takes time, or anything at all.
Vectors are computed when the first query needs them, so that a `put` costs microseconds.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from dyntaskmas_nb.errors import StoreError
from dyntaskmas_nb.sacms.embed import Embedder, LexicalHashing, embed_units
from dyntaskmas_nb.sacms.forest import Place, check_batch
from dyntaskmas_nb.sacms.node import ContextNode, NodeId, check_node, embedded_text
from dyntaskmas_nb.sacms.store import Answer, Hit, Query, check_access, check_name, check_result, relevances

if TYPE_CHECKING:
    from dyntaskmas_nb.sacms.embed import Vectors


@dataclass(slots=True, kw_only=True)
class _Entry:
    """A current node, its data as JSON (so that nobody shares our lists), and when it was written."""

    node: ContextNode
    data: str
    order: int


class MemoryStore:
    """`ContextStore` that lives and dies with its owner. Use it from one event loop only."""

    def __init__(self, embedder: Embedder | None = None) -> None:
        self.embedder: Embedder = embedder or LexicalHashing()
        self._entries: dict[NodeId, _Entry] = {}
        self._below: dict[NodeId, set[NodeId]] = {}
        self._results: dict[tuple[str, str], dict[int, NodeId]] = {}
        self._vectors: dict[NodeId, tuple[int, Vectors]] = {}
        self._written = 0
        self._closed = False

    # -- ContextStore ------------------------------------------------------------------------------
    async def put(self, nodes: Sequence[ContextNode]) -> tuple[int, ...]:
        """See `ContextStore.put`."""
        self._check_open()
        nodes = tuple(nodes)
        encoded = [check_node(node) for node in nodes]
        check_batch(nodes, self)
        # Leave every old place before taking a new one: a batch may hand a result's slot over.
        old = [self._forget(node.id) for node in nodes]
        return tuple(map(self._write, nodes, encoded, old))

    async def get(self, id: NodeId, *, access: int) -> ContextNode | None:
        """See `ContextStore.get`."""
        self._check_open()
        level = check_access(access)
        entry = self._entries.get(NodeId(check_name(id, "the id")))
        return _copy(entry) if entry and entry.node.access <= level else None

    async def children(self, id: NodeId, *, access: int) -> tuple[ContextNode, ...]:
        """See `ContextStore.children`."""
        self._check_open()
        level = check_access(access)
        parent = await self.get(id, access=level)
        below = (self._entries[child] for child in sorted(self._below.get(id, ())) if parent)
        return tuple(_copy(entry) for entry in below if entry.node.access <= level)

    async def roots(self, domain: str, *, access: int) -> tuple[ContextNode, ...]:
        """See `ContextStore.roots`."""
        self._check_open()
        level = check_access(access)
        check_name(domain, "the domain")
        found = sorted(
            entry.node.id
            for entry in self._entries.values()
            if entry.node.domain == domain and entry.node.parent is None and entry.node.access <= level
        )
        return tuple(_copy(self._entries[id]) for id in found)

    async def query(
        self,
        text: str,
        *,
        access: int,
        theta: float | None = None,
        k: int = 10,
        tags: AbstractSet[str] | None = None,
    ) -> Answer:
        """See `ContextStore.query`; compares with every node."""
        self._check_open()
        asked = Query.checked(text, access=access, theta=theta, k=k, tags=tags, embedder=self.embedder)
        candidates = [
            entry
            for entry in self._entries.values()
            if entry.node.access <= asked.access and (not asked.tags or asked.tags & entry.node.tags)
        ]
        if not candidates:
            return Answer(hits=(), theta=asked.theta)
        import numpy as np

        query = embed_units(self.embedder, [asked.text])[0]
        scores = relevances(np.stack(self._units(candidates)), query)
        ranked = sorted(
            (-score, entry.order, entry)
            for score, entry in zip(scores, candidates, strict=True)
            if score > asked.theta
        )
        hits = tuple(Hit(node=_copy(entry), relevance=-minus) for minus, _, entry in ranked[: asked.k])
        return Answer(hits=hits, theta=asked.theta)

    async def result_of(
        self, run: str, task: str, attempt: int | None = None, *, access: int
    ) -> ContextNode | None:
        """See `ContextStore.result_of`."""
        self._check_open()
        level = check_access(access)
        check_result(run, task, attempt)
        attempts = self._results.get((run, task), {})
        visible = [
            number
            for number, id in attempts.items()
            if attempt in (None, number) and self._entries[id].node.access <= level
        ]
        return _copy(self._entries[attempts[max(visible)]]) if visible else None

    async def aclose(self) -> None:
        """See `ContextStore.aclose`; everything is forgotten."""
        self._closed = True
        self._entries.clear()
        self._vectors.clear()

    # -- Forest ------------------------------------------------------------------------------------
    def place(self, id: NodeId) -> Place | None:
        """See `Forest.place`."""
        entry = self._entries.get(id)
        if entry is None:
            return None
        node = entry.node
        return Place(id=id, parent=node.parent, domain=node.domain, access=node.access)

    def places_below(self, id: NodeId) -> Iterator[Place]:
        """See `Forest.places_below`."""
        return (place for child in self._below.get(id, ()) if (place := self.place(child)))

    def result_at(self, run: str, task: str, attempt: int) -> NodeId | None:
        """See `Forest.result_at`."""
        return self._results.get((run, task), {}).get(attempt)

    # -- inside ------------------------------------------------------------------------------------
    def _check_open(self) -> None:
        if self._closed:
            raise StoreError("the context store is closed. Make a new one.")

    def _forget(self, id: NodeId) -> _Entry | None:
        entry = self._entries.get(id)
        if entry is not None:
            if entry.node.parent is not None:
                self._below[entry.node.parent].discard(id)
            made = entry.node.provenance
            if made is not None and made.result:
                del self._results[made.run, made.task][made.attempt]
        return entry

    def _write(self, node: ContextNode, data: str, old: _Entry | None) -> int:
        version = old.node.version + 1 if old else 1
        created = old.node.created if old else node.created
        kept = replace(node, data=None, version=version, created=created, tags=frozenset(node.tags))
        self._written += 1
        self._entries[node.id] = _Entry(node=kept, data=data, order=self._written)
        if node.parent is not None:
            self._below.setdefault(node.parent, set()).add(node.id)
        made = node.provenance
        if made is not None and made.result:
            self._results.setdefault((made.run, made.task), {})[made.attempt] = node.id
        return version

    def _units(self, entries: list[_Entry]) -> list[Vectors]:
        """Return the unit vectors of `entries`, computing those that are missing or out of date."""
        stale = [e for e in entries if self._vectors.get(e.node.id, (0,))[0] != e.order]
        fresh = embed_units(self.embedder, [embedded_text(e.node) for e in stale])
        for entry, vector in zip(stale, fresh, strict=True):
            self._vectors[entry.node.id] = (entry.order, vector)
        return [self._vectors[e.node.id][1] for e in entries]


def _copy(entry: _Entry) -> ContextNode:
    return replace(entry.node, data=json.loads(entry.data))
