"""The context store's interface, and the laws that every store keeps (paper §III-C, Eqs. 6–8, 13–15).

| Paper | Here |
|---|---|
| S_q, Eq. 13 | the query's text, embedded like a node's |
| rel(S_q, n), Eq. 14 | `Hit.relevance` |
| {n : rel > θ ∧ access(n) ≤ access(a)}, Eq. 15 | `ContextStore.query` |

The access test is part of every read, inside the store: a hidden node is never fetched, and hidden and
missing look alike. `put` is the engine's side and is trusted: it takes no level. Times come with the nodes.

The laws of the forest, checked by `check_batch` on a whole batch before it is written:

1. A parent is in the store, or earlier in the batch, and a node keeps its place: so there is no cycle.
2. A node lies in its parent's domain.
3. A node's level is at least its parent's. # Paper silent: we chose this because a readable child under
   a hidden parent would give away that the parent exists, in every walk of the tree.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from dyntaskmas_nb.errors import InvalidInput
from dyntaskmas_nb.sacms.embed import Embedder
from dyntaskmas_nb.sacms.node import ContextNode, NodeId, check_count, check_text

MAX_K = 10_000  # hits of one query
MAX_BATCH = 10_000  # nodes of one `put`


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


class ContextStore(Protocol):
    """A forest of context nodes that agents share."""

    @property
    def embedder(self) -> Embedder:
        """What makes this store's vectors."""

    async def put(self, nodes: Sequence[ContextNode]) -> tuple[int, ...]:
        """Write `nodes`, all or none, and return their new versions in the same order.

        When it returns, the nodes are durable (as far as the store is at all) and every later read sees
        them. If it is cancelled, the nodes may or may not have been written: all or none all the same.

        Raises InvalidInput if a node is not acceptable or a law of the forest would be broken, StoreError if
        the store is closed or could not write; nothing was written then.
        """

    async def get(self, id: NodeId, *, access: int) -> ContextNode | None:
        """Return the current version of a node, or None if it is missing or above level `access`."""

    async def children(self, id: NodeId, *, access: int) -> tuple[ContextNode, ...]:
        """Return the children of a node that level `access` may read, by id; none if it is hidden."""

    async def roots(self, domain: str, *, access: int) -> tuple[ContextNode, ...]:
        """Return the first level of a domain's tree (Eq. 7) that level `access` may read, by id."""

    async def query(self, text: str, *, access: int, theta: float | None = None, k: int = 10) -> Answer:
        """Return the `k` nodes most relevant to `text` among those level `access` may read (Eqs. 13–15).

        Relevance must exceed `theta`, in [0, 1], strictly; it is the embedder's own unless given.
        """

    async def result_of(
        self, run: str, task: str, attempt: int | None = None, *, access: int
    ) -> ContextNode | None:
        """Return the result that a task's attempt committed (None: its latest), for adoption on resume."""

    async def aclose(self) -> None:
        """Free everything; later calls raise `StoreError`. Closing twice is allowed."""


def check_query(text: object, access: object, theta: float | None, k: object, embedder: Embedder) -> float:
    """Return the threshold θ of a query.

    Raises InvalidInput for bad text, a bool or negative level, θ outside [0, 1] or NaN, k < 1.
    """
    check_text(text, "the query")
    check_count(access, "access")
    check_count(k, "k", least=1, most=MAX_K)
    theta = embedder.theta if theta is None else theta
    if isinstance(theta, bool) or not isinstance(theta, int | float) or not 0 <= theta <= 1:
        raise InvalidInput(f"θ is {theta!r:.40}; it must lie between 0 and 1.")
    return float(theta)


class Place(NamedTuple):
    """Where a stored node stands in the forest."""

    domain: str
    parent: NodeId | None
    access: int


def check_batch(nodes: Sequence[ContextNode], place: Callable[[NodeId], Place | None]) -> None:
    """Check that `nodes` obey the laws of the forest, where `place` tells how a stored node stands.

    Raises InvalidInput if they do not, if an id comes twice, or if there are more than `MAX_BATCH` nodes.
    """
    if len(nodes) > MAX_BATCH:
        raise InvalidInput(f"one put takes at most {MAX_BATCH} nodes; this one has {len(nodes)}. Split it.")
    earlier: dict[NodeId, Place] = {}
    for node in nodes:
        name = f"node {node.id!r:.80}"
        if node.id in earlier:
            raise InvalidInput(f"{name} comes twice in one put. Keep one of them.")
        here, stored = Place(node.domain, node.parent, node.access), place(node.id)
        if stored not in {None, here}:
            raise InvalidInput(
                f"{name} is stored with another (domain, parent, level) than {tuple(here)!r:.200}. "
                "put replaces what a node says, not where it stands; give its own."
            )
        if stored is None and node.parent is not None:
            _check_parent(node, earlier.get(node.parent) or place(node.parent))
        earlier[node.id] = here


def _check_parent(node: ContextNode, above: Place | None) -> None:
    name = f"node {node.id!r:.80}"
    if above is None:
        raise InvalidInput(f"{name} has the parent {node.parent!r:.80}, which does not exist. Put it first.")
    if node.domain != above.domain or node.access < above.access:
        raise InvalidInput(
            f"{name} is in domain {node.domain!r:.80} on level {node.access}, its parent in "
            f"{above.domain!r:.80} on {above.access}. Stay in its domain and at least on its level."
        )
