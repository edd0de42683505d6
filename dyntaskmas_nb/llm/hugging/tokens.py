"""A Hugging Face tokenizer as the engine needs it: conversations to tokens, and tokens to text.

Contents are untrusted: a control token written in a message is encoded as ordinary text.
"""

from __future__ import annotations

import codecs
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from dyntaskmas_nb.errors import BadRequest, BadWeights
from dyntaskmas_nb.llm.protocol import Message

if TYPE_CHECKING:
    from llguidance import LLTokenizer


class Tokens(Protocol):
    """What the engine asks of a tokenizer."""

    ends: frozenset[int]
    """Any of these ends the answer."""

    @property
    def bytes_tokenizer(self) -> LLTokenizer:
        """The vocabulary as bytes, for grammars."""

    def prompt(self, messages: Sequence[Message]) -> list[int]:
        """Tokens of a conversation, up to where the assistant's answer begins."""

    def count(self, text: str) -> int:
        """Tokens of `text` as a message."""

    def decoder(self) -> Callable[[int], str]:
        """For one answer: from each token to the text it completes."""


class HuggingTokens:
    """`tokenizer` (a fast one of transformers) for a model with `vocabulary` logits that ends with `ends`."""

    def __init__(self, tokenizer: Any, vocabulary: int, ends: Iterable[int]) -> None:
        from llguidance.hf import from_tokenizer

        self._tokenizer = tokenizer
        self.ends = frozenset(ends)
        self._specials = frozenset(tokenizer.all_special_ids) | self.ends
        try:
            self.bytes_tokenizer = from_tokenizer(
                tokenizer, n_vocab=vocabulary, eos_token=min(self.ends, default=None)
            )
        except ValueError as error:
            raise BadWeights(
                f"The checkpoint's tokenizer cannot be used: {error}. It needs a tokenizer.json."
            ) from error

    def prompt(self, messages: Sequence[Message]) -> list[int]:
        """By the tokenizer's own chat template, else as "role: content" lines; `BadRequest` if it refuses."""
        turns = [{"role": message.role, "content": message.content} for message in messages]
        try:
            if self._tokenizer.chat_template is None:
                lines = [f"{turn['role']}: {turn['content']}\n" for turn in turns]
                text = "".join([*lines, "assistant:"])
                tokens = self._tokenizer.encode(text, split_special_tokens=True)
            else:
                tokens = self._templated(turns)
        except TypeError:  # what tokenizers makes of text that is not Unicode
            raise BadRequest("A message holds half a surrogate pair, which is no text; remove it.") from None
        return list(tokens)

    def _templated(self, turns: list[dict[str, str]]) -> list[int]:
        """The template's tokens; one that knows no system role gets that text before the first turn's."""
        from jinja2 import TemplateError

        def render(conversation: list[dict[str, str]]) -> list[int]:
            tokens: list[int] = self._tokenizer.apply_chat_template(
                conversation, add_generation_prompt=True, return_dict=False, sanitize_control_tokens=True
            )
            return tokens

        try:
            return render(turns)
        except TemplateError:
            try:
                return render(_without_system(turns))
            except TemplateError as error:
                raise BadRequest(f"The model's chat template refuses this conversation: {error}.") from error

    def count(self, text: str) -> int:
        """Tokens of `text`, without those that a chat template adds."""
        try:
            return len(self._tokenizer.encode(text, add_special_tokens=False, split_special_tokens=True))
        except TypeError:  # what tokenizers makes of text that is not Unicode
            raise BadRequest("A text holds half a surrogate pair, which is no text; remove it.") from None

    def decoder(self) -> Callable[[int], str]:
        """Every character as soon as it is whole; bytes that cannot be UTF-8 become U+FFFD."""
        utf8 = codecs.getincrementaldecoder("utf-8")(errors="replace")

        def decode(token: int) -> str:
            if token in self._specials:
                return ""
            return utf8.decode(self.bytes_tokenizer.decode_bytes([token]))

        return decode


def _without_system(turns: list[dict[str, str]]) -> list[dict[str, str]]:
    """The same conversation without the system role, its text before that of the turn that follows."""
    if len(turns) < 2 or turns[0]["role"] != "system":
        return turns
    first, second = turns[:2]
    return [{**second, "content": f"{first['content']}\n\n{second['content']}"}, *turns[2:]]
