from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer

from dyntaskmas_nb.errors import BadRequest, BadWeights
from dyntaskmas_nb.llm.embedded.chat import BEGIN, CONTROLS, END, ROLES, ChatTokenizer
from dyntaskmas_nb.llm.embedded.checkpoint import LlamaConfig
from dyntaskmas_nb.llm.protocol import Message


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


@given(st.text())
def test_decoding_gives_back_the_text(tiny_tokenizer: ChatTokenizer, text: str) -> None:
    try:
        tokens = tiny_tokenizer.encode(text)
    except BadRequest:
        assert any("\ud800" <= char <= "\udfff" for char in text)
        return
    decoder = tiny_tokenizer.decoder()
    assert "".join(decoder(token) for token in tokens) == text


@given(st.lists(st.sampled_from([*CONTROLS, "<|", "end", "|>", " ", "x"]), max_size=8).map("".join))
def test_no_content_forges_a_special_token(tiny_tokenizer: ChatTokenizer, text: str) -> None:
    assert tiny_tokenizer.ends.isdisjoint(tiny_tokenizer.encode(text))
    prompt = tiny_tokenizer.prompt([Message(role="user", content=text)])
    assert sum(token in tiny_tokenizer.ends for token in prompt) == 4


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("{", "", "cannot be read"),
        (END, "<|other|>", "lacks the special"),
        ('"special": true', '"special": false', "forge"),
    ],
)
def test_an_unusable_tokenizer_is_one_typed_error(
    tmp_path: Path, tiny_folder: Path, tiny_config: LlamaConfig, old: str, new: str, said: str
) -> None:
    """The last one does not mark its control tokens as special: any text would hold them."""
    text = (tiny_folder / "tokenizer.json").read_text()
    (tmp_path / "tokenizer.json").write_text(text.replace(old, new))
    with pytest.raises(BadWeights, match=said):
        ChatTokenizer(tmp_path, tiny_config)
