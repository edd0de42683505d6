"""Servers that speak nonsense, or byte by byte: a deadline or a typed error that says where, never a hang."""

from __future__ import annotations

import re
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import anyio
import pytest

from dyntaskmas_nb.errors import BackendTimeout, BadRequest, Silent, Unavailable
from dyntaskmas_nb.llm.openai_compatible import OpenAICompatible
from dyntaskmas_nb.llm.openai_wire import Patience
from dyntaskmas_nb.llm.protocol import Chunk, complete
from dyntaskmas_nb.llm.trial_checks import ask

pytest.importorskip("openai", reason="needs dyntaskmas_nb[openai]")

HANG = 30.0
"""Seconds after which something hangs."""

Reply = Callable[[socket.socket, str], None]
"""What a bad server does with a connection that asked for a path; the connection is closed afterwards."""


@contextmanager
def raw_server(reply: Reply) -> Iterator[str]:
    """The address of a server that takes each request, and then says to it whatever `reply` does."""

    def talk(peer: socket.socket) -> None:
        # Who is left by the client gets an error here, which is what ends the patient ones.
        with peer, suppress(OSError):
            asked = peer.recv(65536)
            while not complete_request(asked) and (more := peer.recv(65536)):
                asked += more
            reply(peer, asked.split(b" ")[1].decode())

    def listen() -> None:
        with suppress(OSError):
            while True:
                peer, _ = door.accept()
                peer.settimeout(20)
                talks.append(threading.Thread(target=talk, args=(peer,)))
                talks[-1].start()

    talks: list[threading.Thread] = []
    with socket.create_server(("127.0.0.1", 0)) as door:
        listener = threading.Thread(target=listen)
        listener.start()
        try:
            yield f"http://127.0.0.1:{door.getsockname()[1]}/v1"
        finally:
            door.shutdown(socket.SHUT_RDWR)
            listener.join()
            for one in talks:
                one.join()


def complete_request(asked: bytes) -> bool:
    """Whether head and body of an HTTP request are there."""
    head, end, body = asked.partition(b"\r\n\r\n")
    length = re.search(rb"content-length: *(\d+)", head.lower())
    return bool(end) and len(body) >= int(length[1] if length else 0)


# --- what they say -----------------------------------------------------------------------------------------

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n"
LIST = b'{"object":"list","data":[{"id":"tiny","object":"model","created":0,"owned_by":"us"}]}'
WORD = b'data: {"id":"1","object":"chat.completion.chunk","created":0,"model":"tiny","choices":[%s]}\n\n'
SAID = WORD % b'{"index":0,"delta":{"content":"So"},"finish_reason":null}'
ENDED = WORD % b'{"index":0,"delta":{},"finish_reason":"stop"}'
SHORT = Patience(connect=2.0, first_token=0.3, next_token=0.3)


def after_the_list(data: bytes, *, slowly: bytes = b"") -> Reply:
    """Says which models there are, and to a request `data`, then `slowly` again and again, byte by byte."""

    def reply(peer: socket.socket, path: str) -> None:
        if path == "/v1/models":
            peer.sendall(HEAD.replace(b"text/event-stream", b"application/json") + b"\r\n" + LIST)
            return
        peer.sendall(data)
        dribble(peer, slowly)

    return reply


def dribble(peer: socket.socket, slowly: bytes) -> None:
    """Send `slowly` byte by byte, again and again, until the client has left: then it raises `OSError`."""
    while slowly:
        for byte in slowly:
            peer.sendall(bytes([byte]))
            peer.settimeout(0.005)
            try:
                if not peer.recv(1):
                    return
            except TimeoutError:
                peer.settimeout(20)


SLOW = {
    "list of models": lambda peer, _: dribble(peer, LIST),
    "head": lambda peer, _: dribble(peer, HEAD),
    "head of the answer": after_the_list(b"", slowly=HEAD),
    "endless head": after_the_list(HEAD, slowly=b"X-More: yes\r\n"),
    "first event": after_the_list(HEAD + b"\r\n", slowly=b"data: {"),
    "only signs of life": after_the_list(HEAD + b"\r\n", slowly=b": wait\n\n"),
    "next event": after_the_list(HEAD + b"\r\n" + SAID, slowly=b" "),
    "only signs of life after a word": after_the_list(HEAD + b"\r\n" + SAID, slowly=b": wait\n\n"),
}

