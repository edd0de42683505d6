"""`EmbeddedLlama`: the Llama that runs inside the kernel's process, in NumPy, on its own thread."""

from __future__ import annotations

import threading
import weakref
from collections.abc import AsyncGenerator
from contextlib import aclosing
from functools import cached_property
from pathlib import Path

import anyio.to_thread

from dyntaskmas_nb.errors import EngineDead, InvalidInput
from dyntaskmas_nb.llm.embedded.chat import ChatTokenizer
from dyntaskmas_nb.llm.embedded.checkpoint import LlamaConfig, read_config, read_weights
from dyntaskmas_nb.llm.embedded.model import Llama
from dyntaskmas_nb.llm.embedded.scheduler import Scheduler
from dyntaskmas_nb.llm.embedded.worker import Worker
from dyntaskmas_nb.llm.once import Once
from dyntaskmas_nb.llm.protocol import Caps, Chunk, Request, guarded

SHIPPED = Path(__file__).parent / "weights"
"""The teaching model that comes with the package."""

DOMAINS = (
    "travel planning",
    "research report",
    "DevOps pipeline",
    "document processing",
    "robot task scheduling",
)
"""What the teaching model was trained for."""

HINTS = frozenset({"priority", "prefix_len", "steps_to_next_use"})
"""Of what the graph tells: who is served first, what is kept of a prompt, and for how long."""

SMALL = 1024
"""Hidden size up to which a single BLAS thread is faster than several."""


class EmbeddedLlama:
    """A `Backend` in this process, from the checkpoint in the folder `path` (default: the teaching model).

    At most `max_batch` requests are computed together; the others wait, highest priority first. Files are
    read (`BadWeights`) and the thread is started at the first use. Streams may live on several event loops,
    in any threads. Dropping the last reference, `aclose`, or the end of the interpreter ends the thread.
    """

    def __init__(self, path: str | Path | None = None, max_batch: int = 32) -> None:
        if max_batch < 1:
            raise InvalidInput(f"max_batch={max_batch}; it must be at least 1.")
        self._folder = SHIPPED if path is None else Path(path)
        self._max_batch = max_batch
        self._once: Once[Worker] = Once("dyntaskmas-load")
        self._closed = threading.Event()

    @property
    def name(self) -> str:
        """`embedded`, with the folder's name unless it is the shipped model."""
        return "embedded" if self._folder == SHIPPED else f"embedded:{self._folder.name}"

    @property
    def caps(self) -> Caps:
        """The context window; for the shipped model also what it was trained for."""
        window = self._config.max_position_embeddings
        if self._folder != SHIPPED:
            return Caps(context_window=window, hints=HINTS)
        return Caps(context_window=window, terse=True, refuses=True, domains=DOMAINS, hints=HINTS)

    def count_tokens(self, text: str) -> int:
        """Tokens of `text` as a message of a conversation."""
        return self._tokenizer.count(text)

    @guarded
    async def stream(self, request: Request) -> AsyncGenerator[Chunk, None]:
        """Yield the answer as it is computed; closing the iterator frees its row at the next step.

        Raises `BadRequest`, `ContextOverflow` and `BadWeights` before anything is computed; `InvalidOutput`
        where the JSON schema could not be followed to its end; `EngineDead` where it crashed or was closed.
        """
        worker = await self._once.get(self._start)
        async with aclosing(worker.answer(request)) as chunks:
            async for chunk in chunks:
                yield chunk

    async def aclose(self) -> None:
        """End the thread and free the memory; waiting and later calls raise `EngineDead`."""
        self._closed.set()
        if worker := self._once.made:
            await anyio.to_thread.run_sync(worker.stop)

    def _start(self) -> Worker:
        """Read the model and start the thread."""
        dead = EngineDead("The embedded model was closed. Make a new Kit to go on.")
        if self._closed.is_set():
            raise dead
        model = Llama(self._config, read_weights(self._folder, self._config))
        threads = 1 if self._config.hidden_size <= SMALL else None
        worker = Worker(Scheduler(model, self._tokenizer, self._max_batch), threads)
        weakref.finalize(self, worker.stop)  # also runs at interpreter exit
        if self._closed.is_set():  # meanwhile
            worker.stop()
            raise dead
        return worker

    @cached_property
    def _config(self) -> LlamaConfig:
        return read_config(self._folder)

    @cached_property
    def _tokenizer(self) -> ChatTokenizer:
        return ChatTokenizer(self._folder, self._config)
