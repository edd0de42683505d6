"""Python functions as agents: what they are given, and what becomes of results, failures, cancellation."""

from __future__ import annotations

import asyncio
import functools
import json
import threading
from collections.abc import AsyncIterator, Callable
from typing import Any

import anyio
import anyio.lowlevel
import pytest

from dyntaskmas_nb.agents.context import Context
from dyntaskmas_nb.agents.function import FunctionAgent, describe
from dyntaskmas_nb.core.task import Task
from dyntaskmas_nb.errors import AgentError, InvalidInput

TASK = Task(id="mul", inputs=[2])
CONTEXT = Context(task_id="mul", results={"add1": 3, "add2": 7})


async def run(function: Callable[..., Any], *, inline: bool = False) -> Any:
    return (await FunctionAgent(function)(TASK, CONTEXT, inline=inline)).result


def both(task: Task, context: Context) -> list[object]:
    return [task.id, list(context.values())]


async def waits(task: Task, context: Context) -> object:
    await anyio.lowlevel.checkpoint()
    return context["add1"]


class Adder:
    def __call__(self, task: Task, context: Context) -> int:
        return sum(context.values())

    async def slow(self, task: Task) -> str:
        return task.id


@pytest.mark.parametrize("inline", [False, True])
@pytest.mark.parametrize(
    ("function", "wanted"),
    [
        (both, ["mul", [3, 7]]),
        (waits, 3),
        (Adder(), 10),
        (Adder().slow, "mul"),
        (lambda task: task.inputs, [2]),
        (lambda: "ok", "ok"),
        (lambda *everything: len(everything), 2),
        (lambda t, n=4: [t.id, n], ["mul", 4]),
        (lambda n=4, task=None: [task.id, n], ["mul", 4]),
        (lambda context: context["add2"], 7),
        (lambda context, task: [context["add2"], task.id], [7, "mul"]),
        (lambda t, c: waits(task=t, context=c), 3),
        (functools.partial(lambda n, task, context: n * context["add1"], 10), 30),
        (functools.partial(lambda n, task: n * task.inputs[0], n=10), 20),
    ],
)
async def test_functions_of_every_shape(function: Callable[..., Any], wanted: object, inline: bool) -> None:
    assert await run(function, inline=inline) == wanted


async def async_yields(task: Task) -> AsyncIterator[int]:
    yield 1


def test_what_cannot_be_an_agent_is_refused_early() -> None:
    for function in (lambda a, b, c: 1, lambda task, *, city: city, max):
        with pytest.raises(InvalidInput, match="asks for other arguments, or does not tell"):
            FunctionAgent(function)
    for other, said in ((3, "3"), (Adder, "Adder"), (async_yields, "async_yields")):
        with pytest.raises(
            InvalidInput, match=f"An agent is a function .* no class, no generator; not {said}."
        ):
            FunctionAgent(other)  # type: ignore[arg-type]


def fails(task: Task) -> None:
    raise ValueError("no\nsuch   city")


def fails_in_a_library(task: Task) -> None:
    json.dumps(object())


async def fails_later(task: Task) -> None:
    await anyio.lowlevel.checkpoint()
    fails(task)


async def fails_in_a_group(task: Task) -> None:
    async with anyio.create_task_group() as group:
        group.start_soon(fails_later, task)


def raising(error: BaseException) -> Callable[[], None]:
    def function() -> None:
        raise error

    return function


@pytest.mark.parametrize("inline", [False, True])
@pytest.mark.parametrize(
    ("function", "said"),
    [
        (fails, r"^ValueError: no such city \(test_function.py:\d+ in fails\)$"),
        (fails_later, r"^ValueError: no such city \(test_function.py:\d+ in fails\)$"),
        (fails_in_a_group, r"^ValueError: no such city \(test_function.py:\d+ in fails\)$"),
        (fails_in_a_library, r"^TypeError: .* \(test_function.py:\d+ in fails_in_a_library\)$"),
        (raising(ValueError("x" * 10_000)), r"^ValueError: x{387}… \("),
        (raising(KeyboardInterrupt()), r"^KeyboardInterrupt \("),
        (raising(StopIteration()), r"^StopIteration \(test_function.py"),
        (raising(asyncio.CancelledError()), r"^asyncio.exceptions.CancelledError \("),
        (raising(AgentError("closed", retryable=False)), r"^closed$"),
        (lambda: {1}, r"^The result \{1\} is no JSON value"),
    ],
)
async def test_a_failure_is_one_sentence_with_the_users_own_line(
    function: Callable[..., Any], said: str, inline: bool
) -> None:
    with pytest.raises(AgentError, match=said) as caught:
        await run(function, inline=inline)
    assert caught.value.retryable == ("closed" not in said and "JSON" not in said)


async def test_cancellation_of_the_task_passes_and_another_is_a_failure() -> None:
    started, go_on, reached = threading.Event(), threading.Event(), anyio.Event()

    async def waits_for_ever() -> None:
        reached.set()
        await anyio.sleep_forever()

    def blocks() -> None:
        started.set()
        go_on.wait()

    async with anyio.create_task_group() as group:
        group.start_soon(run, blocks)
        task = asyncio.ensure_future(run(waits_for_ever))
        await reached.wait()
        await anyio.to_thread.run_sync(started.wait)
        task.cancel()
        group.cancel_scope.cancel()
    go_on.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    with pytest.raises(AgentError, match="CancelledError"):
        await run(lambda: task)


async def test_sync_functions_run_at_once_in_threads_and_inline_in_place() -> None:
    meeting = threading.Barrier(50)
    async with anyio.create_task_group() as group:
        for _ in range(50):
            group.start_soon(run, meeting.wait)
    assert await run(lambda: threading.current_thread().name, inline=True) == "MainThread"
    assert await run(lambda: threading.current_thread().name) != "MainThread"


@pytest.mark.parametrize("anyio_backend", ["trio"])
async def test_it_works_on_trio(anyio_backend: str) -> None:
    assert await run(waits, inline=True) == await run(lambda context: context["add1"]) == 3
    with pytest.raises(AgentError, match="no such city"):
        await run(fails_later)


def test_a_notebook_cell_is_named_as_one() -> None:
    scope: dict[str, Any] = {}
    exec(compile("def add():\n    1 / 0", "/tmp/ipykernel_7/123.py", "exec"), scope)
    with pytest.raises(ZeroDivisionError) as caught:
        scope["add"]()
    assert describe(caught.value).endswith("(notebook cell:2 in add)")
