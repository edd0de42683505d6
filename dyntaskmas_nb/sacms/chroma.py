"""The Chroma-backed context store (paper §III-C, Eqs. 6–8, 13–17).

SQLite is the authority (`authority`), Chroma in a process of its own the semantic index through which
queries go (`index`). A hit counts only if SQLite names that version as current and open to the asker's
level, and its relevance is computed from SQLite's vector: the index proposes, the authority decides. What
the index does not hold yet is compared exactly, so an answer never misses what was put before it.

Wording: puts are atomic, reads see snapshots, commits are as durable as SQLite with synchronous=FULL.

The event loop only waits: SQLite and embedding run in worker threads, one at a time for writing and one
for reading; Chroma's process is spoken to by a thread of `index`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from collections.abc import Set as AbstractSet
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from anyio import CapacityLimiter, to_thread

from dyntaskmas_nb.errors import DynTaskError, StoreError
from dyntaskmas_nb.sacms.embed import Embedder, LexicalHashing, embed_units
from dyntaskmas_nb.sacms.group import GroupCommit
from dyntaskmas_nb.sacms.home import Home
from dyntaskmas_nb.sacms.index import Index, IndexDown
from dyntaskmas_nb.sacms.node import ContextNode, NodeId
from dyntaskmas_nb.sacms.reader import Reader, Scored
from dyntaskmas_nb.sacms.store import Answer, Hit, Query, check_access, check_name, check_result
from dyntaskmas_nb.sacms.writer import Writer

if TYPE_CHECKING:
    from dyntaskmas_nb.sacms.embed import Vectors

Result = TypeVar("Result")
_ASK_AT_LEAST = 32  # versions asked of the index, so that a few outdated ones do not cost a second search


class ChromaStore:
    """`ContextStore` in a directory. Opens at once (some milliseconds of file access), Chroma only when used.

    Parameters
    ----------
    path : str or Path
        Directory of the store; made if missing. One process at a time may have it open.
    embedder : Embedder, optional
        `LexicalHashing()` unless given. The one that filled the store must be given again.

    Raises
    ------
    StoreError
        The directory cannot be written, is open elsewhere (the message names the process), is damaged, or
        was filled by another embedder. A damaged store is never replaced by an empty one.
    """

    def __init__(self, path: str | Path, embedder: Embedder | None = None) -> None:
        self.embedder: Embedder = embedder or LexicalHashing()
        self._home = Home(Path(path), self.embedder)
        database, dim = self._home.database, self.embedder.dim
        self._writer = Writer(database, self.embedder)
        self._reader = Reader(database, dim)
        self._feeder = Reader(database, dim)
        self.index = Index(self._home.index, self._home.log, self._feeder)
        self._puts = GroupCommit[Sequence[ContextNode], tuple[int, ...]](self._commit)
        self._reading = CapacityLimiter(1)
        self._closed = False

    @property
    def path(self) -> Path:
        """The store's directory."""
        return self._home.path

    @property
    def commits(self) -> int:
        """Transactions committed since the store was opened."""
        return self._writer.commits

    # -- ContextStore ------------------------------------------------------------------------------
    async def put(self, nodes: Sequence[ContextNode]) -> tuple[int, ...]:
        """See `ContextStore.put`. Writers of the same moment share one commit."""
        self._check_open()
        return await self._puts.submit(tuple(nodes))

    async def get(self, id: NodeId, *, access: int) -> ContextNode | None:
        """See `ContextStore.get`."""
        found = await self._nodes("id = ?", (check_name(id, "the id"),), access)
        return found[0] if found else None

    async def children(self, id: NodeId, *, access: int) -> tuple[ContextNode, ...]:
        """See `ContextStore.children`."""
        return await self._nodes("parent = ? ORDER BY id", (check_name(id, "the id"),), access)

    async def roots(self, domain: str, *, access: int) -> tuple[ContextNode, ...]:
        """See `ContextStore.roots`."""
        name = check_name(domain, "the domain")
        return await self._nodes("parent IS NULL AND domain = ? ORDER BY id", (name,), access)

    async def query(
        self,
        text: str,
        *,
        access: int,
        theta: float | None = None,
        k: int = 10,
        tags: AbstractSet[str] | None = None,
    ) -> Answer:
        """See `ContextStore.query`."""
        asked = Query.checked(text, access=access, theta=theta, k=k, tags=tags, embedder=self.embedder)
        return await self._in_thread(lambda: self._search(asked))

    async def result_of(
        self, run: str, task: str, attempt: int | None = None, *, access: int
    ) -> ContextNode | None:
        """See `ContextStore.result_of`."""
        check_result(run, task, attempt)
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
        if self._closed:
            return
        self._closed = True
        self.index.close()
        self._writer.close()
        self._reader.close()
        self._feeder.close()
        self._home.close()

    # -- inside, in worker threads -----------------------------------------------------------------
    def _commit(self, batches: Sequence[Sequence[ContextNode]]) -> Sequence[tuple[int, ...] | DynTaskError]:
        outcomes, stale = self._writer.commit(batches)
        if any(isinstance(outcome, tuple) for outcome in outcomes):
            self.index.note(stale)
        return outcomes

    def _search(self, asked: Query) -> Answer:
        unit = embed_units(self.embedder, [asked.text])[0]
        if not unit.any():
            return Answer(hits=(), theta=asked.theta)
        self.index.start()
        asking = max(_ASK_AT_LEAST, 2 * asked.k)
        while True:
            indexed = self.index.indexed  # read before the search: what it claims, the search can find
            try:
                found = self.index.search(unit.astype("<f4").tobytes(), access=asked.access, n=asking)
            except IndexDown as down:
                return self._exact(asked, unit, degraded=down.lost)
            # A level may hold more that is relevant only if it gave all we asked for, all of it relevant.
            more = any(len(ids) == asking and 1 - far[-1] > asked.theta for ids, far in found)
            proposed = [id for ids, _ in found for id in ids if id <= indexed]
            with self._reader.snapshot():
                scored = self._reader.score(unit, access=asked.access, among=proposed)
                scored += self._reader.score(unit, access=asked.access, after=indexed)
                hits = self._hits(asked, scored)
            if len(hits) == asked.k or not more:
                return Answer(hits=hits, theta=asked.theta, via="index")
            asking *= 4

    def _exact(self, asked: Query, unit: Vectors, *, degraded: bool) -> Answer:
        with self._reader.snapshot():
            scored = self._reader.score(unit, access=asked.access)
            hits = self._hits(asked, scored)
        return Answer(hits=hits, theta=asked.theta, degraded=degraded)

    def _hits(self, asked: Query, scored: list[Scored]) -> tuple[Hit, ...]:
        """Fetch nodes by falling relevance until there are k."""
        ranked = sorted((-s.relevance, s.seq) for s in scored if s.relevance > asked.theta)
        hits: list[Hit] = []
        for minus, seq in ranked:
            node = self._reader.node_at(seq, access=asked.access, tags=asked.tags)
            if node is not None:
                hits.append(Hit(node=node, relevance=-minus))
                if len(hits) == asked.k:
                    break
        return tuple(hits)

    async def _nodes(self, where: str, values: Sequence[object], access: int) -> tuple[ContextNode, ...]:
        level = check_access(access)

        def read() -> tuple[ContextNode, ...]:
            with self._reader.snapshot():
                return self._reader.nodes(where, values, access=level)

        return await self._in_thread(read)

    async def _in_thread(self, work: Callable[[], Result]) -> Result:
        self._check_open()
        return await to_thread.run_sync(work, limiter=self._reading)

    def _check_open(self) -> None:
        if self._closed:
            raise StoreError(f"the context store {self.path} is closed. Open it again.")
