"""Nouns to JSON and back: orjson out, pydantic in.

Every encoded object is ``{"kind": "AddTask", …fields}`` where its type is one of a union. Decoding foreign
or stored bytes goes through pydantic, whose complaint is turned into one sentence that names the field.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from functools import cache
from typing import Any, get_args

import orjson

from dyntaskmas_nb.core import command, delta, event
from dyntaskmas_nb.core.task import Resource, shown
from dyntaskmas_nb.errors import InvalidInput

_UNIONS = (*get_args(delta.Delta), *get_args(command.Command), *get_args(event.Event))
_KINDS = {cls.__name__: cls for cls in _UNIONS}
_TAGGED = frozenset(_UNIONS)
#: Frequent events that hold no member of a union: orjson writes those by itself, and far faster.
_FLAT: dict[type, bytes] = {
    cls: b'{"kind":"' + cls.__name__.encode() + b'",'
    for cls in (event.TaskDone, event.TaskDispatched, event.StateChanged, event.TurnEnded)
}


def encode(value: object) -> bytes:
    """JSON bytes of a noun, keys in declaration order; the same value gives the same bytes."""
    if (head := _FLAT.get(type(value))) is not None:
        return head + orjson.dumps(value, default=_plain)[1:]
    return orjson.dumps(value, default=_plain, option=orjson.OPT_PASSTHROUGH_DATACLASS)


def _plain(value: Any) -> dict[str, Any]:
    """What orjson leaves to us: a dataclass, with its `kind` when it is one of a union, or a mapping."""
    if isinstance(value, Mapping):
        return {str(key): part for key, part in value.items()}
    cls = type(value)
    if not is_dataclass(cls):
        raise TypeError(f"{shown(value)} is no JSON value")
    kind = {"kind": cls.__name__} if cls in _TAGGED else {}
    return kind | {name: getattr(value, name) for name in _names(cls)}


def decode(data: bytes | str) -> Any:
    """The union member (delta, command or event) that `data` encodes.

    Raises `InvalidInput` when the bytes are no JSON, the kind is unknown, or a field (named) is wrong.
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
    known = _names(_KINDS[kind])
    if extra := [key for key in raw if key != "kind" and key not in known]:
        raise InvalidInput(f"{kind}: unknown field {shown(extra[0])}; it has {', '.join(sorted(known))}.")
    body = {key: _nested(key, value) for key, value in raw.items() if key != "kind"}
    return _validated(_KINDS[kind], body, kind)


def _nested(key: str, value: Any) -> Any:
    """Decode the union members a field holds; other JSON (a result, a task's inputs) stays as it is."""
    if key in ("delta", "command", "inverse"):
        return _read(value)
    if key == "deltas" and isinstance(value, list):
        return tuple(_read(item) for item in value)
    if key == "changes" and isinstance(value, dict) and isinstance(value.get("resources"), list):
        where = "ReviseTask.changes.resources"
        return {**value, "resources": tuple(_validated(Resource, each, where) for each in value["resources"])}
    return value


def _validated(cls: type, value: object, where: str) -> Any:
    """`value` as a `cls`; else one sentence from pydantic's first complaint: field, what is wrong, given."""
    from pydantic import ValidationError

    try:
        return _adapter(cls).validate_python(value)
    except ValidationError as error:
        first, more = error.errors()[0], error.error_count() - 1
    path = where + "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in first["loc"])
    complaint = f"{path}: {first['msg'][0].lower()}{first['msg'][1:]}, got {shown(first['input'])}"
    raise InvalidInput(f"{complaint} ({more} more like it)." if more else f"{complaint}.")


@cache
def _names(cls: type) -> tuple[str, ...]:
    return tuple(field.name for field in fields(cls))


@cache
def _adapter(cls: type) -> Any:
    from pydantic import TypeAdapter

    return TypeAdapter(cls)
