"""`dyntaskmas doctor --try`: what a model can, its exit status, and Ctrl-C."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
from collections.abc import Iterator

import pytest

from dyntaskmas_nb.cli.main import main
from dyntaskmas_nb.llm.embedded.engine import EmbeddedLlama
from dyntaskmas_nb.llm.trial_checks import CHECKS
from tests.llm.openai_server import Body, Handler, Server, serve

pytest.importorskip("openai", reason="needs dyntaskmas_nb[openai]")


@pytest.fixture
def server() -> Iterator[Server]:
    """Serves the teaching model that comes with the package."""
    llama = EmbeddedLlama()
    ours = Server(llama)
    ours.models = [{"id": "llama", "object": "model", "owned_by": "vllm", "max_model_len": 1024}]
    ours.start()
    yield ours
    ours.stop()


def tried(capsys: pytest.CaptureFixture[str], model: str) -> tuple[int, list[str]]:
    status = main(["doctor", "--try", model])
    return status, capsys.readouterr().out.splitlines()


def test_a_good_server_gets_a_line_for_each_check_and_its_figures(
    server: Server, capsys: pytest.CaptureFixture[str]
) -> None:
    status, lines = tried(capsys, server.url)
    assert status == 0, lines
    checked, figures = lines[: len(CHECKS)], lines[len(CHECKS) :]
    assert [line[2:].partition(":")[0] for line in checked] == [check.name for check in CHECKS]
    assert {line[0] for line in checked} <= set("✓–")
    assert figures[0] == f"llama at {server.url}: window 1024 tokens"
    assert figures[1] == "hints used: priority, session; ignored: prefix_len, steps_to_next_use"
    assert figures[2].startswith("a repeated prompt: 0 of ")
    assert figures[3].endswith("tokens/s")
    assert len(figures) == 4


def test_several_addresses_are_tried_as_one(server: Server, capsys: pytest.CaptureFixture[str]) -> None:
    status, lines = tried(capsys, f"{server.url},{server.url}#llama")
    assert status == 0, lines
    assert f"llama at {server.url}, {server.url}: window 1024 tokens" in lines


def test_a_required_check_that_fails_is_the_exit_status(
    server: Server, capsys: pytest.CaptureFixture[str]
) -> None:
    server.chat = lambda handler, body: serve(handler, {**body, "stop": []} | {"max_tokens": 30})
    status, lines = tried(capsys, server.url)
    assert status == 1
    assert [line for line in lines if line.startswith("✗ max_tokens: 30 tokens although")]


def test_what_the_kit_can_do_without_is_said_but_costs_nothing(
    server: Server, capsys: pytest.CaptureFixture[str]
) -> None:
    def cut(handler: Handler, body: Body) -> None:
        long = len(body["messages"][0]["content"]) > 3000
        serve(handler, body | {"messages": [{"role": "user", "content": "Go."}]} if long else body)

    server.chat = cut
    status, lines = tried(capsys, server.url)
    assert status == 0, lines
    (line,) = [line for line in lines if line.startswith("✗")]
    assert line.startswith("✗ context overflow (the kit can do without): Of a prompt of about 2048 tokens")


def test_nobody_there_is_said_once(capsys: pytest.CaptureFixture[str]) -> None:
    status, lines = tried(capsys, "http://127.0.0.1:1/v1")
    assert status == 1
    assert len(lines) == 1
    assert "cannot be reached" in lines[0]


def test_what_is_no_model_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor", "--try", "gpt"]) == 2
    said = capsys.readouterr()
    assert "is no model we know" in said.err
    assert not said.out


def test_ctrl_c_ends_it_in_one_line() -> None:
    """The first check waits for ten minutes; the signal comes when the server was asked."""
    script = """
import signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)  # a job in the background starts without it
print("ready", flush=True)
from dyntaskmas_nb.cli.main import main
sys.exit(main(sys.argv[1:]))
"""
    server = Server()
    asked = threading.Event()

    def chat(handler: Handler, body: Body) -> None:
        asked.set()
        handler.ours.release.wait(20)

    server.chat = chat
    server.start()
    try:
        with subprocess.Popen(
            [sys.executable, "-c", script, "doctor", "--try", server.url],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        ) as started:
            assert asked.wait(60)
            started.send_signal(signal.SIGINT)
            out, err = started.communicate(timeout=30)
    finally:
        server.stop()
    assert started.returncode == 130
    assert out == "ready\n"
    assert err == "dyntaskmas: interrupted\n"
