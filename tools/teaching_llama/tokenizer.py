"""The tokenizer: byte-level BPE, made for copying.

Names stay out of the corpus, so that every name is spelled in the same few small pieces; digits are single;
a space before a capital or a digit is a token of its own, so that a name is cut alike wherever it stands;
the planner's JSON scaffolding is one token a piece.
"""

from __future__ import annotations

import random

from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers

from tools.teaching_llama.mixture import SPECIALS, draw
from tools.teaching_llama.surfaces import Source

SCAFFOLD = (
    r'\{"subtasks":\[\{"id":"|","description":"|","role":"|","complexity":|,"depends_on":\["?|"?\]\},\{"id":"|"?\]\}\]\}'
    r'|\{"refuse":"|"\}'
)
PATTERN = SCAFFOLD + r"| ?[\p{Ll}\p{M}]+|\p{Lu}[\p{Ll}\p{M}]*|[\p{Lt}\p{Lm}\p{Lo}]|\p{N}|\s|[^\s\p{L}\p{N}]+"


def train_tokenizer(seed: int, vocab: int, examples: int = 12_000) -> Tokenizer:
    """Return a tokenizer trained on `examples` name-free examples."""
    source = Source(random.Random(seed), blank=True)
    texts: list[str] = []
    for _ in range(examples):
        example = draw(source, copying=0.0)
        texts += [m.content for m in example.messages] + [example.answer]
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(PATTERN), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab,
        special_tokens=list(SPECIALS),
        show_progress=False,
        min_frequency=20,
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
    )
    tokenizer.train_from_iterator(texts, trainer)
    return tokenizer
