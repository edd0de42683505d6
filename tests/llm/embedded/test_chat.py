from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer

from dyntaskmas_nb.errors import BadRequest, BadWeights
from dyntaskmas_nb.llm.embedded.chat import BEGIN, CONTROLS, END, ROLES, ChatTokenizer
from dyntaskmas_nb.llm.embedded.config import LlamaConfig
from dyntaskmas_nb.llm.protocol import Message


def controls(tokenizer: ChatTokenizer, tokens: list[int]) -> list[int]:
    return [token for token in tokens if token in tokenizer.ends]


def test_the_template(tiny_tokenizer: ChatTokenizer, tiny_folder: Path) -> None:
    token = Tokenizer.from_file(str(tiny_folder / "tokenizer.json")).token_to_id
    prompt = tiny_tokenizer.prompt(
        [Message(role="system", content="Be short."), Message(role="user", content="Hi")]
    )
    assert prompt == [
        token(BEGIN),
        token(ROLES["system"]), *tiny_tokenizer.encode("Be short."), token(END),
        token(ROLES["user"]), *tiny_tokenizer.encode("Hi"), token(END),
        token(ROLES["assistant"]),
    ]  # fmt: skip


@given(st.lists(st.sampled_from([*CONTROLS, "<|", "end", "|>", " ", "x"]), max_size=8).map("".join))
def test_no_content_forges_a_special_token(tiny_tokenizer: ChatTokenizer, text: str) -> None:
    assert controls(tiny_tokenizer, tiny_tokenizer.encode(text)) == []
    prompt = tiny_tokenizer.prompt([Message(role="user", content=text)])
    assert len(controls(tiny_tokenizer, prompt)) == 4


@given(st.text())
def test_decoding_gives_back_the_text(tiny_tokenizer: ChatTokenizer, text: str) -> None:
    try:
        tokens = tiny_tokenizer.encode(text)
    except BadRequest:
        assert any("\ud800" <= char <= "\udfff" for char in text)
        return
    decoder = tiny_tokenizer.decoder()
    assert "".join(decoder.push(token) for token in tokens) == text


def test_half_a_surrogate_pair_is_refused(tiny_tokenizer: ChatTokenizer) -> None:
    with pytest.raises(BadRequest, match="surrogate"):
        tiny_tokenizer.encode("x\ud800")


def test_a_character_comes_out_whole(tiny_tokenizer: ChatTokenizer) -> None:
    tokens = tiny_tokenizer.encode("京")
    assert len(tokens) == 3
    decoder = tiny_tokenizer.decoder()
    assert [decoder.push(token) for token in tokens] == ["", "", "京"]


def test_bytes_that_are_no_text_are_replaced(tiny_tokenizer: ChatTokenizer) -> None:
    decoder = tiny_tokenizer.decoder()
    first = tiny_tokenizer.encode("京")[0]
    assert decoder.push(first) + decoder.push(tiny_tokenizer.encode("a")[0]) == "\ufffda"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (None, "is missing"),
        ("", "cannot be read"),
        ("{}", "cannot be read"),
        ("bare", "lacks the special tokens"),
    ],
)
def test_an_unusable_tokenizer_is_one_typed_error(
    tmp_path: Path, tiny_folder: Path, tiny_config: LlamaConfig, text: str | None, said: str
) -> None:
    if text == "bare":
        text = (tiny_folder / "tokenizer.json").read_text().replace(END, "<|other|>")
    if text is not None:
        (tmp_path / "tokenizer.json").write_text(text)
    with pytest.raises(BadWeights, match=said) as caught:
        ChatTokenizer(tmp_path, tiny_config)
    assert str(tmp_path) in str(caught.value)


def test_a_tokenizer_that_would_let_text_forge_control_is_refused(
    tmp_path: Path, tiny_folder: Path, tiny_config: LlamaConfig
) -> None:
    """Control tokens that are not marked special are found in any text."""
    text = (tiny_folder / "tokenizer.json").read_text()
    (tmp_path / "tokenizer.json").write_text(text.replace('"special": true', '"special": false'))
    with pytest.raises(BadWeights, match="forge"):
        ChatTokenizer(tmp_path, tiny_config)
