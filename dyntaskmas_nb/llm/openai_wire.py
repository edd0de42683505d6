"""One OpenAI-compatible server: what it is, and one streamed call of it, with a deadline on every wait.

Connecting, the first token and each next one have deadlines of their own. A field beyond OpenAI's own that
the server refuses (vLLM takes `priority` only under its priority scheduling) is left out from then on.
"""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, Awaitable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlsplit, urlunsplit

import anyio

from dyntaskmas_nb.errors import (
    BackendError,
    BadRequest,
    EngineDead,
    InvalidInput,
    MissingExtra,
    Silent,
    Unavailable,
)
from dyntaskmas_nb.llm.dialects import Server, cached_tokens, counted, read_list, read_props
from dyntaskmas_nb.llm.json_answer import as_json
from dyntaskmas_nb.llm.openai_errors import (
    SchemaRefused,
    cannot_list,
    refused_fields,
    schema_refused,
    translate,
)
from dyntaskmas_nb.llm.protocol import Chunk, Finish, Request
from dyntaskmas_nb.llm.text import StopFilter, estimate_tokens

if TYPE_CHECKING:
    import openai

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """How long to wait for the server, in seconds: to connect, for the first token, for each next one.

    `pause` passes before it is asked again, twice as long each time; where it says how long (Retry-After)
    that long, unless this is more than `longest_pause`: then the error is raised.
    """

    connect: float = 5.0
    first_token: float = 120.0
    next_token: float = 60.0
    pause: float = 0.5
    longest_pause: float = 30.0


