"""From a model's answer to a valid task graph: untrusted text, bounded, parsed and never executed.

Guided decoding holds a model to `plan_schema`; the answers of all others need repair.

Repaired, and recorded as one sentence each, is what has one sensible reading: words around the JSON, an id in
capitals, a dependency on oneself, a missing role. What could be meant in two ways (a cycle, one id for two
subtasks), or not at all, is an `InvalidOutput` whose sentence the planner tells the model.

Laws, tested on arbitrary JSON: the outcome is a graph of 1 to `max_tasks` valid tasks or an `InvalidOutput`,
and a repaired plan needs no repair.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection
from itertools import chain, count
from typing import Any, NoReturn

from dyntaskmas_nb.core.graph import TaskGraph
from dyntaskmas_nb.core.plan import read_subtask
from dyntaskmas_nb.core.task import GENERAL_ROLE, Task, TaskId, shown
from dyntaskmas_nb.errors import InvalidInput, InvalidOutput

MAX_ANSWER = 200_000
"""Characters of an answer that are looked at; a plan of 200 tasks has about 50,000."""

ATTEMPTS = 2
"""A model may fail or be cut off: the planner's tasks are tried twice."""

MAX_COMPLEXITY = 100
_OPENING = re.compile(r"\{|\[\s*\{")
_TRIES = 64


def plan_schema(max_tasks: int, refuses: bool) -> dict[str, Any]:
    """Return the schema of a plan of 1 to `max_tasks` subtasks; with `refuses`, or of a refusal.

    Only keywords that llguidance, llama.cpp, vLLM and Ollama all enforce; acyclicity and known ids are
    beyond a grammar and left to `repair`.
    """
    # An id is short, so that a small model can repeat it without a slip.
    id = {"type": "string", "pattern": "^[a-z][a-z0-9_]{0,39}$"}
    subtask = _closed(
        id=id,
        description={"type": "string", "minLength": 1, "maxLength": 600},
        role={"type": "string", "minLength": 1, "maxLength": 60},
        complexity={"type": "integer", "minimum": 1, "maximum": MAX_COMPLEXITY},
        depends_on={"type": "array", "items": id, "maxItems": max_tasks - 1},
    )
    plan = _closed(subtasks={"type": "array", "items": subtask, "minItems": 1, "maxItems": max_tasks})
    if not refuses:
        return plan
    return {"anyOf": [plan, _closed(refuse={"type": "string", "const": "outside my domains"})]}


def _closed(**properties: Any) -> dict[str, Any]:
    """The schema of an object with these properties, all of them and no others."""
    required = list(properties)
    return {"type": "object", "properties": properties, "required": required, "additionalProperties": False}


def read_json(text: str) -> tuple[Any, list[str]]:
    """Return the JSON value in `text`, the last one that looks like a plan, and the repairs.

    Raises `InvalidOutput` where there is none, or the answer is too long to look at.

    Examples
    --------
    >>> read_json('Sure! {"subtasks": []} Good luck.')
    ({'subtasks': []}, ['The text around the JSON was left out.'])
    """
    if len(text) > MAX_ANSWER:
        raise InvalidOutput(f"The answer has {len(text):,} characters; a plan has at most {MAX_ANSWER:,}.")
    text, values, at, whole = text.strip(), [], 0, False
    decoder = json.JSONDecoder(parse_constant=_refuse)
    for _ in range(_TRIES):
        if (opening := _OPENING.search(text, at)) is None:
            break
        try:
            value, at = decoder.raw_decode(text, opening.start())
            values.append(value)
            whole = opening.start() == 0 and at == len(text)
        except (ValueError, RecursionError):
            at = opening.start() + 1
    if not values:
        raise InvalidOutput("The answer holds no JSON.")
    plans = [value for value in values if isinstance(value, dict) and {"subtasks", "refuse"} & value.keys()]
    return (plans or values)[-1], [] if whole else ["The text around the JSON was left out."]


