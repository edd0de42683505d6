"""JSON from a model that nothing forces: the schema in the prompt, the answer read and checked. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from dyntaskmas_nb.errors import BadRequest
from dyntaskmas_nb.llm.protocol import Chunk, Message, Request


def as_json(schema: Mapping[str, Any]) -> str:
    """`schema` as it is sent."""
    return json.dumps(schema, default=dict, ensure_ascii=False)


def in_prompt(request: Request) -> Request:
    """`request` with its schema at the end of the last message instead."""
    *before, last = request.messages
    schema = as_json(request.json_schema or {})
    asked = f"{last.content}\n\nAnswer with JSON only, valid under this JSON Schema:\n{schema}"
    return replace(request, messages=(*before, replace(last, content=asked)), json_schema=None)


def asked_again(request: Request, answer: str, wrong: str) -> Request:
    """`request` with the `answer` it got and what is `wrong` with it."""
    said = Message(role="assistant", content=answer)
    again = f"That is not what was asked for: {wrong} Answer again, with the whole JSON and nothing else."
    return replace(request, messages=(*request.messages, said, Message(role="user", content=again)))


def unfenced(text: str) -> str:
    r"""The JSON in `text`, without the code fence that models like to put around it.

    Examples
    --------
    >>> unfenced('```json\n{"n": 1}\n```')
    '{"n": 1}'
    """
    text = text.strip()
    fenced = len(text) > 6 and text.startswith("```") and text.endswith("```")
    return text[:-3].partition("\n")[2].strip() if fenced else text


def complaint(answer: Chunk, schema: Mapping[str, Any]) -> str:
    """What keeps `answer` from being valid under `schema`, in a sentence; "" if nothing.

    Raises `BadRequest` for what is no schema.

    Examples
    --------
    >>> complaint(Chunk(text='{"n": "two"}'), {"properties": {"n": {"type": "integer"}}})
    "at n: 'two' is not of type 'integer'."
    """
    from jsonschema.exceptions import SchemaError, best_match
    from jsonschema.validators import Draft202012Validator, validator_for

    whole = json.loads(as_json(schema))
    kind = validator_for(whole, default=Draft202012Validator)
    try:
        kind.check_schema(whole)
    except SchemaError as error:
        raise BadRequest(f"json_schema is no JSON Schema: {error.message[:200]}; correct it.") from error
    try:
        value = json.loads(unfenced(answer.text), parse_constant=_no_number)
    except (ValueError, RecursionError) as error:
        broken = "it broke off at the limit of its length" if answer.finish == "length" else str(error)[:200]
        return f"it is no JSON ({broken})."
    worst = best_match(kind(whole).iter_errors(value))
    if worst is None:
        return ""
    where = ".".join(str(part) for part in worst.absolute_path)
    return f"{f'at {where}: ' if where else ''}{worst.message[:200].rstrip('.')}."


def _no_number(name: str) -> float:
    raise ValueError(f"{name} is no number of JSON")
