"""The context store's interface, and what a query is and gives (paper §III-C, Eqs. 13–15).

| Paper | Here |
|---|---|
| S_q, Eq. 13 | the query's text, embedded like a node's |
| rel(S_q, n), Eq. 14 | `Hit.relevance` |
| {n : rel > θ ∧ access(n) ≤ access(a)}, Eq. 15 | `ContextStore.query` |

The access test is part of every read, inside the store: a hidden node is never fetched, and hidden and
missing look alike. `put` is the engine's side and is trusted: it takes no level. Times come with the nodes.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol, Self

from dyntaskmas_nb.errors import InvalidInput
from dyntaskmas_nb.sacms.embed import Embedder
from dyntaskmas_nb.sacms.node import MAX_NAME, ContextNode, NodeId, check_count, check_tags, check_text

if TYPE_CHECKING:
    from dyntaskmas_nb.sacms.embed import Vectors

Via = Literal["exact", "index"]
MAX_K = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Hit:
    """A node that a query found, and its cosine relevance to the query (Eq. 14), in (θ, 1]."""

    node: ContextNode
    relevance: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a query found: hits by falling relevance, older first where equal; iterates over them.

    `via` says how it was found: through the index, or by comparing with every vector (both give the
    same hits up to the index's recall). `degraded`: it had to be the latter because the index is broken,
    missing or being rebuilt. `theta` is the threshold that was applied.
    """

    hits: tuple[Hit, ...]
    theta: float
    via: Via = "exact"
    degraded: bool = False

    def __iter__(self) -> Iterator[Hit]:
        return iter(self.hits)

    def __len__(self) -> int:
        return len(self.hits)


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """A checked query; make it with `check_query`."""

    text: str
    access: int
    theta: float
    k: int
    tags: frozenset[str]

    @classmethod
    def checked(
        cls,
        text: str,
        *,
        access: int,
        theta: float | None,
        k: int,
        tags: AbstractSet[str] | None,
        embedder: Embedder,
    ) -> Self:
        """Return the query with its defaults filled in.

        Raises
        ------
        InvalidInput
            Bad text, a bool or negative level, θ outside [0, 1] or NaN, k < 1, an empty tag.
        """
        if theta is None:
            theta = embedder.theta
        if isinstance(theta, bool) or not isinstance(theta, (int, float)) or not 0 <= theta <= 1:
            raise InvalidInput(f"θ is {theta!r:.40}; it must lie between 0 and 1.")
        return cls(
            text=check_text(text, "the query"),
            access=check_access(access),
            theta=float(theta),
            k=check_count(k, "k", least=1, most=MAX_K),
            tags=frozenset() if tags is None else check_tags(tags, "the query"),
        )


class ContextStore(Protocol):
    """A forest of context nodes that agents share."""

    @property
    def embedder(self) -> Embedder:
        """What makes this store's vectors."""

    async def put(self, nodes: Sequence[ContextNode]) -> tuple[int, ...]:
        """Write `nodes`, all or none, and return their new versions in the same order.

        When it returns, the nodes are durable (as far as the store is at all) and every later read sees
        them. If it is cancelled, the nodes may or may not have been written: all or none all the same.

        Raises
        ------
        InvalidInput
            A node is not acceptable or the forest's laws would be broken; nothing was written.
        StoreError
            The store is closed or could not write; nothing was written.
        """

    async def get(self, id: NodeId, *, access: int) -> ContextNode | None:
        """Return the current version of a node, or None if it is missing or above level `access`."""

    async def children(self, id: NodeId, *, access: int) -> tuple[ContextNode, ...]:
        """Return the children of a node that level `access` may read, by id; none if it is hidden."""

    async def roots(self, domain: str, *, access: int) -> tuple[ContextNode, ...]:
        """Return the first level of a domain's tree (Eq. 7) that level `access` may read, by id."""

    async def query(
        self,
        text: str,
        *,
        access: int,
        theta: float | None = None,
        k: int = 10,
        tags: AbstractSet[str] | None = None,
    ) -> Answer:
        """Return the k nodes most relevant to `text` among those level `access` may read (Eqs. 13–15).

        Parameters
        ----------
        text : str
            The query.
        access : int
            Level of who asks; nodes above it are never fetched.
        theta : float, optional
            Relevance must exceed it (strictly); the embedder's own default unless given.
        k : int
            Most hits.
        tags : set of str, optional
            Only nodes that carry at least one of these tags.
        """

    async def result_of(
        self, run: str, task: str, attempt: int | None = None, *, access: int
    ) -> ContextNode | None:
        """Return the result that a task's attempt committed (None: its latest), for adoption on resume."""

    async def aclose(self) -> None:
        """Free everything; later calls raise `StoreError`. Closing twice is allowed."""


def check_access(access: object) -> int:
    """Return `access` if it is a level; raises InvalidInput."""
    return check_count(access, "access", least=0)


def check_name(name: object, where: str) -> str:
    """Return `name` if it can name anything in a store; raises InvalidInput."""
    return check_text(name, where, limit=MAX_NAME, empty=False)


def check_result(run: object, task: object, attempt: object) -> None:
    """Raise InvalidInput unless the three can name a result."""
    check_name(run, "the run")
    check_name(task, "the task")
    if attempt is not None:
        check_count(attempt, "the attempt", least=0)


def relevances(units: Vectors, query: Vectors) -> list[float]:
    """Return the cosine (Eq. 14) of each unit row of `units`, shape (n, dim), with the unit vector `query`.

    Rounded to six places, so that the same node gets the same relevance however many rows are compared
    at once.
    """
    import numpy as np

    cosines = np.clip(units.astype(np.float64) @ query.astype(np.float64), -1.0, 1.0)
    return [float(value) for value in cosines.round(6)]
