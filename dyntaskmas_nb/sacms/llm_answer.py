"""What a model may answer about a text, and what of it is believed: only what the text holds (Eq. 9).

One pydantic model is the JSON schema that guides the answer and the check of it. pydantic is imported here at
the top, so whoever does without a model should not import this module.

Grounding: a tag or entity counts if it stands in the text as whole words, a relation if both its ends do so
as tags or entities. So whatever the text makes the model say, nothing gets in that the text does not say
itself. The names of types and relations are the model's own words, bounded, and believed.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from dyntaskmas_nb.errors import InvalidOutput
from dyntaskmas_nb.sacms.analyser import MAX_ENTITIES, MAX_RELATIONS, Analysis, Entity, Relation
from dyntaskmas_nb.sacms.folding import fold, normal
from dyntaskmas_nb.sacms.terms import MAX_TERM, compile_terms, find_terms, longest

MAX_ANSWER = 100_000  # characters that are looked at
MAX_ROWS = 30  # tags, entities, and relations of one answer

Term = Annotated[str, Field(min_length=1, max_length=MAX_TERM)]
Name = Annotated[str, Field(min_length=1, max_length=40)]


class EntityRow(BaseModel):
    """An entity, as the model answers."""

    model_config = ConfigDict(extra="forbid", strict=True)
    text: Term
    type: Name


class RelationRow(BaseModel):
    """A relation, as the model answers."""

    model_config = ConfigDict(extra="forbid", strict=True)
    subject: Term
    relation: Name
    object: Term


class Answer(BaseModel):
    """The whole answer."""

    model_config = ConfigDict(extra="forbid", strict=True)
    tags: Annotated[list[Term], Field(max_length=MAX_ROWS)]
    entities: Annotated[list[EntityRow], Field(max_length=MAX_ROWS)]
    relations: Annotated[list[RelationRow], Field(max_length=MAX_ROWS)]


def answer_schema() -> dict[str, Any]:
    """Return the JSON schema of an `Answer`."""
    return Answer.model_json_schema()


def read_answer(text: str) -> Answer:
    """Return the answer in what a model said, without words around the JSON.

    Raises `InvalidOutput`, one sentence that can be told the model.

    >>> read_answer('Sure: {"tags": ["hotel"], "entities": [], "relations": []}').tags
    ['hotel']
    """
    if len(text) > MAX_ANSWER:
        raise InvalidOutput(f"The answer has {len(text):,} characters; at most {MAX_ANSWER:,} are read.")
    start, end = text.find("{"), text.rfind("}") + 1
    if not 0 <= start < end:
        raise InvalidOutput("The answer holds no JSON object.")
    try:
        return Answer.model_validate_json(text[start:end].encode("utf-8", "replace"))
    except ValidationError as error:
        first = error.errors()[0]
    path = ".".join(map(str, first["loc"]))[:100]  # holds the model's own words where a key is unknown
    path = path if path and path.isprintable() else "The answer"
    raise InvalidOutput(f"{path}: {first['msg'][:1].lower()}{first['msg'][1:]:.200}.")


def grounded(answer: Answer, text: str, rules: Analysis) -> Analysis:
    """Return `rules`, an analysis of `text`, with what of `answer` the text holds.

    Where entities overlap, the leftmost counts, then the longest, then that of the rules.
    """
    folded = fold(text)
    wanted = dict.fromkeys(map(normal, (*answer.tags, *(row.text for row in answer.entities))))
    spans = list(find_terms(folded, compile_terms(wanted)))
    there = {span.what for span in spans}
    types = {normal(row.text): _name(row.type) or "entity" for row in reversed(answer.entities)}
    found = []
    for span in spans:
        if span.what in types and (place := folded.source(span.start, span.end)):
            start, end = place
            found.append(Entity(text=text[start:end], type=types[span.what], start=start, end=end))
    tags = [tag for tag in map(normal, answer.tags) if tag in there]
    entities = longest([*rules.entities, *found])[:MAX_ENTITIES]
    ends = {*rules.tags, *tags, *(normal(entity.text) for entity in entities)}
    said = [
        Relation(subject=row.subject, relation=name, object=row.object)
        for row in answer.relations
        if (name := _name(row.relation)) and _ends(row, ends)
    ]
    kept = [
        one for one in rules.relations if _ends(one, ends)
    ]  # a longer entity may have taken an end's place
    dropped = (
        (len(answer.tags) - len(tags), "tags"),
        (sum(normal(row.text) not in there for row in answer.entities), "entities"),
        (len(answer.relations) - len(said), "relations"),
    )
    return Analysis(
        tags=tuple(dict.fromkeys([*rules.tags, *tags])),
        entities=tuple(entities),
        relations=tuple(dict.fromkeys([*kept, *said]))[:MAX_RELATIONS],
        by="rules+model",
        notes=rules.notes + _note(dropped),
    )


def _name(name: str) -> str:
    """A type or relation as the model named it, "" where that is no writing."""
    return shown if (shown := normal(name)).isprintable() else ""


def _ends(one: RelationRow | Relation, known: set[str]) -> bool:
    return normal(one.subject) in known and normal(one.object) in known


def _note(dropped: Iterable[tuple[int, str]]) -> tuple[str, ...]:
    """One sentence on what was dropped, none for nothing."""
    counts = ", ".join(f"{what} {many}" for many, what in dropped if many)
    return (
        (f"Dropped from the model's answer, since the text does not hold them: {counts}.",) if counts else ()
    )
