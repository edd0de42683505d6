"""The default embedder is deterministic, unit length and honest; any embedder's output is checked."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import zlib
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from dyntaskmas_nb.errors import InvalidInput, MissingExtra, StoreError
from dyntaskmas_nb.sacms.chroma import ChromaStore
from dyntaskmas_nb.sacms.embed import (
    FunctionEmbedder,
    LexicalHashing,
    embed_units,
    embedder_of,
    vector_relevance,
)
from dyntaskmas_nb.sacms.sentences import SentenceTransformerEmbedder
from dyntaskmas_nb.sacms.tags import extract_tags
from tests.sacms.retrieval.labelled import minilm_folder

RECORDED = 3104748401


def test_same_vectors_in_every_process():
    """CRC-32 of a vector, recorded: neither PYTHONHASHSEED nor the machine has a say."""
    made = LexicalHashing().embed(["A hotel in Kyōto 京都, 90 dollars"])
    assert zlib.crc32(made.round(5).tobytes()) == RECORDED


def test_the_name_says_what_it_is():
    assert "not semantic" in LexicalHashing().name
    assert LexicalHashing(64).fingerprint != LexicalHashing(128).fingerprint


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


# --- the choice --------------------------------------------------------------------------------------------


def lengths(texts):
    return [[len(text), 1.0] for text in texts]


class Model:
    """Something whose methods turn texts into vectors, with weights that its name does not tell."""

    def encode(self, texts):
        return lengths(texts)

    def __call__(self, texts):
        return lengths(texts)


@pytest.mark.parametrize("choice", [None, "lexical"])
def test_the_default_is_lexical(choice):
    assert isinstance(embedder_of(choice), LexicalHashing)


def test_an_embedder_is_itself():
    for embedder in (LexicalHashing(64), FunctionEmbedder(lengths)):
        assert embedder_of(embedder) is embedder


def test_a_function_is_wrapped():
    embedder = embedder_of(lengths)
    assert (embedder.dim, embedder.theta) == (2, 0.2)
    assert embedder.fingerprint.endswith("test_embed.lengths/2")
    assert embed_units(embedder, ["abc", "abcd"]) == pytest.approx(
        np.array([[3, 1], [4, 1]]) / np.sqrt([[10], [17]])
    )


def test_a_fingerprint_may_be_given_and_then_is_all_that_tells():
    one = FunctionEmbedder(Model().encode, fingerprint="lengths 1", theta=0.4)
    assert (one.fingerprint, one.theta) == ("function/lengths 1/2", 0.4)
    assert one.fingerprint == FunctionEmbedder(lengths, fingerprint="lengths 1").fingerprint
    assert one.fingerprint != FunctionEmbedder(lengths, fingerprint="lengths 2").fingerprint


@pytest.mark.parametrize("choice", [Model().encode, Model(), partial(lengths)])
def test_what_has_no_name_of_its_own_must_be_given_a_fingerprint(choice):
    with pytest.raises(InvalidInput, match=r"fingerprint=.*\.$"):
        embedder_of(choice)
    assert FunctionEmbedder(choice, fingerprint="lengths 1").dim == 2


@pytest.mark.parametrize(
    ("function", "says"),
    [
        (raising, "RuntimeError: out of memory"),
        (lambda texts: [1.0, 2.0], r"\(2,\)"),
        (lambda texts: np.zeros((2, 3)), r"\(2, 3\)"),
        (lambda texts: np.zeros((1, 0)), r"\(1, 0\)"),
        (lambda texts: texts, "ValueError: could not convert"),
        (lambda: None, "TypeError"),
    ],
)
def test_a_function_that_makes_no_vectors_is_refused(function, says):
    with pytest.raises(InvalidInput, match=f"shape .n, dim.; of one text it made .*{says}"):
        embedder_of(function)


class Whole(LexicalHashing):
    """Has as a class all that an embedder has as an object."""

    dim, fingerprint = 384, "whole"


@pytest.mark.parametrize("choice", [42, b"lexical", ["lexical"], LexicalHashing, Model, Whole, True])
def test_any_other_choice_is_refused(choice):
    with pytest.raises(InvalidInput, match=r"the embedder is .*; give 'lexical', the name or path"):
        embedder_of(choice)


# --- sentence-transformers ---------------------------------------------------------------------------------


def test_missing_extra_names_the_command(monkeypatch):
    monkeypatch.setitem(sys.modules, "sentence_transformers", None)
    for make_one in (SentenceTransformerEmbedder, embedder_of):
        with pytest.raises(MissingExtra, match="pip install"):
            make_one("all-MiniLM-L6-v2")


def test_minilm_is_the_same_in_every_call():
    embedder = embedder_of(minilm_folder())
    assert (embedder.dim, embedder.theta) == (384, 0.2)
    texts = ["a hotel in Kyoto", " ", "x " * 5_000, *(f"room {number}" for number in range(70))]
    first = embed_units(embedder, texts)
    assert first.dtype == np.float32
    assert (first == embed_units(embedder, texts)).all()
    assert np.linalg.norm(first, axis=1) == pytest.approx([1, 0, *[1] * 71], abs=1e-6)
    alone = np.concatenate([embed_units(embedder, [text]) for text in texts])
    assert np.abs(first - alone).max() < 1e-6


def test_the_fingerprint_is_that_of_the_weights(tmp_path):
    """Wherever they lie, and another when one byte of one weight is another."""
    folder = minilm_folder()
    for name in ("moved", "retrained"):
        for path in folder.rglob("*"):
            if path.is_file():
                place = tmp_path / name / path.relative_to(folder)
                place.parent.mkdir(parents=True, exist_ok=True)
                place.symlink_to(path)
    changed = tmp_path / "retrained" / "model.safetensors"
    weights = bytearray(changed.read_bytes())
    changed.unlink()
    weights[-1] ^= 1
    changed.write_bytes(weights)
    original, moved, retrained = (
        embedder_of(place).fingerprint for place in (folder, tmp_path / "moved", tmp_path / "retrained")
    )
    assert original == moved != retrained


@pytest.mark.parametrize("files", [{}, {"config.json": "{}"}, {"modules.json": "nonsense"}])
def test_a_folder_without_a_whole_model_is_refused(tmp_path, files):
    minilm_folder()
    for name, content in files.items():
        (tmp_path / name).write_text(content, encoding="utf-8")
    with pytest.raises(InvalidInput, match=r"holds no whole .* nothing is downloaded") as caught:
        embedder_of(tmp_path)
    assert "\n" not in str(caught.value)


# What asks for the network is noted, and gets none.
OFFLINE = """
import json, socket, sys
asked = []
def refuse(*where, **_):
    asked.append(str(where))
    raise OSError("no network")
