"""The default embedder is deterministic, unit length and honest; any embedder's output is checked."""

from __future__ import annotations

import sys
import zlib

import numpy as np
import pytest

from dyntaskmas_nb.errors import InvalidInput, MissingExtra, StoreError
from dyntaskmas_nb.sacms.chroma import ChromaStore
from dyntaskmas_nb.sacms.embed import (
    LexicalHashing,
    SentenceTransformerEmbedder,
    embed_units,
    vector_relevance,
)
from dyntaskmas_nb.sacms.tags import extract_tags

RECORDED = 3104748401

# Query, then texts that answer it, from the teaching domains: what θ was calibrated on.
TEXTS = [
    "The hotel in Kyoto costs 90 dollars a night and lies near Gion.",
    "Flights from Lyon to Osaka leave at 9:40 and cost 620 dollars.",
    "Budget: 1500 dollars for two people, food 200, trains 80.",
    "Visit Fushimi Inari at sunrise, then the tea houses of Uji.",
    "Restart the payment service after draining the queue; error rate was 4 %.",
    "The report cites three studies of battery recycling in Norway.",
    "Unit tests failed in module parser because a null pointer was returned.",
    "Robot arm B must be calibrated before the gripper is mounted.",
    "Day 1: arrive in Kyoto, check in at the hotel, walk through Gion.",
    "Weather in April: 12 to 19 degrees, light rain is likely.",
    "Restaurants in Kyoto: Nishiki market for lunch, kaiseki dinner costs 60 dollars.",
    "Slides summarise the findings on lithium batteries for investors.",
]
ANSWERS = {
    "How much is the hotel?": {0},
    "Find flights to Osaka": {1},
    "total budget in dollars": {2},
    "What should we visit in Kyoto?": {8, 10},
    "plan the itinerary for a trip to Kyoto": {0, 8, 10},
    "deploy and restart services": {4},
    "studies about recycling of batteries": {5, 11},
    "fix the failing unit tests": {6},
    "calibrate the robot": {7},
    "weather forecast April": {9},
    "recommend restaurants": {10},
}


def test_same_vectors_in_every_process():
    """CRC-32 of a vector, recorded: neither PYTHONHASHSEED nor the machine has a say."""
    made = LexicalHashing().embed(["A hotel in Kyōto 京都, 90 dollars"])
    assert zlib.crc32(made.round(5).tobytes()) == RECORDED


def test_the_name_says_what_it_is():
    assert "not semantic" in LexicalHashing().name
    assert LexicalHashing(64).fingerprint != LexicalHashing(128).fingerprint


def test_theta_separates_on_the_calibration_set():
    embedder = LexicalHashing()
    scores = embed_units(embedder, list(ANSWERS)) @ embed_units(embedder, TEXTS).T
    wanted = np.array([[text in right for text in range(len(TEXTS))] for right in ANSWERS.values()])
    assert (scores[wanted] > embedder.theta).mean() >= 0.85
    assert (scores[~wanted] > embedder.theta).mean() <= 0.05


def test_unit_rows_and_zero_rows():
    units = embed_units(LexicalHashing(), ["hotel in Kyoto", "", "…"])
    assert np.linalg.norm(units, axis=1) == pytest.approx([1, 0, 0], abs=1e-6)
    assert embed_units(LexicalHashing(), []).shape == (0, 384)


def test_any_text_embeds():
    texts = ["京都のホテルは静かです", "Ürümqi ﬁne", "x" * 100_000, "a'b \u202e \U0001f600 emoji"]
    assert embed_units(LexicalHashing(), texts).any(axis=1).all()


def test_shared_word_parts_and_scripts_without_spaces_compare():
    (hotel, hotels, robot, kyoto, station) = embed_units(
        LexicalHashing(), ["hotel", "hotels", "robot", "京都のホテル", "京都の駅"]
    )
    assert vector_relevance(hotel[None], hotels) > 0.3 > abs(vector_relevance(hotel[None], robot))
    assert vector_relevance(kyoto[None], station) > 0.3


class Broken(LexicalHashing):
    def __init__(self, how):
        super().__init__(32)
        self.how = how

    def embed(self, texts):
        return self.how(super().embed(texts))


def raising(_):
    raise RuntimeError("out of memory")


@pytest.mark.parametrize(
    ("how", "error"),
    [(lambda v: v[:, :5], InvalidInput), (lambda v: v * np.nan, InvalidInput), (raising, StoreError)],
)
async def test_a_broken_embedder_writes_nothing(tmp_path, make, how, error):
    store = ChromaStore(tmp_path, Broken(how))
    with pytest.raises(error):
        await store.put([make("a", "hotel")])
    assert await store.get("a", access=0) is None
    await store.aclose()


async def test_another_embedder_is_refused(tmp_path, make):
    store = ChromaStore(tmp_path)
    await store.put([make("a", "hotel")])
    await store.aclose()
    with pytest.raises(StoreError, match="lexical-hashing/1/384"):
        ChromaStore(tmp_path, LexicalHashing(64))
    ChromaStore(tmp_path).close()


def test_missing_extra_names_the_command(monkeypatch):
    monkeypatch.setitem(sys.modules, "sentence_transformers", None)
    with pytest.raises(MissingExtra, match="pip install"):
        SentenceTransformerEmbedder("all-MiniLM-L6-v2")


def test_tags():
    tags = extract_tags(
        "Book the flight; the flight leaves 2026-04-01", domain="Travel", role="Flight Agent", limit=2
    )
    assert tags == {"flight", "book", "travel", "flight agent"}
    assert extract_tags("") == frozenset()
