"""The domains that the teaching Llama knows, in one place."""

from __future__ import annotations

import random
from dataclasses import fields
from types import ModuleType

from tools.teaching_llama import (
    devops,
    documents,
    held,
    held_devops,
    held_documents,
    held_robots,
    research,
    robots,
    travel,
)
from tools.teaching_llama.surfaces import Source
from tools.teaching_llama.wide import RESEARCH, TRAVEL

DOMAINS: tuple[ModuleType, ...] = (travel, research, devops, documents, robots)

FIRST = {
    "preferences": "travel",
    "scope": "research",
    "checkout": "devops",
    "intake": "documents",
    "survey": "robots",
}
"""The domain of a plan, by its first task."""

PROBES = {
    **held.PROBES,
    "devops": held_devops.PROBES,
    "documents": held_documents.PROBES,
    "robots": held_robots.PROBES,
}
"""Whole requests as people type them, written by hand; never trained on."""

WIDE = {
    "travel": (*TRAVEL["PEOPLE"], *TRAVEL["WHEN"]),
    "research": (*RESEARCH["DEADLINE"], *RESEARCH["TOPIC"]),
    **{d.NAME: tuple(x for texts in d.VALUES.values() for x in texts) for d in (devops, documents, robots)},
}
"""How facts themselves are put, by domain: the training split."""

NO_FACTS = frozenset("somewhere adj span outside kind flags sentence".split())


def facts_of(domain: ModuleType) -> tuple[str, ...]:
    """Return the names of a domain's facts, its main one first."""
    drawn = domain.request(Source(random.Random(0), blank=True))
    return tuple(f.name for f in fields(drawn) if f.name not in NO_FACTS)
