"""The mixture of examples that training draws, and its encoding with the chat template.

Loss falls on the answer only, and more on the tokens that decide: an answer's first ones (plan or refuse) and a
subtask's id. Without that a refusal of six tokens counts a thirtieth of a plan. `copying` examples (repeat these invented words) come first and fade: they
form the induction heads that copying a name needs.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import lru_cache
from types import ModuleType
from typing import NamedTuple

import numpy as np
from tokenizers import Tokenizer

from dyntaskmas_nb.agents.prompts import planner_messages
from dyntaskmas_nb.llm.embedded.lexical import FORMS, SLOTS, WORD, Names
from dyntaskmas_nb.llm.protocol import Message
from tools.teaching_llama.agents import agent_example
from tools.teaching_llama.domains import DOMAINS
from tools.teaching_llama.lexicon import CONTENT, CORE, LEXICON, STEADY, lost
from tools.teaching_llama.marks import mark, marked, spans
from tools.teaching_llama.plan import REFUSED
from tools.teaching_llama.refusals import refused
from tools.teaching_llama.surfaces import Example, Source

MAX_TASKS = 16
SPECIALS = ("<|pad|>", "<|bos|>", "<|system|>", "<|user|>", "<|assistant|>", "<|end|>")


def plan_example(s: Source, domain: ModuleType) -> Example:
    """Return a request of `domain` and its plan."""
    t = domain.request(s)
    if s.chance(0.3):  # of two requests the one that says more: what was lost most is in it
        t = max(t, domain.request(s), key=lambda t: len(t.facts()) + 2 * len(t.flags))
    messages = planner_messages(t.sentence, terse=True, max_tasks=MAX_TASKS)
    example = Example("plan", messages, domain.plan(marked(t)).json())
    example.entities = [f for f in t.facts() if f in example.answer]
    return example


def refusal_example(s: Source) -> Example:
    """Return a request outside the domains and the planner's refusal."""
    return Example("refusal", planner_messages(refused(s), terse=True, max_tasks=MAX_TASKS), REFUSED)


def copy_example(s: Source) -> Example:
    """Return invented words, figures and names to repeat one by one."""
    r = s.rng
    words = []
    for _ in range(r.randint(2, 9)):
        words.append(r.choice((s.name, s.name, s.pseudo, s.money, s.place, s.when, s.likes))())
    order = r.sample(words, k=r.randint(1, len(words)))
    lines = "\n".join(f"{i}: {w}" for i, w in enumerate(words))
    answer = "; ".join(f"{mark(str(words.index(w)))} is {mark(w)}" for w in order)
    user = f"{lines}\n" + " ".join(str(words.index(w)) for w in order)
    return Example(
        "copy", (Message(role="system", content="copy"), Message(role="user", content=user)), answer, order
    )


def draw(s: Source, copying: float = 0.03) -> Example:
    """Draw one example; `copying` is the share of pure copying."""
    roll = s.rng.random()
    if roll < copying:
        return copy_example(s)
    roll = s.rng.random()
    domain = s.rng.choice(DOMAINS)
    if roll < 0.37:
        return plan_example(s, domain)
    if roll < 0.53:
        return refusal_example(s)
    return agent_example(s, domain)


def encode(tokenizer: Tokenizer, example: Example, names: Names) -> tuple[list[int], int]:
    """Return token ids with the answer, and where the answer starts. Pieces are encoded apart."""
    ids = prompt_ids(tokenizer, example.messages, names)
    start = len(ids)
    answer = piece_ids(tokenizer, answer_pieces(example.target, names))
    return [*ids, *answer, SPECIALS.index("<|end|>")], start


def prompt_ids(tokenizer: Tokenizer, messages: Sequence[Message], names: Names) -> list[int]:
    """Return the chat template's ids up to where the assistant speaks."""
    ids = [SPECIALS.index("<|bos|>")]
    for m in messages:
        ids += [
            SPECIALS.index(f"<|{m.role}|>"),
            *piece_ids(tokenizer, names.split(m.content)),
            SPECIALS.index("<|end|>"),
        ]
    return [*ids, SPECIALS.index("<|assistant|>")]


def answer_pieces(target: str, names: Names) -> Iterator[str | int]:
    """Yield an answer in pieces: the words of its facts are the prompt's placeholders, all else is plain."""
    text, fact = spans(target)
    done = 0
    for match in WORD.finditer(text):
        form = names.form(match[0]) if fact[match.end() - 1] else None
        if form is None:
            continue
        if match.start() > done:
            yield text[done : match.start()]
        done = match.end()
        yield form
    if done < len(text):
        yield text[done:]


