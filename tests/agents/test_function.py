"""Python functions as agents: what they are given, and what becomes of results, failures, cancellation."""

from __future__ import annotations

import asyncio
import functools
import json
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import anyio
import anyio.lowlevel
import pytest

from dyntaskmas_nb.agents.context import Context
from dyntaskmas_nb.agents.failure import describe
from dyntaskmas_nb.agents.function import FunctionAgent
from dyntaskmas_nb.core.task import Task
from dyntaskmas_nb.errors import AgentError, InvalidInput

TASK = Task(id="mul", inputs=[2])
CONTEXT = Context(task_id="mul", results={"add1": 3, "add2": 7})


async def run(function: Callable[..., Any], *, inline: bool = False) -> Any:
    return (await FunctionAgent(function)(TASK, CONTEXT, inline=inline)).result


def both(task: Task, context: Context) -> list[object]:
    return [task.id, list(context.values())]


def only_task(task: Task) -> object:
    return task.inputs


def nothing() -> str:
    return "ok"


def with_default(task: Task, times: int = 3) -> int:
    return times


def any_number(*everything: object) -> int:
    return len(everything)


async def waits(task: Task, context: Context) -> object:
    await anyio.lowlevel.checkpoint()
    return context["add1"]


class Adder:
    def __init__(self, more: int) -> None:
        self.more = more

    def __call__(self, task: Task, context: Context) -> int:
        return sum(context.values()) + self.more

    def method(self, task: Task) -> int:
        return self.more

    async def slow(self, task: Task) -> int:
        return self.more


class AsyncCallable:
    async def __call__(self, task: Task) -> str:
        return task.id


@pytest.mark.parametrize("inline", [False, True])
@pytest.mark.parametrize(
    ("function", "wanted"),
    [
        (both, ["mul", [3, 7]]),
        (only_task, [2]),
        (nothing, "ok"),
        (with_default, 3),
        (any_number, 2),
        (waits, 3),
        (Adder(5), 15),
        (Adder(5).method, 5),
        (Adder(5).slow, 5),
        (AsyncCallable(), "mul"),
        (functools.partial(both), ["mul", [3, 7]]),
        (functools.partial(with_default, times=9), 9),
        (functools.partial(lambda n, task, context: n * context["add1"], 10), 30),
        (functools.partial(waits), 3),
        (lambda task, n=4: n, 4),
        (lambda n=4: n, 4),
        (lambda context: context["add2"], 7),
        (lambda context, task: [context["add2"], task.id], [7, "mul"]),
        (lambda t, c: waits(task=t, context=c), 3),
    ],
)
async def test_functions_of_every_shape(function: Callable[..., Any], wanted: object, inline: bool) -> None:
    assert await run(function, inline=inline) == wanted


def yields(task: Task) -> Iterator[int]:
    yield 1


async def async_yields(task: Task) -> AsyncIterator[int]:
    yield 1


@pytest.mark.parametrize(
    ("function", "said"),
    [
        (3, "An agent is a function (task, context) -> result, not 3."),
        (Adder, "The agent Adder is a class"),
        (yields, "The agent yields yields"),
        (async_yields, "The agent async_yields yields"),
        (functools.partial(async_yields), "The agent async_yields yields"),
        (lambda a, b, c: 1, "asks for other arguments"),
        (lambda task, *, city: city, "(task, *, city) asks for other arguments"),
        (lambda n=1, task=None: n, "asks for other arguments"),
        (max, "The arguments of the agent max cannot be read"),
    ],
)
def test_what_cannot_be_an_agent_is_refused_early(function: Any, said: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        FunctionAgent(function)
    assert said in str(caught.value)


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


class Silent(Exception):
    def __str__(self) -> str:
        raise RuntimeError


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
        (raising(KeyError("hotel")), r"^KeyError: 'hotel' \("),
        (raising(ValueError()), r"^ValueError \("),
        (raising(ValueError("x" * 10_000)), r"^ValueError: x{399}… \("),
        (raising(Silent()), r"^Silent: \(its message cannot be read\) \("),
        (raising(SystemExit(3)), r"^SystemExit: 3 \("),
        (raising(KeyboardInterrupt()), r"^KeyboardInterrupt \("),
        (raising(StopIteration()), r"^StopIteration \("),
        (raising(asyncio.CancelledError()), r"^CancelledError \("),
        (lambda: {1}, r"^The result is a set"),
    ],
)
async def test_a_failure_is_one_sentence_with_the_users_own_line(
    function: Callable[..., Any], said: str, inline: bool
) -> None:
    with pytest.raises(AgentError, match=said):
        await run(function, inline=inline)


async def test_a_function_may_say_that_trying_again_is_no_use() -> None:
    with pytest.raises(AgentError, match=r"^closed$") as caught:
        await run(raising(AgentError("closed", retryable=False)))
    assert not caught.value.retryable
    with pytest.raises(AgentError) as caught:
        await run(fails)
    assert caught.value.retryable


async def test_async_code_that_exits_fails_and_does_not_end_the_loop() -> None:
    async def exits() -> None:
        raise SystemExit(1)

    with pytest.raises(AgentError, match="SystemExit: 1"):
        await run(exits)


async def test_a_cancellation_inside_the_function_is_a_failure_of_its_own() -> None:
    async def cancels_something_else() -> None:
        inner = asyncio.ensure_future(asyncio.sleep(3600))
        inner.cancel()
        await inner

    with pytest.raises(AgentError, match="CancelledError"):
        await run(cancels_something_else)


@pytest.mark.parametrize("kind", ["async", "sync"])
async def test_cancellation_of_the_task_passes(kind: str) -> None:
    started, go_on = threading.Event(), threading.Event()
    reached = anyio.Event()

    async def waits_for_ever() -> None:
        reached.set()
        await anyio.sleep_forever()

    def blocks() -> None:
        started.set()
        go_on.wait()

    with anyio.CancelScope() as scope:
        async with anyio.create_task_group() as group:
            group.start_soon(run, waits_for_ever if kind == "async" else blocks)
            if kind == "async":
                await reached.wait()
            else:
                await anyio.to_thread.run_sync(started.wait)
            scope.cancel()
    go_on.set()
    assert scope.cancelled_caught


async def test_native_cancellation_passes_as_well() -> None:
    async def waits_for_ever() -> None:
        await asyncio.sleep(3600)

    task = asyncio.ensure_future(run(waits_for_ever))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_sync_functions_run_at_once_in_threads_and_inline_in_place() -> None:
    meeting = threading.Barrier(50)

    def meets() -> int:
        return meeting.wait()

    async with anyio.create_task_group() as group:
        for _ in range(50):
            group.start_soon(run, meets)

    def where() -> int:
        return threading.get_ident()

    assert await run(where, inline=True) == threading.get_ident() != await run(where)


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
