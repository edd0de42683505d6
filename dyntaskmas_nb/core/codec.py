"""Nouns to JSON and back: orjson out, pydantic in.

Every encoded object is ``{"kind": "AddTask", …fields}`` where its type is one of a union. Decoding foreign
or stored bytes goes through pydantic, whose complaint is turned into one sentence that names the field.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields, is_dataclass
from functools import cache
from operator import attrgetter
from typing import Any, get_args

import orjson

from dyntaskmas_nb.core import command, delta, event
from dyntaskmas_nb.core.task import Resource, shown
from dyntaskmas_nb.errors import InvalidInput

_UNIONS = (*get_args(delta.Delta), *get_args(command.Command), *get_args(event.Event))
_KINDS = {cls.__name__: cls for cls in _UNIONS}
_TAGGED = frozenset(_UNIONS)
#: Those that hold another, which has to be written with its kind.
_HOLDERS = frozenset({delta.Batch, event.DeltaSubmitted, event.DeltaApplied, event.CommandSubmitted})
#: Frequent events that hold no member of a union, and what reads their fields in order.
_FLAT: dict[type, tuple[str, Callable[[Any], tuple[Any, ...]]]] = {
    cls: (cls.__name__, attrgetter("t", *[field.name for field in fields(cls)][1:]))
    for cls in (event.TaskDone, event.TaskDispatched, event.StateChanged)
}


def encode(value: object) -> bytes:
    """JSON bytes of a noun, keys in declaration order; the same value gives the same bytes."""
    return orjson.dumps(value, default=_plain, option=orjson.OPT_PASSTHROUGH_DATACLASS)


def encode_all(values: Sequence[object]) -> bytes:
    """One JSON array of nouns, in which frequent ones are arrays too: ``["TaskDone", field, …]``."""
    packed = []
    for value in values:
        if flat := _FLAT.get(type(value)):
            name, read = flat
            packed.append((name, *read(value)))
        else:
            packed.append(orjson.Fragment(encode(value)))
    return orjson.dumps(packed, default=_plain)


def _plain(value: Any) -> object:
    """What orjson leaves to us: a dataclass, with its `kind` when it is one of a union, or a mapping."""
    if isinstance(value, Mapping):
        return {str(key): part for key, part in value.items()}
    cls = type(value)
    if not is_dataclass(cls):
        raise TypeError(f"{shown(value)} is no JSON value")
    if cls in _HOLDERS:
        return {"kind": cls.__name__} | {name: getattr(value, name) for name in _names(cls)}
    body = orjson.dumps(value, default=_plain)  # by itself, and far faster
    if cls in _TAGGED:
        body = b'{"kind":"%b"%b%b' % (cls.__name__.encode(), b"," * (len(body) > 2), body[1:])
    return orjson.Fragment(body)


def decode(data: bytes | str) -> Any:
    """The union member (delta, command or event) that `data` encodes.

    Raises `InvalidInput` when the bytes are no JSON, the kind is unknown, or a field (named) is wrong.
    """
    try:
        raw = orjson.loads(data)
    except orjson.JSONDecodeError as error:
        raise InvalidInput(f"This is not JSON: {error}.") from None
    return from_json(raw)


def decode_all(data: bytes | str) -> list[Any]:
    """What `encode_all` encoded; raises `InvalidInput` as `decode` does."""
    try:
        raw = orjson.loads(data)
    except orjson.JSONDecodeError as error:
        raise InvalidInput(f"This is not JSON: {error}.") from None
    if not isinstance(raw, list):
        raise InvalidInput("Expected an array.")
    return [from_json(_unpacked(item) if isinstance(item, list) else item) for item in raw]


def _unpacked(item: list[Any]) -> dict[str, Any]:
    cls = _KINDS.get(item[0]) if item and isinstance(item[0], str) else None
    if cls not in _FLAT or len(item) > 1 + len(_names(cls)):
        raise InvalidInput(f"Not an event: {shown(item)}.")
    return {"kind": item[0], **dict(zip(_names(cls), item[1:], strict=False))}


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
