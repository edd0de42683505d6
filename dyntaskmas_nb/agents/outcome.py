"""What an agent gives back: an `Answer`, or an `AgentError`. The engine needs to know only these two.

A result must be a JSON value, since it is journaled, stored and shown. `plain` makes it one, and says in a
sentence what cannot be one (a set, NaN, an open file) instead of letting it fail later and elsewhere.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields, is_dataclass
from datetime import date, datetime, time
from enum import Enum
from typing import Any, Protocol
from uuid import UUID

from dyntaskmas_nb.agents.context import Context
from dyntaskmas_nb.core.task import Task
from dyntaskmas_nb.errors import AgentError

_DEPTH = 100
_INTEGER = range(-(2**63), 2**64)


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """The result of one attempt, a JSON value, and the tokens a model read and wrote for it."""

    result: Any
    tokens: int = 0


class Agent(Protocol):
    """What works on tasks."""

    async def __call__(self, task: Task, context: Context, *, inline: bool) -> Answer:
        """Work on `task`; raises `AgentError`. `inline`: no threads, the virtual clock cannot see them."""


def plain(value: object, where: str = "result", depth: int = 0) -> Any:
    """Return `value` as plain JSON data of its own: dicts, lists, text, numbers, true, false, null.

    Dataclasses, pydantic models, NumPy numbers and arrays, enums, tuples, dates and UUIDs become what they
    hold.

    Raises
    ------
    AgentError
        Naming the part that is no JSON value; repeating the call would not help.

    Examples
    --------
    >>> from datetime import date
    >>> plain({"days": (date(2026, 5, 1), 2)})
    {'days': ['2026-05-01', 2]}
    """
    match value:
        case None | bool():
            return value
        case Enum():
            return plain(value.value, where, depth)
        case str():
            return _text(value, where)
        case int():
            if value not in _INTEGER:
                raise _refused(where, "is an integer beyond 64 bits; return it as text")
            return int(value)
        case float():
            if not math.isfinite(value):
                raise _refused(where, f"is {value}, which JSON cannot hold; return None or a finite number")
            return float(value)
        case date() | datetime() | time():
            return value.isoformat()
        case UUID():
            return str(value)
    if depth >= _DEPTH:
        raise _refused(where, f"nests deeper than {_DEPTH} levels, or holds itself")
    return _composite(value, where, depth + 1)


def _composite(value: object, where: str, depth: int) -> Any:
    if isinstance(value, Mapping):
        return {_key(key, where): plain(part, f"{where}[{key!r}]", depth) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [plain(part, f"{where}[{index}]", depth) for index, part in enumerate(value)]
    if is_dataclass(value) and not isinstance(value, type):
        return {f.name: plain(getattr(value, f.name), f"{where}.{f.name}", depth) for f in fields(value)}
    if not isinstance(value, type):
        if type(value).__module__.partition(".")[0] == "numpy" and hasattr(value, "tolist"):
            return plain(value.tolist(), where, depth)
        if callable(dump := getattr(value, "model_dump", None)):
            return plain(dump(), where, depth)
    if isinstance(value, set | frozenset):
        raise _refused(where, "is a set, which has no order; return sorted(…)")
    if isinstance(value, bytes | bytearray):
        raise _refused(where, "is bytes; decode it to text")
    raise _refused(
        where,
        f"is of type {type(value).__name__}, which is no JSON value; return text, numbers, lists or dicts",
    )


def _key(key: object, where: str) -> str:
    if isinstance(key, Enum):
        key = key.value
    if not isinstance(key, str):
        raise _refused(where, f"has the key {key!r}; JSON keys are text, use str(…)")
    return _text(key, where)


def _text(value: str, where: str) -> str:
    try:
        return value.encode().decode()
    except UnicodeEncodeError:
        raise _refused(where, "holds a lone surrogate, which is not text; remove it") from None


def _refused(where: str, what: str) -> AgentError:
    place = where if len(where) <= 120 else f"{where[:60]}…{where[-59:]}"
    return AgentError(f"The {place} {what}.", retryable=False)
