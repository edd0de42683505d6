"""What an agent is given to read: its predecessors' results, then what is relevant (Eqs. 13–15).

Within a token budget and the agent's level; whatever is left out is named, with the reason. The order is
deterministic: predecessors as given, then falling relevance.

# Paper silent on budgets. We chose: predecessors come first, because the graph says that the task needs
# them; if they alone exceed the budget, each keeps what it needs up to an equal share (max-min fair) and a
# visible mark says that it was shortened. What is merely relevant is given whole or not at all.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from dyntaskmas_nb.sacms.node import ContextNode, NodeId, check_count
from dyntaskmas_nb.sacms.store import MAX_K, Answer, ContextStore

MARK = " … [shortened]"
Predecessor = NodeId | tuple[str, str]
"""A node's id, or (run, task) for the latest result of that task."""

_LOOK_AT = 32  # relevant nodes considered
_GROW = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class ContextItem:
    """Something an agent is given. `relevance` is None for predecessors; `tokens` counts `text` alone."""

    id: NodeId
    title: str
    text: str
    why: Literal["predecessor", "relevant"]
    tokens: int
    relevance: float | None = None
    shortened: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class LeftOut:
    """Something an agent could have been given and was not. Never names what its level may not read."""

    title: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ContextBundle:
    """All that an agent is given, what it is not, and how many tokens of the budget that takes.

    `degraded`: the store's index was not available, relevance was computed without it.
    """

    items: tuple[ContextItem, ...]
    left_out: tuple[LeftOut, ...]
    tokens: int
    budget_tokens: int
    degraded: bool = False


async def gather_context(
    store: ContextStore,
    *,
    predecessors: Sequence[Predecessor],
    query: str,
    access: int,
    budget_tokens: int,
    count_tokens: Callable[[str], int],
    theta: float | None = None,
    run: str | None = None,
) -> ContextBundle:
    """Choose what an agent reads before it works on a task.

    Parameters
    ----------
    store : ContextStore
        Where context comes from; it tests the level.
    predecessors : sequence of node id or (run, task)
        Whose results come first, in this order. One that is missing, or above `access`, is left out.
    query : str
        What the agent works on, usually the task's description; blank for predecessors only.
    access : int
        The agent's level.
    budget_tokens : int
        Most tokens of all texts together, ≥ 0.
    count_tokens : callable
        Tokens of a text, as the agent's model counts.
    theta : float, optional
        Relevance must exceed it; the embedder's default unless given.
    run : str, optional
        Leave out what other runs wrote; what no run wrote (facts the user put) stays.

    Raises
    ------
    InvalidInput
        A bad level, budget, θ or query.
    StoreError
        The store is closed or cannot be read.
    """
    check_count(budget_tokens, "budget_tokens", least=0)
    left_out: list[LeftOut] = []
    given = await _predecessors(store, predecessors, access, left_out)
    items = _share(given, budget_tokens, count_tokens, left_out)
    spent = sum(item.tokens for item in items)
    degraded = False
    if query.strip():
        found = await _relevant(store, query, access=access, theta=theta, run=run)
        degraded = found.degraded
        seen, texts = {node.id for node in given}, {node.text for node in given}
        for hit in found:
            node = hit.node
            if node.id in seen or (run is not None and _foreign(node, run)):
                continue
            tokens = count_tokens(node.text)
            if node.text in texts:
                left_out.append(LeftOut(title=_title(node), reason="says the same as another item"))
            elif spent + tokens > budget_tokens:
                reason = f"needs {tokens} tokens, {budget_tokens - spent} are left"
                left_out.append(LeftOut(title=_title(node), reason=reason))
            else:
                spent += tokens
                texts.add(node.text)
                items.append(
                    ContextItem(
                        id=node.id,
                        title=_title(node),
                        text=node.text,
                        why="relevant",
                        tokens=tokens,
                        relevance=hit.relevance,
                    )
                )
    return ContextBundle(
        items=tuple(items),
        left_out=tuple(left_out),
        tokens=spent,
        budget_tokens=budget_tokens,
        degraded=degraded,
    )


def fair_shares(needs: Sequence[int], budget: int) -> list[int]:
    """Divide `budget` among `needs`, max-min fair: nobody gets more than it needs, the rest share equally.

    >>> fair_shares([10, 100, 200], 110)
    [10, 50, 50]
    >>> fair_shares([10, 20], 100)
    [10, 20]
    """
    shares = [0] * len(needs)
    rest = budget
    order = sorted(range(len(needs)), key=lambda i: (needs[i], i))
    for served, i in enumerate(order):
        shares[i] = min(needs[i], rest // (len(needs) - served))
        rest -= shares[i]
    return shares


def shorten(text: str, budget: int, count_tokens: Callable[[str], int]) -> str | None:
    """Return the beginning of `text` with `MARK`, in at most `budget` tokens; None if nothing fits.

    >>> shorten("one two three four five", 4, lambda text: len(text.split()))
    'one two … [shortened]'
    """
    best, low, high = 0, 1, len(text) - 1
    while low <= high:
        middle = (low + high) // 2
        if count_tokens(text[:middle].rstrip() + MARK) <= budget:
            best, low = middle, middle + 1
        else:
            high = middle - 1
    whole_words = text[:best] if best < len(text) and text[best].isspace() else text[:best].rpartition(" ")[0]
    for kept in (whole_words.rstrip(), text[:best].rstrip()):
        if kept and count_tokens(kept + MARK) <= budget:
            return kept + MARK
    return None


async def _predecessors(
    store: ContextStore, wanted: Sequence[Predecessor], access: int, left_out: list[LeftOut]
) -> list[ContextNode]:
    found: dict[NodeId, ContextNode] = {}
    for name in wanted:
        if isinstance(name, tuple):
            node = await store.result_of(*name, access=access)
        else:
            node = await store.get(name, access=access)
        if node is None:
            title = name[1] if isinstance(name, tuple) else name
            left_out.append(LeftOut(title=title, reason="no result that this agent may read"))
        else:
            found.setdefault(node.id, node)
    return list(found.values())


def _share(
    nodes: Sequence[ContextNode], budget: int, count_tokens: Callable[[str], int], left_out: list[LeftOut]
) -> list[ContextItem]:
    needs = [count_tokens(node.text) for node in nodes]
    items: list[ContextItem] = []
    for node, need, share in zip(nodes, needs, fair_shares(needs, budget), strict=True):
        text = node.text if need <= share else shorten(node.text, share, count_tokens)
        if text is None:
            left_out.append(LeftOut(title=_title(node), reason=f"needs {need} tokens, its share is {share}"))
            continue
        cut = need > share
        tokens = count_tokens(text) if cut else need
        items.append(
            ContextItem(
                id=node.id, title=_title(node), text=text, why="predecessor", tokens=tokens, shortened=cut
            )
        )
    return items


async def _relevant(
    store: ContextStore, query: str, *, access: int, theta: float | None, run: str | None
) -> Answer:
    """Ask for more until enough of it is this run's."""
    k = _LOOK_AT
    while True:
        found = await store.query(query, access=access, theta=theta, k=k)
        own = sum(run is None or not _foreign(hit.node, run) for hit in found)
        if own >= _LOOK_AT or len(found) < k or k * _GROW > MAX_K:
            return found
        k *= _GROW


def _foreign(node: ContextNode, run: str) -> bool:
    return node.provenance is not None and node.provenance.run != run


def _title(node: ContextNode) -> str:
    return node.provenance.task if node.provenance else node.id
