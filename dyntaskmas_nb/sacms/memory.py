"""A context store in memory: exact, deterministic, no threads, no files (paper §III-C, Eqs. 6–8, 12–16).

For simulation, tests and the virtual clock: no method waits for anything. Vectors are computed when the
first query needs them, so that a write costs microseconds, and stay in one matrix, a row for each version.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import orjson

from dyntaskmas_nb.errors import StoreError
from dyntaskmas_nb.sacms.change import Change, Put, resolve
from dyntaskmas_nb.sacms.distribution import Delivery, Subscription, Subscriptions
from dyntaskmas_nb.sacms.embed import Embedder, LexicalHashing, embed_units, vector_relevance
from dyntaskmas_nb.sacms.node import (
    ContextNode,
    NodeId,
    check_count,
    check_name,
    check_result,
    embedded_text,
)
from dyntaskmas_nb.sacms.store import EXPLAINED, Answer, Considered, Hit, NodeLocks, check_query, considered

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


@dataclass(slots=True)
class _Entry:
    """A version, and its data as JSON: nobody shares our lists. Its number is its place among all."""

    node: ContextNode
    data: str
    seq: int


class MemoryStore:
    """`ContextStore` that lives and dies with its owner. Use it from one event loop only."""

    def __init__(self, embedder: Embedder | None = None) -> None:
        self.embedder: Embedder = embedder or LexicalHashing()
        self._versions: list[_Entry] = []
        self._of: dict[NodeId, list[_Entry]] = {}
        self._current: dict[NodeId, _Entry] = {}
        self._below: defaultdict[NodeId, dict[NodeId, None]] = defaultdict(dict)
        self._units: NDArray[np.float64] | None = None
        self._embedded = 0
        self._subscriptions = Subscriptions()
        self._outbox: defaultdict[str, deque[tuple[Delivery, _Entry]]] = defaultdict(deque)
        self._locks = NodeLocks()
        self._closed = False

    # -- writing -----------------------------------------------------------------------------------
    async def put(self, nodes: Sequence[ContextNode]) -> tuple[int, ...]:
        """See `ContextStore.put`."""
        return await self.write([Put(node=node) for node in nodes])

    async def write(self, changes: Sequence[Change]) -> tuple[int, ...]:
        """See `ContextStore.write`."""
        self._check_open()
        made = resolve(changes, self._look, lambda id: tuple(self._below.get(id, ())))
        for id, node in made.nodes.items():
            if old := self._current.pop(id, None):
                self._below[old.node.parent or NodeId("")].pop(id, None)
            if node is not None:
                self._write(node, made.data[id])
        return made.versions

    def lock(self, *ids: NodeId) -> AbstractAsyncContextManager[None]:
        """See `ContextStore.lock`."""
        return self._locks.hold(ids)

    def _look(self, id: NodeId) -> tuple[ContextNode | None, int]:
        if (every := self._of.get(id)) is None:
            return None, 0
        return (_copy(every[-1]) if id in self._current else None), every[-1].node.version

    def _write(self, node: ContextNode, data: str) -> None:
        entry = _Entry(node, data, len(self._versions))
        self._versions.append(entry)
        self._of.setdefault(node.id, []).append(entry)
        self._current[node.id] = entry
        if node.parent is not None:
            self._below[node.parent][node.id] = None
        for agent, relevance in self._subscriptions.recipients(node.tags, node.access):
            if node.provenance is None or agent != node.provenance.agent:
                told = Delivery(
                    seq=entry.seq + 1, agent=agent, node=node.id, version=node.version, relevance=relevance
                )
                self._outbox[agent].append((told, entry))

    # -- reading -----------------------------------------------------------------------------------
    async def get(self, id: NodeId, *, access: int) -> ContextNode | None:
        """See `ContextStore.get`."""
        entry = self._current.get(NodeId(check_name(id, "the id")))
        found = self._read(lambda node: True, access, [entry] if entry else [])
        return found[0] if found else None

    async def children(self, id: NodeId, *, access: int) -> tuple[ContextNode, ...]:
        """See `ContextStore.children`."""
        below = self._below.get(NodeId(check_name(id, "the id")), ())
        return self._read(lambda node: True, access, [self._current[each] for each in below])

    async def domains(self, *, access: int) -> tuple[str, ...]:
        """See `ContextStore.domains`."""
        return tuple(sorted({node.domain for node in self._read(lambda node: node.parent is None, access)}))

    async def roots(self, domain: str, *, access: int) -> tuple[ContextNode, ...]:
        """See `ContextStore.roots`."""
        check_name(domain, "the domain")
        return self._read(lambda node: node.domain == domain and node.parent is None, access)

    async def subtree(self, id: NodeId, *, access: int) -> tuple[ContextNode, ...]:
        """See `ContextStore.subtree`."""
        top = await self.get(id, access=access)
        found, waiting = [], [top] if top else []
        while waiting:
            found.append(waiting.pop())
            waiting += reversed(await self.children(found[-1].id, access=access))
        return tuple(found)

    async def versions(self, id: NodeId, *, access: int) -> tuple[ContextNode, ...]:
        """See `ContextStore.versions`."""
        self._check_open()
        check_count(access, "access")
        every = self._of.get(NodeId(check_name(id, "the id")), ())
        return tuple(_copy(entry) for entry in every if entry.node.access <= access)

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
        theta = check_query(text, access, theta, k, self.embedder.theta)
        found = [(score, entry) for score, entry in self._ranked(text, access) if score > theta][:k]
        return Answer(hits=tuple(Hit(node=_copy(e), relevance=score) for score, e in found), theta=theta)

    async def explain(
        self, text: str, *, access: int, theta: float | None = None, k: int = 10
    ) -> tuple[Considered, ...]:
        """See `ContextStore.explain`."""
        theta = check_query(text, access, theta, k, self.embedder.theta)
        scored = [(score, entry.node) for score, entry in self._ranked(text, access)[: k + EXPLAINED]]
        return considered(scored, text, theta, k)

    def _ranked(self, text: str, access: int) -> list[tuple[float, _Entry]]:
        """Current versions that have a vector, with their relevance, the best and then the oldest first."""
        self._check_open()
        unit = embed_units(self.embedder, [text])[0]
        if not unit.any():
            return []
        scores = vector_relevance(self._matrix(), unit).tolist()
        visible = [entry for entry in self._current.values() if entry.node.access <= access]
        scored = [(scores[entry.seq], entry) for entry in visible if self._has_vector(entry)]
        return sorted(scored, key=lambda pair: (-pair[0], pair[1].seq))

    def _has_vector(self, entry: _Entry) -> bool:
        assert self._units is not None
        return bool(self._units[entry.seq].any())

    # -- distribution ------------------------------------------------------------------------------
    async def subscribe(self, subscription: Subscription) -> None:
        """See `ContextStore.subscribe`."""
        self._check_open()
        self._subscriptions.add(subscription)

    async def unsubscribe(self, agent: str) -> None:
        """See `ContextStore.unsubscribe`."""
        self._check_open()
        self._subscriptions.remove(agent)
        self._outbox.pop(agent, None)

    async def subscribers(self) -> tuple[str, ...]:
        """See `ContextStore.subscribers`."""
        self._check_open()
        return self._subscriptions.agents()

    async def deliveries(self, agent: str, *, most: int = 100) -> tuple[tuple[Delivery, ContextNode], ...]:
        """See `ContextStore.deliveries`."""
        self._check_open()
        check_count(most, "most", least=1)
        mine = self._subscriptions.get(agent)
        found = [
            (told, _copy(entry))
            for told, entry in self._outbox.get(agent, ())
            if mine is not None
            and entry.node.access <= mine.access
            and ((now := self._current.get(told.node)) is None or now.node.access <= mine.access)
        ]
        return tuple(found[:most])

    async def acknowledge(self, agent: str, seq: int) -> None:
        """See `ContextStore.acknowledge`."""
        self._check_open()
        check_count(seq, "seq")
        waiting = self._outbox.get(agent)
        while waiting and waiting[0][0].seq <= seq:
            waiting.popleft()

    async def aclose(self) -> None:
        """See `ContextStore.aclose`; everything is forgotten."""
        self._closed = True
        for kept in (self._versions, self._of, self._current, self._below, self._outbox):
            kept.clear()
        self._units = None

    # -- inside ------------------------------------------------------------------------------------
    def _check_open(self) -> None:
        if self._closed:
            raise StoreError("the context store is closed. Make a new one.")

    def _read(
        self, wanted: Callable[[ContextNode], bool], access: int, among: Iterable[_Entry] | None = None
    ) -> tuple[ContextNode, ...]:
        self._check_open()
        check_count(access, "access")
        entries = self._current.values() if among is None else among
        found = [entry for entry in entries if entry.node.access <= access and wanted(entry.node)]
        return tuple(_copy(entry) for entry in sorted(found, key=lambda entry: entry.node.id))

    def _matrix(self) -> NDArray[np.float64]:
        """Return unit vectors by the number of a version; those of current ones that are missing are made."""
        import numpy as np

        if self._units is None:
            self._units = np.zeros((0, self.embedder.dim))
        if (missing := len(self._versions) - len(self._units)) > 0:  # grow by half: few copies of a row
            more = np.zeros((missing + len(self._versions) // 2, self.embedder.dim))
            self._units = np.concatenate([self._units, more])
        fresh = [e for e in self._versions[self._embedded :] if self._current.get(e.node.id) is e]
        if fresh:
            units = embed_units(self.embedder, [embedded_text(entry.node) for entry in fresh])
            self._units[[entry.seq for entry in fresh]] = units
        self._embedded = len(self._versions)
        return self._units[: len(self._versions)]


def _copy(entry: _Entry) -> ContextNode:
    return replace(entry.node, data=orjson.loads(entry.data))
