"""`EmbeddedLlama`: the Llama that runs inside the kernel's process, in NumPy, on its own thread."""

from __future__ import annotations

import math
import threading
import weakref
from collections.abc import AsyncGenerator
from pathlib import Path

import anyio
import anyio.to_thread

from dyntaskmas_nb.errors import EngineDead, InvalidInput
from dyntaskmas_nb.llm.checks import check_request, timed_out
from dyntaskmas_nb.llm.embedded.chat import ChatTokenizer
from dyntaskmas_nb.llm.embedded.config import LlamaConfig, read_config
from dyntaskmas_nb.llm.embedded.model import Llama
from dyntaskmas_nb.llm.embedded.scheduler import Scheduler
from dyntaskmas_nb.llm.embedded.weights import read_weights
from dyntaskmas_nb.llm.embedded.worker import Worker
from dyntaskmas_nb.llm.protocol import Caps, Chunk, Request

SHIPPED = Path(__file__).parent / "weights"
"""The teaching model that comes with the package."""

SMALL = 1024
"""Hidden size up to which a single BLAS thread is faster than several."""

DOMAINS = ("travel planning", "research report")


class EmbeddedLlama:
    """A Llama in this process; a `Backend`.

    Files are read and the thread is started at the first use. Streams may live on several event loops, in
    any threads. Dropping the last reference, `aclose`, or the end of the interpreter ends the thread.

    Parameters
    ----------
    path : Path, optional
        Folder of a checkpoint (`config.json`, `model.safetensors`, `tokenizer.json` with the kit's chat
        tokens); by default the shipped teaching model.
    max_batch : int
        Most requests computed together; the others wait, highest priority first.

    Raises
    ------
    BadWeights
        At first use: the files are missing, damaged or of a kind that is not implemented.
    """

    def __init__(self, path: str | Path | None = None, max_batch: int = 32) -> None:
        if max_batch < 1:
            raise InvalidInput(f"max_batch={max_batch}; it must be at least 1.")
        self._shipped = path is None
        self._folder = SHIPPED if path is None else Path(path)
        self._max_batch = max_batch
        self._lock = threading.Lock()  # guards the lazily made parts
        self._config: LlamaConfig | None = None
        self._tokenizer: ChatTokenizer | None = None
        self._worker: Worker | None = None
        self._closed = False

    @property
    def name(self) -> str:
        """`embedded`, with the folder's name unless it is the shipped model."""
        return "embedded" if self._shipped else f"embedded:{self._folder.name}"

    @property
    def caps(self) -> Caps:
        """The context window; for the shipped model also what it was trained for."""
        with self._lock:
            window = self._read_config().max_position_embeddings
        if not self._shipped:
            return Caps(context_window=window)
        return Caps(context_window=window, terse=True, refuses=True, domains=DOMAINS)

    def count_tokens(self, text: str) -> int:
        """Tokens of `text`, exactly."""
        with self._lock:
            tokenizer = self._read_tokenizer()
        return len(tokenizer.encode(text))

    async def stream(self, request: Request) -> AsyncGenerator[Chunk, None]:
        """Yield the answer as it is computed; closing the iterator frees its row at the next step.

        Raises
        ------
        BadRequest, ContextOverflow
            Before anything is computed.
        BackendTimeout
            `request.timeout` seconds have passed.
        InvalidOutput
            The JSON schema could not be followed to its end.
        EngineDead
            The engine crashed or was closed.
        BadWeights
            The model's files cannot be used.
        """
        check_request(request)
        deadline = math.inf if request.timeout is None else anyio.current_time() + request.timeout
        worker = self._worker
        if worker is None:
            worker = await anyio.to_thread.run_sync(self._start)
        mailbox = worker.submit(request)
        try:
            finish = None
            while finish is None:
                with anyio.CancelScope(deadline=deadline) as scope:
                    chunk = await mailbox.get()
                if scope.cancelled_caught:
                    raise timed_out(self.name, request)
                finish = chunk.finish
                yield chunk
        finally:
            worker.cancel(mailbox)

    async def aclose(self) -> None:
        """End the thread and free the memory; waiting and later calls raise `EngineDead`."""
        with self._lock:
            self._closed = True
            worker = self._worker
        if worker is not None:
            await anyio.to_thread.run_sync(worker.stop)

    def _start(self) -> Worker:
        """Read the model and start the thread, once."""
        with self._lock:
            if self._worker is None:
                if self._closed:
                    raise EngineDead("The embedded model was closed. Make a new Kit to go on.")
                config, tokenizer = self._read_config(), self._read_tokenizer()
                model = Llama(config, read_weights(self._folder, config))
                threads = 1 if config.hidden_size <= SMALL else None
                self._worker = Worker(Scheduler(model, tokenizer, self._max_batch), threads)
                weakref.finalize(self, self._worker.stop)  # also runs at interpreter exit
            return self._worker

    def _read_config(self) -> LlamaConfig:
        """The config, read once; the caller holds the lock."""
        if self._config is None:
            self._config = read_config(self._folder)
        return self._config

    def _read_tokenizer(self) -> ChatTokenizer:
        """The tokenizer, read once; the caller holds the lock."""
        if self._tokenizer is None:
            self._tokenizer = ChatTokenizer(self._folder, self._read_config())
        return self._tokenizer
