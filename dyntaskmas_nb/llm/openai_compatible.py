"""A Llama behind any server that speaks the OpenAI protocol: llama.cpp, vLLM, Ollama, trtllm-serve.

Always streamed, so that closing the stream ends the work on the server, and so that silence is noticed
(`openai_wire`). Which fields beyond OpenAI's own a server takes is in `dialects`.

Before the first token, and only then, a server that is busy or away is asked again: `retries` times.

A request that clearly does not fit the window is refused before it is sent, where the window is known. Our
count is an estimate of four characters a token; text with over eight is not met, hence half of it counts.

A server that does not take a JSON schema gets it in the prompt, from then on. Its answer is then held back
until it is whole, and checked; where it is wrong the model is told why and asked once more.
"""

from __future__ import annotations

import math
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from dataclasses import replace
from itertools import count
from typing import Any

import anyio

from dyntaskmas_nb.core.task import check_count
from dyntaskmas_nb.errors import ContextOverflow, InvalidOutput, Overloaded, Unavailable
from dyntaskmas_nb.llm.json_answer import asked_again, complaint, in_prompt, unfenced
from dyntaskmas_nb.llm.openai_errors import SchemaRefused, retry_after
from dyntaskmas_nb.llm.openai_wire import Patience, Wire
from dyntaskmas_nb.llm.protocol import Caps, Chunk, Request, guarded
from dyntaskmas_nb.llm.text import estimate_tokens

GUESS = 8192
"""Tokens of the context window where neither the server nor the user says."""


class OpenAICompatible:
    """A `Backend` for the server at `url`, usually ending in `/v1`; belongs to one asyncio event loop.

    Without `model`, the first that the server lists. `api_key` is sent to the server; nothing is taken from
    the environment. `context_window` (tokens) holds where the server does not say. `retries`: how often a
    server that is busy or away is asked again. `extra_body`: more fields for every request, for what only
    this server knows. Raises `InvalidInput` for what is no http address or no number, `MissingExtra` without
    the `openai` package.
    """

    count_tokens = staticmethod(estimate_tokens)

    def __init__(
        self,
        url: str,
        model: str | None = None,
        api_key: str | None = None,
        *,
        context_window: int | None = None,
        patience: Patience = Patience(),
        retries: int = 2,
        extra_body: Mapping[str, Any] | None = None,
    ) -> None:
        check_count(retries, "retries", least=0)
        self._wire = Wire(url, model, api_key, patience, extra_body or {})
        self._window = context_window
        self._patience = patience
        self._retries = retries
        self._schema_in_prompt = False

    @property
    def name(self) -> str:
        """The model's name (once known) and where it is."""
        return self._wire.name

    @property
    def caps(self) -> Caps:
        """The context window and the hints that the server uses, as far as known: the first call asks."""
        server = self._wire.server
        return Caps(
            context_window=self._known_window or GUESS,
            hints=self._wire.hints,
            warms=server is not None and server.dialect.warms,
        )

    @guarded
    async def stream(self, request: Request) -> AsyncGenerator[Chunk, None]:
        """Yield the server's answer; closing the iterator closes the connection and so ends the work.

        Raises `BadRequest` and `ContextOverflow` where the server does not take it; `Overloaded` and
        `Unavailable` where it stays busy or unreachable, or broke off; `BackendTimeout` of the request or of
        `Patience`; `InvalidOutput` where a model that nothing forces does not keep to the schema;
        `EngineDead` where the backend was closed.
        """
        deadline = anyio.current_time() + (math.inf if request.timeout is None else request.timeout)
        for attempt in count():
            begun = False
            try:
                async with aclosing(self._answer(request)) as chunks:
                    async for chunk in chunks:
                        begun = True
                        yield chunk
                return
            except (Overloaded, Unavailable) as error:
                asked = retry_after(error)
                pause = self._patience.pause * 2**attempt if asked is None else asked
                too_long = pause > self._patience.longest_pause or anyio.current_time() + pause >= deadline
                if begun or too_long or attempt >= self._retries:
                    raise
            await anyio.sleep(pause)

    async def aclose(self) -> None:
        """Close the connections; later calls raise `EngineDead`."""
        await self._wire.close()

    @property
    def _known_window(self) -> int | None:
        return (self._wire.server.window if self._wire.server else None) or self._window

    async def _answer(self, request: Request) -> AsyncGenerator[Chunk, None]:
        """One try, with the schema as the server takes it."""
        await self._wire.find_out()
        self._refuse_overflow(request)
        if request.json_schema is None or not self._schema_in_prompt:
            try:
                async with aclosing(self._wire.call(request)) as chunks:
                    async for chunk in chunks:
                        yield chunk
                return
            except SchemaRefused:
                """Nothing was said yet; what the server says without the schema tells whether that was it."""
        yield await self._checked(request, request.json_schema or {})

    def _refuse_overflow(self, request: Request) -> None:
        window = self._known_window
        prompt = sum(self.count_tokens(message.content) for message in request.messages)
        if window is not None and (request.max_tokens >= window or prompt // 2 + request.max_tokens > window):
            raise ContextOverflow(
                f"{self.name}: a prompt of about {prompt} tokens and max_tokens={request.max_tokens} exceed "
                f"the context window of {window}. Shorten the context or lower max_tokens."
            )

    async def _checked(self, request: Request, schema: Mapping[str, Any]) -> Chunk:
        """The whole answer to `request` with `schema` in its prompt; asks once more where it is wrong."""
        request = in_prompt(request)
        first = await self._whole(request)
        self._schema_in_prompt = True  # only now do we know that the schema was the reason
        if not (wrong := complaint(first, schema)):
            return replace(first, text=unfenced(first.text))
        second = await self._whole(asked_again(request, first.text, wrong))
        if wrong := complaint(second, schema):
            raise InvalidOutput(
                f"{self.name}: asked twice, the answer is not valid under the JSON schema: {wrong} "
                "Choose a larger model, raise max_tokens, or a server that takes a response_format."
            )
        return replace(
            second,
            text=unfenced(second.text),
            prompt_tokens=first.prompt_tokens + second.prompt_tokens,
            completion_tokens=first.completion_tokens + second.completion_tokens,
            cached_tokens=first.cached_tokens + second.cached_tokens,
            estimated=first.estimated or second.estimated,
        )

    async def _whole(self, request: Request) -> Chunk:
        text, last = "", Chunk(text="")
        async with aclosing(self._wire.call(request)) as chunks:
            async for last in chunks:
                text += last.text
        return replace(last, text=text)
