"""From a model's answer to a JSON value: untrusted text, bounded, parsed and never executed.

A model that decodes freely wraps its JSON in a code fence or in words ("Here is the plan:"). Finding the
JSON again is the most obvious of repairs; nothing of the text around it is used.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any, NoReturn

MAX_ANSWER = 200_000
"""Characters of an answer that are looked at; a plan of 200 tasks has about 50,000."""

_OPENING = re.compile(r'\{\s*["}]|\[\s*[{\]]')
_TRIES = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Broken:
    """Why an answer is no plan: one sentence, written for the model as much as for the user."""

    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Read:
    """The JSON value an answer holds, and what had to be repaired to read it."""

    value: Any
    repairs: tuple[str, ...] = ()


def read_json(text: str) -> Read | Broken:
    """Return the JSON value in `text`: all of it, or else the last object in it that looks like a plan.

    Examples
    --------
    >>> read_json('Sure! {"subtasks": []} Good luck.').value
    {'subtasks': []}
    >>> read_json("I would rather not.")
    Broken(reason='The answer holds no JSON.')
    """
    if len(text) > MAX_ANSWER:
        return Broken(
            reason=f"The answer is {len(text):,} characters long; a plan has at most {MAX_ANSWER:,}."
        )
    decoder = json.JSONDecoder(parse_constant=_refuse)
    found = _decode(decoder, text.strip(), 0)
    if found is not None and found[1] == len(text.strip()):
        return Read(value=found[0])
    values = _inside(decoder, text)
    if not values:
        return Broken(reason="The answer holds no JSON.")
    plans = [
        value for value in values if isinstance(value, dict) and ("subtasks" in value or "refuse" in value)
    ]
    return Read(value=(plans or values)[-1], repairs=("The text around the JSON was left out.",))


def _inside(decoder: json.JSONDecoder, text: str) -> list[Any]:
    """The JSON objects and lists that stand in `text`, outermost ones only; a bounded number of tries."""
    values, at = [], 0
    for _ in range(_TRIES):
        opening = _OPENING.search(text, at)
        if opening is None:
            break
        found = _decode(decoder, text, opening.start())
        at = opening.start() + 1 if found is None else found[1]
        if found is not None:
            values.append(found[0])
    return values


def _decode(decoder: json.JSONDecoder, text: str, at: int) -> tuple[Any, int] | None:
    try:
        return decoder.raw_decode(text, at)
    except (ValueError, RecursionError):
        return None


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not JSON")
