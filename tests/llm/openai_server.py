"""A real HTTP server on loopback that speaks the OpenAI streaming protocol, well or badly.

It serves any `Backend` of ours; a test replaces `chat` to see how we take what servers do wrong.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from contextlib import aclosing
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import anyio

from dyntaskmas_nb.errors import ContextOverflow
from dyntaskmas_nb.llm.protocol import Backend, Message, Request

Body = dict[str, Any]


class Server:
    """Serves on an ephemeral port from `start` to `stop`; remembers what it was asked."""

    def __init__(self, backend: Backend | None = None) -> None:
        self.backend = backend
        self.models: list[Body] = [{"id": "tiny", "object": "model", "created": 0, "owned_by": "us"}]
        self.props: Body | None = None  # what llama-server says of itself; None: it has no such page
        self.got: list[str] = []
        self.asked: list[Body] = []
        self.keys: list[str | None] = []
        self.chat: Callable[[Handler, Body], None] = serve
        self.broken = threading.Event()  # the client closed a stream before its end
        self.release = threading.Event()  # lets those go that stall
        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._http.daemon_threads = False
        self._http.ours = self  # type: ignore[attr-defined]
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.01,))

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._http.server_address[1]}/v1"

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self.release.set()
        self._http.shutdown()
        self._thread.join()
        self._http.server_close()


class Handler(BaseHTTPRequestHandler):
    """One connection."""

    timeout = 20

    @property
    def ours(self) -> Server:
        server: Server = self.server.ours  # type: ignore[attr-defined]
        return server

    def log_message(self, *_: object) -> None:
        """Keep quiet."""

    def do_GET(self) -> None:
        self.ours.got.append(self.path)
        if self.path == "/v1/models":
            self.answer(200, {"object": "list", "data": self.ours.models})
        elif self.path == "/props" and self.ours.props is not None:
            self.answer(200, self.ours.props)
        else:
            self.error(404, "no such page")

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.ours.asked.append(body)
        self.ours.keys.append(self.headers["Authorization"])
        try:
            self.ours.chat(self, body)
        except (BrokenPipeError, ConnectionResetError):
            self.ours.broken.set()
        self.close_connection = True

    def answer(self, status: int, body: Body | str, **headers: str) -> None:
        """A whole answer."""
        data = (body if isinstance(body, str) else json.dumps(body)).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(data)

    def error(self, status: int, message: str, **fields: str) -> None:
        """An error as OpenAI words them."""
        self.answer(status, {"error": {"message": message, **fields}})

    def begin(self) -> None:
        """The head of a stream."""
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.end_headers()

    def event(self, event: Body | str) -> None:
        """One event of a stream."""
        data = event if isinstance(event, str) else json.dumps(event)
        self.wfile.write(f"data: {data}\n\n".encode())
        self.wfile.flush()

    def say(self, text: str | None, finish: str | None = None) -> None:
        """One piece of an answer."""
        choice = {"index": 0, "delta": {"content": text}, "finish_reason": finish}
        self.event(frame() | {"choices": [choice]})

    def usage(self, prompt: int, answer: int, details: Body | None = None, **more: Body) -> None:
        """The token counts, and the end."""
        counts = {"prompt_tokens": prompt, "completion_tokens": answer, "total_tokens": prompt + answer}
        counts |= {"prompt_tokens_details": details} if details else {}
        self.event(frame() | {"choices": [], "usage": counts, **more})
        self.event("[DONE]")


def frame() -> Body:
    """What every event of a stream carries."""
    return {"id": "1", "object": "chat.completion.chunk", "created": 0, "model": "tiny"}


def serve(handler: Handler, body: Body) -> None:
    """Answer from the backend, as a good server does."""
    schema = body.get("response_format", {}).get("json_schema", {}).get("schema")
    request = Request(
        messages=tuple(Message(**message) for message in body["messages"]),
        max_tokens=body["max_tokens"],
        temperature=body["temperature"],
        seed=body["seed"],
        stop=tuple(body.get("stop", ())),
        json_schema=schema,
    )

    async def play() -> None:
        backend, begun = handler.ours.backend, False
        assert backend is not None
        async with aclosing(backend.stream(request)) as chunks:
            async for chunk in chunks:
                if not begun:
                    handler.begin()
                    begun = True
                handler.say(chunk.text, chunk.finish)
                if chunk.finish is not None and body["stream_options"]["include_usage"]:
                    handler.usage(chunk.prompt_tokens, chunk.completion_tokens)

    try:
        anyio.run(play)
    except ContextOverflow as error:
        handler.error(400, f"maximum context length: {error}")


def whole(handler: Handler, finish: str, *, usage: bool) -> None:
    handler.begin()
    handler.say(None)
    handler.say("abcd efgh")
    handler.say("", finish)
    if usage:
        handler.usage(7, 5)
    else:
        handler.event("[DONE]")


def ask(content: str = "Plan a trip.", max_tokens: int = 12, **fields: object) -> Request:
    return Request(messages=(Message(role="user", content=content),), max_tokens=max_tokens, **fields)  # type: ignore[arg-type]
