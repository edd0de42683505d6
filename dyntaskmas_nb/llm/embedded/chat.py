"""The tokenizer and the chat template of the embedded model.

    <|bos|> { <|role|> content <|end|> }… <|assistant|>

Contents are untrusted: a `<|end|>` written in them is encoded as ordinary text, so no message can close
its turn or open another. (A checkpoint with a template of its own needs one here: a later issue.)
"""

from __future__ import annotations

import codecs
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from dyntaskmas_nb.errors import BadRequest, BadWeights
from dyntaskmas_nb.llm.embedded.config import LlamaConfig
from dyntaskmas_nb.llm.protocol import Message

if TYPE_CHECKING:
    from llguidance import LLTokenizer

BEGIN, END = "<|bos|>", "<|end|>"
ROLES = {"system": "<|system|>", "user": "<|user|>", "assistant": "<|assistant|>"}
CONTROLS = (BEGIN, *ROLES.values(), END)


class ChatTokenizer:
    """Text to tokens and back, with the chat template.

    Raises
    ------
    BadWeights
        `tokenizer.json` is missing, damaged, larger than the model's vocabulary, or lacks the template's
        special tokens.
    """

    def __init__(self, folder: Path, config: LlamaConfig) -> None:
        from llguidance import LLTokenizer
        from tokenizers import Tokenizer

        path = folder / "tokenizer.json"
        try:
            source = path.read_text(encoding="utf-8")
            self._tokenizer = Tokenizer.from_str(source)
        except FileNotFoundError:
            raise BadWeights(
                f"No tokenizer: {path} is missing. Give the folder of a complete checkpoint."
            ) from None
        except Exception as error:
            raise BadWeights(f"{path} cannot be read: {error}. Fetch the checkpoint again.") from error
        self._tokenizer.encode_special_tokens = True  # special tokens in a text are text
        found = {name: self._tokenizer.token_to_id(name) for name in CONTROLS}
        missing = [name for name, token in found.items() if token is None]
        if missing:
            raise BadWeights(f"{path} lacks the special tokens {', '.join(missing)} of the chat template.")
        if self._tokenizer.get_vocab_size() > config.vocab_size:
            raise BadWeights(f"{path} has more tokens than the model's vocabulary of {config.vocab_size}.")
        self._controls = {name: token for name, token in found.items() if token is not None}
        self.end = self._controls[END]
        special = (
            token for token, added in self._tokenizer.get_added_tokens_decoder().items() if added.special
        )
        self.ends = frozenset(self._controls.values()) | frozenset(special) | frozenset(config.eos_token_ids)
        """Any of these ends the answer: the model turned to another speaker, or to nobody."""
        self.bytes_tokenizer = LLTokenizer(source, n_vocab=config.vocab_size, eos_token=self.end)
        """The same vocabulary as bytes, for grammars and decoding."""
        if not self.ends.isdisjoint(self.encode("".join(CONTROLS))):
            raise BadWeights(f"{path} reads special tokens out of ordinary text: a message could forge them.")

    def encode(self, text: str) -> list[int]:
        """Tokens of untrusted `text`, never a special one."""
        try:
            ids: list[int] = self._tokenizer.encode(text, add_special_tokens=False).ids
        except TypeError:  # what tokenizers makes of text that is not Unicode
            raise BadRequest("A message holds half a surrogate pair, which is no text; remove it.") from None
        return ids

    def prompt(self, messages: Sequence[Message]) -> list[int]:
        """Tokens of a conversation, up to where the assistant's answer begins."""
        tokens = [self._controls[BEGIN]]
        for message in messages:
            tokens += [self._controls[ROLES[message.role]], *self.encode(message.content), self.end]
        return [*tokens, self._controls[ROLES["assistant"]]]

    def decoder(self) -> TextDecoder:
        """A fresh decoder for one answer."""
        return TextDecoder(self.bytes_tokenizer)


class TextDecoder:
    """Tokens to text, each character as soon as its last byte is there.

    Bytes that cannot be UTF-8 become U+FFFD; an unfinished character at the end of an answer is dropped.
    """

    def __init__(self, tokenizer: LLTokenizer) -> None:
        self._tokenizer = tokenizer
        self._utf8 = codecs.getincrementaldecoder("utf-8")(errors="replace")

    def push(self, token: int) -> str:
        """Text that `token` completes."""
        return self._utf8.decode(self._tokenizer.decode_bytes([token]))
