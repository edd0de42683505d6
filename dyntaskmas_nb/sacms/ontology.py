"""Ontologies: what the analyser knows of a domain (paper §III-C, "domain-specific ontologies", Eq. 9).

| Field of a concept | Means |
|---|---|
| `name` | the semantic tag that a text about it gets |
| `synonyms` | other terms for it |
| `broader` | concepts it is a kind or part of, as in SKOS: what is about it is about these, too |
| `type` | the type of an entity that a mention makes; "" where a mention names no entity |

Names and synonyms are kept in the form of `folding.normal`, so that "Check-in" and "check in" are one term.

# Paper silent on the form. We chose one JSON file a domain, {"domain": …, "concepts": [{"name": …}, …]}:
# a list, because in a JSON object a repeated concept would replace the first without a word.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from graphlib import CycleError as _Cycle
from graphlib import TopologicalSorter
from importlib.resources import files
from pathlib import Path
from typing import Any, ClassVar

import orjson

from dyntaskmas_nb.core.task import shown
from dyntaskmas_nb.errors import CycleError, InvalidInput
from dyntaskmas_nb.sacms.folding import normal
from dyntaskmas_nb.sacms.terms import MAX_TERM

BUILTIN = ("devops", "documents", "research", "robotics", "travel")
"""The domains that come with the package."""

MAX_BYTES = 4_000_000  # of an ontology as JSON
MAX_CONCEPTS = 20_000
MAX_SYNONYMS = 64
MAX_BROADER = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Concept:
    """One concept of a domain; the fields are explained above."""

    __pydantic_config__: ClassVar[Any] = {"extra": "forbid", "strict": True}

    name: str
    synonyms: tuple[str, ...] = ()
    broader: tuple[str, ...] = ()
    type: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ontology:
    """The concepts of one domain. Made by `builtin_ontology`, `read_ontology` or `merge`, which check it."""

    __pydantic_config__: ClassVar[Any] = {"extra": "forbid", "strict": True}

    domain: str
    concepts: tuple[Concept, ...]


@cache
def builtin_ontology(domain: str) -> Ontology:
    """Return the ontology of one of the `BUILTIN` domains; raises `InvalidInput` for any other.

    >>> travel = builtin_ontology("travel")
    >>> [concept for concept in travel.concepts if concept.name == "ryokan"]
    [Concept(name='ryokan', synonyms=('japanese inn',), broader=('hotel',), type='lodging')]
    """
    if domain not in BUILTIN:
        raise InvalidInput(
            f"There is no built-in ontology {shown(domain)}. Choose one of {', '.join(BUILTIN)}, or read "
            "your own with read_ontology."
        )
    data = files("dyntaskmas_nb.sacms").joinpath("ontologies", f"{domain}.json").read_bytes()
    return _parsed(data, f"{domain}.json")


def read_ontology(source: str | Path | Mapping[str, Any], *, extends: Ontology | None = None) -> Ontology:
    """Return the ontology in a JSON file (`source` is its path) or in a mapping of the same shape.

    With `extends`, its concepts may name those of the other as broader, and the result holds both (`merge`).

    Raises `InvalidInput`, naming file and concept, where something is missing, unknown, too large or there
    twice; `CycleError` where following `broader` comes back.

    >>> mine = {"domain": "travel", "concepts": [{"name": "Capsule hotel", "broader": ["hotel"]}]}
    >>> read_ontology(mine, extends=builtin_ontology("travel")).concepts[-1]
    Concept(name='capsule hotel', synonyms=(), broader=('hotel',), type='')
    """
    if isinstance(source, Mapping):
        where = "The ontology"
        try:
            data = orjson.dumps(dict(source))
        except (TypeError, ValueError) as error:
            raise InvalidInput(f"{where} is not JSON: {error}. Give text, lists and dicts only.") from None
    else:
        try:
            where = Path(source).name
            with Path(source).open("rb") as file:
                data = file.read(MAX_BYTES + 1)
        except (OSError, TypeError, ValueError) as error:
            raise InvalidInput(f"Ontology {shown(source)} cannot be read: {error}.") from None
    return _parsed(data, where, extends)


def merge(first: Ontology, *others: Ontology, domain: str = "") -> Ontology:
    """Return one ontology of all concepts, under `domain` (default: that of the first).

    A concept that several have gets the synonyms and broader concepts of all and the last type given.
    Raises `InvalidInput` where a term would mean two concepts, `CycleError` where the union closes a cycle.
    """
    concepts = [concept for ontology in (first, *others) for concept in ontology.concepts]
    return _checked(domain or first.domain, _united(concepts), "The merged ontology")


def all_broader(name: str, broader: Mapping[str, Sequence[str]], limit: int = 100) -> list[str]:
    """Return what is above `name`, nearest first, at most `limit`, by the table concept → broader ones.

    >>> all_broader("ryokan", {"ryokan": ["hotel"], "hotel": ["lodging", "place"], "lodging": ["place"]})
    ['hotel', 'lodging', 'place']
    """
    found = [name]
    for each in found:  # grows while it is walked
        for above in broader.get(each, ()):
            if above not in found and len(found) <= limit:
                found.append(above)
    return found[1:]


def _parsed(data: bytes, where: str, extends: Ontology | None = None) -> Ontology:
    from pydantic import ValidationError

    if len(data) > MAX_BYTES:
        raise InvalidInput(f"{where} has more than {MAX_BYTES:,} bytes. Split it.")
    try:
        read: Ontology = _adapter().validate_json(data)
    except ValidationError as error:
        first = error.errors()[0]
        path = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in first["loc"])
        at = f"{where}, {path.removeprefix('.')}" if path else where
        raise InvalidInput(f"{at}: {first['msg'][:1].lower()}{first['msg'][1:]:.200}.") from None
    own = [_normalised(concept, where) for concept in read.concepts]
    seen: set[str] = set()
    for concept in own:
        if concept.name in seen:
            raise InvalidInput(f"{where}: concept {concept.name!r} is there twice. Make it one entry.")
        seen.add(concept.name)
    if extends:
        own = _united([*extends.concepts, *own])
    return _checked(normal(read.domain[: MAX_TERM + 1]), own, where)


def _normalised(concept: Concept, where: str) -> Concept:
    """The concept with its terms in normal form, its sizes checked."""
    here = f"{where}: concept {shown(concept.name)}"
    if len(concept.synonyms) > MAX_SYNONYMS or len(concept.broader) > MAX_BROADER:
        raise InvalidInput(
            f"{here} has more than {MAX_SYNONYMS} synonyms or {MAX_BROADER} broader concepts. Split it."
        )
    terms = (concept.name, *concept.synonyms, *concept.broader)
    for term in (*terms, concept.type) if concept.type else terms:
        if len(term) > MAX_TERM or not normal(term):
            raise InvalidInput(f"{here} holds {shown(term)}; a term has 1 to {MAX_TERM} characters.")
        if len(normal(term)) > MAX_TERM or not normal(term).isprintable():
            raise InvalidInput(f"{here} holds {shown(term)}, which has characters that are no writing.")
    return Concept(
        name=normal(concept.name),
        synonyms=tuple(map(normal, concept.synonyms)),
        broader=tuple(map(normal, concept.broader)),
        type=normal(concept.type),
    )


def _united(concepts: Iterable[Concept]) -> list[Concept]:
    """One concept a name, in order of first appearance."""
    found: dict[str, Concept] = {}
    for concept in concepts:
        known = found.setdefault(concept.name, concept)
        found[concept.name] = replace(
            known,
            synonyms=tuple(dict.fromkeys(known.synonyms + concept.synonyms)),
            broader=tuple(dict.fromkeys(known.broader + concept.broader)),
            type=concept.type or known.type,
        )
    return list(found.values())


def _checked(domain: str, concepts: Sequence[Concept], where: str) -> Ontology:
    """The ontology, refused where terms are ambiguous or `broader` leads nowhere or around."""
    if not 0 < len(domain) <= MAX_TERM:
        raise InvalidInput(f"{where}: the domain needs a name of 1 to {MAX_TERM} characters.")
    if len(concepts) > MAX_CONCEPTS:
        raise InvalidInput(f"{where} has {len(concepts):,} concepts; at most {MAX_CONCEPTS:,} are read.")
    meaning = {concept.name: concept.name for concept in concepts}
    for concept in concepts:
        for term in concept.synonyms:
            if other := meaning.get(term):
                raise InvalidInput(
                    f"{where}: {term!r}, a synonym of {concept.name!r}, is already a term of {other!r}. "
                    "Keep it in one of them."
                )
            meaning[term] = concept.name
    names = {concept.name for concept in concepts}
    for concept in concepts:
        if unknown := [name for name in concept.broader if name not in names]:
            raise InvalidInput(
                f"{where}: {concept.name!r} has the broader concept {unknown[0]!r}, which is none of its "
                "concepts. Add it, or read with extends=."
            )
    try:
        TopologicalSorter({concept.name: concept.broader for concept in concepts}).prepare()
    except _Cycle as error:
        cycle = tuple(reversed(error.args[1]))
        raise CycleError(f"{where}: broader goes around: {' → '.join(cycle)}. Cut it.", cycle) from None
    return Ontology(domain=domain, concepts=tuple(concepts))


@cache
def _adapter() -> Any:
    from pydantic import TypeAdapter

    return TypeAdapter(Ontology)
