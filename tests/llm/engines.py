"""The engines that run here without a network, each on a model that we have: for `test_conformance`.

In NumPy, in torch, and in llama.cpp's two servers: a random Llama, which stays what it is whatever becomes of
the teaching model; and the teaching model itself, which has its placeholders in the embedded engine alone.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import ExitStack, aclosing
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from dyntaskmas_nb.llm.embedded.engine import EmbeddedLlama
from dyntaskmas_nb.llm.openai_compatible import OpenAICompatible
from dyntaskmas_nb.llm.openai_wire import Patience
from dyntaskmas_nb.llm.protocol import Backend, Caps, Chunk, Request
from dyntaskmas_nb.llm.simulated import Simulated, constant
from dyntaskmas_nb.llm.trial_checks import Unsupported
from tests.llm.servers import ForeignServer, llama_cpp_server, llama_server, required
from tools.teaching_llama.gguf import TEMPLATE, convert

ENDLESS = {"ignore_eos": True}
"""What llama.cpp's server takes, so that an answer ends at `max_tokens` and nowhere else."""

PATIENCE = Patience(pause=0.01, connect=2.0)
WINDOW, LONG = 2048, 20_000  # tokens: long enough to plan in; to take the tiny model seconds


def unknown() -> int:
    raise Unsupported("It does not tell how many it computes.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Engine:
    """`make` gives a backend, that of another model where it is named; `busy` how many requests it computes.

    `options` of `make`, or `fields` of a request, keep an answer from ending before `max_tokens`. A request
    that is left is gone when the next one is answered, or at most `notices` seconds later.
    """

    name: str
    make: Callable[..., Backend]
    busy: Callable[[], int] = unknown
    options: Mapping[str, Any] = field(default_factory=dict)
    fields: Mapping[str, Any] = field(default_factory=dict)
    notices: float = 0.0
    server: ForeignServer | None = None


class Lent:
    """`backend` for a kit, which may close this but not that; `done` are the last chunks, `caps` differ."""

    def __init__(self, backend: Backend, **caps: Any) -> None:
        self._backend, self._other = backend, caps
        self.done: list[Chunk] = []

    @property
    def name(self) -> str:
        return self._backend.name

    @property
    def caps(self) -> Caps:
        return replace(self._backend.caps, **self._other)

    def count_tokens(self, text: str) -> int:
        return self._backend.count_tokens(text)

    async def stream(self, request: Request) -> AsyncGenerator[Chunk, None]:
        async with aclosing(self._backend.stream(request)) as chunks:
            async for chunk in chunks:
                if chunk.finish:
                    self.done.append(chunk)
                yield chunk

    async def aclose(self) -> None:
        """Leave it open."""


def rows(backend: Any) -> int:
    """How many requests an engine of this process computes at this moment."""
    scheduler = backend._once.made._thread._args[0]  # its thread alone holds it
    return len(scheduler._running)


def hugging_checkpoint(source: Path, target: Path) -> None:
    """Write our checkpoint in `source` as one for transformers: float32, and a chat template."""
    stored = load_file(source / "model.safetensors")
    tensors = {name: value for name, value in stored.items() if not name.endswith(".scale")}
    for name, value in tensors.items():
        tensors[name] = value.astype(np.float32)
        if (scale := stored.get(f"{name}.scale")) is not None:
            tensors[name] *= scale.astype(np.float32)[:, None]
    save_file(tensors, target / "model.safetensors", metadata={"format": "pt"})
    config = json.loads((source / "config.json").read_text(encoding="utf-8"))
    for ours in ("quantization", "rope_scaling"):
        config.pop(ours, None)
    (target / "config.json").write_text(json.dumps(config))
    shutil.copy(source / "tokenizer.json", target)
    marks = {"bos_token": "<|bos|>", "eos_token": "<|end|>", "chat_template": TEMPLATE}
    settings = {"tokenizer_class": "PreTrainedTokenizerFast", **marks}
    (target / "tokenizer_config.json").write_text(json.dumps(settings))


class Engines:
    """Each engine on each of `models`, made once, when it is asked for; all end with `stack`."""

    def __init__(self, folder: Path, models: Mapping[str, Path], stack: ExitStack) -> None:
        self._folder, self._models, self._stack = folder, models, stack
        self._made: dict[tuple[str, str], Engine] = {}
        self._converted: dict[str, Path] = {}

    def get(self, name: str, model: str = "tiny") -> Engine:
        """The engine `name` on `model`; skips the test where it cannot run here."""
        if (name, model) not in self._made:
            made = {
                "embedded": self._embedded, "transformers": self._transformers, "simulated": self._simulated,
                "llama-server": self._llama_server, "llama_cpp.server": self._llama_cpp_server,
            }[name](model)  # fmt: skip
            self._made[name, model] = made
        return self._made[name, model]

    def gguf(self, model: str) -> Path:
        """The model as a file for llama.cpp."""
        required()
        if model not in self._converted:
            self._converted[model] = self._folder / f"{model}.gguf"
            convert(self._models[model], self._converted[model])
        return self._converted[model]

    def server(self, model: str) -> ForeignServer:
        """The `llama-server` on `model`."""
        found = self.get("llama-server", model).server
        assert found is not None
        return found

    def _simulated(self, _: str) -> Engine:
        return Engine(name="simulated", make=lambda *_: Simulated(constant(0.05)))

    def _embedded(self, model: str) -> Engine:
        return self._here("embedded", EmbeddedLlama, self._models[model], {})

    def _transformers(self, model: str) -> Engine:
        torch = pytest.importorskip("torch", reason="computes with torch: pip install the CPU build")
        pytest.importorskip("transformers", reason="reads with transformers")
        from dyntaskmas_nb.llm.hugging.engine import TransformersLlama

        folder = self._folder / f"hugging-{model}"
        folder.mkdir()
        hugging_checkpoint(self._models[model], folder)
        self._stack.callback(torch.set_num_threads, torch.get_num_threads())
        torch.set_num_threads(1)  # two cores are shared by all tests, and matrices are small
        return self._here("transformers", TransformersLlama, folder, {"device": "cpu"})

    def _here(self, name: str, kind: Any, folder: Path, options: Mapping[str, Any]) -> Engine:
        backend = kind(folder, **options)
        self._stack.callback(anyio.run, backend.aclose)
        return Engine(
            name=name,
            make=lambda model=None: Lent(backend) if model is None else kind(folder / model, **options),
            busy=lambda: rows(backend),
            fields={"json_schema": {"type": "string", "minLength": 4000}},
        )

    def _llama_server(self, model: str) -> Engine:
        context = LONG if model == "tiny" else WINDOW
        running = llama_server(self.gguf(model), self._folder / f"{model}.log", slots=8, context=context)
        server = self._stack.enter_context(running)
        return self._behind("llama-server", server, busy=server.slots, notices=3.0)

    def _llama_cpp_server(self, model: str) -> Engine:
        """One request after the other, and one thread: more of them spin, and starve everybody else."""
        more = ("--interrupt_requests", "false", "--n_threads_batch", "1")
        running = llama_cpp_server(self.gguf(model), self._folder / f"{model}.cpp.log", more=more)
        return self._behind("llama_cpp.server", self._stack.enter_context(running))

    def _behind(self, name: str, server: ForeignServer, **more: Any) -> Engine:
        make = partial(OpenAICompatible, server.url, patience=PATIENCE)
        return Engine(name=name, make=make, options={"extra_body": ENDLESS}, server=server, **more)
