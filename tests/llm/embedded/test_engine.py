"""The engine thread seen from event loops: asyncio and trio, several at once, closing, crashing, exiting."""

from __future__ import annotations

import threading
from collections.abc import AsyncIterator
from contextlib import aclosing
from pathlib import Path

import anyio
import pytest

from dyntaskmas_nb.errors import (
    BackendTimeout,
    BadRequest,
    BadWeights,
    ContextOverflow,
    EngineDead,
)
from dyntaskmas_nb.llm.embedded.engine import EmbeddedLlama
from dyntaskmas_nb.llm.embedded.model import Llama
from dyntaskmas_nb.llm.embedded.sampling import Sampler
from dyntaskmas_nb.llm.embedded.scheduler import Scheduler
from dyntaskmas_nb.llm.protocol import Message, Request, complete


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.fixture
async def llama(tiny_folder: Path, anyio_backend: str) -> AsyncIterator[EmbeddedLlama]:
    backend = EmbeddedLlama(tiny_folder, max_batch=4)
    yield backend
    await backend.aclose()


def ask(index: int = 0, max_tokens: int = 12, **fields: object) -> Request:
    messages = (Message(role="user", content=f"Plan trip {index}."),)
    return Request(messages=messages, max_tokens=max_tokens, seed=index, **fields)  # type: ignore[arg-type]


def endless(index: int = 0) -> Request:
    """A long answer: a schema keeps the model from ending it."""
    return ask(index, 300, json_schema={"type": "string", "minLength": 500})


async def test_chunks_add_up_and_the_last_one_counts(llama: EmbeddedLlama) -> None:
    chunks = [chunk async for chunk in llama.stream(ask())]
    whole = await complete(llama, ask())
    assert "".join(chunk.text for chunk in chunks) == whole.text
    assert [chunk.finish for chunk in chunks[:-1]] == [None] * (len(chunks) - 1)
    assert chunks[-1].finish == whole.finish
    assert 0 < whole.completion_tokens <= 12
    assert whole.prompt_tokens > llama.count_tokens("Plan trip 0.")
    assert not whole.estimated


async def test_a_crowd_says_what_each_says_alone(llama: EmbeddedLlama) -> None:
    requests = [ask(i, 5 + i, temperature=0.9) for i in range(12)]
    expected = [(await complete(llama, request)).text for request in requests]
    said: dict[int, str] = {}

    async def one(i: int) -> None:
        said[i] = (await complete(llama, requests[i])).text

    async with anyio.create_task_group() as group:
        for i in range(12):
            group.start_soon(one, i)
    assert [said[i] for i in range(12)] == expected


def test_event_loops_in_several_threads_share_one_engine(tiny_folder: Path) -> None:
    backend = EmbeddedLlama(tiny_folder, max_batch=4)
    expected = [anyio.run(complete, backend, ask(i)).text for i in range(6)]
    said: dict[int, str] = {}

    def other(i: int) -> None:
        said[i] = anyio.run(complete, backend, ask(i), backend=("asyncio", "trio")[i % 2]).text

    threads = [threading.Thread(target=other, args=(i,)) for i in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [said[i] for i in range(6)] == expected
    anyio.run(backend.aclose)


async def test_closing_a_stream_frees_its_row(llama: EmbeddedLlama, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Scheduler] = []
    cancel = Scheduler.cancel

    def spy(self: Scheduler, key: object) -> None:
        cancel(self, key)  # type: ignore[arg-type]
        seen.append(self)

    monkeypatch.setattr(Scheduler, "cancel", spy)
    async with aclosing(llama.stream(endless())) as chunks:
        await anext(chunks)
    await complete(llama, ask(1))  # the engine obeys in order: by now it has cancelled
    assert len(seen) == 1
    assert seen[0].idle


async def test_refusals_do_not_hurt_the_engine(llama: EmbeddedLlama) -> None:
    for request, error in [
        (ask(max_tokens=0), BadRequest),
        (ask(temperature=-1.0), BadRequest),
        (ask(max_tokens=10_000), ContextOverflow),
        (ask(json_schema={"type": "nonsense"}), BadRequest),
    ]:
        with pytest.raises(error):
            await complete(llama, request)
    assert (await complete(llama, ask())).text


async def test_a_crash_reaches_everyone_with_its_cause(
    llama: EmbeddedLlama, monkeypatch: pytest.MonkeyPatch
) -> None:
    await complete(llama, ask())
    monkeypatch.setattr(Llama, "decode", lambda *_: 1 / 0)
    errors: list[EngineDead] = []

    async def one(i: int) -> None:
        with pytest.raises(EngineDead, match="ZeroDivisionError") as caught:
            await complete(llama, endless(i))
        errors.append(caught.value)

    async with anyio.create_task_group() as group:
        for i in range(6):  # four run, two wait
            group.start_soon(one, i)
    await one(7)  # and later calls
    assert len(errors) == 7
    assert all(isinstance(error.__cause__, ZeroDivisionError) for error in errors)


async def test_closed_is_closed_for_those_who_wait_and_later(tiny_folder: Path) -> None:
    backend = EmbeddedLlama(tiny_folder, max_batch=1)
    async with anyio.create_task_group() as group:

        async def one() -> None:
            with pytest.raises(EngineDead, match="closed"):
                await complete(backend, endless())

        async with aclosing(backend.stream(endless())) as chunks:
            await anext(chunks)
            group.start_soon(one)
            await anyio.wait_all_tasks_blocked()
            await backend.aclose()
            with pytest.raises(EngineDead, match="closed"):
                async for _ in chunks:
                    pass
    with pytest.raises(EngineDead, match="closed"):
        await complete(backend, ask())
    await backend.aclose()
    never_used = EmbeddedLlama(tiny_folder)
    await never_used.aclose()
    with pytest.raises(EngineDead, match="closed"):
        await complete(never_used, ask())


async def test_a_deadline_and_a_lost_model_are_typed_errors(
    llama: EmbeddedLlama, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(BadWeights, match=r"config\.json is missing"):
        await complete(EmbeddedLlama(tmp_path / "missing"), ask())
    await complete(llama, ask())
    held = threading.Event()
    monkeypatch.setattr(Scheduler, "step", lambda self: held.wait(10) and [])
    chunks = llama.stream(ask(tag="hotels", timeout=0.05))
    with pytest.raises(BackendTimeout, match=r"hotels within 0\.05 s"):
        await anext(chunks)
    held.set()


async def test_a_cancelled_waiter_never_runs(tiny_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    prompts: list[int] = []
    prefill = Llama.prefill

    def counted(self: Llama, row: int, ids: list[int], *more: object) -> object:
        prompts.append(len(ids))
        return prefill(self, row, ids, *more)

    monkeypatch.setattr(
        Sampler, "choose", lambda self, logits: int(logits[6:].argmax()) + 6
    )  # no close calls
    monkeypatch.setattr(Llama, "prefill", counted)
    backend = EmbeddedLlama(tiny_folder, max_batch=1)
    async with aclosing(backend.stream(ask(0, 300))) as running:
        await anext(running)
        async with anyio.create_task_group() as group:
            group.start_soon(complete, backend, ask(1))
            await anyio.wait_all_tasks_blocked()
            group.cancel_scope.cancel()
    assert (await complete(backend, ask(2))).text
    assert len(prompts) == 2
    await backend.aclose()
