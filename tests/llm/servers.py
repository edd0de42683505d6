"""Servers that are not ours, as processes on loopback: llama.cpp's `llama-server`, and `llama_cpp.server`.

`tools/llama_server.py` builds them; where they are missing, tests are skipped, in CI they fail. Both serve
any checkpoint of ours, converted to GGUF (`tools/teaching_llama/gguf.py`). Everything here blocks: in an
async test call `kill`, `restart` and the like through `anyio.to_thread.run_sync`.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.request import ProxyHandler, Request, build_opener

import pytest

from tools import llama_server as builder

READY = 60.0
"""Seconds that a server may take to begin to answer; a tenth of one is usual."""

LEASH = 'exec 3<&0; (cat <&3 >/dev/null; kill -9 0) & exec "$@" </dev/null 3<&-'
"""Runs a program that ends with us, whatever ends us: the pipe to `cat` closes, and the group is killed."""

OPENER = build_opener(ProxyHandler({}))
"""Asks loopback itself, whatever proxy the machine has."""


class ForeignServer:
    """A server's process, and one port that it keeps over restarts; `log` is a file that it appends to."""

    def __init__(
        self, command: Callable[[int], list[str]], health: str, log: Path, env: Mapping[str, str]
    ) -> None:
        self.port = free_port()
        self.log = log
        self._command = command(self.port)
        self._health = health
        self._env = {**os.environ, **env}
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """The address for `OpenAICompatible`."""
        return f"http://127.0.0.1:{self.port}/v1"

    @property
    def alive(self) -> bool:
        """Whether the process runs."""
        return self._process is not None and self._process.poll() is None

    def start(self) -> None:
        """Start the process and wait until it answers; an `AssertionError` with its log if it does not."""
        assert self._process is None, "it was started already"
        self.log.parent.mkdir(parents=True, exist_ok=True)
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                ["/bin/sh", "-c", LEASH, "sh", *self._command],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=self._env,
                start_new_session=True,
            )
        deadline = time.monotonic() + READY
        while not self._answers():
            if not self.alive or time.monotonic() > deadline:
                why = f"did not answer within {READY:g} s" if self.alive else "ended at once"
                self.kill()
                raise AssertionError(f"{self._command[0]} {why}:\n{self.tail()}")
            time.sleep(0.02)

    def kill(self) -> None:
        """End it as the system does when memory is short (SIGKILL): connections break, nothing is said."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        """Ask it to end (SIGTERM), and make it after a second: an open stream would hold it."""
        self._end(signal.SIGTERM)

    def restart(self) -> None:
        """Start it again, on the same port; whatever it was doing is lost."""
        self.kill()
        self.start()

    def pause(self) -> None:
        """Stop it in its tracks (SIGSTOP): connections stay open and nothing comes, until `resume`."""
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Let it go on after `pause`."""
        self._signal(signal.SIGCONT)

    def get(self, path: str) -> Any:
        """The JSON at a path from the root."""
        return self._ask(path)

    def post(self, path: str, body: object) -> Any:
        """The JSON that answers a JSON body."""
        return self._ask(path, json.dumps(body).encode())

    def slots(self) -> int:
        """How many requests it computes at this moment; `llama-server` only."""
        return sum(slot["is_processing"] for slot in self.get("/slots"))

    def wait_for_slots(self, busy: int, seconds: float = 10.0) -> None:
        """Wait until exactly `busy` requests are computed; an `AssertionError` if that does not come."""
        deadline = time.monotonic() + seconds
        while (seen := self.slots()) != busy:
            assert time.monotonic() < deadline, f"{seen} slots busy, not {busy}:\n{self.tail()}"
            time.sleep(0.01)

    def tail(self, lines: int = 40) -> str:
        """The end of its log."""
        text = self.log.read_text(encoding="utf-8", errors="replace") if self.log.exists() else ""
        return "\n".join(text.splitlines()[-lines:])

    def _ask(self, path: str, body: bytes | None = None) -> Any:
        url = f"http://127.0.0.1:{self.port}{path}"
        request = Request(url, data=body, headers={"Content-Type": "application/json"})
        with OPENER.open(request, timeout=30) as response:
            return json.load(response)

    def _answers(self) -> bool:
        """Whether it is ready."""
        try:
            self._ask(self._health)
        except (URLError, OSError, ValueError):  # nobody there, or the model is still being read (503)
            return False
        return self.alive

    def _signal(self, number: signal.Signals) -> None:
        assert self._process is not None, "it does not run"
        self._process.send_signal(number)

    def _end(self, number: signal.Signals) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        process.send_signal(number)
        process.send_signal(signal.SIGCONT)  # a paused process hears nothing else
        try:
            process.wait(1)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)  # the leash, and whatever else is left of the group
        assert process.stdin is not None
        process.stdin.close()


@contextmanager
def llama_server(
    model: Path, log: Path, *, slots: int = 2, context: int = 1024, more: tuple[str, ...] = ()
) -> Iterator[ForeignServer]:
    """`llama-server` on the GGUF file `model`: `slots` requests at once, `context` tokens each.

    Keys and values are float32 and one thread computes, so that answers do not depend on chance. The context
    may be longer than what the model was made for. `more` are further arguments.
    """
    built = required()
    arguments = ["-m", str(model), "-np", str(slots), "-c", str(slots * context), "--jinja", "--offline"]
    arguments += ["-t", "1", "-tb", "1", "-ctk", "f32", "-ctv", "f32", "-fa", "off"]
    arguments += ["--override-kv", f"llama.context_length=int:{context}"]
    arguments += ["--no-ui", "--no-warmup", "--cache-ram", "0", *more]

    def command(port: int) -> list[str]:
        return [str(built.server), "--host", "127.0.0.1", "--port", str(port), *arguments]

    with running(ForeignServer(command, "/health", log, {})) as server:
        yield server


@contextmanager
def llama_cpp_server(
    model: Path, log: Path, *, context: int = 1024, more: tuple[str, ...] = ()
) -> Iterator[ForeignServer]:
    """`llama_cpp.server` on the GGUF file `model`: one request at a time, and a new one cuts off a stream.

    With `more=("--interrupt_requests", "false")` it finishes what it does before it takes the next.
    """
    built = required()
    arguments = ["--model", str(model), "--n_ctx", str(context), "--n_threads", "1"]

    def command(port: int) -> list[str]:
        program = [str(built.python), "-m", "llama_cpp.server", "--host", "127.0.0.1", "--port", str(port)]
        return [*program, *arguments, *more]

    env = {"LLAMA_CPP_LIB_PATH": str(built.libraries), "PYTHONPATH": str(built.modules)}
    with running(ForeignServer(command, "/v1/models", log, env)) as server:
        yield server


@contextmanager
def running(server: ForeignServer) -> Iterator[ForeignServer]:
    """Start it, and end it in any case."""
    server.start()
    try:
        yield server
    finally:
        server.stop()


def required() -> builder.Paths:
    """Where the servers are; without them the test is skipped, in CI it fails."""
    if (found := builder.find()) is not None:
        return found
    what = "llama.cpp's server is not built: `make llama` builds it"
    if os.environ.get("CI"):
        pytest.fail(f"CI runs the tests on foreign servers, but {what}")
    pytest.skip(what)


def free_port() -> int:
    """A port of loopback that nobody has."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port: int = taken.getsockname()[1]
    return port
