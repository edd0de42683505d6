"""What every context store promises, held against each of them; `test_chroma` adds the index."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from dyntaskmas_nb.errors import InvalidInput, StoreError
from dyntaskmas_nb.sacms.node import MAX_TEXT, Provenance

SECRET = 3


class TestForest:
    async def test_gives_back_what_was_put(self, store, make, result):
        node = replace(
            result(
                "flights", "two seats to Osaka", data={"price": 620.5, "legs": ["LYS", "KIX"], "n": 2**63}
            ),
            tags=frozenset({"flight", "naïve Ω"}),
            access=2,
            owner="anna",
            created=1.5,
            updated=2.5,
        )
        assert await store.put([node]) == (1,)
        assert await store.get(node.id, access=2) == replace(node, version=1)

    async def test_putting_again_replaces_and_counts_versions(self, store, make):
        await store.put([make("a", "one", created=1, updated=1)])
        assert await store.put([make("a", "two", created=9, updated=9), make("b")]) == (2, 1)
        assert await store.get("a", access=0) == make("a", "two", version=2, created=1, updated=9)

    async def test_children_and_roots(self, store, make):
        await store.put([make("a"), make("c", parent="a"), make("b", parent="a"), make("z", domain="other")])
        assert [n.id for n in await store.children("a", access=0)] == ["b", "c"]
        assert [n.id for n in await store.roots("travel", access=0)] == ["a"]
        assert [n.id for n in await store.roots("other", access=0)] == ["z"]
        await store.put([make("s", domain="secret", access=1)])
        assert await store.domains(access=0) == ("other", "travel")
        assert await store.domains(access=1) == ("other", "secret", "travel")
        assert await store.children("nobody", access=0) == ()

    async def test_what_is_put_or_got_can_be_changed_without_changing_the_store(self, store, make):
        data = {"list": [1]}
        await store.put([make("a", data=data)])
        data["list"].append(2)
        (await store.get("a", access=0)).data["list"].append(3)
        assert (await store.get("a", access=0)).data == {"list": [1]}

    async def test_results_are_found_by_run_task_attempt(self, store, result):
        await store.put(
            [result("plan", "first"), result("plan", "second", attempt=2), result("plan", "x", run="r2")]
        )
        assert (await store.result_of("r1", "plan", 1, access=0)).text == "first"
        assert (await store.result_of("r1", "plan", access=0)).text == "second"
        assert await store.result_of("r1", "plan", 3, access=0) is None
        assert await store.result_of("r3", "plan", access=0) is None

    async def test_a_note_of_a_task_is_not_its_result(self, store, result):
        note = result("plan", "draft")
        await store.put([replace(note, provenance=replace(note.provenance, result=False))])
        assert await store.result_of("r1", "plan", access=0) is None

    async def test_closed(self, store, make):
        await store.put([make("a")])
        await store.aclose()
        await store.aclose()
        for call in (store.put([make("b")]), store.get("a", access=0), store.query("x", access=0)):
            with pytest.raises(StoreError, match="closed"):
                await call


class TestQuery:
    async def test_relevant_nodes_by_falling_relevance(self, store, make):
        await store.put(
            [make("1", "a quiet hotel in Kyoto"), make("2", "the hotel bar"), make("3", "robot arm torque")]
        )
        answer = await store.query("quiet hotel in Kyoto", access=0)
        assert [hit.node.id for hit in answer] == ["1", "2"]
        assert answer.hits[0].relevance == pytest.approx(1.0)
        assert answer.hits[0].relevance > answer.hits[1].relevance > answer.theta == store.embedder.theta

    async def test_theta_and_k(self, store, make):
        await store.put([make(str(i), "hotel " * (i + 1)) for i in range(9)])
        assert len(await store.query("hotel", access=0)) == 9
        assert len(await store.query("hotel", access=0, k=4)) == 4
        assert len(await store.query("hotel", access=0, theta=1.0)) == 0

    async def test_equal_relevance_comes_in_the_order_of_writing(self, store, make):
        await store.put([make(name, "hotel") for name in "dbca"])
        assert [hit.node.id for hit in await store.query("hotel", access=0)] == list("dbca")

    async def test_what_was_put_is_found_at_once_and_replaced_text_never_again(self, store, make):
        for number in range(10):
            await store.put([make("a", f"edition{number} of the guide")])
            found = await store.query(f"edition{number}", access=0, k=1)
            assert [hit.node.version for hit in found] == [number + 1]
        assert all("edition9" in hit.node.text for hit in await store.query("edition3", access=0))

    @pytest.mark.parametrize("text", ["", "   ", "?!…"])
    async def test_nothing_to_compare_finds_nothing(self, store, make, text):
        await store.put([make("a", "hotel"), make("b", "")])
        assert len(await store.query(text, access=0, theta=0)) == 0

    async def test_an_empty_store_answers(self, store):
        assert len(await store.query("hotel", access=5)) == 0

    @pytest.mark.parametrize(
        "bad",
        [
            {"access": True},
            {"access": -1},
            {"access": 1.0},
            {"theta": 1.01},
            {"theta": -0.01},
            {"theta": math.nan},
            {"theta": True},
            {"k": 0},
            {"k": True},
            {"text": "a\x00b"},
            {"text": "\ud800"},
            {"text": "x" * (MAX_TEXT + 1)},
            {"text": 3},
        ],
        ids=lambda bad: f"{bad!r:.30}",
    )
    async def test_bad_queries(self, store, bad):
        with pytest.raises(InvalidInput):
            await store.query(**{"text": "hotel", "access": 0} | bad)


DEEP: list = []
for _ in range(300):
    DEEP = [DEEP]

REFUSED = {
    "own parent": {"parent": "bad"},
    "unknown parent": {"parent": "nobody"},
    "parent in another domain": {"parent": "elsewhere"},
    "more open than its parent": {"parent": "secret", "access": SECRET - 1},
    "bool level": {"access": True},
    "negative level": {"access": -1},
    "float level": {"access": 1.0},
    "NUL": {"text": "a\x00b"},
    "surrogate": {"text": "a\udc80"},
    "oversize": {"text": "x" * (MAX_TEXT + 1)},
    "not text": {"text": b"bytes"},
    "surrogate in a key": {"data": {"\ud800": 1}},
    "key not text": {"data": {1: 2}},
    "not JSON": {"data": {1, 2}},
    "NaN": {"data": [math.nan]},
    "infinite": {"data": {"x": math.inf}},
    "deep": {"data": DEEP},
    "huge integer": {"data": 1 << 64},
    "bytes": {"data": [b"x"]},
    "oversize data": {"data": "x" * 4_000_001},
    "empty tag": {"tags": frozenset({" "})},
    "tags are a string": {"tags": "hotel"},
    "empty domain": {"domain": ""},
    "no time": {"created": None},
    "a time that is text": {"updated": "now"},
    "a time that is no number": {"created": math.nan},
    "a time beyond all": {"created": 2**70},
    "provenance that is text": {"provenance": "me"},
    "provenance without a task": {"provenance": Provenance(run="r", task="")},
}


class TestRefusals:
    @pytest.mark.parametrize("name", REFUSED)
    async def test_nothing_of_the_batch_is_written(self, store, make, name):
        await store.put([make("secret", access=SECRET), make("elsewhere", domain="other")])
        with pytest.raises(InvalidInput) as caught:
            await store.put([make("good", "hotel"), make("bad", **({"text": "hotel"} | REFUSED[name]))])
        assert len(str(caught.value)) < 600
        assert await store.get("good", access=9) is None
        assert await store.get("bad", access=9) is None
        assert len(await store.query("hotel", access=9)) == 0

    @pytest.mark.parametrize("id", ["", "a\x00", "\ud800", "x" * 600, None])
    async def test_bad_ids(self, store, make, id):
        with pytest.raises(InvalidInput):
            await store.put([make(id)])
        with pytest.raises(InvalidInput):
            await store.get(id, access=0)
        with pytest.raises(InvalidInput):
            await store.children(id, access=0)

    async def test_no_cycle_can_be_put(self, store, make):
        with pytest.raises(InvalidInput, match="does not exist"):
            await store.put([make("a", parent="b"), make("b", parent="a")])
        await store.put([make("a"), make("b", parent="a")])
        with pytest.raises(InvalidInput, match="where it stands"):
            await store.put([make("a", parent="b")])
        assert (await store.get("a", access=0)).parent is None

    async def test_twice_in_one_batch(self, store, make):
        with pytest.raises(InvalidInput, match="twice"):
            await store.put([make("a"), make("a")])

    @pytest.mark.parametrize("change", [{"access": 1}, {"domain": "other"}, {"parent": "b"}])
    async def test_a_node_keeps_its_place(self, store, make, change):
        await store.put([make("a", access=2), make("b", access=2)])
        with pytest.raises(InvalidInput, match="where it stands"):
            await store.put([make("a", **({"access": 2} | change))])
        assert await store.get("a", access=1) is None
        assert (await store.get("a", access=2)).version == 1

    async def test_a_result_lives_under_its_own_id(self, store, result):
        await store.put([result("plan", "one")])
        with pytest.raises(InvalidInput, match="result_id"):
            await store.put([replace(result("plan", "two"), id="other")])
        assert (await store.result_of("r1", "plan", access=0)).text == "one"