def piece_ids(tokenizer: Tokenizer, pieces: Iterable[str | int]) -> list[int]:
    """Return the ids of a text's pieces: what the engine does, too."""
    first, ids = tokenizer.get_vocab_size() - len(FORMS), []
    for piece in pieces:
        ids += [first + piece] if isinstance(piece, int) else spelled(tokenizer, piece)
    return ids


@lru_cache(maxsize=50_000)
def spelled(tokenizer: Tokenizer, piece: str) -> tuple[int, ...]:
    """Return the ids of plain text; the same short pieces come again and again."""
    return tuple(tokenizer.encode(piece).ids)


def loosened(rng: random.Random, example: Example) -> Names:
    """Return the placeholders of a training example: any first slot, and some known words lost."""
    text = example.messages[1].content
    share, keep = rng.choice((0.0, 0.15, 0.35, 0.6)), STEADY
    if example.kind.endswith("refusal"):
        share = rng.choice((0.0, 0.1, 0.2, 0.4, 0.6, 0.8))
    elif len(text.split()) < 10:
        share = rng.choice((0.0, 0.0, 0.2, 0.35))
    elif any(x in text for x in ("-day", "weekend", " days", "-week")):
        keep = CORE
    spoken = " ".join(m.content for m in example.messages)
    known = LEXICON._replace(content=LEXICON.content - lost(rng, share, spoken, keep))
    return Names(known, rng.randrange(SLOTS))


def weights(example: Example, ids: list[int], start: int, opens: frozenset[int], first: int) -> list[float]:
    """Return the loss weight of each token.

    `opens` are the tokens that a subtask's id follows; `first` is the first placeholder.
    """
    refused = example.kind.endswith("refusal")
    answer = [
        4.0 if refused or i < start + 2 else 3.0 if ids[i - 1] in opens else 2.0 if ids[i] >= first else 1.0
        for i in range(start, len(ids))
    ]
    return [0.0] * start + answer


class Batch(NamedTuple):
    """Rows of similar length, padded at their ends, and where their answers are predicted."""

    ids: np.ndarray
    """Token ids, int16, [rows, width]."""
    at: np.ndarray
    """Positions before the answers' tokens, in the flattened ids without their last column."""
    weight: np.ndarray
    """The loss weight of the token after each."""


def batches(
    tokenizer: Tokenizer, seed: int, tokens: int, copying: Callable[[int], float], limit: int
) -> Iterator[Batch]:
    """Yield batches of at most `tokens` tokens; `copying` gives the share after so many batches."""
    tokenizer.encode_special_tokens = True
    opens = frozenset(i for token, i in tokenizer.get_vocab().items() if token.endswith('{"id":"'))
    first = tokenizer.get_vocab_size() - len(FORMS)
    rng = random.Random(seed)
    source = Source(rng, content=CONTENT, steady=STEADY)
    size, done = max(600, tokens // 15), 0  # about ten batches, so that a batch's rows have one length
    while True:
        share, pool = copying(done), []
        for example in (draw(source, share) for _ in range(size)):
            ids, start = encode(tokenizer, example, loosened(rng, example))
            if len(ids) <= limit:
                pool.append((ids, weights(example, ids, start, opens, first)))
        groups = grouped(pool, tokens)
        rng.shuffle(groups)
        yield from map(stacked, groups)
        done += len(groups)


Row = tuple[list[int], list[float]]


def grouped(pool: list[Row], tokens: int) -> list[list[Row]]:
    """Return the examples in groups of similar length, at most `tokens` each with their padding."""
    groups: list[list[Row]] = [[]]
    for row in sorted(pool, key=lambda row: len(row[0])):
        if groups[-1] and (len(groups[-1]) + 1) * _width(row) > tokens:
            groups.append([])
        groups[-1].append(row)
    return groups


def _width(row: Row) -> int:
    return -(-len(row[0]) // 16) * 16  # few shapes: freed memory is used again


def stacked(group: list[Row]) -> Batch:
    """Return a group of examples as arrays; the last one is the longest."""
    width = _width(group[-1])
    ids, weight = np.zeros((len(group), width), np.int16), np.zeros((len(group), width), np.float32)
    for row, (tokens, loss) in enumerate(group):
        ids[row, : len(tokens)] = tokens
        weight[row, : len(tokens)] = loss
    flat = weight[:, 1:].ravel()
    at = flat.nonzero()[0]
    return Batch(ids, at, flat[at])
