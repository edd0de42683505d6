"""A run's context store as its user looks into it: the forest, a node's versions, why a query gives what.

The user owns the store: where no level is given, every level is shown. Looking writes nothing, and what an
agent reads is decided by the same store and the same `gather_context`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from dataclasses import replace
from typing import TypeAlias, TypeVar, cast

from dyntaskmas_nb.core.task import shown
from dyntaskmas_nb.errors import InvalidInput
from dyntaskmas_nb.kit.access import Access
from dyntaskmas_nb.kit.glimpses import (
    NODES,
    ContextQuery,
    ContextTree,
    ContextVersions,
    Seen,
    Verdict,
    title_of,
)
from dyntaskmas_nb.kit.wiring import Wiring
from dyntaskmas_nb.sacms.context import gather_context
from dyntaskmas_nb.sacms.node import MAX_COUNT, ContextNode, NodeId, check_count
from dyntaskmas_nb.sacms.store import Considered, ContextStore, considered
from dyntaskmas_nb.view.words import number

T = TypeVar("T")
Forest: TypeAlias = tuple[tuple[int, ContextNode], ...]
Judged: TypeAlias = tuple[Verdict, str]
_SHARED = "id", "version", "access", "relevance", "shared_tags"
#: Relevant nodes that an agent's query considers, as `gather_context` does.
LOOK_AT = 32


class Contexts(Access):
    """What a run shows of its context store; a store that several runs share is shown whole."""

    def context_tree(self, *, access: int | None = None) -> ContextTree:
        """The forest of nodes that level `access` may read, at most 500 of them, this run's first."""
        level, run = _level(access), self.id

        async def look(wiring: Wiring) -> ContextTree:
            nodes, cut = await _forest(wiring.store, level, run)
            every = nodes if access is None else (await _forest(wiring.store, MAX_COUNT, run))[0]
            highest = max((node.access for _, node in every), default=0)
            return ContextTree(nodes=nodes, access=access, highest=highest, cut=cut)

        return self._ask(look)

    def context_node(self, id: str, *, access: int | None = None) -> ContextVersions:
        """Every version of node `id` that level `access` may read, and how each differs from the last.

        Raises `InvalidInput` when there is none: a hidden node and a missing one look alike.
        """
        level, name = _level(access), NodeId(id)

        async def look(wiring: Wiring) -> ContextVersions:
            versions = await wiring.store.versions(name, access=level)
            if not versions:
                may = "" if access is None else f" that level {access} may read"
                raise InvalidInput(f"There is no node {shown(id)}{may}; run.context_tree() has them all.")
            deleted = await wiring.store.get(name, access=MAX_COUNT) is None
            return ContextVersions(id=name, versions=versions, deleted=deleted)

        return self._ask(look)

    def context_query(
        self, text: str, *, access: int | None = None, theta: float | None = None, k: int = 10
    ) -> ContextQuery:
        """Why a query of level `access` gives what it gives (Eqs. 13–15): relevance, verdict, shared tags.

        Relevance must exceed `theta` (the store's own unless given); the `k` most relevant are given. You own
        the store, so you also see what the level hides. Raises `InvalidInput` for a bad level, a θ outside
        [0, 1], a k outside [1, 500].
        """
        level = _level(access)
        check_count(k, "k", least=1, most=NODES)

        async def look(wiring: Wiring) -> ContextQuery:
            applied = await _theta(wiring.store, theta)
            found = await _considered(wiring.store, text, level, applied, k)
            rows = await _rows(wiring.store, found, lambda one, _: _verdict(one, level, applied, k))
            return ContextQuery(text=text, access=access, theta=applied, k=k, rows=rows)

        return self._ask(look)

    def context_for(self, agent: str, text: str) -> ContextQuery:
        """What `agent` would be given to read for `text`, besides the results that its task depends on.

        It reads as a Llama does: at its level, within half its model's window, nothing of other runs. Raises
        `InvalidInput` when there is no such agent.
        """
        agents, run = self._read(lambda: [one.spec for one in self._machine.pool]), self.id
        if (level := next((spec.access for spec in agents if spec.id == agent), None)) is None:
            known = ", ".join(shown(spec.id) for spec in agents[:20])
            raise InvalidInput(f"There is no agent {shown(agent)}. There are {known or 'none'}.")

        async def look(wiring: Wiring) -> ContextQuery:
            theta = await _theta(wiring.store, None)
            rows = await _read_by(wiring, run, text, level, theta)
            return ContextQuery(text=text, access=level, theta=theta, k=LOOK_AT, rows=rows, agent=agent)

        return self._ask(look)

    def _ask(self, look: Callable[[Wiring], Awaitable[T]]) -> T:
        """Have the store asked on its own loop; raises `StoreError` where the kit is closed."""
        wiring = self._parts.wiring(self._engine)
        return cast(T, self._background.call(look, wiring))


