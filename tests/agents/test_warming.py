"""Prompts that come together and begin alike: one goes first, and nobody waits for nothing."""

from __future__ import annotations

from collections.abc import AsyncGenerator

import anyio
import pytest

from dyntaskmas_nb.agents.context import Context
from dyntaskmas_nb.agents.llama import LlamaAgent
from dyntaskmas_nb.agents.warming import PATIENCE, WORTH, Warming
from dyntaskmas_nb.core.task import Task
from dyntaskmas_nb.errors import AgentError, Unavailable
from dyntaskmas_nb.llm.protocol import Caps, Chunk, Message, Request


def ask(session: str = "s", prefix_len: int = WORTH) -> Request:
    message = Message(role="user", content="x")
    return Request(messages=(message,), max_tokens=5, session=session, prefix_len=prefix_len)


class Model:
    """Says who was asked when; its first piece takes 1 s, its last another."""

    name = "model"
    caps = Caps(context_window=8_000, warms=True)

    def __init__(self, fails: int = 0, warms: bool = True) -> None:
        self.asked: list[tuple[float, str]] = []
        self._fails = fails
        self.caps = Caps(context_window=8_000, warms=warms)

    async def stream(self, request: Request) -> AsyncGenerator[Chunk, None]:
        self.asked.append((round(anyio.current_time() - self.began), request.tag))
        await anyio.sleep(1)
        if len(self.asked) <= self._fails:
            raise Unavailable("gone")
        yield Chunk(text="a")
        await anyio.sleep(1)
        yield Chunk(text="b", finish="stop")

    began = 0.0

    def count_tokens(self, text: str) -> int:
        return len(text.split())

    async def aclose(self) -> None:
        """Nothing to free."""


async def together(model: Model, *roles: str) -> list[object]:
    agent, results = LlamaAgent(model), dict[int, object]()
    model.began = anyio.current_time()

    async def one(number: int, role: str) -> None:
        task = Task(id=f"t{number}", description="Find it", role=role)
        context = Context(run="r", request="a trip " * 20)
        try:
            results[number] = (await agent(task, context, inline=False)).result
        except AgentError as error:
            results[number] = error

    async with anyio.create_task_group() as group:
        for number, role in enumerate(roles):
            group.start_soon(one, number, role)
            await anyio.lowlevel.checkpoint()
    return [results[number] for number in range(len(roles))]


@pytest.fixture
def anyio_backend() -> tuple[str, dict[str, object]]:
    from trio.testing import MockClock

    return "trio", {"clock": MockClock(autojump_threshold=0)}


async def test_one_of_each_role_goes_first_and_the_others_when_it_begins_to_speak() -> None:
    model = Model()
    assert await together(model, "cook", "cook", "poet", "cook") == ["ab"] * 4
    assert sorted(model.asked) == [(0, "t0"), (0, "t2"), (1, "t1"), (1, "t3")]


async def test_who_comes_later_finds_it_warm() -> None:
    model = Model()
    agent = LlamaAgent(model)
    model.began = anyio.current_time()
    async with anyio.create_task_group() as group:
        for start in (0, 5, 5):
            await anyio.sleep_until(model.began + start)
            task = Task(id=f"at{start}", description="Find it", role="cook")
            group.start_soon(
                lambda task=task: agent(task, Context(run="r", request="a trip " * 20), inline=False)
            )
    assert [when for when, _ in model.asked] == [0, 5, 5]


async def test_when_the_first_fails_the_next_goes_first() -> None:
    model = Model(fails=1)
    results = await together(model, "cook", "cook", "cook")
    assert [isinstance(result, AgentError) for result in results] == [True, False, False]
    assert [when for when, _ in model.asked] == [0, 1, 2]


async def test_backends_that_gain_nothing_are_asked_at_once() -> None:
    model = Model(warms=False)
    await together(model, "cook", "cook")
    assert [when for when, _ in model.asked] == [0, 0]


@pytest.mark.parametrize("request_", [ask(session=""), ask(prefix_len=WORTH - 1)])
async def test_little_in_common_is_not_waited_for(request_: Request) -> None:
    warming = Warming()
    with anyio.fail_after(0.5):
        async with warming.turn(request_), warming.turn(request_):
            pass


async def test_patience_ends() -> None:
    warming, began = Warming(), anyio.current_time()
    async with warming.turn(ask()), warming.turn(ask()):  # the first never says anything
        assert anyio.current_time() - began == pytest.approx(PATIENCE)


async def test_a_cancelled_first_gives_way() -> None:
    warming, began = Warming(), anyio.current_time()

    async def first(scope: anyio.CancelScope) -> None:
        with scope:
            async with warming.turn(ask()):
                await anyio.sleep_forever()

    async with anyio.create_task_group() as group:
        scope = anyio.CancelScope()
        group.start_soon(first, scope)
        await anyio.sleep(1)
        scope.deadline = anyio.current_time() + 1
        async with warming.turn(ask()):
            assert anyio.current_time() - began == pytest.approx(2)
