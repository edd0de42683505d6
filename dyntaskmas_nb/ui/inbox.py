"""From a browser to a run: commands, checked, carried out in order, and answered.

Whatever a browser sends is foreign: only the methods and arguments of `CALLS` pass, and each argument must be
of its type and of bounded size. A face calls from any thread, and nothing is done there but to take note.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from inspect import signature
from threading import Lock, Thread
from types import MappingProxyType
from typing import Any

from dyntaskmas_nb.core.task import LARGEST, MAX_TEXT, check_id, check_text, shown
from dyntaskmas_nb.errors import DynTaskError, InvalidInput
from dyntaskmas_nb.ui.bridge import Reply, RunHandle

log = logging.getLogger(__name__)

#: Commands that may wait for their turn, and ids that one command may name.
WAITING, NAMED = 100, 1_000

_ID, _EDGE = {"id": "id"}, {"before": "id", "after": "id"}
_FIELDS = {"description": "text", "role": "text", "complexity": "number", "boost": "number"}
#: Every method a face may call, with its arguments and their types.
CALLS: Mapping[str, Mapping[str, str]] = MappingProxyType(
    {
        "add_task": _ID | _FIELDS | {"after": "ids", "before": "ids"},
        "remove_task": _ID,
        "revise": _ID | _FIELDS,
        "add_dependency": _EDGE | {"information": "number"},
        "remove_dependency": _EDGE,
        "pause": {"hard": "flag"},
        "resume": {},
        "step": {"until": "text"},
        "undo": {},
        "redo": {},
        "cancel": _ID,
        "retry": _ID,
        "approve": _ID,
        "reject": _ID | {"why": "text"},
    }
)
#: Those that take the version they were made against.
EDITS = frozenset({"add_task", "remove_task", "revise", "add_dependency", "remove_dependency"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What became of command `id`: done (and the version made) or refused (and why); `call` does the same."""

    id: str
    ok: bool
    call: str = ""
    what: str = ""
    reason: str = ""
    version: int | None = None


class Inbox:
    """Carries commands out in the order in which they came, on a thread that lives while there are any.

    `step` waits until a task starts: it has a thread to itself, not to hold up the pause that comes after it.
    """

    def __init__(self, run: RunHandle, answer: Callable[[Answer], None]) -> None:
        self._run, self._answer = run, answer
        self._waiting: deque[object] = deque()
        self._working = self._stepping = False
        self._lock = Lock()

    def put(self, command: object) -> None:
        """Take note of a command ``{id, command, args, base}``; its answer comes on another thread."""
        with self._lock:
            full, start = len(self._waiting) >= WAITING, not self._working
            if not full:
                self._waiting.append(command)
                self._working = True
        if full:
            reason = f"{WAITING} commands are waiting already; let the run answer them first."
            self._answer(Answer(id=_id_of(command), ok=False, reason=reason))
        elif start:
            Thread(target=self._work, name="dyntaskmas commands", daemon=True).start()

    def _work(self) -> None:
        while True:
            with self._lock:
                if not self._waiting:
                    self._working = False
                    return
                command = self._waiting.popleft()
            if isinstance(command, dict) and command.get("command") == "step" and not self._stepping:
                self._stepping = True
                Thread(target=self._step, args=(command,), name="dyntaskmas step", daemon=True).start()
            else:
                self._answer(execute(self._run, command))

    def _step(self, command: object) -> None:
        answer = execute(self._run, command)
        self._stepping = False
        self._answer(answer)


def execute(run: RunHandle, command: object) -> Answer:
    """Check a command, call the method of that name, and say what became of it. Never raises."""
    id, call = _id_of(command), ""
    try:
        name, args, base = read(command)
        call = f"run.{name}({', '.join(f'{arg}={value!r}' for arg, value in args.items())})"
        method: Callable[..., Reply] = getattr(run, name)
        try:
            signature(method).bind(**args)
        except TypeError as error:
            raise InvalidInput(f"{name}: {error}.") from None
        reply = method(**args, base=base) if name in EDITS else method(**args)
    except DynTaskError as error:
        return Answer(id=id, ok=False, call=call, reason=str(error))
    except Exception as error:
        log.exception("a command failed unexpectedly")
        return Answer(id=id, ok=False, call=call, reason=f"{type(error).__name__}: {error}")
    what, version = reply.what, reply.version
    return Answer(id=id, ok=reply.accepted, call=call, what=what, reason=reply.reason, version=version)


def read(command: object) -> tuple[str, dict[str, Any], int | None]:
    """Method, arguments and base version of a foreign command; raises `InvalidInput` for all else."""
    if not isinstance(command, dict):
        raise InvalidInput(f"A command is an object with id, command, args and base, not {shown(command)}.")
    name, args, base = command.get("command"), command.get("args", {}), command.get("base")
    if not isinstance(name, str) or name not in CALLS:
        raise InvalidInput(f"There is no command {shown(name)}; there are {', '.join(CALLS)}.")
    if not isinstance(args, dict):
        raise InvalidInput(f"{name}: args must be an object, not {shown(args)}.")
    if base is not None and (type(base) is not int or base < 0):
        raise InvalidInput(f"{name}: base must be a version of the run or null, not {shown(base)}.")
    for arg, value in args.items():
        if arg not in CALLS[name]:
            raise InvalidInput(f"{name} has no {shown(arg)}; it takes {', '.join(CALLS[name]) or 'nothing'}.")
        _check(value, CALLS[name][arg], f"{name}: {arg}")
    return name, args, base


def _check(value: Any, kind: str, where: str) -> None:
    match kind:
        case "text":
            check_text(value, where, MAX_TEXT, empty=not where.endswith("description"))
        case "id":
            check_id(value, f"{where.removesuffix(' id')} ")
        case "ids" if isinstance(value, list) and len(value) <= NAMED:
            for id in value:
                check_id(id, f"{where} ")
        case "number" if type(value) in (int, float) and abs(value) <= LARGEST:
            pass
        case "flag" if isinstance(value, bool):
            pass
        case _:
            kinds = {"ids": f"a list of at most {NAMED:,} tasks", "number": f"a number up to {LARGEST:g}"}
            raise InvalidInput(f"{where} must be {kinds.get(kind, 'true or false')}, not {shown(value)}.")


def _id_of(command: object) -> str:
    id = command.get("id") if isinstance(command, dict) else ""
    return id[:64] if isinstance(id, str) else shown(id)
