"""The context store's interface, and the laws that every store keeps (paper §III-C, Eqs. 6–8, 13–15).

| Paper | Here |
|---|---|
| S_q, Eq. 13 | the query's text, embedded like a node's |
| rel(S_q, n), Eq. 14 | `Hit.relevance` |
| {n : rel > θ ∧ access(n) ≤ access(a)}, Eq. 15 | `ContextStore.query` |

The access test is part of every read, inside the store: a hidden node is never fetched, and hidden and
missing look alike. Writing is the engine's side and is trusted: it takes no level. Times come with the nodes.
What a transaction may ask for, and the laws of the forest, are in `change`.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Literal, Protocol

import anyio

from dyntaskmas_nb.sacms.change import Change
from dyntaskmas_nb.sacms.distribution import Delivery, Subscription
from dyntaskmas_nb.sacms.embed import Embedder
from dyntaskmas_nb.sacms.node import ContextNode, NodeId, check_count, check_name, check_text, check_theta
from dyntaskmas_nb.sacms.tags import extract_tags

MAX_K = 10_000  # hits of one query
EXPLAINED = 50  # nodes that `explain` names beyond the k that a query gives


@dataclass(frozen=True, slots=True, kw_only=True)
class Hit:
    """A node that a query found, and its cosine relevance to the query (Eq. 14), in (θ, 1]."""

    node: ContextNode
    relevance: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a query found: hits by falling relevance, older first where equal; iterates over them.

    `degraded`: found by comparing with every vector, because the index is starting, broken or being rebuilt;
    the hits are the same. `theta` is the threshold that was applied.
    """

    hits: tuple[Hit, ...]
    theta: float
    degraded: bool = False

    def __iter__(self) -> Iterator[Hit]:
        return iter(self.hits)

    def __len__(self) -> int:
        return len(self.hits)


@dataclass(frozen=True, slots=True, kw_only=True)
class Considered:
    """A node that a query looked at: its relevance, the tags it shares with the query, and the verdict."""

    id: NodeId
    version: int
    access: int
    relevance: float
    shared_tags: tuple[str, ...]
    verdict: Literal["given", "not above θ", "beyond k"]


class ContextStore(Protocol):
    """A forest of context nodes that agents share."""

    @property
    def embedder(self) -> Embedder:
        """What makes this store's vectors."""

    async def write(self, changes: Sequence[Change]) -> tuple[int, ...]:
        """Make `changes`, all or none; return the node's new version for each, 0 for a deletion.

        When it returns, they are durable (as far as the store is at all), every later read sees them, and
        who subscribed to them has a delivery. If it is cancelled, all or none were made all the same.

        Raises InvalidInput or VersionConflict if a change cannot be made, StoreError if the store is closed
        or could not write; nothing was written then.
        """

    async def put(self, nodes: Sequence[ContextNode]) -> tuple[int, ...]:
        """Write `nodes` as they are: `write` of a `Put` each."""

    def lock(self, *ids: NodeId) -> AbstractAsyncContextManager[None]:
        """Hold these nodes against others who lock them, from reading to writing; none can deadlock."""

    async def get(self, id: NodeId, *, access: int) -> ContextNode | None:
        """Return the current version of a node, or None if it is missing or above level `access`."""

    async def children(self, id: NodeId, *, access: int) -> tuple[ContextNode, ...]:
        """Return the children of a node that level `access` may read, by id; none if it is hidden."""

    async def domains(self, *, access: int) -> tuple[str, ...]:
        """Return the domains of which level `access` may read anything, in order."""

    async def roots(self, domain: str, *, access: int) -> tuple[ContextNode, ...]:
        """Return the first level of a domain's tree (Eq. 7) that level `access` may read, by id."""

    async def subtree(self, id: NodeId, *, access: int) -> tuple[ContextNode, ...]:
        """Return a node and all below it that level `access` may read, each before its children, by id."""

    async def versions(self, id: NodeId, *, access: int) -> tuple[ContextNode, ...]:
        """Return every version of a node that level `access` may read, oldest first, deleted ones too."""

    async def query(self, text: str, *, access: int, theta: float | None = None, k: int = 10) -> Answer:
        """Return the `k` nodes most relevant to `text` among those level `access` may read (Eqs. 13–15).

        Relevance must exceed `theta`, in [0, 1], strictly. Unless given it is the embedder's own, in a
        durable store the one recorded with the vectors.
        """

    async def result_of(
        self, run: str, task: str, attempt: int | None = None, *, access: int
    ) -> ContextNode | None:
        """Return the result that a task's attempt committed (None: its latest), for adoption on resume."""

    async def explain(
        self, text: str, *, access: int, theta: float | None = None, k: int = 10
    ) -> tuple[Considered, ...]:
        """Say of the nodes nearest to `text`, the best first, why `query` gives them or not.

        Nodes above level `access` are neither named nor counted.
        """

    async def subscribe(self, subscription: Subscription) -> None:
        """Have an agent told of what is written from now on (Alg. 3); replaces its former subscription."""

    async def unsubscribe(self, agent: str) -> None:
        """End an agent's subscription, and drop what it was not told yet."""

    async def subscribers(self) -> tuple[str, ...]:
        """Return the agents that have a subscription, by name."""

    async def deliveries(self, agent: str, *, most: int = 100) -> tuple[tuple[Delivery, ContextNode], ...]:
        """Return what an agent is to be told, with the version written, oldest first, until acknowledged.

        The agent's level is tested again: what was hidden from it since is left out.
        """

    async def acknowledge(self, agent: str, seq: int) -> None:
        """Drop an agent's deliveries up to number `seq`."""

    async def aclose(self) -> None:
        """Free everything; later calls raise `StoreError`. Closing twice is allowed."""


def check_query(text: object, access: object, theta: float | None, k: object, default: float) -> float:
    """Return the threshold θ of a query, `default` where it is None.

    Raises InvalidInput for bad text, a bool or negative level, θ outside [0, 1] or NaN, k < 1.
    """
    check_text(text, "the query")
    check_count(access, "access")
    check_count(k, "k", least=1, most=MAX_K)
    return check_theta(default if theta is None else theta, "θ")


def considered(
    scored: Iterable[tuple[float, ContextNode]], text: str, theta: float, k: int
) -> tuple[Considered, ...]:
    """What `explain` says of nodes with their relevance, the best first."""
    asked = extract_tags(text)
    return tuple(
        Considered(
            id=node.id,
            version=node.version,
            access=node.access,
            relevance=relevance,
            shared_tags=tuple(sorted(asked & node.tags)),
            verdict="not above θ" if relevance <= theta else "given" if place < k else "beyond k",
        )
        for place, (relevance, node) in enumerate(scored)
    )


class NodeLocks:
    """A lock for each node that somebody holds or waits for; taken in the order of ids, so none deadlocks."""

    def __init__(self) -> None:
        self._locks: dict[NodeId, anyio.Lock] = {}

    @asynccontextmanager
    async def hold(self, ids: Iterable[NodeId]) -> AsyncIterator[None]:
        """Hold all of `ids`."""
        wanted = sorted({NodeId(check_name(id, "the id")) for id in ids})
        try:
            async with AsyncExitStack() as stack:
                for id in wanted:
                    await stack.enter_async_context(self._locks.setdefault(id, anyio.Lock()))
                yield
        finally:
            for id in wanted:
                if id in self._locks and not self._locks[id].locked():
                    del self._locks[id]
