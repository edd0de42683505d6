"""From a browser to a run: commands, checked, carried out in order, and answered.

Whatever a browser sends is foreign, and `commands` says what of it passes. A face calls from any thread, and
nothing is done there but to take note.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from inspect import signature
from typing import Any

from dyntaskmas_nb.errors import DynTaskError, InvalidInput
from dyntaskmas_nb.ui.commands import ASKED, CALLS, COMMANDS, EDITS, ORDERS, id_of, read
from dyntaskmas_nb.ui.drafts import Drafts
from dyntaskmas_nb.ui.lane import WAITING, Lane
from dyntaskmas_nb.ui.left import FORGOTTEN
from dyntaskmas_nb.ui.questions import QUESTIONS
from dyntaskmas_nb.view.words import printable

log = logging.getLogger(__name__)

#: Those that wait for the run: carried out apart, not to hold up the pause that comes after them.
WAITING_FOR = frozenset({"step", "run_until"})
#: What changes something: the panel's code mirror keeps these.
ACTIONS = frozenset({*EDITS, *COMMANDS, *ORDERS}) - {"drop_drafts"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What became of command `id`: done (and the version made) or refused (and why).

    `call` is the Python that does the same; `data` answers a question; `drafts` edits are collected now.
    """

    id: str
    ok: bool
    command: str = ""
    call: str = ""
    what: str = ""
    reason: str = ""
    version: int | None = None
    drafts: int = 0
    data: Any = None

    def bare(self) -> Answer:
        """The answer without its data."""
        return replace(self, data=None)


class Inbox:
    """Carries commands out in their order.

    Those of `WAITING_FOR` have a lane each, and what changes nothing has one: a pause waits for neither.
    """

    def __init__(self, run: Any, answer: Callable[[Answer], None]) -> None:
        self._run, self._answer = run, answer
        self._lane = Lane("commands", self._take)
        self._questions = Lane("questions", self._do)
        self._apart = {name: Lane(name, self._do) for name in WAITING_FOR}
        self.drafts = Drafts(run)

    def put(self, command: object) -> None:
        """Take note of a command ``{id, command, args, base, mode}``; its answer comes on another thread."""
        self._into(self._lane, command)

    def _into(self, lane: Lane, command: object) -> None:
        if not lane.put(command):
            reason = f"{WAITING} commands are waiting already; let the run answer them first."
            self._answer(Answer(id=id_of(command), ok=False, reason=reason, drafts=self.drafts.count))

    def _take(self, command: object) -> None:
        name = name_of(command)
        if name in ASKED or (isinstance(command, dict) and command.get("mode") == "preview"):
            self._into(self._questions, command)
        elif name in self._apart:
            self._into(self._apart[name], command)
        else:
            self._do(command)

    def _do(self, command: object) -> None:
        self._answer(execute(self._run, command, self.drafts))


def execute(run: Any, command: object, drafts: Drafts) -> Answer:
    """Check a command, call the method of that name, and say what became of it. Never raises."""
    said = Answer(id=id_of(command), ok=False, command=name_of(command))
    try:
        name, args, base, mode = read(command)
        given = ", ".join(f"{arg}={value!r}" for arg, value in args.items())
        said = replace(said, call=f"run.{name}({given})")
        told = _done(run, drafts, said, args, base, mode)
    except DynTaskError as error:
        told = replace(said, reason=str(error))
    except ReferenceError:
        told = replace(said, reason=FORGOTTEN)
    except Exception as error:
        log.exception("a command failed unexpectedly")
        told = replace(said, reason=f"{type(error).__name__}: {printable(error, 600)}")
    return replace(told, drafts=drafts.count)


def _done(
    run: Any, drafts: Drafts, said: Answer, args: Mapping[str, Any], base: int | None, mode: str
) -> Answer:
    name = said.command
    if name in QUESTIONS:
        data = _bound(name, partial(QUESTIONS[name], run, drafts), args)()
        return replace(said, ok=True, call=said.call if hasattr(run, name) else "", data=data)

    def act(target: Any) -> Any:
        method = _bound(name, getattr(target, name), args)
        return method(base=base) if name in EDITS else method()

    if mode == "draft":  # nothing has been done yet: the call is that of `commit_drafts`
        reply = drafts.collect(act)
        return replace(said, ok=reply.accepted, call="", what=reply.what, reason=reply.reason)
    if mode == "preview":
        reply, call = act(run.what_if), said.call.replace("run.", "run.what_if.", 1)
        return replace(said, ok=reply.accepted, call=call, what=repr(reply), reason=reply.reason, data=reply)
    reply = act(run)
    return replace(said, ok=reply.accepted, what=reply.what, reason=reply.reason, version=reply.version)


def name_of(command: object) -> str:
    """The name of a foreign command, "" where there is none of that name."""
    name = command.get("command") if isinstance(command, dict) else None
    return name if isinstance(name, str) and name in CALLS else ""


def _bound(name: str, method: Callable[..., Any], args: Mapping[str, Any]) -> Callable[..., Any]:
    """`method` given `args`; refused where one is missing."""
    try:
        signature(method).bind(**args)
    except TypeError as error:
        raise InvalidInput(f"{name}: {error}.") from None
    return partial(method, **args)
