"""The tokenizer: byte-level BPE for the closed vocabulary, and the placeholders for content words.

Unknown words stay out of the corpus; those beyond the placeholders are spelled in small pieces. The planner's
JSON scaffolding is one token a piece. Placeholders are vocabulary without merges: no text can hold one.
"""

from __future__ import annotations

import json
import random

from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers

from dyntaskmas_nb.llm.embedded.lexical import FORMS, Names
from tools.teaching_llama.lexicon import LEXICON
from tools.teaching_llama.mixture import SPECIALS, answer_pieces, draw
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
        names = Names(LEXICON)
        pieces = [p for m in example.messages for p in names.split(m.content)]
        pieces += answer_pieces(example.target, names)
        texts += [p for p in pieces if isinstance(p, str)]
    texts += [f" {word}" for word in sorted(LEXICON.content)] * 20  # every meaning, however rare
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(PATTERN), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab - len(FORMS),
        special_tokens=list(SPECIALS),
        show_progress=False,
        min_frequency=20,
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
    )
    tokenizer.train_from_iterator(texts, trainer)
    return _with_placeholders(tokenizer)


def _with_placeholders(tokenizer: Tokenizer) -> Tokenizer:
    """Return `tokenizer` with the placeholders as its last tokens."""
    data = json.loads(tokenizer.to_str())
    vocab = data["model"]["vocab"]
    cut = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    for form in FORMS:
        vocab["".join(piece for piece, _ in cut.pre_tokenize_str(form))] = len(vocab)
    return Tokenizer.from_str(json.dumps(data, ensure_ascii=False))
