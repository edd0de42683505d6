"""The Chroma-backed context store (paper §III-C, Eqs. 6–8, 13–17).

SQLite is the authority (`authority`), Chroma in a process of its own the semantic index through which
queries go (`index`). A hit counts only if SQLite names that version as current and open to the asker's
level, and its relevance is computed from SQLite's vector: the index proposes, the authority decides. What
the index does not hold yet is compared exactly, so an answer never misses what was put before it.

Wording: puts are atomic, reads see snapshots, commits are as durable as SQLite with synchronous=FULL.

The event loop only waits: SQLite and embedding run in worker threads, one at a time for writing and one
for reading. Writers of the same moment share one commit: whoever finds the lock free leads and commits all
that waits; the others find themselves done when the lock comes to them. No timer, no background task.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from shutil import rmtree
from typing import TYPE_CHECKING, TypeVar

import anyio
from anyio import CancelScope, CapacityLimiter, to_thread

from dyntaskmas_nb.errors import StoreError
from dyntaskmas_nb.sacms.authority import Authority, Outcome
from dyntaskmas_nb.sacms.change import Change, Put
from dyntaskmas_nb.sacms.distribution import Delivery, Subscription
from dyntaskmas_nb.sacms.embed import Embedder, LexicalHashing, embed_units
from dyntaskmas_nb.sacms.home import own, prepare
from dyntaskmas_nb.sacms.index import Index
from dyntaskmas_nb.sacms.node import ContextNode, NodeId, check_count, check_name, check_result
from dyntaskmas_nb.sacms.store import EXPLAINED, Answer, Considered, Hit, NodeLocks, check_query, considered

if TYPE_CHECKING:
    from dyntaskmas_nb.sacms.embed import Vectors

Result = TypeVar("Result")
_ROUNDED = 2e-6  # by which a relevance may differ from what the index says
_ASK_AT_LEAST = 32  # versions asked of the index, so that a few outdated ones do not cost a second search


@dataclass(slots=True, eq=False)
class _Ticket:
    """A batch that waits for a commit, and what became of it."""

    changes: tuple[Change, ...]
    outcome: Outcome | None = None


class ChromaStore:
    """`ContextStore` in a directory. Opening takes some milliseconds; the first query starts Chroma.

    One process at a time may have it open, always with the same embedder (`LexicalHashing` unless given). The
    θ of the first is recorded and a query's default from then on; `reembed` records another.
    Raises InvalidInput if its θ is not in [0, 1], StoreError if the directory cannot be written, is open
    elsewhere (the message names the process), is damaged, or was filled by another embedder. A damaged store
    is never replaced by an empty one.
    """

    def __init__(self, path: str | Path, embedder: Embedder | None = None) -> None:
        self.path = Path(path)
        self.embedder: Embedder = embedder or LexicalHashing()
        self._lock = own(self.path)
        try:
            self._authority = Authority(prepare(self.path, self.embedder), self.embedder)
        except BaseException:
            self._lock.close()
            raise
        self.index = self._new_index()
        self._waiting: list[_Ticket] = []
        self._leading = anyio.Lock()
        self._writing, self._reading = CapacityLimiter(1), CapacityLimiter(1)
        self._locks = NodeLocks()
        self._closed = False

    # -- ContextStore ------------------------------------------------------------------------------
    async def put(self, nodes: Sequence[ContextNode]) -> tuple[int, ...]:
        """See `ContextStore.put`."""
        return await self.write([Put(node=node) for node in nodes])

    async def write(self, changes: Sequence[Change]) -> tuple[int, ...]:
        """See `ContextStore.write`. Writers of the same moment share one commit."""
        self._check_open()
        ticket = _Ticket(tuple(changes))
        self._waiting.append(ticket)
        try:
            async with self._leading:
                if ticket.outcome is None:
                    with CancelScope(shield=True):
                        await self._commit()
        finally:
            if ticket in self._waiting:  # cancelled before it was taken: it leaves no trace
                self._waiting.remove(ticket)
        if isinstance(ticket.outcome, tuple):
            return ticket.outcome
        assert ticket.outcome is not None
        raise ticket.outcome

    async def get(self, id: NodeId, *, access: int) -> ContextNode | None:
        """See `ContextStore.get`."""
        found = await self._nodes("id = ?", (check_name(id, "the id"),), access)
        return found[0] if found else None

    async def children(self, id: NodeId, *, access: int) -> tuple[ContextNode, ...]:
        """See `ContextStore.children`."""
        return await self._nodes("parent = ? ORDER BY id", (check_name(id, "the id"),), access)

    async def domains(self, *, access: int) -> tuple[str, ...]:
        """See `ContextStore.domains`."""
        nodes = await self._nodes("parent IS NULL GROUP BY domain ORDER BY domain", (), access)
        return tuple(node.domain for node in nodes)

    async def roots(self, domain: str, *, access: int) -> tuple[ContextNode, ...]:
        """See `ContextStore.roots`."""
        name = check_name(domain, "the domain")
        return await self._nodes("parent IS NULL AND domain = ? ORDER BY id", (name,), access)

    async def subtree(self, id: NodeId, *, access: int) -> tuple[ContextNode, ...]:
        """See `ContextStore.subtree`."""
        name, level = NodeId(check_name(id, "the id")), check_count(access, "access")
        return await self._read(lambda: self._authority.below(name, access=level))

    async def versions(self, id: NodeId, *, access: int) -> tuple[ContextNode, ...]:
        """See `ContextStore.versions`."""
        return await self._nodes("id = ? ORDER BY version", (check_name(id, "the id"),), access, every=True)

    async def query(self, text: str, *, access: int, theta: float | None = None, k: int = 10) -> Answer:
        """See `ContextStore.query`."""
        theta = check_query(text, access, theta, k, self._authority.theta)
        return await self._in_thread(lambda: self._search(text, access, theta, k))

    async def explain(
        self, text: str, *, access: int, theta: float | None = None, k: int = 10
    ) -> tuple[Considered, ...]:
        """See `ContextStore.explain`; compares with every node."""
        theta = check_query(text, access, theta, k, self._authority.theta)

        def look() -> tuple[Considered, ...]:
            unit = embed_units(self.embedder, [text])[0]
            with self._authority.snapshot():
                scores = self._authority.scores(unit, access=access)
                ranked = [(-minus, seq) for minus, seq in sorted((-score, seq) for score, seq in scores)]
                nodes = {
                    score_seq[1]: self._authority.nodes("seq = ?", (score_seq[1],), access=access)[0]
                    for score_seq in ranked[: k + EXPLAINED]
                }
            return considered(((score, nodes[seq]) for score, seq in ranked[: k + EXPLAINED]), text, theta, k)

        return await self._in_thread(look)

    def lock(self, *ids: NodeId) -> AbstractAsyncContextManager[None]:
        """See `ContextStore.lock`."""
        return self._locks.hold(ids)

    # -- distribution ------------------------------------------------------------------------------
    async def subscribe(self, subscription: Subscription) -> None:
        """See `ContextStore.subscribe`."""
        await self._in_thread(lambda: self._authority.subscribe(subscription))

    async def unsubscribe(self, agent: str) -> None:
        """See `ContextStore.unsubscribe`."""
        await self._in_thread(lambda: self._authority.unsubscribe(agent))

    async def subscribers(self) -> tuple[str, ...]:
        """See `ContextStore.subscribers`."""
        return await self._in_thread(self._authority.subscribers)

    async def deliveries(self, agent: str, *, most: int = 100) -> tuple[tuple[Delivery, ContextNode], ...]:
        """See `ContextStore.deliveries`."""
        count = check_count(most, "most", least=1)
        return tuple(await self._in_thread(lambda: self._authority.deliveries(agent, count)))

    async def acknowledge(self, agent: str, seq: int) -> None:
        """See `ContextStore.acknowledge`."""
        await self._in_thread(lambda: self._authority.acknowledge(agent, check_count(seq, "seq")))

    async def reembed(self, embedder: Embedder) -> int:
        """Change the embedder: make all vectors anew, then the index; return how many nodes there are.

        Reads and writes wait meanwhile. The old index goes first: vectors of two embedders are never mixed,
        whenever the process ends.
        """
        self._check_open()
        async with self._leading, self._reading:
            await to_thread.run_sync(self.index.close)
            await to_thread.run_sync(partial(rmtree, self.path / "index", ignore_errors=True))
            try:
                count = await to_thread.run_sync(self._authority.reembed, embedder, limiter=self._writing)
                self.embedder = embedder
            finally:
                self.index = self._new_index()
        return count

    def _new_index(self) -> Index:
        return Index(self.path / "index", self.path / "index.log", self._authority)

    async def result_of(
        self, run: str, task: str, attempt: int | None = None, *, access: int
    ) -> ContextNode | None:
        """See `ContextStore.result_of`."""
        check_result(run, task, 0 if attempt is None else attempt)
        found = await self._nodes(
            "run = ? AND task = ? AND attempt = ifnull(?, attempt) AND result ORDER BY attempt DESC LIMIT 1",
            (run, task, attempt),
            access,
        )
        return found[0] if found else None

    async def settled(self, within: float = 60.0) -> bool:
        """Wait until the index holds all that was put; False after `within` seconds or if it gave up."""
        self._check_open()
        self.index.start()
        return await to_thread.run_sync(self.index.wait_settled, within)

    async def aclose(self) -> None:
        """See `ContextStore.aclose`. What was put stays."""
        await to_thread.run_sync(self.close)

    def close(self) -> None:
        """Close from outside the event loop: waits for reads and writes under way."""
        if not self._closed:
            self._closed = True
            self.index.close()
            self._authority.close()
            self._lock.close()

    # -- inside ------------------------------------------------------------------------------------
    async def _commit(self) -> None:
        taken, self._waiting = self._waiting, []
        batches = [ticket.changes for ticket in taken]
        try:
            outcomes, last, stale = await to_thread.run_sync(
                self._authority.commit, batches, limiter=self._writing
            )
            self.index.note(last, stale)
        except Exception as error:  # noqa: BLE001 (the border: it becomes each writer's outcome)
            outcomes = [error] * len(taken)
        for ticket, outcome in zip(taken, outcomes, strict=True):
            ticket.outcome = outcome

    def _search(self, text: str, access: int, theta: float, k: int) -> Answer:
        unit = embed_units(self.embedder, [text])[0]
        if not unit.any():
            return Answer(hits=(), theta=theta)
        self.index.start()
        asking = max(_ASK_AT_LEAST, 2 * k)
        while True:
            indexed = self.index.indexed  # read before the search: what it claims, the search can find
            found = self.index.search(unit.astype("<f4").tobytes(), access=access, n=asking)
            if found is None or not all(whole for _, _, whole in found):
                hits = self._hits(unit, theta, k, access)
                return Answer(hits=hits, theta=theta, degraded=found is None)
            proposed = [id for ids, _, _ in found for id in ids]
            hits = self._hits(unit, theta, k, access, after=indexed, among=proposed)
            # A level may hold more that counts only if it gave all we asked for, all of it good enough; what
            # is as good as the last hit may be older, and older ones go first.
            least = hits[-1].relevance - _ROUNDED if len(hits) == k else theta
            if not any(len(ids) == asking and 1 - far[-1] > least for ids, far, _ in found):
                return Answer(hits=hits, theta=theta)
            asking *= 4

    def _hits(
        self, unit: Vectors, theta: float, k: int, access: int, *, after: int = 0, among: Sequence[int] = ()
    ) -> tuple[Hit, ...]:
        """Return the k most relevant of the versions `among` and all > `after`, older first where equal."""
        with self._authority.snapshot():
            scores = self._authority.scores(unit, access=access, after=after, among=among)
            ranked = sorted((-score, seq) for score, seq in scores if score > theta)[:k]
            nodes = [self._authority.nodes("seq = ?", (seq,), access=access)[0] for _, seq in ranked]
        return tuple(Hit(node=node, relevance=-minus) for node, (minus, _) in zip(nodes, ranked, strict=True))

    async def _nodes(
        self, where: str, values: Sequence[object], access: int, *, every: bool = False
    ) -> tuple[ContextNode, ...]:
        level = check_count(access, "access")
        return await self._read(lambda: self._authority.nodes(where, values, access=level, every=every))

    async def _read(self, look: Callable[[], list[ContextNode]]) -> tuple[ContextNode, ...]:
        def read() -> tuple[ContextNode, ...]:
            with self._authority.snapshot():
                return tuple(look())

        return await self._in_thread(read)

    async def _in_thread(self, work: Callable[[], Result]) -> Result:
        self._check_open()
        return await to_thread.run_sync(work, limiter=self._reading)

    def _check_open(self) -> None:
        if self._closed:
            raise StoreError(f"the context store {self.path} is closed. Open it again.")
