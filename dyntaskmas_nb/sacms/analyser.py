"""The semantic analyser: SA(d) = (T, E, R) by rules and ontologies (paper §III-C, Eqs. 9 and 13).

| Paper | Here |
|---|---|
| SA: D → (T, E, R), Eq. 9 | `analyse_text`, `SemanticAnalyser.analyse` |
| T, tags | `Analysis.tags`: the concepts found, what is broader, the commonest content words |
| E, entities | `Analysis.entities`: mentions of concepts that have a type, and forms (`patterns`) |
| R, relations | `Analysis.relations`: asserted triples |
| S_q = AnalyzeQuery(q), Eq. 13 | the same function: a query is analysed as the texts it is to find |

# Paper silent on how; it names LLMs and ontologies. We chose rules as the default, because they need no model
# and are the same everywhere; `llm_analyser` adds a model to them. They read no grammar: a synonym is taken
# for its concept wherever it stands, "not in Kyoto" mentions Kyoto, and of the relations between entities
# only "X in Y" is seen, where a preposition and nothing else stands between two.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice, pairwise
from typing import Literal, Protocol

from dyntaskmas_nb.sacms.folding import Folded, fold
from dyntaskmas_nb.sacms.node import check_text
from dyntaskmas_nb.sacms.ontology import BUILTIN, Ontology, all_broader, builtin_ontology
from dyntaskmas_nb.sacms.patterns import find_forms
from dyntaskmas_nb.sacms.tags import extract_tags
from dyntaskmas_nb.sacms.terms import MAX_TERM, Span, Terms, compile_terms, find_terms, longest

MAX_CONCEPTS = 100  # tags of a text that are concepts, broader ones included
MAX_ENTITIES = 500
MAX_RELATIONS = 500
_WORDS = 12  # tags that are content words
_GAP = 24  # characters between two entities that are looked at
_LINK = re.compile(r"\s+(in|at|for|with|from|to|on|by|of|near)\s+(?:(?:the|an?|our|my|your|their|about)\s+)?")


@dataclass(frozen=True, slots=True, kw_only=True)
class Entity:
    """A mention: `text` is the source between `start` and `end`; `tag` its concept, "" for a form."""

    text: str
    type: str
    start: int
    end: int
    tag: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Relation:
    """An asserted triple; its ends are texts of entities, or tags."""

    subject: str
    relation: str
    object: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Analysis:
    """SA(d) = (T, E, R): tags by weight, entities from left to right, relations; without repetitions.

    `by`: who made it; `notes`: what was left out or went wrong, a sentence each; `tokens` a model took.
    """

    tags: tuple[str, ...]
    entities: tuple[Entity, ...] = ()
    relations: tuple[Relation, ...] = ()
    by: Literal["rules", "rules+model"] = "rules"
    notes: tuple[str, ...] = ()
    tokens: int = 0


class SemanticAnalyser(Protocol):
    """Anything that turns a text, or a query, into its tags, entities and relations."""

    async def analyse(self, text: str) -> Analysis:
        """Return SA(text); raises `InvalidInput` for what cannot be the text of a node, and nothing else."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Automaton:
    """Ontologies compiled for `analyse_text`: term → concepts, concept → broader ones, term → type."""

    terms: Terms
    concepts: Mapping[str, tuple[str, ...]]
    broader: Mapping[str, tuple[str, ...]]
    types: Mapping[str, tuple[str, str]]  # with the concept that has the type


class RuleAnalyser:
    """The default `SemanticAnalyser`: rules over `ontologies`, by default all that are built in.

    A term that several of them hold means the concepts of all; its entity has the type of the first.
    """

    def __init__(self, ontologies: Sequence[Ontology] | None = None) -> None:
        chosen = [builtin_ontology(domain) for domain in BUILTIN] if ontologies is None else ontologies
        self.automaton = build_automaton(chosen)

    async def analyse(self, text: str) -> Analysis:
        """Return `analyse_text` of the text.

        It does not wait: a million characters take about a second, of the worst (ligatures) three.
        """
        return analyse_text(text, self.automaton)


def build_automaton(ontologies: Iterable[Ontology]) -> Automaton:
    """Compile ontologies. The plural of a term is a term, too, unless an ontology says what it means."""
    concepts: dict[str, tuple[str, ...]] = {}
    broader: dict[str, tuple[str, ...]] = {}
    types: dict[str, tuple[str, str]] = {}
    for concept in (concept for ontology in ontologies for concept in ontology.concepts):
        broader[concept.name] = _joined(broader.get(concept.name, ()), concept.broader)
        for term in (concept.name, *concept.synonyms):
            concepts[term] = _joined(concepts.get(term, ()), (concept.name,))
            if concept.type:
                types.setdefault(term, (concept.type, concept.name))
    for term in list(concepts):
        if (more := _plural(term)) not in concepts:
            concepts[more] = concepts[term]
            if term in types:
                types[more] = types[term]
    return Automaton(terms=compile_terms(concepts), concepts=concepts, broader=broader, types=types)


