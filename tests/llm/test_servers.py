"""The servers that the conformance tests talk to are what they say they are, and compute what we compute."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import aclosing
from pathlib import Path
from urllib.error import HTTPError, URLError

import anyio
import numpy as np
import psutil
import pytest
from threadpoolctl import threadpool_limits

from dyntaskmas_nb.errors import Unavailable
from dyntaskmas_nb.llm.embedded.chat import ChatTokenizer
from dyntaskmas_nb.llm.embedded.checkpoint import Floats, read_config, read_weights
from dyntaskmas_nb.llm.embedded.engine import SHIPPED
from dyntaskmas_nb.llm.embedded.model import Llama
from dyntaskmas_nb.llm.openai_compatible import OpenAICompatible
from dyntaskmas_nb.llm.protocol import Message, Request
from tests.llm.servers import ForeignServer, llama_cpp_server, llama_server, required
from tools.teaching_llama.gguf import convert

ROOT = Path(__file__).parents[2]

CLOSE = 2e-3
"""How far log probabilities may lie apart: both sides add in float32, in another order."""

PROSE = [
    "Plan a 3-day trip to Kyoto for two with a budget of $1,500.",
    "Write a report on the energy use of data centres; compare 4 sources, please!",
    "Café in Zürich — “now”, naïve ÖÄß 東京 🙂\n\n  two  spaces\tand a tab.",
    "",
]
JSON = '{"subtasks":[{"id":"a","description":"Book it","role":"planner","complexity":2,"depends_on":[]}]}'


class Ours:
    """One checkpoint as our engine computes it."""

    def __init__(self, folder: Path) -> None:
        config = read_config(folder)
        self.folder = folder
        self.tokenizer = ChatTokenizer(folder, config)
        self.vocabulary = config.vocab_size
        self.llama = Llama(config, read_weights(folder, config))

    def log_probabilities(self, prompt: Sequence[int], answer: Sequence[int]) -> Floats:
        """Of every token at each place of `answer`, (tokens, vocabulary)."""
        with threadpool_limits(1):  # the matrices are too small to share out
            logits = [self.llama.prefill(0, prompt)]
            for index, token in enumerate(answer[:-1]):
                logits += [*self.llama.decode([token], [len(prompt) + index])]
        rows = np.stack(logits)
        rows -= rows.max(axis=1, keepdims=True)
        result: Floats = rows - np.log(np.exp(rows).sum(axis=1, keepdims=True))
        return result

    def unfit(self) -> list[int]:
        """Tokens that are no ASCII text: the server keeps quiet about halves of a character."""
        pieces = (self.tokenizer.bytes_tokenizer.decode_bytes([token]) for token in range(self.vocabulary))
        return [token for token, piece in enumerate(pieces) if not piece.isascii()]


@pytest.fixture(scope="module", params=["shipped", "tiny"])
def ours(request: pytest.FixtureRequest, tiny_folder: Path) -> Ours:
    required()
    return Ours(SHIPPED if request.param == "shipped" else tiny_folder)


@pytest.fixture(scope="module")
def served(ours: Ours, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ForeignServer]:
    """`llama-server` on the same checkpoint."""
    folder = tmp_path_factory.mktemp("gguf")
    convert(ours.folder, folder / "model.gguf")
    window = ours.llama.config.max_position_embeddings
    with llama_server(folder / "model.gguf", folder / "log", context=window) as server:
        yield server


@pytest.fixture(scope="module")
def tiny_gguf(tiny_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("gguf") / "tiny.gguf"
    convert(tiny_folder, path)
    return path


def conversation(*contents: str) -> tuple[Message, ...]:
    return tuple(
        Message(role="user" if index % 2 else "system", content=content)
        for index, content in enumerate(contents)
    )


# --- the same model ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", [*PROSE, JSON])
def test_the_same_tokens(ours: Ours, served: ForeignServer, text: str) -> None:
    tokens = served.post("/tokenize", {"content": text, "add_special": True})["tokens"]
    assert tokens == ours.tokenizer.encode(text)
    pieces = b"".join(ours.tokenizer.bytes_tokenizer.decode_bytes([token]) for token in tokens)
    assert served.post("/detokenize", {"tokens": tokens})["content"].encode() == pieces == text.encode()


def test_the_same_prompt(ours: Ours, served: ForeignServer) -> None:
    messages = conversation("You plan.", PROSE[0], "Go on.", PROSE[1])
    body = {"messages": [{"role": message.role, "content": message.content} for message in messages]}
    prompt = served.post("/apply-template", body)["prompt"]
    tokens = served.post("/tokenize", {"content": prompt, "parse_special": True, "add_special": True})
    assert tokens["tokens"] == ours.tokenizer.prompt(messages)


@pytest.mark.parametrize("text", PROSE)
def test_the_same_answer(ours: Ours, served: ForeignServer, text: str) -> None:
    """Token by token: what the server thinks of the likeliest, and that it takes the likeliest.

    Where two are as good as equal, rounding may choose: hence each step is compared after the server's own
    tokens, and not the two answers as wholes.
    """
    prompt, unfit = ours.tokenizer.prompt(conversation("Answer.", text)), ours.unfit()
    asked = {"prompt": prompt, "n_predict": 24, "temperature": 0, "n_probs": 8, "cache_prompt": False}
    steps = served.post("/completion", {**asked, "logit_bias": [[token, False] for token in unfit]})[
        "completion_probabilities"
    ]
    assert len(steps) > 1
    answer = [step["id"] for step in steps]
    expected = ours.log_probabilities(prompt, answer)
    for step, row in zip(steps, expected, strict=True):
        likeliest = {one["id"]: one["logprob"] for one in step["top_logprobs"]}
        np.testing.assert_allclose(list(likeliest.values()), row[list(likeliest)], atol=CLOSE, rtol=0)
    expected[:, unfit] = -np.inf
    assert (np.take_along_axis(expected, np.array(answer)[:, None], 1)[:, 0] >= expected.max(1) - CLOSE).all()


# --- the same protocol -------------------------------------------------------------------------------------

SCHEMA = {"type": "object", "properties": {"word": {"type": "string", "maxLength": 6}}, "required": ["word"]}


async def answer(server: ForeignServer, **fields: object) -> tuple[str, int, int]:
    """What it says, and the tokens it counted."""
    backend = OpenAICompatible(server.url)
    asked = Request(messages=conversation("Answer.", PROSE[0]), **fields)  # type: ignore[arg-type]
    try:
        async with aclosing(backend.stream(asked)) as chunks:
            said = [chunk async for chunk in chunks]
    finally:
        await backend.aclose()
    assert not said[-1].estimated
    return "".join(chunk.text for chunk in said), said[-1].prompt_tokens, said[-1].completion_tokens


async def test_llama_server_answers(ours: Ours, served: ForeignServer) -> None:
    text, prompt, answered = await answer(served, max_tokens=12, temperature=0.0)
    assert text
    assert prompt == len(ours.tokenizer.prompt(conversation("Answer.", PROSE[0])))
    assert 1 <= answered <= 12


async def test_llama_server_keeps_to_a_schema(served: ForeignServer) -> None:
    text, _, _ = await answer(served, max_tokens=200, temperature=0.0, json_schema=SCHEMA)
    assert len(json.loads(text)["word"]) <= 6


def test_llama_cpp_server_answers_and_breaks_on_a_schema(tiny_gguf: Path, tmp_path: Path) -> None:
    """The quirk that makes it worth a test: for a response format that it does not know, HTTP 500."""
    body = {"messages": [{"role": "user", "content": "Go."}], "max_tokens": 4}
    kept = {"type": "json_schema", "json_schema": {"name": "answer", "schema": SCHEMA}}
    with llama_cpp_server(tiny_gguf, tmp_path / "log", context=384) as server:
        done = server.post("/v1/chat/completions", body)
        assert 1 <= done["usage"]["completion_tokens"] <= 4
        with pytest.raises(HTTPError) as caught:
            server.post("/v1/chat/completions", {**body, "response_format": kept})
        assert caught.value.code == 500
        caught.value.close()


LONG = 20_000
"""A context that takes the tiny model longer to fill than any of these tests waits."""

ENDLESS = {"ignore_eos": True}

# --- the processes -----------------------------------------------------------------------------------------


async def test_killed_it_breaks_off_and_restarted_it_answers_again(tiny_gguf: Path, tmp_path: Path) -> None:
    long = Request(messages=conversation("Answer.", PROSE[1]), max_tokens=LONG - 200)

    async def read(backend: OpenAICompatible, *, killing: bool) -> str:
        async with aclosing(backend.stream(long)) as chunks:
            async for chunk in chunks:
                if not killing:
                    return chunk.text
                server.kill()
        raise AssertionError("the answer came to its end")

    with llama_server(tiny_gguf, tmp_path / "log", slots=1, context=LONG) as server:
        backend, port = OpenAICompatible(server.url, retries=0, extra_body=ENDLESS), server.port
        with pytest.raises(Unavailable):
            await read(backend, killing=True)
        assert not server.alive
        with pytest.raises(URLError):
            server.get("/health")
        await anyio.to_thread.run_sync(server.restart)
        assert server.port == port
        assert await read(backend, killing=False)
        await backend.aclose()


async def test_slots_tell_how_many_are_computed(tiny_gguf: Path, tmp_path: Path) -> None:
    """One stream that is read no further keeps one slot; closing it frees the slot."""
    long = Request(messages=conversation("Answer.", PROSE[1]), max_tokens=LONG - 200)
    with llama_server(tiny_gguf, tmp_path / "log", slots=2, context=LONG) as server:
        assert server.slots() == 0
        backend = OpenAICompatible(server.url, extra_body=ENDLESS)
        async with aclosing(backend.stream(long)) as chunks:
            await anext(chunks)
            assert await anyio.to_thread.run_sync(server.slots) == 1
        await anyio.to_thread.run_sync(server.wait_for_slots, 0)
        await backend.aclose()


def test_a_server_that_does_not_start_says_why(tmp_path: Path) -> None:
    (tmp_path / "no.gguf").write_bytes(b"nothing")
    with (
        pytest.raises(AssertionError, match=r"(?s)ended at once.*no\.gguf"),
        llama_server(tmp_path / "no.gguf", tmp_path / "log"),
    ):
        pass


def test_a_killed_test_run_leaves_no_server(tiny_gguf: Path, tmp_path: Path) -> None:
    program = (
        "import sys, time\nfrom pathlib import Path\nfrom tests.llm.servers import llama_server\n"
        "with llama_server(Path(sys.argv[1]), Path(sys.argv[2])) as server:\n"
        "    print(server._process.pid, flush=True)\n    time.sleep(60)\n"
    )
    required()
    command = [sys.executable, "-c", program, str(tiny_gguf), str(tmp_path / "log")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT) as run:
        assert run.stdout is not None
        server = psutil.Process(int(run.stdout.readline()))
        assert "llama-server" in server.name()
        run.kill()
    deadline = time.monotonic() + 10
    while server.is_running() and server.status() != psutil.STATUS_ZOMBIE:
        assert time.monotonic() < deadline, "the server outlives the tests"
        time.sleep(0.02)
