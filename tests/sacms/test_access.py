"""No read shows, or counts, a node above the reader's level (Eq. 15), whatever the forest looks like."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import anyio.from_thread
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dyntaskmas_nb.sacms.change import Change, Delete, Put, SetLevel
from dyntaskmas_nb.sacms.chroma import ChromaStore
from dyntaskmas_nb.sacms.context import gather_context
from dyntaskmas_nb.sacms.distribution import Subscription
from dyntaskmas_nb.sacms.memory import MemoryStore
from dyntaskmas_nb.sacms.node import ContextNode, Provenance, result_id

LEVELS = st.integers(0, 3)
# Each node: its level above its parent's, and which earlier node is its parent (None: a root).
FORESTS = st.lists(st.tuples(st.integers(0, 2), st.none() | st.integers(0, 7)), min_size=1, max_size=10)
NUMBERS = itertools.count()


@contextmanager
def opened(kind: str, path) -> Iterator:
    with anyio.from_thread.start_blocking_portal() as portal:
        store = MemoryStore() if kind == "memory" else ChromaStore(path)
        if kind != "memory":
            assert portal.call(store.settled, 100)
        yield portal, store
        portal.call(store.aclose)


@pytest.fixture(scope="module", params=["memory", "chroma"])
def shared(request, tmp_path_factory):
    with opened(request.param, tmp_path_factory.mktemp("access") / "store") as both:
        yield both


def plant(shape) -> list[ContextNode]:
    mark, nodes = f"f{next(NUMBERS)}", []
    for number, (rise, parent) in enumerate(shape):
        above = nodes[parent] if parent is not None and parent < number else None
        level = rise + (above.access if above else 0)
        nodes.append(
            ContextNode(
                id=result_id(mark, str(number), 1),
                domain=mark,
                parent=above.id if above else None,
                access=level,
                text=f"hotel {mark} hidden{level}",
                tags=frozenset({"hotel", mark}),
                data={"hidden": level},
                provenance=Provenance(run=mark, task=str(number), result=True),
            )
        )
    return nodes


async def look(store, nodes: list[ContextNode], level: int) -> list[ContextNode]:
    """Read in every way there is, and check the counts on the way."""
    seen: list[ContextNode] = []
    visible = {node.id for node in nodes if node.access <= level}
    domain = nodes[0].domain
    for node in nodes:
        got = await store.get(node.id, access=level)
        assert (got is not None) == (node.id in visible)
        adopted = await store.result_of(domain, node.provenance.task, access=level)
        assert (adopted is not None) == (node.id in visible)
        children = await store.children(node.id, access=level)
        assert {n.id for n in children} == {n.id for n in nodes if n.parent == node.id} & visible
        seen += [*children, *filter(None, (got, adopted))]
    roots = await store.roots(domain, access=level)
    assert {n.id for n in roots} == {n.id for n in nodes if n.parent is None} & visible
    answer = await store.query(domain, access=level, theta=0, k=100)
    assert {hit.node.id for hit in answer if hit.node.domain == domain} == visible
    seen += [hit.node for hit in answer]
    seen += [hit.node for hit in await store.query("hotel hidden", access=level, theta=0, k=50)]
    for node in nodes:
        below = await store.subtree(node.id, access=level)
        assert {n.id for n in below} <= visible
        assert (node.id in {n.id for n in below}) == (node.id in visible)
        assert all(n.access <= level for n in await store.versions(node.id, access=level))
        seen += below
    considered = await store.explain(domain, access=level, theta=0, k=100)
    assert {one.id for one in considered if one.id.startswith(f"result/{domain}/")} == visible
    assert (domain in await store.domains(access=level)) == bool(visible)
    told = await store.deliveries(f"{domain} {level}")
    assert {delivery.node for delivery, _ in told} == visible
    seen += [node for _, node in told]
    bundle = await gather_context(
        store,
        predecessors=[n.id for n in nodes],
        query=domain,
        access=level,
        budget_tokens=40,
        count_tokens=len,
    )
    assert not [
        item for item in bundle.items if item.id.startswith(f"result/{domain}/") and item.id not in visible
    ]
    assert "hidden9" not in repr(bundle)
    return [*seen, *roots]


@given(shape=FORESTS, level=LEVELS)
def test_no_read_leaks(shared, shape, level):
    portal, store = shared
    nodes = plant(shape)
    wanted = Subscription(
        agent=f"{nodes[0].domain} {level}", tags=frozenset({nodes[0].domain}), access=level, theta=0.0
    )
    portal.call(store.subscribe, wanted)
    portal.call(store.put, nodes)
    for node in portal.call(look, store, nodes, level):
        assert node.access <= level
        assert node.data["hidden"] <= level
        assert (
            node.parent is None or portal.call(lambda n=node: store.get(n.parent, access=level)) is not None
        )


async def test_an_index_that_proposes_everything_is_not_believed(chroma, make):
    """The access test is the authority's: whatever the index returns, hidden and outdated nodes stay out."""
    await chroma.put([make("open", "hotel"), make("hidden", "hotel", access=1), make("old", "hotel")])
    await chroma.put([make("old", "robot")])
    chroma.index.indexed = 4
    chroma.index.search = lambda unit, *, access, n: [(list(range(1, 50)), [0.0] * 49, True)]
    answer = await chroma.query("hotel", access=0)
    assert [hit.node.id for hit in answer] == ["open"]
    assert not answer.degraded


