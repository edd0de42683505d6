"""The words the model knows: those of the training templates and answers, and which of them may be lost.

Everything else (places, names, topics, interests, numbers beyond 4, the words of held-out phrasings) is
unknown: a placeholder without a meaning (`dyntaskmas_nb/llm/embedded/lexical.py`).
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterable
from functools import cache
from types import ModuleType

from dyntaskmas_nb.agents.prompts import REFUSAL, agent_messages
from dyntaskmas_nb.llm.embedded.lexical import WORD, Lexicon
from tools.teaching_llama import phrasings, refusals, research, travel
from tools.teaching_llama.plan import REFUSED
from tools.teaching_llama.surfaces import NUMBER_WORDS, Source
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

FACTS = ("people", "budget", "when", "likes", "audience", "length", "deadline")
DIGITS = frozenset("1234")
"""Numbers of the fixed texts: complexities, "Day 1", "Slide 4"."""


def found(texts: Iterable[str]) -> frozenset[str]:
    """Return the words of `texts` without their fields, case-folded; no numbers but 1 to 4."""
    words = {
        m[0].strip().casefold() for text in texts for m in WORD.finditer(re.sub(r"\{[^{}]*\}", " ", text))
    }
    return frozenset(x for x in words if x in DIGITS or not any(c.isdigit() for c in x))


def _fixed(domain: ModuleType) -> Iterable[str]:
    """Yield what plans and answers say beside the facts."""
    source = Source(random.Random(0), blank=True)
    for _ in range(1500):
        t = domain.request(source)
        for fact in ("place", "topic", *FACTS):
            needed = fact in ("place", "topic") and not getattr(t, "somewhere", "")
            if hasattr(t, fact) and (needed or getattr(t, fact)):
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


PHRASES = found(
    x
    for domain, kinds in ((phrasings.TRAVEL, ("PEOPLE", "WHEN")), (phrasings.RESEARCH, ("DEADLINE", "TOPIC")))
    for kind in kinds
    for x in domain[kind]
)
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
    | found(travel.HEADS_BARE)
    | found(research.HEADS_BARE)
    | found(travel.SOMEWHERE)
    | found(research.KINDS)
    | frozenset().union(*(found(_fixed(d)) for d in (travel, research)))
    | frozenset().union(
        *(found(texts) for d in (travel, research) for k, texts in d.CLAUSES.items() if k not in FACTS)
    )
    | frozenset().union(*(found(d.CONTEXT.keys()) for d in (travel, research)))
)
"""Words that decide: a request never loses them."""

WORDS = (
    CORE
    | TRIPS
    | PHRASES
    | found(travel.HEADS)
    | found(travel.HEADS_FOR)
    | found(research.HEADS)
    | found(x for d in (travel, research) for k in FACTS for x in d.CLAUSES.get(k, ()))
    | found(x for d in (travel, research) for texts in d.CONTEXT.values() for x in texts)
    | found(x.split()[0] for d in (travel, research) for x in d.ADDED)
    | found(x for x in refusals.TRAIN if x.isascii())
    | found(refusals.FRAMES)
)
LEXICON = Lexicon(GLUE, WORDS - GLUE)
CONTENT = tuple(sorted(WORDS - GLUE - CLOSED - DIGITS))
"""Known words that may also stand in a name or a topic."""


@cache
def _loose(keep: frozenset[str]) -> tuple[str, ...]:
    return tuple(sorted(WORDS - GLUE - keep))


def lost(rng: random.Random, share: float, keep: frozenset[str] = CORE) -> frozenset[str]:
    """Return about `share` of the words that a request may lose: the model meets noise in every phrasing."""
    return frozenset(x for x in _loose(keep) if rng.random() < share) if share else frozenset()
