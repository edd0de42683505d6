"""Speed of the transformers engine on this machine's GPU: how close decoding comes to the memory's speed.

python -m benchmarks.gpu --decode [--small] [--int8] [--mode MODE]

Every token that a batch decodes reads all weights once, and each sequence's keys and values; so a step takes
at least those bytes over the bandwidth (measured here, by copying). Prints one JSON object a line. The Llama
is shaped like the one with 8 billion parameters, and random: nothing is downloaded. Without a GPU, or with
--small, a small one shows that all of it runs.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Sequence
from contextlib import contextmanager
from typing import Any
from zlib import crc32

import anyio
import torch
import transformers

from dyntaskmas_nb.llm.hugging.engine import TransformersLlama
from dyntaskmas_nb.llm.hugging.layers import mix
from dyntaskmas_nb.llm.hugging.model import Llama
from dyntaskmas_nb.llm.hugging.scheduler import Scheduler
from dyntaskmas_nb.llm.hugging.weights import take
from dyntaskmas_nb.llm.protocol import Message, Request, complete

WINDOW, PROMPT, ANSWER = 8192, 280, 200
START = time.perf_counter()


class Numbers:
    """A tokenizer for random weights: message "7" is the seventh prompt, and no answer ends early."""

    ends: frozenset[int] = frozenset()

    def prompt(self, messages: Sequence[Message]) -> list[int]:
        """Tokens that differ from prompt to prompt."""
        first = int(messages[0].content)
        return [(first * 7919 + index * 31) % 1000 for index in range(PROMPT)]

    def count(self, text: str) -> int:
        """One a character."""
        return len(text)

    def decoder(self) -> Callable[[int], str]:
        """The token's number."""
        return lambda token: f" {token}"


def show(**fields: Any) -> None:
    """One line, with the seconds since the start."""
    rounded = {name: round(x, 4) if isinstance(x, float) else x for name, x in fields.items()}
    print(json.dumps({**rounded, "at_s": round(time.perf_counter() - START, 1)}), flush=True)


def wait(device: Any) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize()


def seconds(device: Any, body: Callable[[], object], times: int = 20) -> float:
    """Seconds that `body` takes, the best of three rounds of `times`."""
    body()
    rounds = []
    for _ in range(3):
        wait(device)
        start = time.perf_counter()
        for _ in range(times):
            body()
        wait(device)
        rounds.append((time.perf_counter() - start) / times)
    return min(rounds)


def bandwidth(device: Any) -> float:
    """Bytes a second, read and written, of a copy much larger than any cache."""
    size = 2**32 if device.type == "cuda" else 2**28
    source = torch.zeros(size, dtype=torch.uint8, device=device)
    target = torch.empty_like(source)
    return 2 * size / seconds(device, lambda: target.copy_(source), 5)


def random_llama(device: Any, dtype: Any, small: bool) -> Any:
    """Build transformers' Llama, its weights drawn where they lie."""
    shape = (256, 2, 512, 8, 2, 1024) if small else (4096, 32, 14336, 32, 8, 128256)
    names = ("hidden_size", "num_hidden_layers", "intermediate_size", "num_attention_heads",
             "num_key_value_heads", "vocab_size")  # fmt: skip
    rope = {"rope_type": "llama3", "rope_theta": 500000.0, "factor": 8.0, "low_freq_factor": 1.0,
            "high_freq_factor": 4.0, "original_max_position_embeddings": 8192}  # fmt: skip
    config = transformers.LlamaConfig(
        **dict(zip(names, shape, strict=True)), max_position_embeddings=131072, rope_parameters=rope,
        eos_token_id=None, tie_word_embeddings=False,
    )  # fmt: skip
    with torch.device("meta"):
        model = transformers.LlamaForCausalLM(config)
    model = model.to(dtype).to_empty(device=device)
    with torch.no_grad():
        for name, weight in model.named_parameters():
            weight.fill_(1.0) if "norm" in name else weight.normal_(0, 0.02)
    return model.eval()


def ask(index: int, temperature: float = 0.0, tokens: int = ANSWER) -> Request:
    messages = (Message(role="user", content=str(index)),)
    return Request(messages=messages, max_tokens=tokens, seed=index, temperature=temperature)


