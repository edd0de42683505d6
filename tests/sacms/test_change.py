"""What a transaction does to the forest, the same in every store, and the laws that hold after all."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import ClassVar

import anyio
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dyntaskmas_nb.errors import InvalidInput, VersionConflict
from dyntaskmas_nb.sacms.change import Delete, Move, Put, SetLevel, merged
from dyntaskmas_nb.sacms.distribution import Subscription
from dyntaskmas_nb.sacms.memory import MemoryStore
from dyntaskmas_nb.sacms.node import ContextNode, Provenance
from tests.sacms.conftest import without_index


def ids(nodes):
    return [node.id for node in nodes]


class TestMerge:
    """Eq. 16: the same id, version + 1, tags ∪ new tags; the content by the named policy."""

    CASES: ClassVar = {
        "replace": ("new", {"b": 2}),
        "append": ("old\nnew", [{"a": 1}, {"b": 2}]),
        "json_merge": ("new", {"a": 1, "b": 2}),
    }

    @pytest.mark.parametrize("merge", CASES)
    async def test_policies(self, store, make, merge):
        await store.put([make("n", "old", data={"a": 1}, tags=frozenset({"p", "q"}), created=1)])
        new = make("n", "new", data={"b": 2}, tags=frozenset({"r"}), created=5, updated=5)
        assert await store.write([Put(node=new, merge=merge, retract=frozenset({"q"}))]) == (2,)
        now = await store.get("n", access=0)
        assert (now.text, now.data) == self.CASES[merge]
        assert (now.tags, now.version, now.created, now.updated) == ({"p", "r"}, 2, 1, 5)

    async def test_reject_conflict(self, store, make):
        await store.put([make("n", "said", data=[1])])
        assert await store.write([Put(node=make("n", "said", data=[1]), merge="reject_conflict")]) == (2,)
        with pytest.raises(VersionConflict, match="something else since version 2"):
            await store.write([Put(node=make("n", "not so", data=[1]), merge="reject_conflict")])
        assert (await store.get("n", access=0)).version == 2

    @pytest.mark.parametrize(
        ("target", "patch", "made"),
        [  # RFC 7396, appendix A, its shape
            ({"a": "b"}, {"a": "c"}, {"a": "c"}),
            ({"a": "b"}, {"b": "c"}, {"a": "b", "b": "c"}),
            ({"a": "b", "b": "c"}, {"a": None}, {"b": "c"}),
            ({"a": ["b"]}, {"a": "c"}, {"a": "c"}),
            ({"a": {"b": "c"}}, {"a": {"b": "d", "c": None}}, {"a": {"b": "d"}}),
            ({"a": [{"b": "c"}]}, {"a": [1]}, {"a": [1]}),
            (["a", "b"], ["c", "d"], ["c", "d"]),
            ({"e": None}, {"a": 1}, {"e": None, "a": 1}),
            ([1, 2], {"a": "b", "c": None}, {"a": "b"}),
            ({}, {"a": {"bb": {"ccc": None}}}, {"a": {"bb": {}}}),
        ],
    )
    def test_json_merge_is_rfc_7396(self, make, target, patch, made):
        assert merged(make("n", data=target), make("n", data=patch), "json_merge").data == made

    async def test_an_unknown_policy_is_named(self, store, make):
        await store.put([make("n")])
        with pytest.raises(InvalidInput, match="replace, append, json_merge, reject_conflict, not 'mix'"):
            await store.write([Put(node=make("n"), merge="mix")])

    async def test_what_is_merged_is_bounded_like_what_is_put(self, store, make):
        await store.put([make("n", "x" * 600_000)])
        with pytest.raises(InvalidInput, match="characters"):
            await store.write([Put(node=make("n", "x" * 600_000), merge="append")])


@pytest.mark.parametrize(
    "bad",
    [
        3,
        None,
        Put(node=3),
        Put(node=ContextNode(id="n", domain="d", text=""), retract=4),
        Move(id=None, parent="x"),
    ],
)
async def test_nonsense_is_refused_and_hurts_no_other_writer(store, make, bad):
    results = {}

    async def write(name, change):
        try:
            results[name] = await store.write([change])
        except InvalidInput as error:
            results[name] = str(error)

    async with anyio.create_task_group() as group:
        for number in range(3):
            group.start_soon(write, number, Put(node=make(f"good {number}")))
        group.start_soon(write, "bad", bad)
    assert [results[number] for number in range(3)] == [(1,)] * 3
    assert isinstance(results["bad"], str)


class TestVersions:
    async def test_what_was_expected(self, store, make):
        assert await store.write([Put(node=make("n", "1"), expected=0)]) == (1,)
        with pytest.raises(VersionConflict, match="has version 1, not 0"):
            await store.write([Put(node=make("m")), Put(node=make("n", "2"), expected=0)])
        assert await store.get("m", access=0) is None, "all or none"
        assert await store.write([Put(node=make("n", "2"), expected=1)]) == (2,)
        for change in (
            Move(id="n", parent=None, expected=1),
            Delete(id="n", expected=1),
            SetLevel(id="n", access=1, expected=1),
        ):
            with pytest.raises(VersionConflict):
                await store.write([change])
        with pytest.raises(InvalidInput, match="expected version"):
            await store.write([Put(node=make("n"), expected=True)])

    async def test_every_version_stays_with_its_maker(self, store, make):
        for number in (1, 2, 3):
            made = Provenance(run="r", task="t", agent=f"agent {number}", attempt=number)
            await store.put([make("n", f"text {number}", provenance=made, access=number)])
        every = await store.versions("n", access=9)
        assert [(n.version, n.text, n.provenance.agent) for n in every] == [
            (number, f"text {number}", f"agent {number}") for number in (1, 2, 3)
        ]
        assert [n.version for n in await store.versions("n", access=2)] == [1, 2]
        assert await store.versions("nobody", access=9) == ()

    async def test_a_deleted_node_is_remembered_and_counts_on(self, store, make):
        await store.put([make("n", "hotel")])
        assert await store.write([Delete(id="n")]) == (0,)
        assert await store.get("n", access=0) is None
        assert len(await store.query("hotel", access=0)) == 0
        assert [n.text for n in await store.versions("n", access=0)] == ["hotel"]
        with pytest.raises(InvalidInput, match="no node 'n'"):
            await store.write([Delete(id="n")])
        assert await store.put([make("n", "hotel again")]) == (2,)
        assert ids(hit.node for hit in await store.query("hotel", access=0)) == ["n"]


class TestForest:
    @pytest.fixture
    async def tree(self, store, make):
        """top(0) ── a(1) ── a1(1), a2(2);  top ── b(0)."""
        await store.put(
            [
                make("top"), make("a", parent="top", access=1), make("b", parent="top"),
                make("a1", parent="a", access=1), make("a2", parent="a", access=2),
            ]
        )  # fmt: skip
        return store

    async def test_subtree(self, tree):
        assert ids(await tree.subtree("top", access=2)) == ["top", "a", "a1", "a2", "b"]
        assert ids(await tree.subtree("top", access=1)) == ["top", "a", "a1", "b"]
        assert ids(await tree.subtree("top", access=0)) == ["top", "b"]
        assert await tree.subtree("a", access=0) == ()

    async def test_move_takes_along_what_lies_below(self, tree):
        await tree.write([Move(id="a", parent="b")])
        assert ids(await tree.subtree("top", access=2)) == ["top", "b", "a", "a1", "a2"]
        await tree.write([Move(id="a", parent=None)])
        assert ids(await tree.roots("travel", access=2)) == ["a", "top"]
        assert ids(await tree.children("top", access=2)) == ["b"]

    @pytest.mark.parametrize(
        ("change", "words"),
        [
            (Move(id="a", parent="a1"), "below itself"),
            (Move(id="a", parent="a"), "does not exist"),
            (Move(id="a", parent="nobody"), "does not exist"),
            (Move(id="b", parent="a"), "on level 0"),
            (Move(id="nobody", parent="a"), "no node 'nobody'"),
            (Delete(id="a"), "has 2 children"),
            (SetLevel(id="a", access=-1), "access"),
            (SetLevel(id="a1", access=0), "on level 0"),
            (SetLevel(id="a", access=True), "access"),
        ],
    )
    async def test_refused(self, tree, change, words):
        before = await tree.subtree("top", access=9)
        with pytest.raises(InvalidInput, match=words):
            await tree.write([SetLevel(id="top", access=0), change])
        assert await tree.subtree("top", access=9) == before

    async def test_delete_with_all_below(self, tree):
        await tree.write([Delete(id="a", cascade=True)])
        assert ids(await tree.subtree("top", access=9)) == ["top", "b"]
        for id in ("a", "a1", "a2"):
            assert await tree.get(id, access=9) is None

    async def test_a_level_rises_with_all_below_and_falls_when_told_so(self, tree, make):
        await tree.put([make("a", "raised", parent="top", access=5)])
        assert {n.id: n.access for n in await tree.subtree("top", access=9)} == {
            "top": 0, "a": 5, "a1": 5, "a2": 5, "b": 0,
        }  # fmt: skip
        with pytest.raises(InvalidInput, match="SetLevel"):
            await tree.put([make("a", "lowered", parent="top", access=1)])
        await tree.write([SetLevel(id="a", access=1), SetLevel(id="a2", access=1)])
        assert ids(await tree.subtree("top", access=1)) == ["top", "a", "a2", "b"]

    async def test_one_transaction_sees_its_own_changes(self, tree, make):
        await tree.write(
            [
                Put(node=make("c", parent="top")),
                Put(node=make("c1", parent="c")),
                Move(id="b", parent="c1"),
                Delete(id="a", cascade=True),
                Put(node=make("a", "anew", parent="b")),
            ]
        )
        assert ids(await tree.subtree("top", access=0)) == ["top", "c", "c1", "b", "a"]
        assert (await tree.get("a", access=0)).version == 2


class TestLocks:
    async def test_reading_and_writing_are_one(self, store, make):
        await store.put([make("n", data=0), make("m", data=0)])

        async def count(*order):
            for _ in range(5):
                async with store.lock(*order):
                    n = await store.get("n", access=0)
                    await anyio.lowlevel.checkpoint()
                    await store.write([Put(node=replace(n, data=n.data + 1), expected=n.version)])

        with anyio.fail_after(20):
            async with anyio.create_task_group() as group:
                for order in (("n", "m"), ("m", "n"), ("n",)):
                    group.start_soon(count, *order)
        assert (await store.get("n", access=0)).data == 15
        assert not store._locks._locks, "nobody holds any"


class TestDistribution:
    """Alg. 3: in the same transaction, in order, until acknowledged; the level is tested twice."""

    @pytest.fixture
    async def told(self, store):
        for agent, access in (("low", 0), ("high", 2)):
            tags = frozenset({"hotel", "kyoto"})
            await store.subscribe(Subscription(agent=agent, tags=tags, access=access, theta=0.3))
        return store

    async def test_relevant_and_allowed(self, told, make):
        kyoto = frozenset({"hotel", "kyoto"})
        await told.put(
            [make("1", tags=kyoto), make("2", tags=kyoto, access=1), make("3", tags=frozenset({"x"}))]
        )
        assert [(d.node, d.version, d.relevance) for d, _ in await told.deliveries("low")] == [("1", 1, 1.0)]
        assert [d.node for d, _ in await told.deliveries("high")] == ["1", "2"]
        assert await told.deliveries("nobody") == ()

    async def test_again_until_acknowledged_and_in_order(self, told, make):
        for number in range(5):
            await told.put([make("n", f"{number}", tags=frozenset({"kyoto", "hotel"}))])
        first = await told.deliveries("low", most=3)
        assert [node.text for _, node in first] == ["0", "1", "2"]
        assert await told.deliveries("low", most=3) == first
        await told.acknowledge("low", first[1][0].seq)
        assert [node.text for _, node in await told.deliveries("low")] == ["2", "3", "4"]
        assert len(await told.deliveries("high")) == 5

    async def test_what_is_hidden_meanwhile_is_not_delivered(self, told, make):
        await told.put([make("n", "open", tags=frozenset({"hotel"}))])
        await told.put([make("n", "secret", tags=frozenset({"hotel"}), access=1)])
        assert await told.deliveries("low") == ()
        assert [node.text for _, node in await told.deliveries("high")] == ["open", "secret"]

    async def test_a_refused_transaction_tells_nobody(self, told, make):
        with pytest.raises(InvalidInput):
            await told.put([make("n", tags=frozenset({"hotel"})), make("m", parent="nobody")])
        assert await told.deliveries("high") == ()

    async def test_who_wrote_it_is_not_told(self, told, make):
        made = Provenance(run="r", task="t", agent="low")
        await told.put([make("n", tags=frozenset({"hotel"}), provenance=made)])
        assert await told.deliveries("low") == ()
        assert len(await told.deliveries("high")) == 1

    async def test_unsubscribed(self, told, make):
        await told.put([make("n", tags=frozenset({"hotel"}))])
        assert await told.subscribers() == ("high", "low")
        await told.unsubscribe("low")
        assert await told.subscribers() == ("high",)
        await told.subscribe(Subscription(agent="low", tags=frozenset({"hotel"}), access=0, theta=0))
        assert await told.deliveries("low") == ()

    async def test_it_outlives_the_process(self, tmp_path, make):
        store = without_index(tmp_path / "s")
        await store.subscribe(Subscription(agent="a", tags=frozenset({"hotel"}), access=0, theta=0.5))
        await store.put([make("1", tags=frozenset({"hotel"}))])
        await store.aclose()
        store = without_index(tmp_path / "s")
        await store.put([make("2", tags=frozenset({"hotel"}))])
        assert [d.node for d, _ in await store.deliveries("a")] == ["1", "2"]
        await store.aclose()


class TestExplain:
    async def test_every_verdict(self, store, make):
        await store.put(
            [
                make("1", "a quiet hotel in Kyoto", tags=frozenset({"hotel"})),
                make("2", "the hotel bar"),
                make("3", "robot arm torque"),
                make("4", "a quiet hotel in Kyoto, secretly", access=1),
            ]
        )
        found = await store.explain("quiet hotel in Kyoto", access=0, theta=0.15, k=1)
        assert [(c.id, c.verdict) for c in found] == [("1", "given"), ("2", "beyond k"), ("3", "not above θ")]
        assert found[0].shared_tags == ("hotel",)
        given = await store.query("quiet hotel in Kyoto", access=0, theta=0.15, k=1)
        assert [hit.node.id for hit in given] == [c.id for c in found if c.verdict == "given"]


# -- any history ----------------------------------------------------------------------------------------

names = st.sampled_from("abcdef")
levels = st.integers(0, 2)
expected = st.none() | st.integers(0, 3)
tags = st.frozensets(st.sampled_from(["hotel", "kyoto", "train"]), max_size=2)
nodes = st.builds(
    ContextNode,
    id=names, domain=st.sampled_from(["d", "d", "e"]), text=st.sampled_from(["hotel", "train", ""]),
    data=st.sampled_from([None, 1, {"x": 1}]), parent=st.none() | names, tags=tags, access=levels,
)  # fmt: skip
merges = st.sampled_from([None, None, "replace", "append", "json_merge", "reject_conflict"])
changes = st.one_of(
    st.builds(Put, node=nodes, merge=merges, retract=tags, expected=expected),
    st.builds(Put, node=nodes),
    st.builds(Move, id=names, parent=st.none() | names, expected=expected),
    st.builds(Delete, id=names, cascade=st.booleans()),
    st.builds(SetLevel, id=names, access=levels),
)


async def everything(store):
    """All that can be seen of a store, by every level."""
    seen = []
    for access in (0, 1, 2):
        for domain in "de":
            for root in await store.roots(domain, access=access):
                seen.append(await store.subtree(root.id, access=access))
        seen += [await store.versions(id, access=access) for id in "abcdef"]
        seen.append([(h.node, h.relevance) for h in await store.query("hotel", access=access, theta=0)])
    seen += [await store.deliveries(agent) for agent in ("low", "high")]
    return [[_shown(part) for part in parts] for parts in seen]


def _shown(part):
    if isinstance(part, tuple) and hasattr(part[0], "seq"):
        return part[0].node, part[0].version, part[0].relevance, part[1]
    return part


async def laws(store):
    known = {id: node for id in "abcdef" if (node := await store.get(id, access=9))}
    for node in known.values():
        seen, above = {node.id}, node.parent
        while above is not None:
            assert above not in seen, "a cycle"
            assert known[above].domain == node.domain
            assert known[above].access <= node.access
            seen.add(above)
            above = known[above].parent
    roots = [root for domain in "de" for root in await store.roots(domain, access=9)]
    below = [node.id for root in roots for node in await store.subtree(root.id, access=9)]
    assert sorted(below) == sorted(known), "every node hangs in one tree"
    for access in (0, 1):
        for id, node in known.items():
            assert (await store.get(id, access=access) is None) == (node.access > access)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.lists(changes, min_size=1, max_size=3), max_size=12))
def test_both_stores_make_the_same_of_any_history(history):
    async def main():
        with TemporaryDirectory() as folder:
            memory, disk = MemoryStore(), without_index(Path(folder, "s"))
            try:
                for store in (memory, disk):
                    for agent, access in (("low", 0), ("high", 2)):
                        wanted = Subscription(
                            agent=agent, tags=frozenset({"hotel"}), access=access, theta=0.4
                        )
                        await store.subscribe(wanted)
                for transaction in history:
                    answers = []
                    before = await everything(memory)
                    for store in (memory, disk):
                        try:
                            answers.append(await store.write(transaction))
                        except InvalidInput as error:
                            answers.append(f"{type(error).__name__}: {error}")
                    assert answers[0] == answers[1]
                    if isinstance(answers[0], str):
                        assert await everything(memory) == before, "refused is unchanged"
                    await laws(memory)
                assert await everything(memory) == await everything(disk)
            finally:
                await disk.aclose()

    with suppress(KeyboardInterrupt):
        anyio.run(main)
