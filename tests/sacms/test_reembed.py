"""A store changes its embedder as a whole, and a store of the former schema is taken over."""

from __future__ import annotations

import sqlite3
from contextlib import closing

import pytest

from dyntaskmas_nb.errors import StoreError
from dyntaskmas_nb.sacms.chroma import ChromaStore
from dyntaskmas_nb.sacms.distribution import Subscription
from dyntaskmas_nb.sacms.embed import LexicalHashing
from tests.sacms.conftest import without_index

PATIENCE = 100.0


class Lengths:
    """Texts of the same length are alike."""

    name, dim, fingerprint, theta = "lengths", 64, "lengths/1/64", 0.5

    def embed(self, texts):
        return [[float(place == len(text) % self.dim) for place in range(self.dim)] for text in texts]


class Broken(Lengths):
    fingerprint = "broken/1/64"

    def embed(self, texts):
        raise RuntimeError("out of memory")


async def found(store, text):
    answer = await store.query(text, access=1)
    return [hit.node.id for hit in answer], answer.degraded


async def test_all_vectors_and_the_index_are_made_anew(tmp_path, make):
    store = ChromaStore(tmp_path / "s")
    await store.put([make("a", "a hotel"), make("b", "station", access=1), make("old", "nothing")])
    await store.put([make("old", "a hotel bar")])
    assert await store.settled(PATIENCE), store.index.reason
    assert await found(store, "hotel") == (["a", "old"], False)
    assert await store.reembed(Lengths()) == 3
    assert (await found(store, "7 chars"))[0] == ["a", "b"], "straight away, without the index"
    assert await store.settled(PATIENCE), store.index.reason
    assert await found(store, "7 chars") == (["a", "b"], False)
    await store.put([make("c", "7 long.")])
    assert (await found(store, "7 chars"))[0] == ["a", "b", "c"]
    await store.aclose()
    with pytest.raises(StoreError, match=r"holds vectors of 'lengths/1/64', not of 'lexical"):
        ChromaStore(tmp_path / "s")
    store = without_index(tmp_path / "s", Lengths())
    assert (await found(store, "7 chars"))[0] == ["a", "b", "c"]
    await store.aclose()


async def test_an_embedder_that_fails_leaves_everything_as_it_was(tmp_path, make):
    store = without_index(tmp_path / "s")
    await store.put([make("a", "a hotel")])
    with pytest.raises(StoreError, match="out of memory"):
        await store.reembed(Broken())
    assert (await found(store, "hotel"))[0] == ["a"]
    assert store.embedder.fingerprint == LexicalHashing().fingerprint
    await store.put([make("b", "another hotel")])
    await store.aclose()
    store = without_index(tmp_path / "s")
    assert (await found(store, "hotel"))[0] == ["a", "b"]
    await store.aclose()


async def test_a_store_of_schema_2_is_taken_over(tmp_path, make):
    store = without_index(tmp_path / "s")
    await store.put([make("a", "a hotel", tags=frozenset({"hotel"}))])
    await store.aclose()
    with closing(sqlite3.connect(tmp_path / "s" / "context.db")) as db:
        db.executescript(
            "DROP TABLE subscription; DROP TABLE outbox; ALTER TABLE meta DROP COLUMN commits;"
            "PRAGMA user_version=2"
        )
    (tmp_path / "s" / "context.high").unlink()
    store = without_index(tmp_path / "s")
    await store.subscribe(Subscription(agent="x", tags=frozenset({"hotel"}), access=0, theta=0))
    await store.put([make("b", "hotel", tags=frozenset({"hotel"}))])
    assert [delivery.node for delivery, _ in await store.deliveries("x")] == ["b"]
    assert (await found(store, "hotel"))[0] == ["a", "b"]
    await store.aclose()
