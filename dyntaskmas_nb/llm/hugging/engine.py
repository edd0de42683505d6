"""`TransformersLlama`: a Hugging Face Llama checkpoint in this process, on a CPU or a CUDA GPU.

transformers reads the checkpoint and the tokenizer; what is computed, and when, is ours. Its own continuous
batching (5.23) has one seed and one temperature for all requests, and on a CPU it gave a third of the tokens
a CPU-second (32 requests, measured).
"""

from __future__ import annotations

import threading
import weakref
from collections.abc import AsyncGenerator
from contextlib import aclosing
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio.to_thread

from dyntaskmas_nb.errors import BadWeights, EngineDead, InvalidInput, MissingExtra, OutOfMemory
from dyntaskmas_nb.llm.embedded.worker import Worker
from dyntaskmas_nb.llm.once import Once
from dyntaskmas_nb.llm.protocol import Caps, Chunk, Request, guarded

if TYPE_CHECKING:
    from dyntaskmas_nb.llm.hugging.tokens import Tokens

HINTS = frozenset({"priority", "steps_to_next_use"})
"""Of what the graph tells: who is served first, and which beginnings are kept longest."""


class TransformersLlama:
    """A `Backend` in this process from `path`: a folder with a Hugging Face checkpoint, or a hub name.

    `device` is "auto" (a CUDA GPU where there is one), "cpu" or "cuda"; `dtype` is "auto" (bfloat16 on a GPU,
    float32 on a CPU) or torch's name of one; `int8` halves the weights' memory. At most `max_batch` requests
    are computed together; `window` is the model's own unless a smaller one is given. A ready `model`
    (transformers' `LlamaForCausalLM`) is used instead of reading one, and left as it is; a `tokenizer` is one
    of transformers, or has the methods of `tokens.Tokens`.

    Nothing is read (`BadWeights`), and no thread started, before the first use. Streams may live on several
    event loops, in any threads. Dropping the last reference, `aclose`, or the end of the interpreter ends it.
    """

    def __init__(
        self,
        path: str | Path = "",
        *,
        device: str = "auto",
        dtype: str = "auto",
        int8: bool = False,
        max_batch: int = 32,
        window: int | None = None,
        model: Any = None,
        tokenizer: Any = None,
    ) -> None:
        for name, number in (("max_batch", max_batch), ("window", 1 if window is None else window)):
            if number < 1:
                raise InvalidInput(f"{name}={number}; it must be at least 1.")
        if not str(path) and (model is None or tokenizer is None):
            raise InvalidInput("path is empty; give a checkpoint's folder, or both model and tokenizer.")
        self._path, self._device, self._dtype, self._int8 = path, device, dtype, int8
        self._max_batch, self._most = max_batch, window
        self._model, self._given = model, tokenizer
        self._once: Once[Worker] = Once("dyntaskmas-load")
        self._closed = threading.Event()

    @property
    def name(self) -> str:
        """`hf:` and the last part of the path."""
        return f"hf:{Path(self._path).name or 'model'}"

    @property
    def caps(self) -> Caps:
        """The context window, and the hints it uses."""
        return Caps(context_window=self._window, hints=HINTS)

    def count_tokens(self, text: str) -> int:
        """Tokens of `text` as a message."""
        return self._tokens.count(text)

    @guarded
    async def stream(self, request: Request) -> AsyncGenerator[Chunk, None]:
        """Yield the answer as it is computed; closing the iterator frees its slot at the next step.

        Raises `BadRequest`, `ContextOverflow` and `BadWeights` before anything is computed; `InvalidOutput`
        where the JSON schema could not be followed to its end; `OutOfMemory` where there was no room after
        all; `EngineDead` where it crashed or was closed.
        """
        worker = await self._once.get(self._start)
        async with aclosing(worker.answer(request)) as chunks:
            async for chunk in chunks:
                yield chunk

    async def aclose(self) -> None:
        """End the thread and free the memory; waiting and later calls raise `EngineDead`."""
        self._closed.set()
        self._model = None
        if worker := self._once.made:
            await anyio.to_thread.run_sync(worker.stop)

    def _start(self) -> Worker:
        """Read the model and start the thread; seconds to minutes."""
        dead = EngineDead(f"{self.name} was closed. Make a new Kit to go on.")
        if self._closed.is_set():
            raise dead
        try:
            worker = Worker(self._scheduler(), model=self.name)
        except (MemoryError, _out_of_memory()) as error:
            raise OutOfMemory(
                f"{self.name} does not fit into memory: {error}. Choose a smaller model, or int8=True."
            ) from error
        weakref.finalize(self, worker.stop)  # also runs at interpreter exit
        if self._closed.is_set():  # meanwhile
            worker.stop()
            raise dead
        return worker

    def _scheduler(self) -> Any:
        """The model on its device, and what serves requests with it."""
        torch = _torch()
        from dyntaskmas_nb.llm.hugging.model import Llama
        from dyntaskmas_nb.llm.hugging.scheduler import Scheduler
        from dyntaskmas_nb.llm.hugging.weights import take

        gpu = torch.cuda.is_available() if self._device == "auto" else self._device.startswith("cuda")
        device = torch.device(("cuda" if gpu else "cpu") if self._device == "auto" else self._device)
        name = ("bfloat16" if gpu else "float32") if self._dtype == "auto" else self._dtype
        dtype = getattr(torch, name, None)
        if not isinstance(dtype, torch.dtype):
            raise InvalidInput(f'dtype={name!r} is none of torch\'s; choose "float32", "bfloat16" or "auto".')
        window, tokens, model = self._window, self._tokens, self._model
        if model is None:
            model = _read("AutoModelForCausalLM", self._path, dtype=dtype)
        ours = self._model is None
        with torch.no_grad():
            weights = take(model, device, dtype, positions=window + 512, int8=self._int8, consume=ours)
        self._model = None
        llama = Llama(self._config, weights, window=window, max_batch=self._max_batch)
        llama.warm()
        return Scheduler(
            llama, tokens, window=window, max_batch=self._max_batch,
            overlap=gpu, exact=not gpu and dtype == torch.float32,
        )  # fmt: skip

    @cached_property
    def _config(self) -> Any:
        return self._model.config if self._model is not None else _read("AutoConfig", self._path)

    @cached_property
    def _window(self) -> int:
        from dyntaskmas_nb.llm.hugging.weights import check

        check(self._config)
        window = int(self._config.max_position_embeddings)
        return window if self._most is None else min(self._most, window)

    @cached_property
    def _tokens(self) -> Tokens:
        given = self._given or _read("AutoTokenizer", self._path)
        if hasattr(given, "prompt"):
            ours: Tokens = given
            return ours
        from dyntaskmas_nb.llm.hugging.tokens import HuggingTokens

        ends: set[int] = set()
        for some in (self._config.eos_token_id, given.eos_token_id, self._generation_ends()):
            ends.update(some if isinstance(some, list) else [] if some is None else [some])
        return HuggingTokens(given, self._config.vocab_size, ends)

    def _generation_ends(self) -> Any:
        """The ends of an answer that `generation_config.json` names, where there is one."""
        if self._model is not None:
            return getattr(self._model.generation_config, "eos_token_id", None)
        try:
            return _read("GenerationConfig", self._path).eos_token_id
        except BadWeights:
            return None


def _torch() -> Any:
    """Torch, or `MissingExtra`."""
    try:
        import torch
        import transformers  # noqa: F401
    except ImportError as error:
        raise MissingExtra(
            "Hugging Face checkpoints need torch and transformers. Install them: pip install "
            "'dyntaskmas-nb[llama]' (see the README for torch without CUDA)."
        ) from error
    return torch


def _out_of_memory() -> type[Exception]:
    """What torch raises where a GPU has no room."""
    found: type[Exception] = _torch().OutOfMemoryError
    return found


def _read(kind: str, path: str | Path, **options: Any) -> Any:
    """`transformers.<kind>.from_pretrained(path)`; `BadWeights` where that fails."""
    _torch()
    import transformers

    try:
        return getattr(transformers, kind).from_pretrained(path, **options)
    except Exception as error:
        raise BadWeights(f"{path} is no checkpoint that transformers can read ({kind}): {error}") from error