def repair(value: object, *, max_tasks: int, title: str = "") -> tuple[TaskGraph, list[str]]:
    """Return the graph that the plan `value`, any JSON value, describes, and the repairs.

    Raises `InvalidOutput` where it describes none, or one of more than `max_tasks` tasks.

    Examples
    --------
    >>> rows = [{"id": "Buy Food", "role": "cook"}, {"id": "cook", "depends_on": ["Buy Food", "cook"]}]
    >>> graph, repairs = repair({"subtasks": rows}, max_tasks=9)
    >>> graph.predecessors("cook"), repairs[-4]
    (('buy_food',), "'cook' depended on itself; that was dropped.")
    """
    notes: list[str] = []
    rows = _rows(value, notes)
    ids = [_id(row, number, notes) for number, row in enumerate(rows)]
    known = set(ids)
    found: dict[TaskId, tuple[Task, dict[TaskId, float]]] = {}
    try:
        for number, (id, row) in enumerate(zip(ids, rows, strict=True)):
            subtask = _subtask(row, id, number, known, notes)
            if found.setdefault(id, subtask) != subtask:
                raise InvalidOutput(f"Id {id!r} is used for different subtasks; give each its own id.")
        if len(found) < len(rows):
            notes.append(f"{len(rows) - len(found)} subtasks were there twice and were dropped.")
        if len(found) > max_tasks:
            raise InvalidOutput(f"The plan has {len(found)} subtasks; at most {max_tasks} are allowed.")
        edges = ((before, id, 0.0) for id, (_, after) in found.items() for before in after)
        graph = TaskGraph.of((task for task, _ in found.values()), edges, title=title)
    except InvalidInput as error:
        raise InvalidOutput(str(error)) from None
    return graph, list(dict.fromkeys(notes))


def unrepaired(row: dict[str, Any], known: Collection[TaskId]) -> tuple[Task, dict[TaskId, float]] | None:
    """The subtask of one row and what it waits for, where it needs no repair and waits only for `known`."""
    notes: list[str] = []
    try:
        subtask = _subtask(row, _id(row, 0, notes), 0, known, notes)
    except (InvalidInput, InvalidOutput):
        return None
    return None if notes or subtask[0].id in known else subtask


def free_id(name: TaskId, taken: Collection[TaskId]) -> TaskId:
    """`name`, or where that is taken ``name~2``, ``name~3`` and so on."""
    return next(id for id in chain([name], (f"{name}~{number}" for number in count(2))) if id not in taken)


def slug(name: object) -> TaskId:
    """`name` as an id of lower-case words, "" when nothing of it can stay.

    Examples
    --------
    >>> slug("Book flights (Óslo)"), slug(3), slug("book_flights"), slug("!")
    ('book_flights_óslo', '3', 'book_flights', '')
    """
    text = str(name).lower() if isinstance(name, str | int) else ""
    return re.sub(r"[\W_]+", "_", text).strip("_")[:40].strip("_")


def _rows(value: object, notes: list[str]) -> list[dict[str, Any]]:
    """The list of subtasks: under "subtasks", or bare, or the only list under another name."""
    if isinstance(value, dict) and "subtasks" not in value:
        lists = [part for part in value.values() if isinstance(part, list)]
        value = lists[0] if len(lists) == 1 else None
    if isinstance(value, list):
        notes.append('The list of subtasks was not under "subtasks".')
    rows = value["subtasks"] if isinstance(value, dict) else value
    if not isinstance(rows, list):
        raise InvalidOutput('The answer has no list "subtasks".')
    if not rows:
        raise InvalidOutput('The plan is empty: "subtasks" needs at least one subtask.')
    for number, row in enumerate(rows):
        if not isinstance(row, dict):
            raise InvalidOutput(f"subtasks[{number}] must be an object, not {shown(row)}.")
    return rows


def _id(row: dict[str, Any], number: int, notes: list[str]) -> TaskId:
    id = slug(row.get("id"))
    if not id:
        raise InvalidOutput(f"subtasks[{number}] has no usable id.")
    if id != str(row["id"]):
        notes.append(f"Id {shown(row['id'])} became {id!r}.")
    return id


def _subtask(
    row: dict[str, Any], id: TaskId, number: int, known: Collection[TaskId], notes: list[str]
) -> tuple[Task, dict[TaskId, float]]:
    """One row as a task and what it waits for, its five fields made what the schema says."""
    names = row.get("depends_on") or []
    after = []
    for name in names if isinstance(names, list) else [names]:
        before = slug(name)
        if before in known and before != id:
            after.append(before)
        else:
            what = "itself" if before == id else f"{shown(name)}, which is no subtask"
            notes.append(f"{id!r} depended on {what}; that was dropped.")
    fields: dict[str, Any] = {"id": id, "attempts": ATTEMPTS, "depends_on": after}
    defaults = {"description": id.replace("_", " "), "role": GENERAL_ROLE, "complexity": 1}
    for field, default in defaults.items():
        if not row.get(field):
            notes.append(f"{id!r} had no {field}; it became {default!r}.")
        fields[field] = row.get(field) or default
    given = fields["complexity"]
    try:
        fields["complexity"] = min(max(float(given), 0.1), MAX_COMPLEXITY)
    except (TypeError, ValueError, OverflowError):
        fields["complexity"] = 1.0
    if fields["complexity"] != given:
        notes.append(f"The complexity of {id!r} was {shown(given)}; it became {fields['complexity']:g}.")
    return read_subtask(fields, number)


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not JSON")
