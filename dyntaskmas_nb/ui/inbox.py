"""From a browser to a run: commands, checked, carried out in order, and answered.

Whatever a browser sends is foreign: only the methods and arguments of `CALLS` pass, and each argument must be
of its type and of bounded size. A face calls from any thread, and nothing is done there but to take note.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from inspect import signature
from types import MappingProxyType
from typing import Any

from dyntaskmas_nb.core.task import LARGEST, MAX_NAME, MAX_TEXT, check_id, check_text, shown
from dyntaskmas_nb.errors import DynTaskError, InvalidInput
from dyntaskmas_nb.ui.lane import WAITING, Lane
from dyntaskmas_nb.ui.questions import ASKED, QUESTIONS
from dyntaskmas_nb.view.words import printable

log = logging.getLogger(__name__)

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
#: Those that wait for the run: carried out apart, not to hold up the pause that comes after them.
WAITING_FOR = frozenset({"step", "run_until"})
#: What changes something: the panel's code mirror keeps these.
ACTIONS = frozenset({*EDITS, *COMMANDS, "fork", "commit_drafts"})
CALLS: Mapping[str, Mapping[str, str]] = MappingProxyType({**EDITS, **COMMANDS, **ASKED})
MODES = ("", "preview", "draft")


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What became of command `id`: done (and the version made) or refused (and why).

    `call` is the Python that does the same; `data` answers a question.
    """

    id: str
    ok: bool
    command: str = ""
    call: str = ""
    what: str = ""
    reason: str = ""
    version: int | None = None
    data: Any = None

    def bare(self) -> Answer:
        """The answer without its data."""
        return replace(self, data=None)


class Inbox:
    """Carries commands out in their order, but for those of `WAITING_FOR`, of which each has a lane."""

    def __init__(self, run: Any, answer: Callable[[Answer], None]) -> None:
        self._run, self._answer = run, answer
        self._lane = Lane("commands", self._take)
        self._apart = {name: Lane(name, self._do) for name in WAITING_FOR}
        self.drafts = Drafts(run)

    def put(self, command: object) -> None:
        """Take note of a command ``{id, command, args, base, mode}``; its answer comes on another thread."""
        self._into(self._lane, command)

    def _into(self, lane: Lane, command: object) -> None:
        if not lane.put(command):
            reason = f"{WAITING} commands are waiting already; let the run answer them first."
            self._answer(Answer(id=_id_of(command), ok=False, reason=reason))

    def _take(self, command: object) -> None:
        name = command.get("command") if isinstance(command, dict) else None
        if isinstance(name, str) and name in self._apart:
            self._into(self._apart[name], command)
        else:
            self._do(command)

    def _do(self, command: object) -> None:
        self._answer(execute(self._run, command, self.drafts))


class Drafts:
    """Edits that a face collects before it applies them together (`Run.batch`)."""

    def __init__(self, run: Any) -> None:
        self._run, self.batch = run, None

    def open(self) -> Any:
        """The batch that edits are collected in."""
        self.batch = self.batch or self._run.batch()
        return self.batch

    def close(self) -> None:
        """Forget them."""
        self.batch = None


def execute(run: Any, command: object, drafts: Drafts) -> Answer:
    """Check a command, call the method of that name, and say what became of it. Never raises."""
    id, call = _id_of(command), ""
    name = ""
    try:
        name, args, base, mode = read(command)
        call = f"run.{name}({', '.join(f'{arg}={value!r}' for arg, value in args.items())})"
        if name in ASKED:
            data = _bound(name, partial(QUESTIONS[name], run, drafts), args)()
            return Answer(id=id, ok=True, command=name, call=call if hasattr(run, name) else "", data=data)
        target = run.what_if if mode == "preview" else drafts.open() if mode == "draft" else run
        act = _bound(name, getattr(target, name), args)
        reply = act(base=base) if name in EDITS else act()
    except DynTaskError as error:
        return Answer(id=id, ok=False, command=name, call=call, reason=str(error))
    except Exception as error:
        log.exception("a command failed unexpectedly")
        reason = f"{type(error).__name__}: {printable(error, 600)}"
        return Answer(id=id, ok=False, command=name, call=call, reason=reason)
    told = Answer(id=id, ok=reply.accepted, command=name, call=call, reason=reply.reason)
    if mode == "preview":
        call = call.replace("run.", "run.what_if.", 1)
        return replace(told, call=call, what=repr(reply), data=reply)
    if mode == "draft":  # nothing has been done yet: the call is that of `commit_drafts`
        call = ""
    return replace(told, call=call, what=reply.what, version=reply.version)


def _bound(name: str, method: Callable[..., Any], args: Mapping[str, Any]) -> Callable[..., Any]:
    """`method` given `args`; refused where one is missing."""
    try:
        signature(method).bind(**args)
    except TypeError as error:
        raise InvalidInput(f"{name}: {error}.") from None
    return partial(method, **args)


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


def _id_of(command: object) -> str:
    id = command.get("id") if isinstance(command, dict) else ""
    return id[:64] if isinstance(id, str) else shown(id)
