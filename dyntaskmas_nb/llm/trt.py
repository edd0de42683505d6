"""TensorRT-LLM in this process, `tensorrt_llm.LLM`: a Llama on one NVIDIA GPU, or on several in parallel.

It lives on an event loop and a thread of its own: it must be made and used on one loop, and making it takes
minutes in which the kit's loop goes on. `max_tokens` is always given (its own default is 32).

What the graph tells is mapped so (arXiv:2507.07400 for the idea): the prompt's common beginning is kept in
the cache with a priority of 100 where it is needed at once, 10 less for each step until then, and 10 where it
is not needed again; `priority` p ≥ 0 becomes p / (1 + p) for releases that take one.

Not run on a GPU by its authors, who had none with this library: written against the signatures of its public
reference (1.2.1, and what 1.3 adds), which `tests/llm/test_trt.py` holds as a table.
"""

from __future__ import annotations

import inspect
import os
import threading
import weakref
from collections.abc import AsyncGenerator
from concurrent.futures import Future
from contextlib import ExitStack
from functools import partial
from typing import Any

import anyio.from_thread
import anyio.to_thread

from dyntaskmas_nb.errors import BackendError, ContextOverflow, EngineDead, MissingExtra, Unavailable
from dyntaskmas_nb.llm.embedded.worker import Mailbox
from dyntaskmas_nb.llm.once import Once
from dyntaskmas_nb.llm.protocol import Caps, Chunk, Finish, Request, guarded
from dyntaskmas_nb.llm.text import StopFilter, estimate_tokens

NEEDED, EACH_STEP, NOT_NEEDED, USUAL = 100, 10, 10, 35
"""Priorities in the cache, 0 to 100: needed at once, less a step, not needed again; the library's default."""


