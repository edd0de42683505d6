"""TensorRT-LLM cannot be installed here: its public signatures are a table, and a border built from them.

The border takes exactly the arguments that the table names, so a call with any other fails as it would on a
GPU. Where the package is installed, the table itself is compared with it.
"""

from __future__ import annotations

import asyncio
import inspect
import sys
import threading
from contextlib import aclosing
from types import ModuleType, SimpleNamespace
from typing import Any

import anyio
import pytest

from dyntaskmas_nb.errors import BackendTimeout, ContextOverflow, EngineDead, MissingExtra, Unavailable
from dyntaskmas_nb.llm.protocol import Chunk, Message, Request, complete
from dyntaskmas_nb.llm.trt import TensorRT

SIGNATURES = {  # tensorrt_llm 1.2.1, its public reference; + marks what 1.3 adds
    "LLM": "model tokenizer tokenizer_mode skip_tokenizer_init trust_remote_code tensor_parallel_size dtype "
    "revision tokenizer_revision **kwargs",
    "LLM.generate_async": "self inputs sampling_params lora_request prompt_adapter_request streaming "
    "kv_cache_retention_config disaggregated_params trace_headers _postproc_params scheduling_params "
    "cache_salt +conversation_params +priority",
    "SamplingParams": "end_id pad_id max_tokens bad stop n best_of seed temperature top_k top_p min_p "
    "stop_token_ids ignore_eos logprobs guided_decoding detokenize skip_special_tokens "
    "truncate_prompt_tokens repetition_penalty presence_penalty frequency_penalty",
    "GuidedDecodingParams": "json regex grammar json_object",
    "KvCacheConfig": "enable_block_reuse enable_partial_reuse copy_on_partial_reuse free_gpu_memory_fraction "
    "max_tokens host_cache_size secondary_offload_min_priority event_buffer_max_size tokens_per_block dtype",
}
LLM_KWARGS = frozenset(
    "max_batch_size max_seq_len max_input_len max_num_tokens max_beam_width kv_cache_config "
    "guided_decoding_backend scheduler_config enable_chunked_prefill enable_iter_perf_stats".split()
)
OUTPUT = frozenset("outputs finished abort prompt_token_ids".split())
COMPLETION = frozenset("text text_diff token_ids token_ids_diff finish_reason stop_reason".split())


def taking(name: str, *, newer: bool = False) -> type:
    """A class that keeps the arguments which the table allows, and refuses all others."""
    fields = [f.strip("+") for f in SIGNATURES[name].split() if newer or not f.startswith("+")]

    class Taking:
        def __init__(self, **given: Any) -> None:
            unknown = set(given) - set(fields)
            assert not unknown, f"{name} has no {unknown}"
            self.__dict__.update(given)

    return Taking


class Range:
    def __init__(
        self, token_start: int, token_end: int | None, priority: int, duration_ms: Any = None
    ) -> None:
        assert 0 <= priority <= 100
        self.token_start, self.token_end, self.priority = token_start, token_end, priority


class Retention:
    TokenRangeRetentionConfig = Range

    def __init__(
        self, token_range_retention_configs: list[Range], decode_retention_priority: int = 35
    ) -> None:
        self.ranges, self.decode = token_range_retention_configs, decode_retention_priority


class Tokenizer:
    def encode(self, text: str) -> list[int]:
        return [ord(char) for char in text]

    def apply_chat_template(self, conversation: list[dict[str, str]], **how: Any) -> list[int]:
        assert how == {"tokenize": True, "add_generation_prompt": True, "return_dict": False}
        return [ord(char) for turn in conversation for char in f"{turn['role']}:{turn['content']};"]


class Output:
    """Streams the words of what it was told to say; only on the loop it was made on."""

    def __init__(self, engine: LLM, words: list[str], reason: str) -> None:
        self._engine, self._words, self._reason = engine, words, reason
        self._loop = asyncio.get_running_loop()
        self.finished, self.aborted = False, threading.Event()

    async def __aiter__(self) -> Any:
        said: list[str] = []
        for word in self._words:
            assert asyncio.get_running_loop() is self._loop
            await self._engine.gate()
            said.append(word)
            self.finished = len(said) == len(self._words)
            yield SimpleNamespace(
                finished=self.finished,
                outputs=[
                    SimpleNamespace(
                        text_diff=word,
                        text="".join(said),
                        token_ids=list(range(len(said))),
                        finish_reason=self._reason if self.finished else None,
                    )
                ],
            )

    def abort(self) -> None:
        assert asyncio.get_running_loop() is self._loop
        self.aborted.set()


