"""What a browser may say: every command and question, with its arguments and their types.

All of it is foreign: only what stands in `CALLS` passes, each argument of its type and of bounded size.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from dyntaskmas_nb.core.task import LARGEST, MAX_NAME, MAX_TEXT, check_id, check_text, shown
from dyntaskmas_nb.errors import InvalidInput

#: Ids that one command may name.
NAMED = 1_000

_ID, _EDGE = {"id": "id"}, {"before": "id", "after": "id"}
_FIELDS = {
    "description": "text",
    "role": "text",
    "complexity": "number",
    "boost": "number",
    "critical": "flag",
    "timeout": "number or null",
    "attempts": "count",
    "resources": "names",
    "approval": "flag",
}
#: Edits: they take the version they were made against, and may be previewed or collected.
EDITS: Mapping[str, Mapping[str, str]] = MappingProxyType(
    {
        "add_task": _ID | _FIELDS | {"after": "ids", "before": "ids", "join": "text"},
        "remove_task": _ID,
        "revise": _ID | _FIELDS,
        "add_dependency": _EDGE | {"information": "number"},
        "remove_dependency": _EDGE,
        "revise_dependency": _EDGE | {"information": "number"},
        "set_join": _ID | {"kind": "text", "k": "count"},
    }
)
#: Commands, by the names of the run's own methods.
COMMANDS: Mapping[str, Mapping[str, str]] = MappingProxyType(
    {
        "pause": {"hard": "flag"},
        "resume": {},
        "step": {"until": "text"},
        "run_until": {"point": "id or number"},
        "play": {"speed": "number"},
        "break_at": _ID | {"when": "text", "on": "flag"},
        "undo": {},
        "redo": {},
        "cancel": _ID,
        "retry": _ID,
        "approve": _ID,
        "reject": _ID | {"why": "text"},
        "configure": {"policy": "text", "awm": "text", "routing": "text"},
        "set_agent": _ID | {"slots": "count", "roles": "names", "access": "count"},
        "accept": {"number": "count"},
    }
)
#: Commands that are answered with data.
ORDERS: Mapping[str, Mapping[str, str]] = MappingProxyType(
    {"fork": {"version": "count"}, "commit_drafts": {}, "drop_drafts": {}}
)
#: Questions: they change nothing.
ASKED: Mapping[str, Mapping[str, str]] = MappingProxyType(
    {
        "explain": {"id": "id"},
        "explain_number": {"kind": "text", "id": "text", "to": "text"},
        "manifest": {"id": "id"},
        "traceback": {"id": "id"},
        "history": {},
        "at": {"version": "count"},
        "trace": {},
        "to_python": {},
        "preview_drafts": {},
        "context_tree": {"access": "number or null"},
        "context_node": {"id": "text", "access": "number or null"},
        "context_query": {"text": "text", "k": "count"}
        | dict.fromkeys(("access", "theta"), "number or null"),
        "context_for": {"agent": "text", "text": "text"},
    }
)
CALLS: Mapping[str, Mapping[str, str]] = MappingProxyType({**EDITS, **COMMANDS, **ORDERS, **ASKED})
MODES = ("", "preview", "draft")


def read(command: object) -> tuple[str, dict[str, Any], int | None, str]:
    """Method, arguments, base version and mode of a foreign command; raises `InvalidInput` for all else."""
    if not isinstance(command, dict):
        raise InvalidInput(f"A command is an object with id, command, args and base, not {shown(command)}.")
    name, args, base = command.get("command"), command.get("args", {}), command.get("base")
    mode = command.get("mode", "")
    if not isinstance(name, str) or name not in CALLS:
        raise InvalidInput(f"There is no command {shown(name)}; there are {', '.join(CALLS)}.")
    if mode not in MODES or (mode and name not in EDITS):
        raise InvalidInput(f"{name}: mode must be one of {', '.join(filter(None, MODES))}, of an edit.")
    if not isinstance(args, dict):
        raise InvalidInput(f"{name}: args must be an object, not {shown(args)}.")
    if base is not None and (type(base) is not int or base < 0):
        raise InvalidInput(f"{name}: base must be a version of the run or null, not {shown(base)}.")
    for arg, value in args.items():
        if arg not in CALLS[name]:
            raise InvalidInput(f"{name} has no {shown(arg)}; it takes {', '.join(CALLS[name]) or 'nothing'}.")
        _check(value, CALLS[name][arg], f"{name}: {arg}")
    return name, args, base, mode


_KINDS = {
    "ids": f"a list of at most {NAMED:,} tasks",
    "names": f"a list of at most {NAMED:,} short texts",
    "number": f"a number up to {LARGEST:g}",
    "number or null": f"a number up to {LARGEST:g}, or nothing",
    "count": "a whole number, 0 or more",
    "flag": "true or false",
    "id or number": "a task, or seconds",
}


def _check(value: Any, kind: str, where: str) -> None:
    match kind:
        case "text":
            check_text(value, where, MAX_TEXT, empty=not where.endswith("description"))
        case "id":
            check_id(value, f"{where.removesuffix(' id')} ")
        case "ids" if isinstance(value, list) and len(value) <= NAMED:
            for id in value:
                check_id(id, f"{where} ")
        case "names" if isinstance(value, list) and len(value) <= NAMED:
            for name in value:
                check_text(name, where, MAX_NAME, empty=False)
        case "number or null" if value is None:
            pass
        case "number" | "number or null" | "id or number" if _is_number(value):
            pass
        case "id or number" if isinstance(value, str):
            check_id(value, f"{where} ")
        case "count" if type(value) is int and 0 <= value <= LARGEST:
            pass
        case "flag" if isinstance(value, bool):
            pass
        case _:
            raise InvalidInput(f"{where} must be {_KINDS[kind]}, not {shown(value)}.")


def _is_number(value: object) -> bool:
    return type(value) in (int, float) and abs(value) <= LARGEST  # type: ignore[arg-type]


def id_of(command: object) -> str:
    """By what a foreign command wants to be answered, within bounds."""
    id = command.get("id") if isinstance(command, dict) else ""
    return id[:64] if isinstance(id, str) else shown(id)
