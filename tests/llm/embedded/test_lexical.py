from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import pre_tokenizers

from dyntaskmas_nb.errors import BadRequest, BadWeights
from dyntaskmas_nb.llm.embedded.chat import ChatTokenizer
from dyntaskmas_nb.llm.embedded.checkpoint import LlamaConfig
from dyntaskmas_nb.llm.embedded.lexical import FORMS, SLOTS, Lexicon, Names, read_lexicon
from dyntaskmas_nb.llm.protocol import Message

LEXICON = Lexicon(glue=frozenset({"a", "to", "for"}), content=frozenset({"plan", "trip"}))
TEXTS = st.one_of(
    st.text(),
    st.lists(st.sampled_from(["plan", " ", "Kyoto", "⟦w7⟧", "⟦", "w7", "1,500", "'s", "-", "  "])).map(
        "".join
    ),
    st.lists(st.integers(0, 600), min_size=120).map(lambda n: " ".join(f"n{i}" for i in n)),
)


def joined(names: Names, text: str) -> str:
    return "".join(p if isinstance(p, str) else names.text(p) for p in names.split(text, meanings=False))


@given(TEXTS, st.integers(0, SLOTS - 1))
def test_nothing_is_lost(text: str, start: int) -> None:
    assert joined(Names(LEXICON, start), text) == text


@given(TEXTS)
def test_no_plain_piece_reads_like_a_placeholder(text: str) -> None:
    for piece in Names(LEXICON).split(text):
        assert isinstance(piece, int) or not any(form in piece for form in FORMS)


def test_glue_stays_and_every_other_word_is_a_placeholder_with_its_meaning_if_known() -> None:
    assert list(Names(LEXICON).split("Plan a trip to Kyoto, $1,500 for O'Hara")) == [
        0, " plan", " a", 3, " trip", " to", 5, ", $", 6, " for", 9
    ]  # fmt: skip


def test_only_a_word_that_was_met_has_a_placeholder() -> None:
    names = Names(LEXICON)
    list(names.split("a trip to Kyoto"))
    assert [names.form(x) for x in (" trip", "trip", " Kyoto", " kyoto", " a")] == [1, 0, 3, None, None]


def test_the_same_word_is_the_same_placeholder_in_every_message() -> None:
    names = Names(LEXICON, start=SLOTS - 1)
    assert list(names.split("Kyoto Oslo")) == [2 * SLOTS - 2, 1]
    assert list(names.split("Oslo (Kyoto)")) == [0, " (", 2 * SLOTS - 2, ")"]
    assert names.text(1) == " Oslo"
    assert names.text(6) == ""


def test_words_beyond_the_slots_are_spelled() -> None:
    pieces = list(Names(LEXICON).split(" ".join(f"n{i}" for i in range(SLOTS + 2)) + " a trip"))
    assert pieces[SLOTS:] == [f" n{SLOTS}", f" n{SLOTS + 1}", " a trip"]


@pytest.fixture(scope="module")
def tokenizer(
    tiny_folder: Path, tiny_config: LlamaConfig, tmp_path_factory: pytest.TempPathFactory
) -> ChatTokenizer:
    """The tiny tokenizer with placeholders and a lexicon."""
    return ChatTokenizer(with_lexicon(tiny_folder, tmp_path_factory.mktemp("lexical")), widened(tiny_config))


def widened(config: LlamaConfig) -> LlamaConfig:
    return replace(config, vocab_size=config.vocab_size + len(FORMS))


def with_lexicon(tiny_folder: Path, folder: Path, forms: tuple[str, ...] = FORMS) -> Path:
    data = json.loads((tiny_folder / "tokenizer.json").read_text())
    vocab = data["model"]["vocab"]
    cut = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    for form in forms:
        vocab["".join(piece for piece, _ in cut.pre_tokenize_str(form))] = len(vocab)
    (folder / "tokenizer.json").write_text(json.dumps(data))
    (folder / "lexicon.txt").write_text("a\nfor\nto\n\nplan\ntrip\n")
    return folder


@given(TEXTS)
def test_tokens_and_back_by_the_conversations_table(tokenizer: ChatTokenizer, text: str) -> None:
    names = tokenizer.names()
    try:
        tokens = tokenizer.encode(text, names)
    except BadRequest:
        assert any("\ud800" <= char <= "\udfff" for char in text)
        return
    decode = tokenizer.decoder(names)
    assert "".join(map(decode, tokens)) == "".join(
        p if isinstance(p, str) else names.text(p) for p in names.split(text)
    )


@given(TEXTS)
def test_no_text_forges_a_placeholder(tokenizer: ChatTokenizer, text: str) -> None:
    try:
        spelled = tokenizer.encode(text)
    except BadRequest:
        return
    decode = tokenizer.decoder(tokenizer.names())
    assert "".join(map(decode, spelled)) == text


def test_an_answers_placeholder_is_the_word_of_the_request(tokenizer: ChatTokenizer) -> None:
    names = tokenizer.names()
    tokens = tokenizer.prompt(
        [Message(role="system", content="Oslo"), Message(role="user", content="to Oslo")], names
    )
    decode = tokenizer.decoder(names)
    assert [decode(token) for token in tokens if decode(token).strip() == "Oslo"] == ["Oslo", " Oslo"]
    assert decode(tokenizer.encode("京")[0]) == ""
    assert decode(max(tokens)) == "\ufffd Oslo"


def test_a_message_is_counted_with_its_placeholders_and_meanings(tokenizer: ChatTokenizer) -> None:
    spelled = len(tokenizer.encode(" a")) + len(tokenizer.encode(" trip"))
    assert tokenizer.count("Oslo a trip") == 2 + spelled


def test_a_lexicon_needs_placeholders(tiny_folder: Path, tiny_config: LlamaConfig, tmp_path: Path) -> None:
    with pytest.raises(BadWeights, match="placeholders"):
        ChatTokenizer(with_lexicon(tiny_folder, tmp_path, FORMS[:-1]), widened(tiny_config))
    (tmp_path / "lexicon.txt").write_bytes(b"\xff")
    with pytest.raises(BadWeights, match="cannot be read"):
        read_lexicon(tmp_path)


@pytest.mark.parametrize("there", [True, False])
def test_a_checkpoint_may_have_a_lexicon(tmp_path: Path, there: bool) -> None:
    if there:
        (tmp_path / "lexicon.txt").write_text("a\nto\n\nplan\ntrip\n", encoding="utf-8")
    assert read_lexicon(tmp_path) == (({"a", "to"}, {"plan", "trip"}) if there else None)
