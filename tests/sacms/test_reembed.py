"""A store changes its embedder as a whole, keeps its θ, and a store of a former schema is taken over."""

from __future__ import annotations

import sqlite3
from contextlib import closing

import pytest

from dyntaskmas_nb.errors import InvalidInput, StoreError
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


class Stricter(LexicalHashing):
    theta = 0.6


async def theta(store):
    return (await store.query("hotel", access=0)).theta


async def test_the_default_threshold_is_the_recorded_one(tmp_path):
    without_index(tmp_path / "s").close()
    store = without_index(tmp_path / "s", Stricter())  # of the same fingerprint
    assert await theta(store) == LexicalHashing.theta
    assert (await store.query("hotel", access=0, theta=0.3)).theta == 0.3
    await store.reembed(Stricter())
    assert await theta(store) == 0.6
    await store.aclose()
    store = without_index(tmp_path / "s")
    assert await theta(store) == 0.6
    await store.aclose()


async def test_a_threshold_that_is_none_is_refused_before_it_is_recorded(tmp_path, monkeypatch):
    monkeypatch.setattr(Stricter, "theta", 60)
    with pytest.raises(InvalidInput, match=r"θ of embedder 'lexical.*is 60"):
        ChromaStore(tmp_path / "s", Stricter())
    store = without_index(tmp_path / "s")
    with pytest.raises(InvalidInput, match="is 60"):
        await store.reembed(Stricter())
    assert await theta(store) == LexicalHashing.theta
    await store.aclose()
    with closing(sqlite3.connect(tmp_path / "s" / "context.db")) as db, db:
        db.execute("UPDATE meta SET theta = 60")
    with pytest.raises(StoreError, match=r"is damaged .*its θ is 60.0"):
        without_index(tmp_path / "s")


FORMER = {
    2: "DROP TABLE subscription; DROP TABLE outbox; ALTER TABLE meta DROP COLUMN commits;",
    3: "",
}
"""What else to undo."""


@pytest.mark.parametrize("schema", FORMER)
async def test_a_store_of_a_former_schema_is_taken_over(tmp_path, make, schema):
    store = without_index(tmp_path / "s")
    await store.put([make("a", "a hotel", tags=frozenset({"hotel"}))])
    await store.aclose()
    with closing(sqlite3.connect(tmp_path / "s" / "context.db")) as db:
        db.executescript(f"{FORMER[schema]} ALTER TABLE meta DROP COLUMN theta; PRAGMA user_version={schema}")
    (tmp_path / "s" / "context.high").unlink()
    with pytest.raises(StoreError, match="not of 'lengths"):
        without_index(tmp_path / "s", Lengths())
    store = without_index(tmp_path / "s", Stricter())
    assert await theta(store) == 0.6, "taken from whoever opens it first"
    await store.subscribe(Subscription(agent="x", tags=frozenset({"hotel"}), access=0, theta=0))
    await store.put([make("b", "hotel", tags=frozenset({"hotel"}))])
    assert [delivery.node for delivery, _ in await store.deliveries("x")] == ["b"]
    assert [hit.node.id for hit in await store.query("hotel", access=1, theta=0.1)] == ["a", "b"]
    await store.aclose()
    store = without_index(tmp_path / "s")
    assert await theta(store) == 0.6
    await store.aclose()