def weight_bytes(model: Llama) -> int:
    """Bytes of weights that a step reads: all but the embedding."""
    weights = model._weights
    tensors = [weights.head, *(t for layer in weights.layers for m in layer[1:] if isinstance(m, tuple)
                               for t in m if t is not None)]  # fmt: skip
    return sum(tensor.nbytes for tensor in tensors)


def decode_rate(
    scheduler: Scheduler, batch: int, device: Any, temperature: float = 0.0
) -> dict[str, float | int]:
    """Steps of `batch` requests that all decode; the first ones, which record graphs, apart."""
    for index in range(batch):
        scheduler.submit(index, ask(index, temperature))
    start = time.perf_counter()
    while any(sequence.filling for sequence in scheduler._running.values()) or scheduler._waiting:
        scheduler.step()
    wait(device)
    prompts = time.perf_counter() - start
    for _ in range(10):
        scheduler.step()
    wait(device)
    ready = time.perf_counter() - start
    times = []
    context = sum(sequence.length for sequence in scheduler._running.values())
    for _ in range(100):
        before = time.perf_counter()
        scheduler.step()
        times.append(time.perf_counter() - before)
    wait(device)
    step = (time.perf_counter() - start - ready) / 100
    while not scheduler.idle:
        scheduler.step()
    return {
        "batch": batch, "temperature": temperature, "ms_a_step": step * 1e3,
        "median_ms": sorted(times)[50] * 1e3, "tokens_a_second": batch / step, "prompts_s": prompts,
        "first_steps_s": ready - prompts, "context": context // batch + 50,
    }  # fmt: skip


@contextmanager
def reported(what: str) -> Any:
    """A part that fails is a line, and the next part goes on."""
    try:
        yield
    except Exception as error:  # noqa: BLE001
        show(part=what, failed=repr(error)[:500])


def timed(name: str, device: Any, rate: float, body: Callable[[], object], repeats: int, read: int) -> None:
    """Time one of `repeats` operations of `body`, which read `read` bytes; on a GPU replayed as a graph."""
    run: Callable[[], object] = body
    if device.type == "cuda":
        body()
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            body()
        run = graph.replay
    took = seconds(device, run, 5) / repeats
    show(part=name, us=took * 1e6, share_of_bandwidth=read / repeats / took / rate)


def products(model: Llama, device: Any, rate: float, rows: int) -> None:
    """The matrix products of a step, with each of torch's libraries."""
    weights = model._weights
    hidden = torch.zeros(rows, weights.embedding.shape[1], dtype=weights.embedding.dtype, device=device)
    inner = torch.zeros(rows, weights.layers[0].down[0].shape[1], dtype=hidden.dtype, device=device)
    matrices = {
        "query_key_value": [layer.query_key_value[0] for layer in weights.layers],
        "output": [layer.output[0] for layer in weights.layers],
        "gate_up": [layer.gate_up[0] for layer in weights.layers],
        "down": [layer.down[0] for layer in weights.layers],
        "head": [weights.head],
    }
    for library in ("cublas", "cublaslt", "default") if device.type == "cuda" else ("",):
        with reported(f"products {library}"):
            if library:
                torch.backends.cuda.preferred_blas_library(library)
            for name, group in matrices.items() if library != "default" else ():
                x = inner if name == "down" else hidden

                def body(x: Any = x, group: Any = group) -> None:
                    for matrix in group:
                        torch.nn.functional.linear(x, matrix.to(x.dtype))

                read = sum(matrix.nbytes for matrix in group)
                timed(f"{name} {library}".strip(), device, rate, body, len(group), read)


