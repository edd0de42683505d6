"""Something slow is made once, whoever asks; failures reach all who waited, and nobody else."""

from __future__ import annotations

import threading

import anyio
import anyio.to_thread
import pytest

from dyntaskmas_nb.errors import BadWeights
from dyntaskmas_nb.llm.once import Once


class Slow:
    """Counts how often it is made; waits until it may go on."""

    def __init__(self) -> None:
        self.made = 0
        self.fails: Exception | None = None
        self.go = threading.Event()

    def __call__(self) -> int:
        self.made += 1
        assert self.go.wait(20)
        if self.fails:
            raise self.fails
        return self.made


async def ask(once: Once[int], slow: Slow, got: list[object]) -> None:
    try:
        got.append(await once.get(slow))
    except BadWeights as error:
        got.append(error)


async def together(once: Once[int], slow: Slow, count: int) -> list[object]:
    got: list[object] = []
    async with anyio.create_task_group() as group:
        for _ in range(count):
            group.start_soon(ask, once, slow, got)
        await anyio.wait_all_tasks_blocked()
        slow.go.set()
    return got


async def test_a_hundred_ask_and_it_is_made_once() -> None:
    once, slow = Once[int]("test"), Slow()
    assert once.made is None
    assert await together(once, slow, 100) == [1] * 100  # more than there are worker threads
    assert (once.made, slow.made) == (1, 1)


async def test_a_failure_is_everybodys_and_the_next_tries_anew() -> None:
    once, slow = Once[int]("test"), Slow()
    slow.fails = BadWeights("damaged")
    got = await together(once, slow, 3)
    assert [str(error) for error in got] == ["damaged"] * 3
    assert len({id(error) for error in got}) == 3, "one of its own for each"
    assert slow.made == 1
    slow.fails = None
    assert await once.get(slow) == 2


async def test_who_waits_may_leave() -> None:
    once, slow = Once[int]("test"), Slow()
    with anyio.move_on_after(0.05) as scope:
        await once.get(slow)
    assert scope.cancelled_caught
    slow.go.set()
    assert await once.get(slow) == 1


def test_other_loops_wait_for_the_same() -> None:
    once, slow, got = Once[int]("test"), Slow(), list[object]()
    threads = [
        threading.Thread(target=anyio.run, args=(ask, once, slow, got), kwargs={"backend": backend})
        for backend in ("asyncio", "trio")
    ]
    for thread in threads:
        thread.start()
    slow.go.set()
    for thread in threads:
        thread.join(20)
    assert got == [1, 1]
    with pytest.raises(ZeroDivisionError):
        anyio.run(Once[float]("test").get, lambda: 1 / 0)
