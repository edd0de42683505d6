"""What an agent gives back: an `Answer`, or an `AgentError`. The engine needs to know only these two."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, fields, is_dataclass
from enum import Enum
from typing import Any, Protocol
from uuid import UUID

import orjson

from dyntaskmas_nb.agents.context import Context
from dyntaskmas_nb.core.task import Task, shown
from dyntaskmas_nb.errors import AgentError


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """The result of one attempt, a JSON value, the tokens a model read and wrote for it, and their price.

    `waited` are seconds that passed before a rate-limited model was asked; `cached` of the tokens read it had
    computed before.
    """

    result: Any
    tokens: int = 0
    cost: float = 0.0
    waited: float = 0.0
    cached: int = 0


class Agent(Protocol):
    """What works on tasks."""

    async def __call__(self, task: Task, context: Context, *, inline: bool) -> Answer:
        """Work on `task`; raises `AgentError`. `inline`: no threads, the virtual clock cannot see them."""


def plain(value: object) -> Any:
    """Return `value` as JSON data of its own, since results are journaled, stored and shown.

    Dataclasses, pydantic models, NumPy numbers and arrays, enums, dates and UUIDs become what they hold.
    Raises `AgentError`, not to be retried, for what JSON cannot hold: a set, NaN, bytes, itself.

    Examples
    --------
    >>> from datetime import date
    >>> plain({"days": (date(2026, 5, 1), 2)})
    {'days': ['2026-05-01', 2]}
    """
    if value is None or value is True or value is False or (type(value) is str and value.isascii()):
        return value
    try:
        made = json.loads(json.dumps(value, default=_held, allow_nan=False))
        orjson.dumps(made)  # what the journal writes: text is UTF-8, integers have 64 bits
    except (TypeError, ValueError, RecursionError) as error:
        raise AgentError(
            f"The result {shown(value)} is no JSON value: {error}. Return text, numbers, lists or dicts.",
            retryable=False,
        ) from error
    return made


def _held(value: Any) -> Any:
    """What json does not know, as what it holds."""
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: getattr(value, field.name) for field in fields(value)}
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, UUID):
        return str(value)
    for method in ("model_dump", "tolist", "isoformat"):  # pydantic, NumPy, dates
        if hasattr(value, method) and not isinstance(value, type):
            return getattr(value, method)()
    raise TypeError(f"{type(value).__name__} is not JSON")
