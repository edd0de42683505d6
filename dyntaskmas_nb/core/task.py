"""A subtask, the vertex v of G = (V, E, W) (paper Eq. 1), and the states it passes through.

| symbol | name | unit |
|---|---|---|
| C(v) | `Task.complexity` | complexity units (seconds = units × seconds per unit) |
| I(u, v) | information of a dependency, kept by `TaskGraph` | information units |
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields, replace
from enum import StrEnum
from typing import Any, Literal

from dyntaskmas_nb.errors import InvalidInput

TaskId = str
GENERAL_ROLE = "general"
MAX_TEXT = 20_000
MAX_NAME = 200
#: The integers that JSON as we write it can hold.
INTEGERS = range(-(2**63), 2**64)
#: Numbers beyond this are refused: sums and products of such numbers still are finite.
LARGEST = 1e15
_DEPTH = 100


class TaskState(StrEnum):
    """Where a task stands in a run. A string, so that it prints and serialises as its name."""

    PENDING = "pending"
    READY = "ready"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    SKIPPED = "skipped"
    CANCELLED = "cancelled"
    BLOCKED = "blocked"

    @property
    def ended(self) -> bool:
        """True when the task will not run again unless something changes."""
        return self in ENDED


#: States of a task that will not run again unless something changes.
ENDED = frozenset(TaskState) - {TaskState.PENDING, TaskState.READY, TaskState.RUNNING}
#: States that satisfy a successor waiting for this task (Alg. 2: `Pred(v) = ∅`).
SATISFIED = frozenset({TaskState.DONE, TaskState.SKIPPED})


@dataclass(frozen=True, slots=True, kw_only=True)
class Join:
    """When a task with several predecessors may start.

    `all` of them are done (the default), `any` one, `k_of_n` of them, or the `first_valid` one, whose
    losers' results are not waited for.
    """

    kind: Literal["all", "any", "k_of_n", "first_valid"] = "all"
    k: int = 1

    def needed(self, predecessors: int) -> int:
        """How many of `predecessors` must be satisfied."""
        if self.kind == "all":
            return predecessors
        if self.kind == "k_of_n":
            return min(self.k, predecessors)
        return min(1, predecessors)


ALL = Join()


@dataclass(frozen=True, slots=True, kw_only=True)
class Resource:
    """A named thing a task holds while it runs: alone (`exclusive`) or with other sharers."""

    key: str
    exclusive: bool = True


#: At the end of a resource's name: held together with others.
SHARED = " (shared)"


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """One subtask.

    Attributes
    ----------
    role : which kind of agent can do it.
    complexity : C(v) ≥ 0, in complexity units.
    boost : added to the task's own rank, not propagated.
    critical : False lets the run go on without it when it fails.
    resources : locks held while it runs.
    timeout : seconds for one attempt, or None.
    attempts : how often it may be tried, ≥ 1.
    join : when it may start.
    approval : wait for `run.approve(id)` before it starts; its retries need no other.
    inputs : fixed arguments for a Python-function agent (any JSON value), or None.

    Examples
    --------
    >>> Task(id="flights", description="Find flights", complexity=2).role
    'general'
    """

    id: TaskId
    description: str = ""
    role: str = GENERAL_ROLE
    complexity: float = 1.0
    boost: float = 0.0
    critical: bool = True
    resources: tuple[Resource, ...] = ()
    timeout: float | None = None
    attempts: int = 1
    join: Join = ALL
    approval: bool = False
    inputs: Any = field(default=None, hash=False)


#: Fields that say what a task does: a result made from others of these is out of date.
DEFINING = ("description", "role", "inputs")
#: Fields a `ReviseTask` may change; id and join have edits of their own.
REVISABLE = tuple(f.name for f in fields(Task) if f.name not in ("id", "join"))


def revised(task: Task, changes: dict[str, Any]) -> Task:
    """Return `task` with `changes` applied and checked; raises `InvalidInput` naming the field."""
    if odd := [name for name in changes if name not in REVISABLE]:
        raise InvalidInput(
            f"Task {task.id!r} has no field {odd[0]!r} to revise. Choose from {', '.join(REVISABLE)}."
        )
    if isinstance(listed := changes.get("resources"), list):
        changes = {**changes, "resources": tuple(listed)}
    new = replace(task, **changes)
    check_task(new)
    return new


def held(resources: Any) -> Any:
    """A list of resources as a task has it, where names may stand for them; all else is left as it is.

    Examples
    --------
    >>> held(["oven", "kitchen (shared)"])
    (Resource(key='oven', exclusive=True), Resource(key='kitchen', exclusive=False))
    """
    if not isinstance(resources, list | tuple):
        return resources
    return tuple(_resource(part) if isinstance(part, str) else part for part in resources)


def _resource(name: str) -> Resource:
    return Resource(key=name.removesuffix(SHARED), exclusive=not name.endswith(SHARED))


def check_task(task: Task, entry: str = "") -> None:
    """Refuse a task whose fields make no sense; `entry` is where a plan file has it.

    Raises `InvalidInput` naming the task or entry, the field and what it must be.
    """
    if _plain(task):
        return
    check_id(task.id, f"{entry}." if entry else "A task ")
    where = f"{entry}." if entry else f"Task {task.id!r}: "
    if task.description != "":
        check_text(task.description, f"{where}description", MAX_TEXT)
    if task.role is not GENERAL_ROLE:
        check_text(task.role, f"{where}role", MAX_NAME, empty=False)
    _number(task.complexity, f"{where}complexity", low=0.0)
    _number(task.boost, f"{where}boost")
    if task.timeout is not None and _number(task.timeout, f"{where}timeout", low=0.0) == 0:
        raise InvalidInput(f"{where}timeout must be more than 0 seconds; leave it out for no deadline.")
    _flag(task.critical, f"{where}critical")
    _flag(task.approval, f"{where}approval")
    check_count(task.attempts, f"{where}attempts")
    if task.join is not ALL:
        check_join(task.join, entry or f"Task {task.id!r}")
    if task.inputs is not None:
        check_json(task.inputs, f"{where}inputs")
    if not isinstance(task.resources, tuple):
        raise InvalidInput(f"{where}resources must be a tuple of Resource, not {shown(task.resources)}.")
    for resource in task.resources:
        if not isinstance(resource, Resource):
            raise InvalidInput(f"{where}resources holds {shown(resource)}, which is not a Resource.")
        _flag(resource.exclusive, f"{where}resource exclusive")
        check_text(resource.key, f"{where}resource key", MAX_NAME, empty=False)


def _plain(task: Task) -> bool:
    """Whether a task is one of the usual kind, with nothing to complain of: quick, for plans of thousands."""
    id, text, role, complexity = task.id, task.description, task.role, task.complexity
    return (
        type(id) is str is type(text) is type(role)
        and 0 < len(id) <= MAX_NAME >= len(role) > 0
        and len(text) <= MAX_TEXT
        and id.isascii()
        and role.isascii()
        and text.isascii()
        and "\0" not in text
        and id.isprintable()
        and role.isprintable()
        and id == id.strip()
        and bool(role.strip())
        and type(complexity) is float
        and 0.0 <= complexity <= LARGEST
        and task.boost == 0.0
        and task.timeout is None
        and task.critical is True
        and task.approval is False
        and task.inputs is None
        and task.attempts == 1
        and type(task.attempts) is int
        and task.join is ALL
        and task.resources == ()
        and type(task.resources) is tuple
        and type(task.boost) is float
    )


def check_id(id: object, where: str = "A task ") -> None:
    """Refuse an id that is not a short, printable, non-empty string."""
    if not isinstance(id, str):
        raise InvalidInput(f"{where}id must be a string, not {shown(id)}.")
    check_text(id, f"{where}id", MAX_NAME, empty=False)
    if id != id.strip() or not id.isprintable():
        raise InvalidInput(f"Task id {id!r} has leading, trailing or unprintable characters; remove them.")


def check_join(join: object, where: str) -> None:
    """Refuse an unknown join rule or a k below 1."""
    if not isinstance(join, Join) or join.kind not in ("all", "any", "k_of_n", "first_valid"):
        raise InvalidInput(f"{where}: join must be all, any, k_of_n or first_valid, not {shown(join)}.")
    check_count(join.k, f"{where}: join.k")


def check_count(value: object, where: str, least: int = 1) -> None:
    """Refuse what is not a whole number of at least `least`."""
    if type(value) is not int or value < least:
        raise InvalidInput(f"{where} must be a whole number of at least {least}, not {shown(value)}.")


def check_information(value: float, where: str) -> float:
    """Return `value` when it is a usable I(u, v) ≥ 0, else raise `InvalidInput`."""
    return _number(value, f"{where}: information", low=0.0)


def check_text(value: object, where: str, limit: int, *, empty: bool = True) -> None:
    """Refuse text that is not a string, is too long, or holds what cannot be stored as UTF-8."""
    if not isinstance(value, str):
        raise InvalidInput(f"{where} must be text, not {shown(value)}.")
    if not empty and not value.strip():
        raise InvalidInput(f"{where} is empty.")
    if len(value) > limit:
        raise InvalidInput(f"{where} is {len(value):,} characters long; at most {limit:,} are taken.")
    if not (value.isascii() and value.isprintable()) and ("\0" in value or not _storable(value)):
        raise InvalidInput(f"{where} holds a lone surrogate or a NUL character, which is no text; remove it.")


def check_json(value: object, where: str, depth: int = 0) -> None:
    """Refuse what JSON cannot hold, or holds differently: a set, NaN, an integer beyond 64 bits."""
    if depth > _DEPTH:
        raise InvalidInput(f"{where} nests deeper than {_DEPTH} levels, or holds itself.")
    parts: Iterable[object] = ()
    match value:
        case None | bool():
            fits = True
        case str():
            fits = _storable(value)
        case int():
            fits = value in INTEGERS
        case float():
            fits = math.isfinite(value)
        case list() | tuple():
            fits, parts = True, value
        case Mapping():
            fits, parts = all(isinstance(key, str) and _storable(key) for key in value), value.values()
        case _:
            fits = False
    if not fits:
        raise InvalidInput(
            f"{where} must be JSON (text, finite numbers, lists, objects), not {shown(value)}."
        )
    for part in parts:
        check_json(part, where, depth + 1)


def shown(value: object) -> str:
    """`value` for an error message: its repr, cut to 60 characters."""
    try:
        text = repr(value)
    except (ValueError, RecursionError):  # an integer of thousands of digits, a bottomless nest
        return f"a {type(value).__name__} too large to show"
    return text if len(text) <= 60 else f"{text[:59]}…"


def _storable(value: str) -> bool:
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def _number(value: object, where: str, low: float = -math.inf) -> float:
    if type(value) is float and max(low, -LARGEST) <= value <= LARGEST:
        return value
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) <= LARGEST:
        raise InvalidInput(f"{where} must be a finite number up to {LARGEST:g}, not {shown(value)}.")
    if value < low:
        raise InvalidInput(f"{where} must be at least {low:g}, not {shown(value)}.")
    return float(value)


def _flag(value: object, where: str) -> None:
    if not isinstance(value, bool):
        raise InvalidInput(f"{where} must be true or false, not {shown(value)}.")
