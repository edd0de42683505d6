"""A Llama behind any server that speaks the OpenAI protocol: llama.cpp, vLLM, Ollama, trtllm-serve.

Always streamed, so that closing the stream ends the work on the server, and so that silence is noticed:
connecting, the first token and each next one have deadlines of their own, besides `request.timeout`.
Nothing is retried here (the run decides), except once without `response_format`, for servers that do not
take a JSON schema: they get it in the prompt, from then on.
"""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, Awaitable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlsplit, urlunsplit

import anyio

from dyntaskmas_nb.errors import (
    BackendTimeout,
    BadRequest,
    EngineDead,
    InvalidInput,
    MissingExtra,
    Unavailable,
)
from dyntaskmas_nb.llm.openai_errors import schema_refused, translate
from dyntaskmas_nb.llm.protocol import Caps, Chunk, Finish, Request, guarded
from dyntaskmas_nb.llm.text import StopFilter, estimate_tokens

if TYPE_CHECKING:
    import openai

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """How long to wait for the server, in seconds: to connect, for the first token, for each next one."""

    connect: float = 5.0
    first_token: float = 120.0
    next_token: float = 60.0


class OpenAICompatible:
    """A `Backend` for the server at `url`, usually ending in `/v1`; belongs to one asyncio event loop.

    Without `model`, the first that the server lists. `api_key` is sent to the server; nothing is taken from
    the environment. `context_window` (tokens) holds where the server does not say. Raises `InvalidInput` for
    what is no http address, `MissingExtra` without the `openai` package.
    """

    count_tokens = staticmethod(estimate_tokens)

    def __init__(
        self,
        url: str,
        model: str | None = None,
        api_key: str | None = None,
        *,
        context_window: int = 8192,
        patience: Patience = Patience(),
    ) -> None:
        if not url.startswith(("http://", "https://")):
            raise InvalidInput(f"{url!r} is no http address; give one such as http://127.0.0.1:8000/v1.")
        try:
            import openai
        except ImportError as error:
            raise MissingExtra(
                "A model behind an address needs the openai package: pip install 'dyntaskmas_nb[openai]'."
            ) from error
        parts = urlsplit(url)
        self._where = urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))  # without password
        self._model = model
        self._key = api_key
        self._window = context_window
        self._patience = patience
        self._client: openai.AsyncOpenAI | None = openai.AsyncOpenAI(
            base_url=url,
            api_key=api_key or "none",
            max_retries=0,
            # A connection kept alive may be dead when we use it again, above all after an answer that broke
            # off; opening one costs nothing beside an answer.
            default_headers={"Connection": "close"},
            timeout=openai.Timeout(None, connect=patience.connect),
        )
        self._schema_in_prompt = False

    @property
    def name(self) -> str:
        """The model's name (once known) and where it is."""
        return f"{self._model or 'model'} at {self._where}"

    @property
    def caps(self) -> Caps:
        """The context window, as far as known."""
        return Caps(context_window=self._window)

    @guarded
    async def stream(self, request: Request) -> AsyncGenerator[Chunk, None]:
        """Yield the server's answer; closing the iterator closes the connection and so ends the work.

        Raises `BadRequest` and `ContextOverflow` where the server does not take it; `Overloaded` and
        `Unavailable` where it is busy, unreachable or broke off; `BackendTimeout` of the request or of
        `Patience`; `EngineDead` where the backend was closed.
        """
        stops, said, usage = StopFilter(request.stop), 0, None
        finish: Finish | None = None
        try:
            response = await self._open(request)
            try:
                seconds = self._patience.first_token
                while (event := await self._within(seconds, anext(response, None), "token")) is not None:
                    seconds = self._patience.next_token
                    usage = event.usage or usage
                    for choice in (event.choices or ())[:1]:
                        text = stops.push(choice.delta.content or "" if choice.delta else "")
                        finish = "stop" if stops.stopped else self._finish(choice) or finish
                        text += stops.flush() if finish else ""
                        said += len(text)
                        if text:
                            yield Chunk(text=text)
                    if stops.stopped:
                        break
            finally:
                with anyio.move_on_after(1.0, shield=True):
                    await response.close()
        except Exception as error:
            raise translate(error, self._where, self._key) from error
        if finish is None:
            raise Unavailable(f"{self.name}: the answer broke off before its end. Look at the server's log.")
        prompt = sum(estimate_tokens(message.content) for message in request.messages)
        yield Chunk(
            text="",
            finish=finish,
            prompt_tokens=usage.prompt_tokens if usage else prompt,
            completion_tokens=usage.completion_tokens if usage else -(-said // 4),
            estimated=not usage,
        )

    async def aclose(self) -> None:
        """Close the connections; later calls raise `EngineDead`."""
        client, self._client = self._client, None
        if client is not None:
            await client.close()

    def _finish(self, choice: Any) -> Finish | None:
        """Why the answer ended, if it did."""
        if choice.finish_reason == "content_filter":
            raise BadRequest(f"{self.name}: the server's content filter refused. Rephrase the request.")
        if choice.finish_reason is None:
            return None
        return "length" if choice.finish_reason == "length" else "stop"

    async def _open(self, request: Request) -> Any:
        """Begin the answer; falls back to the schema in the prompt when the server refuses it."""
        from openai import APIStatusError

        if self._client is None:
            raise EngineDead(f"{self.name} was closed. Make a new Kit to go on.")
        if self._model is None:
            await self._ask_model(self._client)
        try:
            return await self._create(self._client, request, in_prompt=self._schema_in_prompt)
        except APIStatusError as error:
            if request.json_schema is None or self._schema_in_prompt or not schema_refused(error):
                raise
        response = await self._create(self._client, request, in_prompt=True)
        self._schema_in_prompt = True  # only now do we know that the schema was the reason
        return response

    async def _create(self, client: Any, request: Request, *, in_prompt: bool) -> Any:
        """Send the request and wait for the answer's head."""
        messages = [{"role": message.role, "content": message.content} for message in request.messages]
        more: dict[str, Any] = {"stop": list(request.stop)} if request.stop else {}
        if request.json_schema is not None:
            schema = json.dumps(request.json_schema, default=dict, ensure_ascii=False)
            if in_prompt:
                asked = "Answer with JSON only, valid under this JSON Schema:"
                messages[-1]["content"] += f"\n\n{asked}\n{schema}"
            else:
                named = {"name": "answer", "schema": json.loads(schema), "strict": True}
                more["response_format"] = {"type": "json_schema", "json_schema": named}
        call = client.chat.completions.create(
            model=self._model,
            messages=messages,
            max_tokens=request.max_tokens,
            temperature=request.temperature,
            seed=request.seed,
            stream=True,
            stream_options={"include_usage": True},
            **more,
        )
        return await self._within(self._patience.first_token, call, "answer")

    async def _ask_model(self, client: Any) -> None:
        """Take the first model that the server lists, and its context window where it says (vLLM does)."""
        page = await self._within(self._patience.first_token, client.models.list(), "list of models")
        if not page.data:
            raise BadRequest(f"{self._where}: the server lists no model. Load one, or give its name.")
        self._model = page.data[0].id
        self._window = getattr(page.data[0], "max_model_len", None) or self._window

    async def _within(self, seconds: float, waiting: Awaitable[T], what: str) -> T:
        """Wait at most `seconds`."""
        with anyio.move_on_after(seconds):
            return await waiting
        raise BackendTimeout(f"{self.name}: no {what} for {seconds:g} s. Is the server stuck or overloaded?")