def _level(access: int | None) -> int:
    return MAX_COUNT if access is None else check_count(access, "access")


async def _forest(store: ContextStore, level: int, first: str) -> tuple[Forest, bool]:
    """Nodes with their depths, the domain `first` first; and whether there are more than `NODES`."""
    found: dict[NodeId, tuple[int, ContextNode]] = {}
    domains = await store.domains(access=level)
    for domain in sorted(domains, key=lambda name: (name != first, name)):
        waiting = [(0, node) for node in reversed(await store.roots(domain, access=level))]
        while waiting:
            if len(found) == NODES:
                return tuple(found.values()), True
            depth, node = waiting.pop()
            found[node.id] = depth, node
            below = await store.children(node.id, access=level)
            waiting += [(depth + 1, child) for child in reversed(below) if child.id not in found]
    return tuple(found.values()), False


async def _theta(store: ContextStore, theta: float | None) -> float:
    """The threshold that a query applies."""
    return (await store.query("", access=0, theta=theta)).theta


async def _considered(
    store: ContextStore, text: str, level: int, theta: float, k: int
) -> tuple[Considered, ...]:
    """What a query of `level` considers, and what it would if nothing were hidden from it."""
    found = await store.explain(text, access=level, theta=theta, k=k)
    if level == MAX_COUNT:
        return found
    every = await store.explain(text, access=MAX_COUNT, theta=theta, k=k)
    return *found, *(one for one in every if one.access > level)


async def _rows(
    store: ContextStore,
    found: Iterable[Considered],
    judge: Callable[[Considered, ContextNode | None], Judged],
) -> tuple[Seen, ...]:
    """Each node with its title and verdict, by falling relevance."""
    rows = []
    for one in sorted(found, key=lambda one: -one.relevance):
        node = await store.get(one.id, access=MAX_COUNT)
        verdict, why = judge(one, node)
        plain = {name: getattr(one, name) for name in _SHARED}
        rows.append(Seen(title=title_of(node) if node else one.id, verdict=verdict, why=why, **plain))
    return tuple(rows)


def _verdict(one: Considered, level: int, theta: float, k: int) -> Judged:
    """The verdict by level, θ and k, and its reason with the operands."""
    if one.access > level:
        return "hidden", f"level {one.access} > {level}"
    if one.verdict == "given":
        tags = f"; shares {', '.join(one.shared_tags)}" if one.shared_tags else ""
        return "given", f"{number(one.relevance)} > θ {number(theta)}{tags}"
    if one.verdict == "beyond k":
        return "beyond k", f"{k} are more relevant"
    return "not above θ", f"{number(one.relevance)} ≤ θ {number(theta)}"


async def _read_by(wiring: Wiring, run: str, text: str, level: int, theta: float) -> tuple[Seen, ...]:
    """What `gather_context` gives an agent of `run`, and what not, and why."""
    store, backend = wiring.store, wiring.backend
    found = {one.id: one for one in await _considered(store, text, level, theta, LOOK_AT)}
    bundle = await gather_context(
        store,
        predecessors=(),
        query=text,
        access=level,
        budget_tokens=backend.caps.context_window // 2,
        count_tokens=backend.count_tokens,
        theta=theta,
        run=run,
    )
    for item in bundle.items:  # what other runs wrote may have crowded it out
        if item.id not in found and (node := await store.get(item.id, access=level)):
            found[item.id] = considered([(item.relevance or 0.0, node)], text, theta, 1)[0]
    given, reasons = {item.id for item in bundle.items}, dict(bundle.left_out)

    def judge(one: Considered, node: ContextNode | None) -> Judged:
        made = node.provenance if node else None
        if one.id in given:
            return _verdict(replace(one, verdict="given"), level, theta, LOOK_AT)
        if one.access > level or one.verdict == "not above θ":
            return _verdict(one, level, theta, LOOK_AT)
        if made and made.run != run:
            return "another run's", f"run {made.run} made it"
        title = title_of(node) if node else one.id
        return "left out", reasons.get(title, f"{LOOK_AT} are more relevant")

    return await _rows(store, found.values(), judge)