# -- what is hidden makes no difference -----------------------------------------------------------------

# Each step: which node it concerns, and whether it is written again, raised above a level, or deleted.
STEPS = st.lists(st.tuples(st.integers(0, 9), st.sampled_from(["again", "raise", "delete"])), max_size=6)
TOP = 3


@pytest.fixture(scope="module", params=["memory", "chroma"])
def empty(request, tmp_path_factory):
    """Gives an empty store: a new one in memory, and of the other kind always the same, to be left empty."""
    with opened(request.param, tmp_path_factory.mktemp("empty") / "store") as (portal, store):
        yield portal, MemoryStore if request.param == "memory" else lambda: store


def history(nodes: list[ContextNode], steps) -> Iterator[list[tuple[Change, int, int]]]:
    """Transactions; with each change the level of its node before (-1: none) and after (-1: deleted)."""
    levels = {node.id: node.access for node in nodes}
    yield [(Put(node=node), -1, node.access) for node in nodes]
    for number, (which, step) in enumerate(steps):
        node = nodes[which % len(nodes)]
        if node.id not in levels:
            continue
        level = levels[node.id]
        below = [n.id for n in nodes if n.id in levels and node.id in lineage(n, nodes)]
        match step:
            case "again":
                new = replace(node, text=f"{node.text} again{number}", access=level)
                yield [(Put(node=new), level, level)]
            case "raise":
                done = [(id, levels[id], max(level + 1, levels[id])) for id in reversed(below)]
                yield [(SetLevel(id=id, access=new), old, new) for id, old, new in done if old != new]
                levels |= {id: new for id, _, new in done}
            case "delete":
                yield [(Delete(id=id), levels.pop(id), -1) for id in reversed(below)]


def lineage(node: ContextNode, nodes: list[ContextNode]) -> list[str]:
    """The node and all above it."""
    by_id = {each.id: each for each in nodes}
    found = [node]
    while found[-1].parent:
        found.append(by_id[found[-1].parent])
    return [each.id for each in found]


def as_seen(transaction: list[tuple[Change, int, int]], level: int) -> list[Change]:
    """What a store has to be told that holds nothing above `level`: what rises above it is gone."""
    seen: list[Change] = []
    for change, before, after in transaction:
        if 0 <= after <= level:
            seen.append(change)
        elif 0 <= before <= level:
            seen.append(change if isinstance(change, Delete) else Delete(id=change.id))
    return seen


async def view(store, nodes: list[ContextNode], level: int) -> dict[str, object]:
    """All that a reader can learn; hidden, deleted and never written look alike."""
    domain = nodes[0].domain
    got = [await store.get(node.id, access=level) for node in nodes]
    # A node that rose is withdrawn from the outbox, one that was deleted is not: look at those there are.
    there = {node.id for node in got if node}
    told = [one for one in await store.deliveries(f"{domain} {level}") if one[0].node in there]
    seen: dict[str, object] = {
        "got": got,
        "roots": await store.roots(domain, access=level),
        "domains": await store.domains(access=level),
        "told": [(delivery.node, delivery.version, delivery.relevance, node) for delivery, node in told],
        "some": (await store.query(f"{domain} hotel", access=level, theta=0.3, k=2)).hits,
        "all": (await store.query(domain, access=level, theta=0.3, k=100)).hits,
        "explained": await store.explain(domain, access=level, theta=0.3, k=2),
    }
    for node in nodes:
        seen[f"children {node.id}"] = await store.children(node.id, access=level)
        seen[f"subtree {node.id}"] = await store.subtree(node.id, access=level)
        seen[f"result {node.id}"] = await store.result_of(domain, node.provenance.task, access=level)
    return seen


@given(shape=FORESTS, steps=STEPS)
def test_what_is_hidden_makes_no_difference(empty, shape, steps):
    """Non-interference: every read on a level is that of a store that was never given anything above it."""
    portal, make_store = empty
    store, poorer = make_store(), [MemoryStore() for _ in range(TOP + 1)]
    nodes = [replace(node, access=min(node.access, TOP)) for node in plant(shape)]
    domain = nodes[0].domain
    try:
        for level, other in enumerate(poorer):
            wanted = Subscription(
                agent=f"{domain} {level}", tags=frozenset({domain}), access=level, theta=0.0
            )
            portal.call(store.subscribe, wanted)
            portal.call(other.subscribe, wanted)
        for transaction in history(nodes, steps):
            portal.call(store.write, [change for change, _, _ in transaction])
            for level, other in enumerate(poorer):
                if seen := as_seen(transaction, level):
                    portal.call(other.write, seen)
        for level, other in enumerate(poorer):
            rich, poor = (portal.call(view, each, nodes, level) for each in (store, other))
            assert rich == poor, [name for name in rich if rich[name] != poor[name]]
    finally:  # a search among many may miss one, and that is not what is tested here
        portal.call(clear, store, domain)


async def clear(store, domain: str) -> None:
    await store.write([Delete(id=n.id, cascade=True) for n in await store.roots(domain, access=9)])
    for level in range(TOP + 1):
        await store.unsubscribe(f"{domain} {level}")
