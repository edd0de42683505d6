"""A Llama behind any server that speaks the OpenAI protocol: llama.cpp, vLLM, Ollama, trtllm-serve.

Always streamed, so that closing the stream ends the work on the server, and so that silence is noticed:
connecting, the first token and each next one have deadlines of their own, besides `request.timeout`.
Nothing is retried here (the run decides), except once without `response_format`, for servers that do not
take a JSON schema: they get it in the prompt, from then on.
"""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import anyio

from dyntaskmas_nb.errors import (
    BadRequest,
    EngineDead,
    InvalidInput,
    MissingExtra,
    Unavailable,
)
from dyntaskmas_nb.llm.checks import check_request
from dyntaskmas_nb.llm.openai_errors import public, schema_refused, translate
from dyntaskmas_nb.llm.patience import Clock, Patience
from dyntaskmas_nb.llm.protocol import Caps, Chunk, Finish, Request
from dyntaskmas_nb.llm.text import StopFilter, estimate_tokens

if TYPE_CHECKING:
    import openai


@dataclass(slots=True, kw_only=True)
class _Progress:
    """One answer as it arrives."""

    stops: StopFilter
    said: int = 0
    finish: Finish | None = None
    usage: Any = None


class OpenAICompatible:
    """A `Backend` for the server at `url`; belongs to one asyncio event loop.

    Parameters
    ----------
    url : str
        Base address, usually ending in `/v1`.
    model : str, optional
        The model's name; by default the first that the server lists.
    api_key : str, optional
        Sent to the server; nothing is taken from the environment.
    context_window : int
        Tokens, where the server does not say.
    patience : Patience
        Deadlines of the steps of a call.

    Raises
    ------
    InvalidInput
        `url` is no http address.
    MissingExtra
        The `openai` package is not installed.
    """

    def __init__(
        self,
        url: str,
        model: str | None = None,
        api_key: str | None = None,
        *,
        context_window: int = 8192,
        patience: Patience | None = None,
    ) -> None:
        if not url.startswith(("http://", "https://")):
            raise InvalidInput(f"{url!r} is no http address; give one such as http://127.0.0.1:8000/v1.")
        try:
            import openai
        except ImportError as error:
            raise MissingExtra(
                "A model behind an address needs the openai package: pip install 'dyntaskmas_nb[openai]'."
            ) from error
        self._sdk = openai
        self._url = url
        self._model = model
        self._key = api_key
        self._window = context_window
        self._patience = patience or Patience()
        self._client: openai.AsyncOpenAI | None = None
        self._schema_in_prompt = False
        self._closed = False

    @property
    def name(self) -> str:
        """The model's name (once known) and where it is."""
        return f"{self._model or 'model'} at {public(self._url)}"

    @property
    def caps(self) -> Caps:
        """The context window, as far as known."""
        return Caps(context_window=self._window)

    def count_tokens(self, text: str) -> int:
        """An estimate: one for four characters."""
        return estimate_tokens(text)

    async def stream(self, request: Request) -> AsyncGenerator[Chunk, None]:
        """Yield the server's answer; closing the iterator closes the connection and so ends the work.

        Raises
        ------
        BadRequest, ContextOverflow
            The server does not take the request.
        Overloaded, Unavailable
            The server is busy, cannot be reached, or broke off.
        BackendTimeout
            `request.timeout`, or one of `Patience`'s deadlines, has passed.
        EngineDead
            The backend was closed.
        """
        check_request(request)
        clock = Clock(self.name, request)
        progress = _Progress(stops=StopFilter(request.stop))
        try:
            response = await self._open(request, clock)
            try:
                patience = self._patience.first_token
                while (event := await clock.within(patience, anext(response, None), "token")) is not None:
                    patience = self._patience.next_token
                    text = self._take(event, progress)
                    if text:
                        yield Chunk(text=text)
                    if progress.stops.stopped:
                        progress.finish = "stop"
                        break
            finally:
                with anyio.move_on_after(1.0, shield=True):
                    await response.close()
        except Exception as error:
            raise translate(error, self._url, self._key) from error
        yield self._last(request, progress)

    async def aclose(self) -> None:
        """Close the connections; later calls raise `EngineDead`."""
        self._closed = True
        client, self._client = self._client, None
        if client is not None:
            await client.close()

    async def _open(self, request: Request, clock: Clock) -> Any:
        """Begin the answer; falls back to the schema in the prompt when the server refuses it."""
        client = self._connected()
        if self._model is None:
            await self._ask_model(client, clock)
        try:
            return await self._create(client, request, clock, in_prompt=self._schema_in_prompt)
        except self._sdk.APIStatusError as error:
            if request.json_schema is None or self._schema_in_prompt or not schema_refused(error):
                raise
        response = await self._create(client, request, clock, in_prompt=True)
        self._schema_in_prompt = True  # only now do we know that the schema was the reason
        return response

    async def _create(self, client: Any, request: Request, clock: Clock, *, in_prompt: bool) -> Any:
        """Send the request and wait for the answer's head."""
        messages = [{"role": message.role, "content": message.content} for message in request.messages]
        more: dict[str, Any] = {"stop": list(request.stop)} if request.stop else {}
        if request.json_schema is not None:
            schema = json.loads(json.dumps(request.json_schema, default=dict))
            if in_prompt:
                asked = "Answer with JSON only, valid under this JSON Schema:"
                messages[-1]["content"] += f"\n\n{asked}\n{json.dumps(schema, ensure_ascii=False)}"
            else:
                named = {"name": "answer", "schema": schema, "strict": True}
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
        return await clock.within(self._patience.first_token, call, "answer")

    def _take(self, event: Any, progress: _Progress) -> str:
        """Note what one event of the stream says; its text, as far as it may be shown."""
        progress.usage = event.usage or progress.usage
        if not event.choices:
            return ""
        choice = event.choices[0]
        match choice.finish_reason:
            case None:
                pass
            case "length":
                progress.finish = "length"
            case "content_filter":
                raise BadRequest(f"{self.name}: the server's content filter refused. Rephrase the request.")
            case _:
                progress.finish = "stop"
        text = progress.stops.push(choice.delta.content or "" if choice.delta else "")
        if progress.finish is not None:
            text += progress.stops.flush()
        progress.said += len(text)
        return text

    def _last(self, request: Request, progress: _Progress) -> Chunk:
        """The closing chunk, with the server's counts or an estimate."""
        if progress.finish is None:
            raise Unavailable(f"{self.name}: the answer broke off before its end. Look at the server's log.")
        usage, finish = progress.usage, progress.finish
        if usage is not None:
            prompt, answer = usage.prompt_tokens, usage.completion_tokens
            return Chunk(text="", finish=finish, prompt_tokens=prompt, completion_tokens=answer)
        prompt = sum(estimate_tokens(message.content) for message in request.messages)
        answer = -(-progress.said // 4)
        return Chunk(text="", finish=finish, prompt_tokens=prompt, completion_tokens=answer, estimated=True)

    def _connected(self) -> Any:
        """The SDK's client, made at the first use."""
        if self._closed:
            raise EngineDead(f"{self.name} was closed. Make a new Kit to go on.")
        if self._client is None:
            self._client = self._sdk.AsyncOpenAI(
                base_url=self._url,
                api_key=self._key or "none",
                max_retries=0,
                # A connection kept alive may be dead when we use it again, above all after an answer that
                # broke off; opening one costs nothing beside an answer.
                default_headers={"Connection": "close"},
                timeout=self._sdk.Timeout(None, connect=self._patience.connect),
            )
        return self._client

    async def _ask_model(self, client: Any, clock: Clock) -> None:
        """Take the first model that the server lists, and its context window where it says (vLLM does)."""
        page = await clock.within(self._patience.first_token, client.models.list(), "list of models")
        if not page.data:
            raise BadRequest(f"{public(self._url)}: the server lists no model. Load one, or give its name.")
        self._model = page.data[0].id
        window = getattr(page.data[0], "max_model_len", None)
        if isinstance(window, int) and window > 0:
            self._window = window
