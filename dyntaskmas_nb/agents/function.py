"""Plain Python functions as agents: ``Kit(agents={"adder": add})``.

A function takes ``(task, context)``, only ``(task)``, or nothing, and may be async. A sync one runs in a
worker thread, so that it blocks nobody; Python cannot stop a thread, so after a cancellation it runs on by
itself and its result is dropped. Under the virtual clock (`inline`) it is called where it stands: a thread
would do things that the clock cannot see.
"""

from __future__ import annotations

import asyncio
import inspect
import os
import sysconfig
from collections.abc import Callable
from copy import deepcopy
from dataclasses import replace
from functools import partial
from pathlib import Path
from traceback import format_exception_only, walk_tb
from typing import Any

import anyio
import anyio.to_thread

from dyntaskmas_nb.agents.context import Context
from dyntaskmas_nb.agents.outcome import Answer, plain
from dyntaskmas_nb.core.task import Task, shown
from dyntaskmas_nb.errors import AgentError, InvalidInput

_NAMES = ("task", "context")


class FunctionAgent:
    """An agent that calls `function`; raises `InvalidInput` for what cannot be an agent."""

    __slots__ = ("_by_name", "_function", "_is_async", "_names")

    def __init__(self, function: Callable[..., Any]) -> None:
        name = getattr(function, "__qualname__", shown(function))
        yields = inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function)
        if isinstance(function, type) or not callable(function) or yields:
            raise InvalidInput(
                f"An agent is a function (task, context) -> result, no class, no generator; not {name}."
            )
        try:
            self._names, self._by_name = _arguments(function)
        except (TypeError, ValueError):
            raise InvalidInput(
                f"An agent takes (task, context), (task) or nothing; {name} asks for other arguments, or "
                "does not tell: wrap it in a function that does."
            ) from None
        self._function = function
        self._is_async = inspect.iscoroutinefunction(function)

    async def __call__(self, task: Task, context: Context, *, inline: bool) -> Answer:
        """Call the function and make its result a JSON value.

        Raises `AgentError`: what the function raised and where, or that its result is no JSON value.
        """
        if task.inputs is not None:
            task = replace(task, inputs=deepcopy(task.inputs))  # the graph's own stay as they are
        given = {name: task if name == "task" else context for name in self._names}
        call = partial(self._function, **given) if self._by_name else partial(self._function, *given.values())
        try:
            if inline or self._is_async:
                value = call()
            else:  # a limiter of its own: slots and resources bound how many run at once
                limiter = anyio.CapacityLimiter(1)
                value = await anyio.to_thread.run_sync(call, abandon_on_cancel=True, limiter=limiter)
            return Answer(result=plain(await value if inspect.isawaitable(value) else value))
        except (AgentError, GeneratorExit):
            raise
        except BaseException as error:  # the border: whatever it is, it is a failure of this task
            if _cancelled(error):
                raise
            raise AgentError(describe(error)) from error


def _arguments(function: Callable[..., Any]) -> tuple[tuple[str, ...], bool]:
    """Which of task and context to pass, and whether by name; raises `TypeError` where neither will do.

    A parameter with a default is left at it unless it has one of the two names, so that
    ``lambda task, n=n: …`` means what it says.
    """
    signature = inspect.signature(function)
    parameters = [p for p in signature.parameters.values() if p.kind is not p.VAR_KEYWORD]
    wanted = [p for p in parameters if p.default is p.empty or p.name in _NAMES]
    names = tuple(p.name for p in wanted)
    if set(names) <= set(_NAMES):
        signature.bind(**dict.fromkeys(names))
        return names, True
    names = _NAMES if wanted[-1].kind is inspect.Parameter.VAR_POSITIONAL else _NAMES[: len(wanted)]
    signature.bind(*names)
    return names, False


def _cancelled(error: BaseException) -> bool:
    """Whether `error` cancels this task, and not just something that the function waited for."""
    if isinstance(error, asyncio.CancelledError):
        task = asyncio.current_task()
        return task is None or task.cancelling() > 0
    return isinstance(error, anyio.get_cancelled_exc_class())


def describe(error: BaseException) -> str:
    """Return ``ValueError: message (file.py:12 in add)``, with the innermost line of the user's own code.

    Examples
    --------
    >>> describe(ValueError("no such city"))
    'ValueError: no such city'
    """
    while isinstance(error, BaseExceptionGroup):  # a task group's wrapping: its first member says more
        error = error.exceptions[0]
    if isinstance(error.__cause__, StopIteration):  # Python's wrapping of what no coroutine may raise
        error = error.__cause__
    text = " ".join("".join(format_exception_only(error)).split()).encode("utf-8", "replace").decode()
    text = text if len(text) <= 400 else f"{text[:399]}…"
    libraries = [sysconfig.get_path(name) for name in ("stdlib", "purelib", "platlib")]
    others = (str(Path(__file__).parent.parent) + os.sep, "<frozen", *libraries)
    for frame, line in reversed(list(walk_tb(error.__traceback__))):
        path = frame.f_code.co_filename
        if not path.startswith(others):
            file = "notebook cell" if "ipykernel_" in path else Path(path).name
            return f"{text} ({file}:{line} in {frame.f_code.co_name})"
    return text