class TensorRT:
    """A `Backend` from the checkpoint or engine `model`, over `gpus` GPUs in tensor parallel.

    `window` is in tokens, prompt and answer together. More arguments go to `tensorrt_llm.LLM`, as
    `max_batch_size` (here 32) does. Raises `MissingExtra` without the package.
    """

    def __init__(self, model: str, *, gpus: int = 1, window: int = 8192, **more: Any) -> None:
        try:
            import tensorrt_llm
        except ImportError as error:
            raise MissingExtra(
                "TensorRT-LLM in this process needs Linux, an NVIDIA GPU and pip install "
                "'dyntaskmas_nb[trt]'; or run trtllm-serve in its own environment and give its address."
            ) from error
        api = tensorrt_llm.llmapi
        cache = api.KvCacheConfig(enable_block_reuse=True)
        sizes = {"tensor_parallel_size": gpus, "max_batch_size": 32, "max_seq_len": window}
        more = {"kv_cache_config": cache, "guided_decoding_backend": "xgrammar", **sizes, **more}
        self._module, self._model, self._window = tensorrt_llm, model, window
        self._make = partial(tensorrt_llm.LLM, model=model, **more)
        self._single = gpus == 1
        self._once: Once[Any] = Once("dyntaskmas-tensorrt")
        self._exit = ExitStack()
        self._portal: Any = None
        self._engine: Any = None
        self._closed = threading.Event()
        weakref.finalize(self, self._exit.close)

    @property
    def name(self) -> str:
        """The model's name."""
        return f"{self._model} in TensorRT-LLM"

    @property
    def caps(self) -> Caps:
        """The window, and the hints that this release takes."""
        hints = {"prefix_len", "steps_to_next_use"} | ({"priority"} if self._takes("priority") else set())
        return Caps(context_window=self._window, hints=frozenset(hints), warms=True)

    def count_tokens(self, text: str) -> int:
        """Tokens of `text`, exact once the engine is there."""
        return len(self._engine.tokenizer.encode(text)) if self._engine else estimate_tokens(text)

    @guarded
    async def stream(self, request: Request) -> AsyncGenerator[Chunk, None]:
        """Yield the answer as it comes; closing the iterator aborts the request.

        Raises `ContextOverflow` and `BadRequest` before anything is computed; `Unavailable` where the request
        failed; `EngineDead` where the engine could not be made, or was closed.
        """
        await self._once.get(self._start)
        mailbox = Mailbox()
        try:
            task: Future[None] = self._portal.start_task_soon(self._answer, request, mailbox)
        except RuntimeError:  # closed just now
            raise self._dead() from None
        try:
            finish = None
            while finish is None:
                chunk = await mailbox.get()
                finish = chunk.finish
                yield chunk
        finally:
            task.cancel()

    async def aclose(self) -> None:
        """End the engine and free the GPU; waiting and later calls raise `EngineDead`."""
        self._closed.set()
        await anyio.to_thread.run_sync(self._exit.close)

    def _takes(self, name: str) -> bool:
        """Whether this release's `generate_async` takes an argument."""
        return name in inspect.signature(self._module.LLM.generate_async).parameters

    # -- on the engine's own loop ----------------------------------------------------------------------

    def _dead(self) -> EngineDead:
        return EngineDead(f"{self.name} was closed. Make a new Kit to go on.")

    def _start(self) -> Any:
        if self._closed.is_set():
            raise self._dead()
        if self._single:  # else it starts processes by MPI, which a notebook's kernel may not survive
            os.environ.setdefault("TLLM_WORKER_USE_SINGLE_PROCESS", "1")
        portal = self._exit.enter_context(anyio.from_thread.start_blocking_portal("asyncio"))
        try:
            self._engine = portal.call(self._make)
        except Exception as error:
            self._exit.close()
            raise EngineDead(f"{self.name} could not be started: {error}") from error
        self._exit.callback(portal.call, portal.stop, True)  # whoever waits gets EngineDead
        self._exit.callback(portal.call, self._engine.shutdown)
        self._portal = portal
        if self._closed.is_set():  # meanwhile
            self._exit.close()
        return self._engine

    async def _answer(self, request: Request, mailbox: Mailbox) -> None:
        """Put the chunks of one answer into `mailbox`, or the error that ended it."""
        dead: BackendError = self._dead()
        output: Any = None
        try:
            prompt = self._prompt(request)
            sampling, hints = self._sampling(request), self._hints(request)
            output = self._engine.generate_async(prompt, sampling, streaming=True, **hints)
            return await self._stream(output, len(prompt), request, mailbox)
        except BackendError as error:
            dead = error
        except Exception as error:  # noqa: BLE001  the library's own errors have no common class
            dead = Unavailable(f"{self.name}: {request.tag or 'the request'} failed: {error}")
        finally:
            if output is not None and not output.finished:
                output.abort()
            mailbox.put(dead)  # ignored by a reader who has the last chunk

    async def _stream(self, output: Any, prompt: int, request: Request, mailbox: Mailbox) -> None:
        stops = StopFilter(request.stop)
        async for part in output:
            answer = part.outputs[0]
            text = stops.push(answer.text_diff)
            if not (part.finished or stops.stopped):
                mailbox.put(Chunk(text=text)) if text else None
                continue
            if answer.finish_reason not in ("stop", "length", None):
                raise Unavailable(f"{self.name}: the answer ended early ({answer.finish_reason}).")
            finish: Finish = "length" if answer.finish_reason == "length" else "stop"
            text, said = text + stops.flush(), len(answer.token_ids)
            last = Chunk(text=text, finish=finish, prompt_tokens=prompt, completion_tokens=said)
            return mailbox.put(last)
        raise Unavailable(f"{self.name}: the answer broke off before its end.")

    def _prompt(self, request: Request) -> list[int]:
        """The prompt's tokens; raises `ContextOverflow` where they and the answer do not fit."""
        messages = [{"role": message.role, "content": message.content} for message in request.messages]
        how = {"tokenize": True, "add_generation_prompt": True, "return_dict": False}
        tokens = list(self._engine.tokenizer.apply_chat_template(messages, **how))
        if len(tokens) + request.max_tokens > self._window:
            raise ContextOverflow(
                f"{request.tag or 'The request'}: {len(tokens)} prompt tokens and max_tokens="
                f"{request.max_tokens} exceed the window of {self._window} of {self.name}. "
                "Shorten the context or lower max_tokens."
            )
        return tokens

    def _sampling(self, request: Request) -> Any:
        schema, guide = request.json_schema, self._module.llmapi.GuidedDecodingParams
        guided = None if schema is None else guide(json=dict(schema))
        return self._module.SamplingParams(
            max_tokens=request.max_tokens,
            seed=request.seed,
            temperature=request.temperature or None,  # without one it is greedy
            stop=list(request.stop) or None,
            guided_decoding=guided,
        )

    def _hints(self, request: Request) -> dict[str, Any]:
        api, more = self._module.llmapi, dict[str, Any]()
        if request.prefix_len:
            steps = request.steps_to_next_use
            kept = NOT_NEEDED if steps is None else max(USUAL, NEEDED - EACH_STEP * steps)
            token_range = api.KvCacheRetentionConfig.TokenRangeRetentionConfig(0, request.prefix_len, kept)
            more["kv_cache_retention_config"] = api.KvCacheRetentionConfig([token_range], NOT_NEEDED)
        if self._takes("priority"):
            above = max(0.0, request.priority)
            more["priority"] = above / (1 + above)
        return more