class LLM:
    """The engine's border."""

    made: list[LLM]
    words: tuple[str, ...] = ("Hello ", "there", "!")
    reason = "stop"
    fails: Exception | None = None

    def __init__(self, **given: Any) -> None:
        named = {name for name in SIGNATURES["LLM"].split() if not name.startswith("*")}
        assert set(given) <= named | LLM_KWARGS
        if isinstance(type(self).fails, MemoryError):
            raise type(self).fails
        self.given, self.asked, self.outputs = given, [], list[Output]()
        self.thread, self.tokenizer, self.closed = threading.current_thread(), Tokenizer(), False
        self.hold: asyncio.Event | None = None
        type(self).made.append(self)

    async def gate(self) -> None:
        if self.hold:
            await self.hold.wait()
        await asyncio.sleep(0)

    def generate_async(
        self,
        inputs: Any,
        sampling_params: Any = None,
        lora_request: Any = None,
        prompt_adapter_request: Any = None,
        streaming: bool = False,
        kv_cache_retention_config: Any = None,
        disaggregated_params: Any = None,
        trace_headers: Any = None,
        _postproc_params: Any = None,
        scheduling_params: Any = None,
        cache_salt: Any = None,
    ) -> Output:
        assert threading.current_thread() is self.thread
        if self.fails:
            raise self.fails
        self.asked.append((inputs, sampling_params, kv_cache_retention_config))
        assert streaming
        self.outputs.append(Output(self, list(self.words), self.reason))
        return self.outputs[-1]

    def shutdown(self) -> None:
        assert threading.current_thread() is self.thread
        self.closed = True


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> type[LLM]:
    """The border in place of the package; returns a class of its own for this test."""
    border = type("LLM", (LLM,), {"made": []})
    module: Any = ModuleType("tensorrt_llm")
    module.LLM, module.SamplingParams = border, taking("SamplingParams")
    module.llmapi = SimpleNamespace(
        KvCacheConfig=taking("KvCacheConfig"),
        GuidedDecodingParams=taking("GuidedDecodingParams"),
        KvCacheRetentionConfig=Retention,
    )
    monkeypatch.setitem(sys.modules, "tensorrt_llm", module)
    monkeypatch.delenv("TLLM_WORKER_USE_SINGLE_PROCESS", raising=False)
    return border


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


def ask(**fields: Any) -> Request:
    return Request(messages=(Message(role="user", content="Hi"),), max_tokens=7, **fields)


async def test_an_answer_streams_and_is_counted(engine: type[LLM]) -> None:
    backend = TensorRT("llama", gpus=1, window=100)
    async with aclosing(backend.stream(ask(seed=3))) as chunks:
        said = [chunk async for chunk in chunks]
    assert [chunk.text for chunk in said] == ["Hello ", "there", "!"]
    assert said[-1] == Chunk(text="!", finish="stop", prompt_tokens=len("user:Hi;"), completion_tokens=3)
    (made,) = engine.made
    ((prompt, sampling, kept),) = made.asked
    assert (len(prompt), sampling.max_tokens, sampling.seed, sampling.temperature) == (8, 7, 3, None)
    assert kept is None
    assert made.given["max_seq_len"] == 100
    assert made.given["kv_cache_config"].enable_block_reuse
    await backend.aclose()
    assert made.closed


async def test_the_engine_is_made_once_and_on_its_own_thread(engine: type[LLM]) -> None:
    backend = TensorRT("llama")
    async with anyio.create_task_group() as group:
        for seed in range(8):
            group.start_soon(complete, backend, ask(seed=seed))
    (made,) = engine.made
    assert made.thread is not threading.current_thread()
    assert len(made.asked) == 8
    await backend.aclose()


