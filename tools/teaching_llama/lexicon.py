"""The words the model knows: those of the training templates and answers, and which of them may be lost.

Everything else (places, names, topics, interests, numbers beyond 4, the words of held-out phrasings) is
unknown: a placeholder without a meaning (`dyntaskmas_nb/llm/embedded/lexical.py`).
"""

from __future__ import annotations

import random
import re
from collections import Counter
from collections.abc import Iterable
from types import ModuleType

from dyntaskmas_nb.agents.prompts import REFUSAL, agent_messages
from dyntaskmas_nb.llm.embedded.lexical import WORD, Lexicon
from tools.teaching_llama import refusals, research, robots, travel, wide
from tools.teaching_llama.domains import DOMAINS, WIDE, facts_of
from tools.teaching_llama.plan import REFUSED
from tools.teaching_llama.surfaces import CLOSERS, FILLERS, NUMBER_WORDS, OPENERS, Source
from tools.teaching_llama.words import DAYS, MONTHS, UNITS

FUNCTION = frozenset(
    """a an the of in to for on with and or from by at as is are was be it its this that i we you my our me us
they their your not no do don't does i'm i'd we're we'd what how who why when which there have has about
please at up out over into than then under within without through can could would will should may might must
did has had been being let's he she him her his them it's we'll i'll we've i've you're that's there's can't
won't isn't these those here if but so too also just""".split()
)
GLUE = FUNCTION | frozenset("planner request task context agent none".split())
"""Words that stay plain text: they carry no fact, or stand in every prompt."""

DIGITS = frozenset("1234")
"""Numbers of the fixed texts: complexities, "Day 1", "Slide 4"."""


def found(texts: Iterable[str]) -> frozenset[str]:
    """Return the words of `texts` without their fields, case-folded; no numbers but 1 to 4."""
    words = {
        m[0].strip().casefold() for text in texts for m in WORD.finditer(re.sub(r"\{[^{}]*\}", " ", text))
    }
    return frozenset(x for x in words if x in DIGITS or not any(c.isdigit() for c in x))


_AUTHORS = Counter(
    word for lists in wide.AUTHORS.values() for word in found(x for texts in lists.values() for x in texts)
)
SHARED = frozenset(word for word, authors in _AUTHORS.items() if authors > 1)
"""Words that two authors of the wide lists use, apart from each other."""


def early(texts: Iterable[str]) -> frozenset[str]:
    """Return the words of those texts that do not come from the wide lists."""
    return found(x for x in texts if x not in wide.NEW)


def common(texts: Iterable[str]) -> frozenset[str]:
    """Return the words of texts that are worth knowing: what only one of the wide lists has is left out."""
    texts = tuple(texts)
    return early(texts) | (found(texts) & SHARED)


def _fixed(domain: ModuleType) -> Iterable[str]:
    """Yield what plans and answers say beside the facts."""
    source, facts = Source(random.Random(0), blank=True), facts_of(domain)
    for _ in range(1500):
        t = domain.request(source)
        for fact in facts:
            needed = fact == facts[0] and not getattr(t, "somewhere", "")
            if needed or getattr(t, fact):
                setattr(t, fact, "0")
        for task in domain.plan(t).subtasks:
            yield " ".join((task.id, task.description, task.role))
            yield domain.answer(t, task, {})
            yield domain.answer(t, task, dict.fromkeys(domain.SLOT_OF.values(), "0"))
        yield domain.general(t, "0")


def _closed() -> Iterable[str]:
    """Yield months, groups of people, lengths and the like."""
    source = Source(random.Random(0), blank=True)
    for draw in (source.people, source.when, source.deadline, source.length, source.money):
        yield from (draw() for _ in range(2000))
    yield "during after festival season"


def _prompts() -> Iterable[str]:
    yield from (m.content for m in agent_messages("general", "0", "0", (), terse=True))
    yield from ("planner", REFUSAL, REFUSED, "assistant helper adviser expert agent")
    yield "subtasks id description role complexity depends on refuse"


PHRASES = found(x for texts in WIDE.values() for x in texts)
"""Words of fact phrases; others may stand in their place."""

CLOSED = (found(_closed()) - PHRASES) | found(
    (*NUMBER_WORDS, *MONTHS, *DAYS, *UNITS, "hundred thousand day days week weeks weekend long pages words")
)
TRIPS = found(travel.TRIPS)
CORE = (
    FUNCTION
    | CLOSED
    | DIGITS
    | found(_prompts())
    | found(travel.SOMEWHERE)
    | found(research.KINDS)
    | frozenset().union(*(early(d.HEADS_BARE) | found(_fixed(d)) | found(d.CONTEXT) for d in DOMAINS))
    | found(x for d in DOMAINS for kind, texts in d.CLAUSES.items() if kind not in facts_of(d) for x in texts)
)
"""Words that decide: a request never loses them."""
BORDERS = FUNCTION | found(
    """onto via towards toward inside around near before after during until till per across along between behind
beyond through against among upon except for off down back again away together once while because since whose""".split()
)
"""Words that say where a fact begins or ends."""
ROBOTS = common(robots.VERBS) | found(robots.KINDS) | found(f"{x}s" for x in robots.KINDS)
"""Where nothing else stands between robots and their job, these words tell them apart."""

WORDS = (
    CORE
    | TRIPS
    | BORDERS
    | ROBOTS
    | common(x for texts in WIDE.values() for x in texts)
    | common(travel.HEADS_FOR)
    | common(x for d in DOMAINS for x in (*d.HEADS, *d.HEADS_BARE))
    | common(x for d in DOMAINS for texts in d.CLAUSES.values() for x in texts)
    | found((*OPENERS, *FILLERS, *CLOSERS))
    | found(x for d in DOMAINS for texts in d.CONTEXT.values() for x in texts)
    | found(x.split()[0] for d in DOMAINS for x in d.ADDED)
    | common(x for x in refusals.TRAIN if x.isascii())
    | found(refusals.FRAMES)
)
STEADY = CORE | TRIPS | BORDERS | ROBOTS
LEXICON = Lexicon(GLUE, WORDS - GLUE)
CONTENT = tuple(sorted(WORDS - GLUE - CLOSED - DIGITS))
"""Known words that may also stand in a name or a topic."""


def lost(rng: random.Random, share: float, text: str, keep: frozenset[str] = STEADY) -> frozenset[str]:
    """Return `share` of the words of `text` that a request may lose, rounded down: noise in every phrasing."""
    words = {m[0].lstrip().casefold() for m in WORD.finditer(text)}
    loose = sorted((words & LEXICON.content) - keep)
    return frozenset(rng.sample(loose, int(share * len(loose))))