def analyse_text(text: str, automaton: Automaton) -> Analysis:
    """Return SA(text) by the rules (arXiv:2503.07675, Eqs. 9 and 13). Pure; time linear in the text.

    Of terms and forms that overlap the leftmost counts, then the longest. At most 100 concepts, 500 entities
    and 500 relations are kept; a note says so.

    Raises `InvalidInput` for what is no text, holds NUL or lone surrogates, or has over 1,000,000 characters.

    >>> found = analyse_text("A ryokan in Kyoto for 3 nights", RuleAnalyser().automaton)
    >>> [(entity.text, entity.type, entity.tag) for entity in found.entities]
    [('ryokan', 'lodging', 'ryokan'), ('Kyoto', 'place', 'kyoto'), ('3 nights', 'duration', '')]
    >>> [(one.subject, one.relation, one.object) for one in found.relations[:2]]
    [('ryokan', 'in', 'Kyoto'), ('ryokan', 'for', '3 nights')]
    >>> found.tags[:5]
    ('ryokan', 'kyoto', 'hotel', 'accommodation', 'city')
    """
    check_text(text, "The text to analyse")
    folded = fold(text)
    spans = longest([*find_terms(folded, automaton.terms), *find_forms(folded, text)])
    notes: list[str] = []
    concepts = _concepts(spans, automaton, notes)
    words = sorted(word for word in extract_tags(folded.text, limit=_WORDS) if len(word) <= MAX_TERM)
    entities = _entities(spans, folded, text, automaton, notes)
    asserted = [*_links(entities, folded), *_hierarchy(concepts, automaton)]
    relations = list(dict.fromkeys(asserted))
    if len(relations) > MAX_RELATIONS:
        notes.append(f"Of {len(relations):,} relations the first {MAX_RELATIONS} were kept.")
    return Analysis(
        tags=tuple(dict.fromkeys([*concepts, *words])),
        entities=tuple(entity for entity, _ in entities),
        relations=tuple(relations[:MAX_RELATIONS]),
        notes=tuple(notes),
    )


def _concepts(spans: Iterable[Span], automaton: Automaton, notes: list[str]) -> list[str]:
    """The concepts found, the commonest first, then those above them."""
    counts = Counter(name for span in spans if span.is_term for name in automaton.concepts[span.what])
    found = [name for name, _ in counts.most_common()]
    if len(found) > MAX_CONCEPTS:
        notes.append(f"Of {len(found):,} concepts the commonest {MAX_CONCEPTS} were kept.")
    above = (name for each in found[:MAX_CONCEPTS] for name in all_broader(each, automaton.broader))
    return list(islice(dict.fromkeys([*found[:MAX_CONCEPTS], *above]), MAX_CONCEPTS))


def _entities(
    spans: Iterable[Span], folded: Folded, text: str, automaton: Automaton, notes: list[str]
) -> list[tuple[Entity, Span]]:
    """The first entities among the spans, with their place in the folded text."""
    found: list[tuple[Entity, Span]] = []
    left_out = 0
    for span in spans:
        kind, tag = automaton.types.get(span.what, ("", "")) if span.is_term else (span.what, "")
        place = folded.source(span.start, span.end)
        if not kind or not place:
            continue
        if len(found) == MAX_ENTITIES:
            left_out += 1
        else:
            start, end = place
            found.append((Entity(text=text[start:end], type=kind, start=start, end=end, tag=tag), span))
    if left_out:
        notes.append(f"Of {MAX_ENTITIES + left_out:,} entities the first {MAX_ENTITIES} were kept.")
    return found


def _links(entities: Sequence[tuple[Entity, Span]], folded: Folded) -> Iterable[Relation]:
    """Yield (X, preposition, Y) where only that stands between the two.

    In "a flight from Oslo to Rome for $90" all the rest is about the flight, so a chain hangs on its first;
    only "of" binds its neighbours.
    """
    head = None
    for (left, before), (right, after) in pairwise(entities):
        gap = folded.text[before.end : after.start] if after.start - before.end <= _GAP else ""
        link = _LINK.fullmatch(gap)
        head = (head or left) if link else None
        if head and link:
            subject = left if link[1] == "of" else head
            yield Relation(subject=subject.text, relation=link[1], object=right.text)


def _hierarchy(concepts: Sequence[str], automaton: Automaton) -> Iterable[Relation]:
    """Yield (concept, "broader", concept) as the ontologies say, between concepts that are kept."""
    kept = set(concepts)
    for name in concepts:
        for above in automaton.broader.get(name, ()):
            if above in kept:
                yield Relation(subject=name, relation="broader", object=above)


def _joined(known: tuple[str, ...], more: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(known + more))


def _plural(term: str) -> str:
    """The regular English plural; of other languages it makes a term that no text holds."""
    if re.search("[^aeiou]y$", term):
        return f"{term[:-1]}ies"
    return f"{term}es" if re.search("(?:s|x|z|ch|sh)$", term) else f"{term}s"
