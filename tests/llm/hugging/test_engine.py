"""The backend as callers see it: files, event loops, closing, crashing."""

from __future__ import annotations

import gc
import threading
import weakref
from collections.abc import AsyncIterator
from contextlib import aclosing
from pathlib import Path
from typing import Any

import anyio
import pytest

from dyntaskmas_nb.errors import (
    BadRequest,
    BadWeights,
    ContextOverflow,
    EngineDead,
    InvalidInput,
    OutOfMemory,
)
from dyntaskmas_nb.llm.hugging.engine import TransformersLlama
from dyntaskmas_nb.llm.hugging.model import Llama
from dyntaskmas_nb.llm.protocol import Message, Request, complete
from tests.llm.hugging.conftest import WINDOW, random_llama


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.fixture(scope="session")
def checkpoint(reference: Any, hf_tokenizer: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A complete checkpoint as transformers writes it."""
    folder = tmp_path_factory.mktemp("hf-llama")
    reference.save_pretrained(folder)
    hf_tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture
async def backend(checkpoint: Path, anyio_backend: str) -> AsyncIterator[TransformersLlama]:
    ours = TransformersLlama(checkpoint, device="cpu", max_batch=4)
    yield ours
    await ours.aclose()


def ask(index: int = 0, max_tokens: int = 12, **fields: Any) -> Request:
    messages = (Message(role="user", content=f"Plan trip {index}."),)
    return Request(messages=messages, max_tokens=max_tokens, seed=index, **fields)


async def test_files_and_ready_objects_say_the_same(
    backend: TransformersLlama, reference: Any, hf_tokenizer: Any
) -> None:
    ready = TransformersLlama(model=reference, tokenizer=hf_tokenizer, device="cpu", max_batch=1, window=100)
    request = ask(temperature=0.9, max_tokens=30)
    assert (await complete(ready, request)).text == (await complete(backend, request)).text
    assert (ready.caps.context_window, backend.caps.context_window) == (100, WINDOW)
    assert reference.model.layers[0].self_attn is not None  # a model that was given is left as it is
    assert backend.count_tokens("Plan trip 0.") == len(hf_tokenizer.encode("Plan trip 0."))
    assert backend.name.startswith("hf:hf-llama")
    await ready.aclose()


async def test_sixty_four_at_once_and_chunks_add_up(backend: TransformersLlama) -> None:
    requests = [ask(i, 5 + i % 9, temperature=0.9) for i in range(64)]
    expected = {i: (await complete(backend, request)).text for i, request in enumerate(requests[:8])}
    said: dict[int, str] = {}

    async def one(i: int) -> None:
        chunks = [chunk async for chunk in backend.stream(requests[i])]
        assert [chunk.finish for chunk in chunks[:-1]] == [None] * (len(chunks) - 1)
        said[i] = "".join(chunk.text for chunk in chunks)

    async with anyio.create_task_group() as group:
        for i in range(64):
            group.start_soon(one, i)
    assert len(said) == 64
    assert {i: said[i] for i in expected} == expected


async def test_closing_a_stream_frees_its_slot(backend: TransformersLlama) -> None:
    async with aclosing(
        backend.stream(ask(0, 400, json_schema={"type": "string", "minLength": 900}))
    ) as all_:
        await anext(all_)
    for _ in range(2):  # the engine obeys in order: by the second it has cancelled
        await complete(backend, ask(1))
    worker = backend._once.made
    assert worker is not None
    assert not worker._open


async def test_refusals_do_not_hurt_the_engine(backend: TransformersLlama) -> None:
    for request, error in [
        (ask(max_tokens=0), BadRequest),
        (ask(max_tokens=10_000), ContextOverflow),
        (ask(json_schema={"type": "nonsense"}), BadRequest),
    ]:
        with pytest.raises(error):
            await complete(backend, request)
    assert (await complete(backend, ask())).text


async def test_a_crash_reaches_everyone_with_its_cause(
    backend: TransformersLlama, monkeypatch: pytest.MonkeyPatch
) -> None:
    await complete(backend, ask())
    monkeypatch.setattr(Llama, "decode", lambda *_: 1 / 0)
    errors: list[EngineDead] = []

    async def one(i: int) -> None:
        with pytest.raises(EngineDead, match=r"hf:.*ZeroDivisionError") as caught:
            await complete(backend, ask(i, 200))
        errors.append(caught.value)

    async with anyio.create_task_group() as group:
        for i in range(6):  # four run, two wait
            group.start_soon(one, i)
    await one(7)  # and later calls
    assert all(isinstance(error.__cause__, ZeroDivisionError) for error in errors)


async def test_closed_is_closed(checkpoint: Path, anyio_backend: str) -> None:
    backend = TransformersLlama(checkpoint, device="cpu")
    async with aclosing(backend.stream(ask(0, 400))) as chunks:
        await anext(chunks)
        await backend.aclose()
        with pytest.raises(EngineDead, match="closed"):
            async for _ in chunks:
                pass
    with pytest.raises(EngineDead, match="closed"):
        await complete(backend, ask())


def test_dropping_the_last_reference_ends_the_thread(checkpoint: Path) -> None:
    def threads() -> int:
        return sum(thread.name == "dyntaskmas-llama" for thread in threading.enumerate())

    before = threads()
    backend = TransformersLlama(checkpoint, device="cpu")
    anyio.run(complete, backend, ask())
    assert threads() == before + 1
    gone = weakref.ref(backend)
    del backend
    gc.collect()
    assert gone() is None
    assert threads() == before


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        ({"hidden_act": "gelu"}, "hidden_act='gelu'"),
        (
            {"rope_parameters": {"rope_type": "dynamic", "rope_theta": 1e4, "factor": 2.0}},
            "rope_type='dynamic'",
        ),
    ],
)
def test_other_arithmetic_is_refused(hf_tokenizer: Any, fields: dict[str, Any], problem: str) -> None:
    backend = TransformersLlama(model=random_llama(**fields), tokenizer=hf_tokenizer, device="cpu")
    with pytest.raises(BadWeights, match=problem):
        anyio.run(complete, backend, ask())


def test_wrong_arguments_name_the_field(tmp_path: Path, reference: Any, hf_tokenizer: Any) -> None:
    for options, problem in [({"max_batch": 0}, "max_batch=0"), ({"window": 0}, "window=0"), ({}, "path")]:
        with pytest.raises(InvalidInput, match=problem):
            TransformersLlama("", **options)  # type: ignore[arg-type]
    with pytest.raises(BadWeights, match="no checkpoint"):
        anyio.run(complete, TransformersLlama(tmp_path), ask())
    wrong = TransformersLlama(model=reference, tokenizer=hf_tokenizer, device="cpu", dtype="float")
    anyio.run(complete, wrong, ask())
    wrong = TransformersLlama(model=reference, tokenizer=hf_tokenizer, device="cpu", dtype="floor")
    with pytest.raises(InvalidInput, match="dtype='floor'"):
        anyio.run(complete, wrong, ask())


@pytest.mark.parametrize("config", ['{"model_type": "gpt2"}', '{"model_type": "gemma3"}', "{", '{"a": 1}'])
def test_other_models_are_refused_in_a_sentence(tmp_path: Path, config: str) -> None:
    (tmp_path / "config.json").write_text(config)
    with pytest.raises(BadWeights, match=r"cannot be computed here|no checkpoint that transformers can read"):
        _ = TransformersLlama(tmp_path).caps


def test_damaged_weights_are_said_to_be(tmp_path: Path, reference: Any, hf_tokenizer: Any) -> None:
    reference.save_pretrained(tmp_path)
    hf_tokenizer.save_pretrained(tmp_path)
    (tmp_path / "model.safetensors").write_bytes(b"not at all")
    with pytest.raises(BadWeights, match="no checkpoint that transformers can read"):
        anyio.run(complete, TransformersLlama(tmp_path, device="cpu"), ask())


def test_a_model_that_does_not_fit_says_what_to_do(
    monkeypatch: pytest.MonkeyPatch, reference: Any, hf_tokenizer: Any
) -> None:
    def full(self: TransformersLlama) -> Any:
        import torch

        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(TransformersLlama, "_scheduler", full)
    backend = TransformersLlama(model=reference, tokenizer=hf_tokenizer, device="cpu")
    with pytest.raises(OutOfMemory, match="int8=True"):
        anyio.run(complete, backend, ask())