class Wire:
    """The way to the server at `url`; belongs to one asyncio event loop. `extra` goes into every request.

    Raises `InvalidInput` for what is no http address, `MissingExtra` without the `openai` package.
    """

    def __init__(
        self, url: str, model: str | None, api_key: str | None, patience: Patience, extra: Mapping[str, Any]
    ) -> None:
        try:
            parts = urlsplit(url)
            whole = parts.scheme in {"http", "https"} and parts.hostname and parts.port != 0
        except ValueError:
            parts, whole = urlsplit(""), False
        if not whole:
            raise InvalidInput(f"{url!r} is no http address; give one such as http://127.0.0.1:8000/v1.")
        try:
            import openai
        except ImportError as error:
            raise MissingExtra(
                "A model behind an address needs the openai package: pip install 'dyntaskmas_nb[openai]'."
            ) from error
        self._where = urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))  # without password
        self._model, self._key, self._extra = model, api_key, dict(extra)
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
        self._props = url.rstrip("/").removesuffix("/v1") + "/props"
        self._finding_out = anyio.Lock()  # many requests begin at once; one of them asks
        self._asked = 0  # how often that failed
        self._failed: BackendError | None = None
        self._refused: set[str] = set()
        self.server: Server | None = None

    @property
    def name(self) -> str:
        """The model's name (once known) and where it is."""
        return f"{self.server.model if self.server else self._model or 'model'} at {self._where}"

    @property
    def hints(self) -> frozenset[str]:
        """Those that the server uses, as far as known."""
        known = self.server.dialect.hints if self.server else {}
        return frozenset(hint for hint, (name, _) in known.items() if name not in self._refused)

    async def close(self) -> None:
        """Close the connections; later calls raise `EngineDead`."""
        client, self._client = self._client, None
        if client is not None:
            await client.close()

    async def find_out(self) -> None:
        """Ask the server what it is, once; where that fails, it fails for all who wait for it."""
        asked = self._asked
        async with self._finding_out:
            if self.server is not None:
                return
            if self._failed is not None and self._asked > asked:  # while this one waited
                raise type(self._failed)(str(self._failed)) from self._failed
            try:
                self.server = await self._find_out()
            except Exception as error:
                self._asked, self._failed = self._asked + 1, translate(error, self._where, self._key)
                raise self._failed from error

    async def call(self, request: Request) -> AsyncGenerator[Chunk, None]:
        """Send `request` once and yield what comes; closing the iterator closes the connection.

        Raises what `translate` says, and `SchemaRefused` where the server may know no JSON schemas.
        """
        stops, said, cached = StopFilter(request.stop), 0, 0
        usage: tuple[int, int] | None = None
        finish: Finish | None = None
        try:
            response = await self._open(request)
            try:
                seconds = self._patience.first_token
                while (event := await self._within(seconds, anext(response, None), "token")) is not None:
                    seconds = self._patience.next_token
                    usage, cached = counted(event) or usage, cached_tokens(event) or cached
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
            if request.json_schema is not None and schema_refused(error):
                raise SchemaRefused from error
            raise translate(error, self._where, self._key) from error
        if finish is None:
            raise Unavailable(f"{self.name}: the answer broke off before its end. Look at the server's log.")
        prompt = sum(estimate_tokens(message.content) for message in request.messages)
        yield Chunk(
            text="",
            finish=finish,
            prompt_tokens=usage[0] if usage else prompt,
            completion_tokens=usage[1] if usage else -(-said // 4),
            estimated=not usage,
            cached_tokens=cached,
        )

    def _finish(self, choice: Any) -> Finish | None:
        """Why the answer ended, if it did."""
        if choice.finish_reason == "content_filter":
            raise BadRequest(f"{self.name}: the server's content filter refused. Rephrase the request.")
        if choice.finish_reason is None:
            return None
        return "length" if choice.finish_reason == "length" else "stop"

    async def _open(self, request: Request) -> Any:
        """Send the request and wait for the answer's head; again without the fields that are refused."""
        from openai import APIStatusError

        while True:
            own = self.server.dialect.fields(request) if self.server else {}
            own = {name: own[name] for name in own.keys() - self._refused - self._extra.keys()}
            call = self._open_client().chat.completions.create(
                model=self.server.model if self.server else "",
                **_body(request),
                extra_body={**own, **self._extra},
            )
            try:
                return await self._within(self._patience.first_token, call, "answer")
            except APIStatusError as error:
                if not (refused := refused_fields(error, own)):
                    raise
                self._refused |= refused

    async def _find_out(self) -> Server:
        """Read the list of models, and /props where the server has it."""
        from openai import APIError

        client, seconds = self._open_client(), self._patience.first_token
        try:
            # Read as it comes: the SDK's own `models.list` breaks on what is no such list.
            listed = await self._within(seconds, client.get("/models", cast_to=object), "list of models")
        except ValueError:
            listed = None
        except APIError as error:
            if self._model is None or not cannot_list(error):
                raise
            listed = None
        if (found := read_list(listed, self._model)) is None:
            if not isinstance(listed, Mapping) or not isinstance(listed.get("data"), list):
                raise BadRequest(
                    f"{self._where} answers, but not as an OpenAI-compatible server. Check the port, and "
                    "that the address ends as in …/v1."
                )
            raise BadRequest(f"{self._where}: the server lists no model. Load one, or give its name.")
        if found.window is None and found.dialect.props:
            try:
                props = await self._within(seconds, client.get(self._props, cast_to=object), "/props")
            except APIError:  # switched off, or not passed on: then what the model was trained for has to do
                props = None
            found = replace(found, window=read_props(props) or found.trained)
        return found

    def _open_client(self) -> Any:
        if self._client is None:
            raise EngineDead(f"{self.name} was closed. Make a new Kit to go on.")
        return self._client

    async def _within(self, seconds: float, waiting: Awaitable[T], what: str) -> T:
        """Wait at most `seconds`."""
        with anyio.move_on_after(seconds):
            return await waiting
        raise Silent(f"{self.name}: no {what} for {seconds:g} s. Is the server stuck or overloaded?")


def _body(request: Request) -> dict[str, Any]:
    """What every server takes."""
    more: dict[str, Any] = {"stop": list(request.stop)} if request.stop else {}
    if request.json_schema is not None:
        named = {"name": "answer", "schema": json.loads(as_json(request.json_schema)), "strict": True}
        more["response_format"] = {"type": "json_schema", "json_schema": named}
    return {
        "messages": [{"role": message.role, "content": message.content} for message in request.messages],
        "max_tokens": request.max_tokens,
        "temperature": request.temperature,
        "seed": request.seed,
        "stream": True,
        "stream_options": {"include_usage": True},
        **more,
    }
