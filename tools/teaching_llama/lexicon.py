"""The closed vocabulary: the words of the training templates and answers, and which of them may be lost.

Everything else (places, names, topics, interests, numbers beyond 4, the words of held-out phrasings) is
unknown, so that it becomes a placeholder (`dyntaskmas_nb/llm/embedded/lexical.py`).
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterable
from types import ModuleType

from dyntaskmas_nb.agents.prompts import REFUSAL, agent_messages
from dyntaskmas_nb.llm.embedded.lexical import WORD
from tools.teaching_llama import refusals, research, travel
from tools.teaching_llama.plan import REFUSED
from tools.teaching_llama.surfaces import NUMBER_WORDS, Source
from tools.teaching_llama.words import DAYS, MONTHS, UNITS

FUNCTION = frozenset(
    """a an the of in to for on with and or from by at as is are was be it its this that i we you my our me us
they their your not no do don't does i'm i'd we're we'd what how who why when which there have has about
please at up out over into than then under within without through""".split()
)
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
    yield from (
        *NUMBER_WORDS,
        *MONTHS,
        *DAYS,
        *UNITS,
        "hundred thousand days weeks weekend long during after festival season",
    )


def _prompts() -> Iterable[str]:
    yield from (m.content for m in agent_messages("general", "0", "0", (), terse=True))
    yield from ("planner", REFUSAL, REFUSED, "assistant helper adviser expert agent")
    yield "subtasks id description role complexity depends on refuse"


CLOSED = found(_closed())
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

LEXICON = (
    CORE
    | TRIPS
    | found(travel.HEADS)
    | found(travel.HEADS_FOR)
    | found(research.HEADS)
    | found(x for d in (travel, research) for k in FACTS for x in d.CLAUSES.get(k, ()))
    | found(x for d in (travel, research) for texts in d.CONTEXT.values() for x in texts)
    | found(x.split()[0] for d in (travel, research) for x in d.ADDED)
    | found(x for x in refusals.TRAIN if x.isascii())
    | found(refusals.FRAMES)
)
CONTENT = tuple(sorted(LEXICON - FUNCTION - CLOSED - DIGITS))
"""Known words that may also stand in a name or a topic."""


def lost(rng: random.Random, share: float, keep: frozenset[str] = CORE) -> frozenset[str]:
    """Return about `share` of the words that a request may lose: the model meets noise in every phrasing."""
    return frozenset(x for x in sorted(LEXICON - keep) if rng.random() < share)