async def test_what_the_graph_tells_becomes_retention(engine: type[LLM]) -> None:
    backend = TensorRT("llama")
    for steps in (0, 2, 9, None):
        await complete(backend, ask(prefix_len=5, steps_to_next_use=steps))
    kept = [retention for _, _, retention in engine.made[0].asked]
    assert [one.ranges[0].priority for one in kept] == [100, 80, 35, 10]
    assert {(one.ranges[0].token_start, one.ranges[0].token_end, one.decode) for one in kept} == {(0, 5, 10)}
    assert backend.caps.hints == {"prefix_len", "steps_to_next_use"}
    await backend.aclose()


async def test_a_newer_release_gets_the_priority(engine: type[LLM]) -> None:
    seen: list[float] = []

    def newer(
        self: LLM, inputs: Any, sampling_params: Any = None, priority: float = 0.5, **more: Any
    ) -> Output:
        seen.append(priority)
        return LLM.generate_async(self, inputs, sampling_params, **more)

    engine.generate_async = newer  # type: ignore[assignment,method-assign]
    backend = TensorRT("llama")
    assert "priority" in backend.caps.hints
    for priority in (0.0, 1.0, 9.0, -3.0):
        await complete(backend, ask(priority=priority))
    assert seen == [0.0, 0.5, 0.9, 0.0]
    await backend.aclose()


async def test_a_schema_is_guided_decoding(engine: type[LLM]) -> None:
    backend = TensorRT("llama")
    await complete(backend, ask(json_schema={"type": "object"}, temperature=0.5, stop=("END",)))
    _, sampling, _ = engine.made[0].asked[0]
    assert sampling.guided_decoding.json == {"type": "object"}
    assert (sampling.temperature, sampling.stop) == (0.5, ["END"])
    await backend.aclose()


@pytest.mark.parametrize("how", ["close", "cancel", "deadline"])
async def test_leaving_aborts_the_request(engine: type[LLM], how: str) -> None:
    backend = TensorRT("llama")
    engine.words = ("a",) * 1_000
    engine.gate = lambda self: asyncio.sleep(0.01)  # type: ignore[assignment,method-assign]
    if how == "close":
        async with aclosing(backend.stream(ask())) as chunks:
            await anext(chunks)
    elif how == "cancel":
        with anyio.move_on_after(0.2):
            await complete(backend, ask())
    else:
        with pytest.raises(BackendTimeout):
            await complete(backend, ask(timeout=0.2))
    assert await anyio.to_thread.run_sync(engine.made[0].outputs[0].aborted.wait, 5)
    await backend.aclose()


async def test_too_long_is_refused_before_it_is_asked(engine: type[LLM]) -> None:
    backend = TensorRT("llama", window=14)
    with pytest.raises(ContextOverflow, match="8 prompt tokens and max_tokens=7 exceed the window of 14"):
        await complete(backend, ask())
    assert not engine.made[0].asked
    await backend.aclose()


async def test_failures_are_our_errors(engine: type[LLM]) -> None:
    backend = TensorRT("llama")
    engine.fails = RuntimeError("out of blocks")
    with pytest.raises(Unavailable, match="hotel failed: out of blocks"):
        await complete(backend, ask(tag="hotel"))
    engine.fails, engine.reason = None, "cancelled"
    with pytest.raises(Unavailable, match="ended early"):
        await complete(backend, ask())
    await backend.aclose()
    with pytest.raises(EngineDead, match="closed"):
        await complete(backend, ask())


async def test_an_engine_that_cannot_be_made_says_why(engine: type[LLM]) -> None:
    engine.fails = MemoryError("no room on the GPU")
    backend = TensorRT("llama")
    with pytest.raises(EngineDead, match="could not be started: no room"):
        await complete(backend, ask())
    engine.fails = None
    assert (await complete(backend, ask())).text == "Hello there!"
    await backend.aclose()


def test_without_the_package_it_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tensorrt_llm", None)
    with pytest.raises(MissingExtra, match="trtllm-serve"):
        TensorRT("llama")


def test_the_table_is_what_the_package_has() -> None:
    module = pytest.importorskip(
        "tensorrt_llm", reason="TensorRT-LLM needs an NVIDIA GPU and its vendor's package index"
    )
    for name, parameters in SIGNATURES.items():
        found: Any = module if hasattr(module, name.partition(".")[0]) else module.llmapi
        for part in name.split("."):
            found = getattr(found, part)
        ours = {one.strip("*") for one in parameters.split() if not one.startswith("+")}
        assert ours <= set(inspect.signature(found).parameters), name