socket.getaddrinfo = socket.socket.connect = refuse
from dyntaskmas_nb.errors import InvalidInput
from dyntaskmas_nb.sacms.embed import embedder_of
found = {}
for choice in sys.argv[1:]:
    try:
        found[choice] = embedder_of(choice).fingerprint
    except InvalidInput as error:
        found[choice] = str(error)
print(json.dumps([asked, found]))
"""


def test_models_are_found_on_disk_and_the_network_is_never_asked(tmp_path):
    folder = minilm_folder()
    snapshots = tmp_path / "hub" / "models--sentence-transformers--all-MiniLM-L6-v2"
    (snapshots / "refs").mkdir(parents=True)
    (snapshots / "refs" / "main").write_text("0" * 40, encoding="utf-8")
    (snapshots / "snapshots").mkdir()
    (snapshots / "snapshots" / ("0" * 40)).symlink_to(folder, target_is_directory=True)
    here = [str(folder), "all-MiniLM-L6-v2", "sentence-transformers/all-MiniLM-L6-v2"]
    missing = ["all-mpnet-base-v2", "nobody/nothing", "no such/folder/at all", str(tmp_path / "none"), ""]
    offline = {"HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE", "HF_HUB_CACHE"}
    done = subprocess.run(
        [sys.executable, "-c", OFFLINE, *here, *missing],
        cwd=Path(__file__).parents[2],
        env={name: value for name, value in os.environ.items() if name not in offline}
        | {"HF_HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=True,
    )
    asked, found = json.loads(done.stdout)
    assert asked == []
    assert len({found[choice] for choice in here}) == 1
    assert found[here[0]].startswith("sentence-transformers/")
    for choice in missing:
        assert f"no sentence-transformers model {choice!r} is on this machine" in found[choice]


def test_tags():
    tags = extract_tags(
        "Book the flight; the flight leaves 2026-04-01", domain="Travel", role="Flight Agent", limit=2
    )
    assert tags == {"flight", "book", "travel", "flight agent"}
    assert extract_tags("") == frozenset()
