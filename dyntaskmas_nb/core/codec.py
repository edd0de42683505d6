"""Nouns to JSON and back: orjson out, pydantic in.

Every encoded object is ``{"kind": "AddTask", …fields}`` where its type is one of a union. Decoding foreign
or stored bytes goes through pydantic, whose complaint is turned into one sentence that names the field.
"""

from __future__ import annotations

from dataclasses import fields, is_dataclass
from enum import Enum
from functools import cache
from typing import TYPE_CHECKING, Any, TypeVar, get_args

import orjson

from dyntaskmas_nb.core import command, delta, event
from dyntaskmas_nb.core.task import Resource, shown
from dyntaskmas_nb.errors import InvalidInput

if TYPE_CHECKING:
    from pydantic import ValidationError

T = TypeVar("T")

_UNIONS = (*get_args(delta.Delta), *get_args(command.Command), *get_args(event.Event))
_KINDS = {cls.__name__: cls for cls in _UNIONS}
_TAGGED = frozenset(_UNIONS)


def to_json(value: object) -> Any:
    """`value` (a noun, or a JSON value) as plain dicts and lists; union members carry their `kind`."""
    if is_dataclass(value) and not isinstance(value, type):
        out: dict[str, Any] = {"kind": type(value).__name__} if type(value) in _TAGGED else {}
        for name in _names(type(value)):
            out[name] = to_json(getattr(value, name))
        return out
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, tuple | list):
        return [to_json(item) for item in value]
    if hasattr(value, "items"):
        return {str(key): to_json(item) for key, item in value.items()}
    return value


def encode(value: object) -> bytes:
    """JSON bytes of a noun, keys in declaration order; the same value gives the same bytes."""
    return orjson.dumps(to_json(value))


def decode(data: bytes | str) -> Any:
    """The union member (delta, command or event) that `data` encodes.

    Raises
    ------
    InvalidInput
        When the bytes are no JSON, the kind is unknown, or a field is missing or wrong (it is named).
    """
    try:
        raw = orjson.loads(data)
    except orjson.JSONDecodeError as error:
        raise InvalidInput(f"This is not JSON: {error}.") from None
    return from_json(raw)


def from_json(raw: object) -> Any:
    """`decode` for JSON that is already parsed."""
    try:
        return _read(raw)
    except RecursionError:
        raise InvalidInput("This JSON is nested too deeply.") from None


def _read(raw: object) -> Any:
    if not isinstance(raw, dict) or not isinstance(raw.get("kind"), str):
        raise InvalidInput('Expected an object with a "kind".')
    kind = raw["kind"]
    if kind not in _KINDS:
        raise InvalidInput(f"Unknown kind {shown(kind)}.")
    from pydantic import ValidationError

    known = _names(_KINDS[kind])
    if extra := [key for key in raw if key != "kind" and key not in known]:
        raise InvalidInput(f"{kind}: unknown field {shown(extra[0])}; it has {', '.join(sorted(known))}.")
    try:
        body = {key: _nested(key, value) for key, value in raw.items() if key != "kind"}
        return _adapter(_KINDS[kind]).validate_python(body)
    except ValidationError as error:
        raise InvalidInput(explain_validation(error, kind)) from None


def explain_validation(error: ValidationError, where: str) -> str:
    """One sentence from pydantic's first complaint: which field, what is wrong, what was given."""
    first = error.errors()[0]
    path = where
    for part in first["loc"]:
        path += f"[{part}]" if isinstance(part, int) else f".{part}"
    given = shown(first["input"])
    more = error.error_count() - 1
    tail = f" ({more} more like it)" if more else ""
    return f"{path}: {first['msg'][0].lower()}{first['msg'][1:]}, got {given}{tail}."


@cache
def _names(cls: type) -> tuple[str, ...]:
    return tuple(field.name for field in fields(cls))


@cache
def _adapter(cls: type[T]) -> Any:
    from pydantic import TypeAdapter

    return TypeAdapter(cls)


def _nested(key: str, value: Any) -> Any:
    """Decode the union members a field holds; other JSON (a result, a task's inputs) stays as it is."""
    if key in ("delta", "command", "inverse"):
        return _read(value)
    if key == "deltas" and isinstance(value, list):
        return tuple(_read(item) for item in value)
    if key == "changes" and isinstance(value, dict) and isinstance(value.get("resources"), list):
        from pydantic import ValidationError

        try:
            resources = tuple(_adapter(Resource).validate_python(entry) for entry in value["resources"])
        except ValidationError as error:
            raise InvalidInput(explain_validation(error, "ReviseTask.changes.resources")) from None
        return {**value, "resources": resources}
    return value
