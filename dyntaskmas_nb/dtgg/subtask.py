"""One subtask as a model wrote it, with every field made what the plan's schema says it is."""

from __future__ import annotations

import math
import re
import unicodedata
from dataclasses import dataclass

from dyntaskmas_nb.core.task import GENERAL_ROLE, TaskId
from dyntaskmas_nb.dtgg.reading import Broken
from dyntaskmas_nb.dtgg.schema import ID_PATTERN, MAX_PLAN, MAX_ROLE

MAX_COMPLEXITY = 100.0
MIN_COMPLEXITY = 0.1
_MAX_DESCRIPTION = 2_000
_ID = re.compile(ID_PATTERN)
_FIELDS = ("id", "description", "role", "complexity", "depends_on")


@dataclass(frozen=True, slots=True, kw_only=True)
class Subtask:
    """A subtask of a plan; `written` is its id as the model wrote it."""

    id: TaskId
    description: str
    role: str
    complexity: float
    depends_on: tuple[str, ...]
    written: str


def read_subtask(row: object, number: int, names: dict[str, TaskId], notes: list[str]) -> Subtask | Broken:
    """Read entry `number` (from 0) of a plan's subtasks.

    Repairs are added to `notes`, and to `names` the id given to a name of which no id can be made.
    """
    if not isinstance(row, dict):
        return Broken(reason=f"subtasks[{number}] is {show(row)}, not an object.")
    written = _name(row.get("id"))
    if written is None:
        return Broken(reason=f"subtasks[{number}] has no usable id.")
    id = slug(written) or names.setdefault(written, f"task_{number + 1}")
    if id != written:
        notes.append(f"Id {show(written)} became {id!r}.")
    depends_on = _depends_on(row.get("depends_on"), id)
    if isinstance(depends_on, Broken):
        return depends_on
    if extra := [key for key in row if key not in _FIELDS]:
        notes.append(f"{id!r} had the unknown field {show(extra[0])}; it was left out.")
    return Subtask(
        id=id,
        description=_description(row.get("description"), id, notes),
        role=_role(row.get("role"), id, notes),
        complexity=_complexity(row.get("complexity"), id, notes),
        depends_on=depends_on,
        written=written,
    )


def slug(name: str) -> TaskId | None:
    """`name` as an id of lower-case words, or None when nothing of it can stay.

    Examples
    --------
    >>> slug("Book flights (Óslo)"), slug("3rd day"), slug("book_flights"), slug("航班")
    ('book_flights_oslo', 'task_3rd_day', 'book_flights', None)
    """
    if _ID.fullmatch(name):
        return name
    plain = unicodedata.normalize("NFKD", name[:400]).encode("ascii", "ignore").decode().lower()
    words = re.sub(r"[^a-z0-9]+", "_", plain).strip("_")
    if not words:
        return None
    return (words if words[0].isalpha() else f"task_{words}")[:40]


def show(value: object) -> str:
    """`value` quoted for a sentence, shortened to 60 characters.

    Examples
    --------
    >>> show("a"), show(["a"]), show(10**30)
    ("'a'", 'a list', 'a huge number')
    """
    match value:
        case list():
            return "a list"
        case dict():
            return "an object"
        case int() if abs(value) > 10**18:
            return "a huge number"
    text = repr(value[:80] if isinstance(value, str) else value)
    return text if len(text) <= 60 else f"{text[:59]}…"


def _name(value: object) -> str | None:
    """An id as text; models also write numbers."""
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) < 10**9:
        return str(value)
    return value if isinstance(value, str) and value.strip() else None


def _depends_on(value: object, id: TaskId) -> tuple[str, ...] | Broken:
    names = [] if value is None else value if isinstance(value, list) else [value]
    if len(names) > 2 * MAX_PLAN:
        return Broken(reason=f"{id!r} lists {len(names):,} dependencies, which is far too many.")
    read = [_name(name) for name in names]
    for name, given in zip(read, names, strict=True):
        if name is None:
            return Broken(reason=f"{id!r} depends on {show(given)}, which is not the id of a subtask.")
    return tuple(name for name in read if name is not None)


def _description(value: object, id: TaskId, notes: list[str]) -> str:
    text = _clean(value)
    if not text:
        text = id.replace("_", " ")
        notes.append(f"{id!r} had no description; its id was taken.")
    elif len(text) > _MAX_DESCRIPTION:
        text = text[:_MAX_DESCRIPTION].rstrip()
        notes.append(f"The description of {id!r} was cut to {_MAX_DESCRIPTION:,} characters.")
    return text


def _role(value: object, id: TaskId, notes: list[str]) -> str:
    text = " ".join(_clean(value).split())
    if not text:
        notes.append(f"{id!r} had no role; it became {GENERAL_ROLE!r}.")
        return GENERAL_ROLE
    if len(text) > MAX_ROLE:
        text = text[:MAX_ROLE].rstrip()
        notes.append(f"The role of {id!r} was cut to {MAX_ROLE} characters.")
    return text


def _complexity(value: object, id: TaskId, notes: list[str]) -> float:
    """C(v) in (0, 100]; 1 where the model gave no number."""
    number = _number(value)
    if number is None:
        notes.append(f"{id!r} had no usable complexity; it became 1.")
        return 1.0
    bounded = float(min(max(number, MIN_COMPLEXITY if number <= 0 else number), MAX_COMPLEXITY))
    if bounded != number:
        notes.append(f"The complexity of {id!r} was {show(value)}; it became {bounded:g}.")
    return bounded


def _number(value: object) -> float | None:
    if isinstance(value, str):
        try:
            value = float(value[:40])
        except ValueError:
            return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return None if isinstance(value, float) and math.isnan(value) else value


def _clean(value: object) -> str:
    """Text that can be stored and shown; "" for what is no text."""
    if not isinstance(value, str):
        return ""
    return value.replace("\0", "").encode("utf-8", "replace").decode().strip()
