"""The tokenizer and the chat template of the embedded model.

    <|bos|> { <|role|> content <|end|> }… <|assistant|>

Contents are untrusted: a `<|end|>` written in them is encoded as ordinary text, so no message can close
its turn or open another. (A checkpoint with a template of its own needs one here: a later issue.)
"""

from __future__ import annotations

import codecs
from collections.abc import Callable, Sequence
from pathlib import Path

from dyntaskmas_nb.errors import BadRequest, BadWeights
from dyntaskmas_nb.llm.embedded.checkpoint import LlamaConfig
from dyntaskmas_nb.llm.embedded.lexical import FORMS, SLOTS, Names, read_lexicon
from dyntaskmas_nb.llm.protocol import Message

BEGIN, END = "<|bos|>", "<|end|>"
ROLES = {"system": "<|system|>", "user": "<|user|>", "assistant": "<|assistant|>"}
CONTROLS = (BEGIN, *ROLES.values(), END)


def speaks(folder: Path) -> bool:
    """Whether the tokenizer in `folder` has the special tokens of this template."""
    try:
        text = (folder / "tokenizer.json").read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return False
    return all(f'"{name}"' in text for name in CONTROLS)


class ChatTokenizer:
    """Text to tokens and back, with the chat template; `BadWeights` where `tokenizer.json` cannot serve."""

    def __init__(self, folder: Path, config: LlamaConfig) -> None:
        from llguidance import LLTokenizer
        from tokenizers import Tokenizer

        path = folder / "tokenizer.json"
        try:
            source = path.read_text(encoding="utf-8")
            self._tokenizer = Tokenizer.from_str(source)
        except Exception as error:  # tokenizers raises nothing narrower
            raise BadWeights(f"{path} cannot be read: {error}. Fetch the checkpoint again.") from error
        self._tokenizer.encode_special_tokens = True  # special tokens in a text are text
        vocabulary = self._tokenizer.get_vocab()
        if missing := [name for name in CONTROLS if name not in vocabulary]:
            raise BadWeights(f"{path} lacks the special tokens {', '.join(missing)} of the chat template.")
        if len(vocabulary) > config.vocab_size:
            raise BadWeights(f"{path} has more tokens than the model's vocabulary of {config.vocab_size}.")
        self._controls = {name: vocabulary[name] for name in CONTROLS}
        added = self._tokenizer.get_added_tokens_decoder().items()
        special = (token for token, entry in added if entry.special)
        self.ends = frozenset({*self._controls.values(), *special, *config.eos_token_ids})
        """Any of these ends the answer: the model turned to another speaker, or to nobody."""
        self.bytes_tokenizer = LLTokenizer(source, n_vocab=config.vocab_size, eos_token=self._controls[END])
        """The same vocabulary as bytes, for grammars and decoding."""
        if not self.ends.isdisjoint(self.encode("".join(CONTROLS))):
            raise BadWeights(f"{path} reads special tokens out of ordinary text: a message could forge them.")
        self._lexicon = read_lexicon(folder)
        self._forms = range(len(vocabulary) - len(FORMS), len(vocabulary))
        if self._lexicon is not None and any(
            self.bytes_tokenizer.decode_bytes([token]) != form.encode()
            for token, form in zip(self._forms, FORMS, strict=True)
        ):
            raise BadWeights(f"{path} lacks the placeholders that go with a lexicon.")

    def names(self, slots: int = SLOTS) -> Names | None:
        """An empty table of placeholders for one conversation, where the checkpoint has a lexicon."""
        return None if self._lexicon is None else Names(self._lexicon, slots=slots)

    def encode(self, text: str, names: Names | None = None) -> list[int]:
        """Tokens of untrusted `text`, never a special one; `names` makes placeholders of its words."""
        ids: list[int] = []
        for piece in [text] if names is None else names.split(text):
            if isinstance(piece, int):
                ids.append(self._forms[piece])
                continue
            try:
                ids += self._tokenizer.encode(piece, add_special_tokens=False).ids
            except TypeError:  # what tokenizers makes of text that is not Unicode
                raise BadRequest(
                    "A message holds half a surrogate pair, which is no text; remove it."
                ) from None
        return ids

    def count(self, text: str) -> int:
        """Tokens of `text` as a message, in a conversation where some placeholders are taken already."""
        return len(self.encode(text, self.names(SLOTS - 16)))

    def prompt(self, messages: Sequence[Message], names: Names | None = None) -> list[int]:
        """Tokens of a conversation, up to where the assistant's answer begins; fills `names`."""
        token = self._controls
        tokens = [token[BEGIN]]
        for message in messages:
            tokens += [token[ROLES[message.role]], *self.encode(message.content, names), token[END]]
        return [*tokens, token[ROLES["assistant"]]]

    def decoder(self, names: Names | None = None) -> Callable[[int], str]:
        """For one answer: from each token to the text it completes, every character as soon as it is whole.

        Bytes that cannot be UTF-8 become U+FFFD; an unfinished character at the end is dropped. A placeholder
        becomes its word in `names`.
        """
        utf8 = codecs.getincrementaldecoder("utf-8")(errors="replace")

        def decode(token: int) -> str:
            if names is not None and token in self._forms:
                return utf8.decode(names.text(self._forms.index(token)).encode())
            return utf8.decode(self.bytes_tokenizer.decode_bytes([token]))

        return decode