GARBAGE = {
    "nothing": lambda peer, _: None,
    "noise": lambda peer, _: peer.sendall(bytes(range(256)) * 64),
    "noise for an answer": after_the_list(bytes(range(256)) * 64),
    "another protocol": after_the_list(b"220 mail.example ESMTP ready\r\n"),
    "a page": after_the_list(HEAD.replace(b"event-stream", b"html") + b"\r\n<html>Welcome</html>"),
    "no events": after_the_list(HEAD + b"\r\n" + bytes(range(128, 256)) * 64),
    "no JSON": after_the_list(HEAD + b"\r\ndata: {so\n\n"),
    "a number": after_the_list(HEAD + b"\r\ndata: 42\n\n"),
    "null": after_the_list(HEAD + b"\r\ndata: null\n\n"),
    "a list": after_the_list(HEAD + b"\r\ndata: [1]\n\n"),
    "choices that are none": after_the_list(HEAD + b'\r\ndata: {"choices": 7}\n\n'),
    "a choice that is none": after_the_list(HEAD + b"\r\n" + WORD % b"7"),
    "a delta that is none": after_the_list(HEAD + b"\r\n" + WORD % b'{"delta": "So", "finish_reason": null}'),
    "content that is no text": after_the_list(
        HEAD + b"\r\n" + WORD % b'{"delta": {"content": {"a": 1}}, "finish_reason": null}'
    ),
    "too short": after_the_list(HEAD + b"Content-Length: 10000\r\n\r\n" + SAID),
    "no gzip": after_the_list(HEAD + b"Content-Encoding: gzip\r\n\r\n" + SAID),
    "no chunks": after_the_list(HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + SAID),
    "a redirection to itself": after_the_list(
        b"HTTP/1.1 307 Temporary Redirect\r\nLocation: /v1/chat/completions\r\nConnection: close\r\n"
        b"Content-Length: 0\r\n\r\n"
    ),
}


def asked(reply: Reply) -> Chunk:
    """Ask such a server for an answer."""

    async def play(url: str) -> Chunk:
        backend = OpenAICompatible(url, patience=SHORT, retries=0)
        try:
            with anyio.fail_after(HANG):
                return await complete(backend, ask(backend, max_tokens=4))
        finally:
            await backend.aclose()

    with raw_server(reply) as url:
        return anyio.run(play, url)


@pytest.mark.parametrize("reply", SLOW.values(), ids=SLOW)
def test_slow_servers_meet_a_deadline(reply: Reply) -> None:
    with pytest.raises(BackendTimeout, match=r"no (list of models|answer|token) for 0\.3 s"):
        asked(reply)


@pytest.mark.parametrize("reply", GARBAGE.values(), ids=GARBAGE)
def test_nonsense_is_unavailable(reply: Reply) -> None:
    with pytest.raises(Unavailable, match=r"http://127\.0\.0\.1:"):
        asked(reply)


@pytest.mark.parametrize("counts", [b'"many"', b'{"prompt_tokens":"7","completion_tokens":null}', b"[7]"])
def test_counts_that_are_none_are_estimated(counts: bytes) -> None:
    done = asked(after_the_list(HEAD + b"\r\n" + SAID + ENDED + b'data: {"usage": %s}\n\n' % counts))
    assert (done.text, done.estimated, done.completion_tokens) == ("So", True, 1)


async def test_who_waits_for_a_silent_server_to_say_what_it_is_waits_once() -> None:
    asked: list[str] = []
    over = threading.Event()

    def silent(_: socket.socket, path: str) -> None:
        asked.append(path)
        over.wait(HANG)

    errors: list[BackendTimeout] = []
    with raw_server(silent) as url:
        backend = OpenAICompatible(url, patience=SHORT, retries=0)

        async def one() -> None:
            with pytest.raises(Silent, match="no list of models") as caught:
                await complete(backend, ask(backend))
            errors.append(caught.value)

        with anyio.fail_after(HANG):
            async with anyio.create_task_group() as group:
                for _ in range(6):
                    group.start_soon(one)
        await backend.aclose()
        over.set()
    assert asked == ["/v1/models"]
    assert len({id(error) for error in errors}) == 6


async def test_a_page_that_is_no_such_server_says_so() -> None:
    def page(peer: socket.socket, _: str) -> None:
        peer.sendall(HEAD.replace(b"text/event-stream", b"text/html") + b"\r\n<html>Welcome</html>")

    with raw_server(page) as url:
        backend = OpenAICompatible(url, patience=SHORT, retries=0)
        with pytest.raises(BadRequest, match="not as an OpenAI-compatible server"):
            await complete(backend, ask(backend))
        await backend.aclose()
