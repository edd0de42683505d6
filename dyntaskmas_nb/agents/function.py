"""Plain Python functions as agents: ``Kit(agents={"adder": add})``.

A function takes ``(task, context)``, only ``(task)``, or nothing, and may be async. A sync one runs in a
worker thread, so that it blocks nobody; Python cannot stop a thread, so after a cancellation it runs on by
itself and its result is dropped. Under the virtual clock (`inline`) it is called where it stands: a thread
would do things that the clock cannot see.
"""

from __future__ import annotations

import asyncio
import inspect
import math
from collections.abc import Callable
from functools import partial
from typing import Any

import anyio
import anyio.to_thread
from anyio.lowlevel import RunVar

from dyntaskmas_nb.agents.context import Context
from dyntaskmas_nb.agents.failure import describe
from dyntaskmas_nb.agents.outcome import Answer, plain
from dyntaskmas_nb.core.task import Task
from dyntaskmas_nb.errors import AgentError, InvalidInput

#: Sync functions of one event loop that may run at once; slots and resources bound them before this does.
THREADS = 256
_limiter: RunVar[anyio.CapacityLimiter] = RunVar("dyntaskmas function threads")


class FunctionAgent:
    """An agent that calls `function`.

    Raises
    ------
    InvalidInput
        `function` is a class or a generator, cannot be called, or asks for other arguments.
    """

    __slots__ = ("_arguments", "_async", "_function", "name")

    def __init__(self, function: Callable[..., Any]) -> None:
        self.name = _name(function)
        _check_kind(function, self.name)
        self._function = function
        self._arguments = _arguments(function, self.name)
        self._async = any(map(inspect.iscoroutinefunction, _targets(function)))

    def __repr__(self) -> str:
        return f"FunctionAgent({self.name})"

    async def __call__(self, task: Task, context: Context, *, inline: bool) -> Answer:
        """Call the function and make its result a JSON value.

        Raises
        ------
        AgentError
            What the function raised and where, or which part of its result is no JSON value.
        """
        given = {"task": task, "context": context}
        call = partial(self._function, *(given[name] for name in self._arguments))
        if self._async:
            return Answer(result=await _awaited(call))
        if inline:
            value, error = _guarded(call)
        else:
            value, error = await anyio.to_thread.run_sync(
                _guarded, call, abandon_on_cancel=True, limiter=_threads()
            )
        if error is not None:
            raise _failure(error)
        if inspect.isawaitable(value):  # a sync wrapper around an async function
            return Answer(result=await _awaited(lambda: value))
        return Answer(result=value)


def _guarded(call: Callable[[], Any]) -> tuple[Any, BaseException | None]:
    """Call a sync function; nothing it raises may pass, or it would end the thread or the event loop."""
    try:
        value = call()
        return (value if inspect.isawaitable(value) else plain(value)), None
    except BaseException as error:  # noqa: BLE001  (the border: a failure of the task)
        return None, error


async def _awaited(call: Callable[[], Any]) -> Any:
    """Await an async function; only a true cancellation passes."""
    try:
        return plain(await call())
    except anyio.get_cancelled_exc_class() as error:
        if _cancelled():
            raise
        raise _failure(error) from error
    except (Exception, SystemExit) as error:
        raise _failure(error) from error


def _cancelled() -> bool:
    """True when it is this task that is cancelled, not just something that the function waited for."""
    if anyio.current_effective_deadline() == -math.inf:
        return True
    try:
        task = asyncio.current_task()
    except RuntimeError:  # trio, where Cancelled has no other cause
        return True
    return task is None or task.cancelling() > 0


def _failure(error: BaseException) -> AgentError:
    return error if isinstance(error, AgentError) else AgentError(describe(error))


def _threads() -> anyio.CapacityLimiter:
    """The limiter of this event loop, made when first needed."""
    try:
        return _limiter.get()
    except LookupError:
        limiter = anyio.CapacityLimiter(THREADS)
        _limiter.set(limiter)
        return limiter


def _targets(function: Callable[..., Any]) -> tuple[Callable[..., Any], ...]:
    """The function itself, stripped of partials, and the `__call__` of an object."""
    while isinstance(function, partial):
        function = function.func
    return function, type(function).__call__


def _name(function: object) -> str:
    while isinstance(function, partial):
        function = function.func
    return str(getattr(function, "__qualname__", type(function).__name__)).replace("<locals>.", "")


def _check_kind(function: object, name: str) -> None:
    if isinstance(function, type):
        raise InvalidInput(f"The agent {name} is a class; give a function, or an object that can be called.")
    if not callable(function):
        raise InvalidInput(f"An agent is a function (task, context) -> result, not {function!r:.80}.")
    for target in _targets(function):
        if inspect.isasyncgenfunction(target) or inspect.isgeneratorfunction(target):
            raise InvalidInput(f"The agent {name} yields; an agent returns one result, collect it in a list.")


def _arguments(function: Callable[..., Any], name: str) -> tuple[str, ...]:
    """Which of task and context to pass, in order.

    A parameter with a default is left at it, unless it is called `task` or `context`, so that
    ``lambda task, n=n: …`` means what it says.
    """
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        raise InvalidInput(f"The arguments of the agent {name} cannot be read; wrap it in a def.") from None
    places = [p for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    wanted = [p for p in places if p.default is p.empty or p.name in ("task", "context")]
    named_only = [p.name for p in parameters if p.kind is p.KEYWORD_ONLY and p.default is p.empty]
    if len(wanted) > 2 or named_only or wanted != places[: len(wanted)]:
        shown = f"{name}{inspect.signature(function)}"
        raise InvalidInput(
            f"An agent takes (task, context), (task) or nothing; {shown:.160} asks for other arguments."
        )
    if any(p.kind is p.VAR_POSITIONAL for p in parameters) and len(places) == len(wanted):
        return ("task", "context")
    if len(wanted) == 1 and wanted[0].name == "context":
        return ("context",)
    if len(wanted) == 2 and [p.name for p in wanted] == ["context", "task"]:
        return ("context", "task")
    return ("task", "context")[: len(wanted)]
