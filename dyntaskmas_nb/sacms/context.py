"""What an agent is given to read: its predecessors' results, then what is relevant (Eqs. 13–15).

Within a token budget and the agent's level; whatever is left out is named, with the reason. The order is
deterministic: predecessors as given, then falling relevance.

# Paper silent on budgets. We chose: predecessors come first, because the graph says that the task needs
# them; one that exceeds its equal share of what is left is shortened, with a visible mark. What is merely
# relevant is given whole or not at all.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from dyntaskmas_nb.sacms.node import ContextNode, NodeId, check_count
from dyntaskmas_nb.sacms.store import MAX_K, Answer, ContextStore

MARK = " … [shortened]"
Count = Callable[[str], int]
"""Tokens of a text, as an agent's model counts."""
Predecessor = NodeId | tuple[str, str]
"""A node's id, or (run, task) for the latest result of that task."""

_LOOK_AT = 32  # relevant nodes considered


@dataclass(frozen=True, slots=True, kw_only=True)
class ContextItem:
    """Something an agent is given, and its tokens. `relevance` is None for predecessors."""

    id: NodeId
    version: int
    title: str
    text: str
    tokens: int
    relevance: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ContextBundle:
    """All that an agent is given, its tokens, and what it is not given: titles and reasons.

    `degraded`: the store's index was not available, relevance was computed without it.
    """

    items: tuple[ContextItem, ...]
    left_out: tuple[tuple[str, str], ...]
    tokens: int
    degraded: bool = False


async def gather_context(
    store: ContextStore,
    *,
    predecessors: Sequence[Predecessor],
    query: str,
    access: int,
    budget_tokens: int,
    count_tokens: Count,
    theta: float | None = None,
    run: str | None = None,
) -> ContextBundle:
    """Choose what an agent of level `access` reads before it works on a task.

    The results of `predecessors` (a node's id, or run and task) come first, in this order. Then comes what
    is relevant to `query` (usually the task's description; blank: nothing) above `theta` (the embedder's own
    unless given), without what runs other than `run` wrote, if that is given. All texts together take at
    most `budget_tokens`, as `count_tokens` counts.

    Raises InvalidInput for a bad level, budget, θ or query, StoreError if the store cannot be read.
    """
    left = check_count(budget_tokens, "budget_tokens")
    left_out: list[tuple[str, str]] = []
    given = await _predecessors(store, predecessors, access, left_out)
    found = await _relevant(store, query, access, theta, run) if query.strip() else Answer(hits=(), theta=0.0)
    known = {node.id for node in given}
    relevant = [hit for hit in found if hit.node.id not in known and not _foreign(hit.node, run)]
    items = _share(given, left, count_tokens, left_out)
    left -= sum(item.tokens for item in items)
    texts = {node.text for node in given}
    for hit in relevant:
        title, text, tokens = _title(hit.node), hit.node.text, count_tokens(hit.node.text)
        if text in texts:
            left_out.append((title, "says the same as another item"))
        elif tokens > left:
            left_out.append((title, f"needs {tokens} tokens, {left} are left"))
        else:
            left -= tokens
            texts.add(text)
            items.append(_item(hit.node, text, tokens, hit.relevance))
    return ContextBundle(
        items=tuple(items),
        left_out=tuple(left_out),
        tokens=budget_tokens - left,
        degraded=found.degraded,
    )


def shorten(text: str, budget: int, count_tokens: Count) -> str | None:
    """Return `text`, or as much of its beginning as fits `budget` tokens with `MARK`; None if nothing fits.

    Words stay whole where there are any: half a number would be another number.

    >>> shorten("one two three four five", 4, lambda text: len(text.split()))
    'one two … [shortened]'
    """
    if count_tokens(text) <= budget:
        return text
    fits, too_long = 0, len(text)
    while too_long - fits > 1:
        middle = (fits + too_long) // 2
        if count_tokens(text[:middle].rstrip() + MARK) <= budget:
            fits = middle
        else:
            too_long = middle
    kept = text[:fits]
    if not text[fits : fits + 1].isspace():
        kept = kept.rpartition(" ")[0] or kept
    return kept.rstrip() + MARK if kept.strip() else None


async def _predecessors(
    store: ContextStore, wanted: Sequence[Predecessor], access: int, left_out: list[tuple[str, str]]
) -> list[ContextNode]:
    found: dict[NodeId, ContextNode] = {}
    for name in wanted:
        if isinstance(name, tuple):
            title, node = name[1], await store.result_of(*name, access=access)
        else:
            title, node = name, await store.get(name, access=access)
        if node is None:
            left_out.append((title, "no result that this agent may read"))
        else:
            found.setdefault(node.id, node)
    return list(found.values())


def _share(
    nodes: Sequence[ContextNode], left: int, count_tokens: Count, left_out: list[tuple[str, str]]
) -> list[ContextItem]:
    """Give each node up to an equal share of what is `left`."""
    items: list[ContextItem] = []
    for number, node in enumerate(nodes):
        share = left // (len(nodes) - number)
        text = shorten(node.text, share, count_tokens)
        if text is None:
            left_out.append((_title(node), f"its share of {share} tokens is too small"))
            continue
        items.append(_item(node, text, count_tokens(text)))
        left -= items[-1].tokens
    return items


def _item(node: ContextNode, text: str, tokens: int, relevance: float | None = None) -> ContextItem:
    return ContextItem(
        id=node.id, version=node.version, title=_title(node), text=text, tokens=tokens, relevance=relevance
    )


async def _relevant(
    store: ContextStore, query: str, access: int, theta: float | None, run: str | None
) -> Answer:
    """Ask for more until enough of it is this run's."""
    k = _LOOK_AT
    while True:
        found = await store.query(query, access=access, theta=theta, k=k)
        own = sum(not _foreign(hit.node, run) for hit in found)
        if own >= _LOOK_AT or len(found) < k or 4 * k > MAX_K:
            return found
        k *= 4


def _foreign(node: ContextNode, run: str | None) -> bool:
    return run is not None and node.provenance is not None and node.provenance.run != run


def _title(node: ContextNode) -> str:
    return node.provenance.task if node.provenance else node.id