def parts(model: Llama, device: Any, rate: float) -> None:
    """Where a step of the largest batch spends its time: its operations, one kind at a time."""
    layers, rows = model.cache.layers, min(32, model.cache.slots)
    products(model, device, rate, rows)
    group, kv, span = model._heads // model._kv, model._kv, min(512, model.cache.capacity)
    dtype = model._weights.embedding.dtype
    query = torch.zeros(rows, kv, group, model._width, dtype=dtype, device=device)
    mask = torch.zeros(rows, 1, 1, span, dtype=dtype, device=device)
    fresh = torch.zeros(rows, 2 * kv, model._width, dtype=dtype, device=device)
    at = torch.arange(rows, device=device)

    def scatter() -> None:
        for layer in layers:
            layer[at, :, at] = fresh

    read = sum(layer[:rows, :, :span].nbytes for layer in layers)
    for name, attend in {"attention": model._mix, "attention as torch chooses": mix}.items():

        def attention(attend: Any = attend) -> None:
            for layer in layers:
                attend(query, layer[:rows, :kv, :span], layer[:rows, kv:, :span], mask)

        with reported(name):
            timed(name, device, rate, attention, len(layers), read)
    if model._kernel is not None:
        positions = torch.full((rows,), min(350, span - 2), dtype=torch.int64, device=device)

        def ours() -> None:
            for layer in layers:
                model._kernel(query, layer, positions)

        with reported("our attention, 350 positions"):
            timed("our attention, 350 positions", device, rate, ours, len(layers), read * 350 // span)
    with reported("scatter"):
        timed("scatter", device, rate, scatter, len(layers), fresh.nbytes * len(layers))
    with reported("step"):
        seen = 0 if model._kernel else span
        body = model._graphs._recorded.get(("decode", rows, seen)) or (lambda: model._step(rows, seen))
        show(part="decode alone", ms=seconds(device, body, 5) * 1e3)
        for drawn in (False, True):
            took = seconds(device, lambda drawn=drawn: model._pick(0, rows, drawn), 5)
            show(part=f"choose alone, drawn={drawn}, not recorded", ms=took * 1e3)


def exact(device: Any) -> None:
    """How many greedy tokens of a small model in float32 are those of transformers' `generate`."""
    built, tokens, count, batch = random_llama(device, torch.float32, True), Numbers(), 32, 5
    with torch.no_grad():
        weights = take(built, device, torch.float32, positions=WINDOW + 512)
    model = Llama(built.config, weights, window=WINDOW, max_batch=batch)
    model.warm()
    scheduler = Scheduler(model, tokens, window=WINDOW, max_batch=batch, overlap=True, exact=False)
    for index in range(batch):
        scheduler.submit(index, ask(index, tokens=count))
    said: dict[object, str] = {}
    while not scheduler.idle:
        for key, chunk in scheduler.step():
            said[key] = said.get(key, "") + getattr(chunk, "text", repr(chunk))
    same = 0
    for index in range(batch):
        prompt = torch.tensor([tokens.prompt(ask(index).messages)], device=device)
        with torch.no_grad():
            # transformers' own rotary table was never filled: the model came from the meta device
            built.model.rotary_emb = type(built.model.rotary_emb)(built.config).to(device)
            out = built.generate(prompt, attention_mask=torch.ones_like(prompt), do_sample=False,
                                 max_new_tokens=count, pad_token_id=0)  # fmt: skip
        expected = out[0, prompt.shape[1] :].tolist()
        ours = [int(token) for token in said[index].split()]
        same += sum(a == b for a, b in zip(ours, expected, strict=True))
    show(part="exact", greedy_tokens_as_generate=same, of=batch * count, compiled=model.compiled)


def streams(model: Any, tokens: Numbers, device: Any, batch: int) -> None:
    """The whole engine: thread, mailboxes, event loop."""
    backend = TransformersLlama(
        model=model, tokenizer=tokens, device=str(device), dtype=str(model.dtype).removeprefix("torch."),
        max_batch=batch, window=WINDOW,
    )  # fmt: skip

    async def crowd() -> float:
        counts: list[int] = []

        async def one(index: int) -> None:
            counts.append((await complete(backend, ask(index))).completion_tokens)

        async with anyio.create_task_group() as group:  # reads the model, records graphs
            for index in range(batch):
                group.start_soon(one, index)
        counts.clear()
        start = time.perf_counter()
        async with anyio.create_task_group() as group:
            for index in range(batch):
                group.start_soon(one, index + 100)
        took = time.perf_counter() - start
        await backend.aclose()
        return sum(counts) / took

    rate = anyio.run(crowd)
    show(part="through streams, prompts included", batch=batch, tokens_a_second=rate)


class Words(Numbers):
    """A tokenizer for any text: one token for four characters, and a word for each token of an answer."""

    def prompt(self, messages: Sequence[Message]) -> list[int]:
        """Equal beginnings of texts, four characters at a time, give equal tokens."""
        texts = [f"{message.role}: {message.content}" for message in messages]
        return [crc32(text[at : at + 4].encode()) % 1000 for text in texts for at in range(0, len(text), 4)]

    def count(self, text: str) -> int:
        """One for four characters."""
        return -(-len(text) // 4)

    def decoder(self) -> Callable[[int], str]:
        """Four characters, so that an answer is as long as context as it was to say."""
        return lambda token: f" {token % 1000:03}"


def workflows(options: argparse.Namespace, built: Any = None) -> None:
    """Graphs of agents on the engine: serial, level barriers, ours, with 4 to 32 agents."""
    from benchmarks import served  # needs all of the package's dependencies; --decode does not

    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    small = options.small or device.type == "cpu"
    dtype = torch.bfloat16 if device.type == "cuda" else torch.float32
    name = torch.cuda.get_device_name() if device.type == "cuda" else "CPU"
    backend = TransformersLlama(
        model=built or random_llama(device, dtype, small), tokenizer=Words(), device=str(device),
        dtype=str(dtype).removeprefix("torch."), max_batch=32, window=WINDOW,
    )  # fmt: skip
    print(f"{name}, torch {torch.__version__}; a Llama of {'a few' if small else '8,000'} million parameters")
    print(served.HEAD)
    made = served.rows(backend, (4, 8) if small else (4, 8, 16, 32), small=small, each=8 if small else 12)
    show(part="workflows", device=name, rows=served.data(made))
    anyio.run(backend.aclose)


def decode(options: argparse.Namespace) -> Any:
    """Measure decoding, from the whole to its parts; returns the model."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    small = options.small or device.type == "cpu"
    dtype = torch.bfloat16 if device.type == "cuda" else torch.float32
    name = torch.cuda.get_device_name() if device.type == "cuda" else "CPU"
    rate = bandwidth(device)
    show(device=name, torch=torch.__version__, transformers=transformers.__version__, tb_a_second=rate / 1e12)
    built = random_llama(device, dtype, small)
    tokens, config = Numbers(), built.config
    with torch.no_grad():
        weights = take(built, device, dtype, positions=WINDOW + 512, int8=options.int8)
    model = Llama(config, weights, window=WINDOW, max_batch=32)
    read = weight_bytes(model)
    wait(device)
    show(part="model", weights_gb=read / 1e9, least_ms_a_step=read / rate * 1e3)
    start = time.perf_counter()
    with model.active():
        model.compile(options.mode)
        model.cache.release()
    wait(device)
    show(part="compile", seconds=time.perf_counter() - start, compiled=model.compiled)
    scheduler = Scheduler(model, tokens, window=WINDOW, max_batch=32, overlap=True, exact=False)
    per_token = 2 * model._kv * model._width * dtype.itemsize * config.num_hidden_layers
    for batch, temperature in ((32, 0.0), (32, 0.8), (8, 0.0), (1, 0.0)):
        with reported(f"decode {batch}"):
            row = decode_rate(scheduler, batch, device, temperature)
            least = (read + batch * row["context"] * per_token) / rate
            step = row["ms_a_step"] / 1e3
            show(part="decode", **row, share_of_weights=read / rate / step, share_of_limit=least / step)
    with torch.no_grad():
        parts(model, device, rate)
    if small:
        with reported("streams"):
            streams(built, tokens, device, 32)
    if device.type == "cuda":
        show(part="memory", peak_gb=torch.cuda.max_memory_allocated() / 1e9)
    return built


def main() -> None:
    """Measure on this machine."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--decode", action="store_true", help="the decode rate of one engine")
    parser.add_argument("--workflows", action="store_true", help="graphs of agents on one engine")
    parser.add_argument("--small", action="store_true")
    parser.add_argument("--int8", action="store_true")
    parser.add_argument("--mode", help="torch.compile's mode, for instance max-autotune-no-cudagraphs")
    options = parser.parse_args()
    built = decode(options) if options.decode or not options.workflows else None
    if options.workflows or not options.decode:
        workflows(options, built)
    with reported("exact"):
        exact(torch.device("cuda" if torch.cuda.is_available() else "cpu"))


if __name__ == "__main__":
    main()
