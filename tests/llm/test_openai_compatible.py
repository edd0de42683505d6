"""Against a real HTTP server on loopback, which serves our own Llama or misbehaves as told."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import aclosing

import pytest

from dyntaskmas_nb.errors import BadRequest, ContextOverflow, InvalidOutput
from dyntaskmas_nb.llm.connect import connect
from dyntaskmas_nb.llm.embedded.engine import EmbeddedLlama
from dyntaskmas_nb.llm.json_answer import unfenced
from dyntaskmas_nb.llm.openai_compatible import OpenAICompatible
from dyntaskmas_nb.llm.protocol import Chunk, complete
from tests.llm.openai_server import Body, Handler, Server, ask, serve, whole

pytest.importorskip("openai", reason="needs dyntaskmas_nb[openai]")

SCHEMA = {"type": "object", "properties": {"n": {"type": "integer", "minimum": 10, "maximum": 99}},
          "required": ["n"], "additionalProperties": False}  # fmt: skip


@pytest.mark.parametrize("temperature", [0.0, 0.9])
async def test_the_answer_and_its_counts_come_through(
    backend: OpenAICompatible, llama: EmbeddedLlama, temperature: float
) -> None:
    request = ask(temperature=temperature, seed=3, stop=("zzz",))
    assert await complete(backend, request) == await complete(llama, request)


async def test_the_model_is_the_first_the_server_lists(backend: OpenAICompatible, server: Server) -> None:
    server.models = [
        {"id": "llama-3", "object": "model", "max_model_len": 777},
        {"id": "other", "object": "model"},
    ]
    assert backend.caps.context_window == 8192
    await complete(backend, ask())
    assert server.asked[0]["model"] == "llama-3"
    assert backend.name == f"llama-3 at {server.url}"
    assert backend.caps.context_window == 777


async def test_the_key_is_the_one_given_and_no_other(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "from-the-environment")
    for key in ("mine", None):
        backend = OpenAICompatible(server.url, "tiny", key)
        await complete(backend, ask())
        await backend.aclose()
    assert server.keys == ["Bearer mine", "Bearer none"]


async def test_a_schema_travels_as_response_format(backend: OpenAICompatible, server: Server) -> None:
    done = await complete(backend, ask(json_schema=SCHEMA, max_tokens=60))
    assert 10 <= json.loads(done.text)["n"] <= 99
    assert server.asked[0]["response_format"]["json_schema"]["schema"] == SCHEMA


async def test_a_server_without_schemas_gets_it_in_the_prompt_from_then_on(
    backend: OpenAICompatible, server: Server
) -> None:
    server.chat = no_schemas('{"n": 42}', '{"n": 42}', "Done.")
    for _ in range(2):
        assert (await complete(backend, ask("Plan.", json_schema=SCHEMA))).text == '{"n": 42}'
    assert ["response_format" in body for body in server.asked] == [True, False, False]
    asked = server.asked[1]["messages"][0]["content"]
    assert asked.startswith("Plan.\n")
    assert json.loads(asked.splitlines()[-1]) == SCHEMA
    await complete(backend, ask("Plan."))
    assert server.asked[-1]["messages"][0]["content"] == "Plan."


def no_schemas(*answers: str, finish: str = "stop") -> Callable[[Handler, Body], None]:
    """A server that takes no `response_format`, and gives these answers in turn, the last one for ever."""
    left = list(answers)

    def chat(handler: Handler, body: Body) -> None:
        if "response_format" in body:
            handler.error(400, "response_format is not supported")
            return
        handler.begin()
        text = left[0] if len(left) == 1 else left.pop(0)
        size = 3 + len(text) // 50
        for at in range(0, len(text), size):
            handler.say(text[at : at + size])
        handler.say("", finish)
        handler.usage(7, 5)

    return chat


async def test_an_answer_that_nothing_forced_is_checked_and_given_whole(
    backend: OpenAICompatible, server: Server
) -> None:
    server.chat = no_schemas('It is:\n{"n": 42}', '```json\n{"n": 43}\n```')
    async with aclosing(backend.stream(ask("Plan.", json_schema=SCHEMA))) as chunks:
        pieces = [chunk async for chunk in chunks]
    assert pieces == [Chunk(text='{"n": 43}', finish="stop", prompt_tokens=14, completion_tokens=10)]
    asked, answered, again = server.asked[-1]["messages"]
    assert (asked["role"], answered["role"], again["role"]) == ("user", "assistant", "user")
    assert answered["content"] == 'It is:\n{"n": 42}'
    assert "no JSON" in again["content"]


@pytest.mark.parametrize(
    ("answer", "finish", "said"),
    [
        ('{"n": 9}', "stop", "at n: 9 is less than the minimum of 10"),
        ("{}", "stop", "'n' is a required property"),
        ('{"n": NaN}', "stop", "NaN is no number of JSON"),
        ("[" * 100_000, "stop", "no JSON"),
        ('{"n": 4', "length", "broke off at the limit"),
    ],
)
async def test_an_answer_that_stays_wrong_is_invalid(
    backend: OpenAICompatible, server: Server, answer: str, finish: str, said: str
) -> None:
    server.chat = no_schemas(answer, finish=finish)
    with pytest.raises(InvalidOutput, match=f"asked twice.*{said}"):
        await complete(backend, ask(json_schema=SCHEMA))
    assert len(server.asked) == 3  # with the schema, in the prompt, and once more
    assert said in server.asked[-1]["messages"][-1]["content"]


async def test_what_is_no_schema_is_the_request_s_fault(backend: OpenAICompatible, server: Server) -> None:
    server.chat = no_schemas("{}")
    with pytest.raises(BadRequest, match="no JSON Schema"):
        await complete(backend, ask(json_schema={"type": "nonsense"}))


async def test_a_refusal_for_another_reason_does_not_cost_the_schema(
    backend: OpenAICompatible, server: Server
) -> None:
    server.chat = lambda handler, _: handler.error(400, "temperature too high")
    with pytest.raises(BadRequest, match="temperature too high"):
        await complete(backend, ask(json_schema=SCHEMA))
    server.chat = serve
    await complete(backend, ask(json_schema=SCHEMA, max_tokens=60))
    assert "response_format" in server.asked[-1]


async def test_a_prompt_that_is_too_long_does_not_cost_the_schema(
    backend: OpenAICompatible, server: Server
) -> None:
    server.chat = lambda handler, _: handler.error(400, "exceeds the available context size")
    with pytest.raises(ContextOverflow):
        await complete(backend, ask(json_schema=SCHEMA))
    assert len(server.asked) == 1


async def test_counts_and_stop_strings_hold_whatever_the_server_does(
    backend: OpenAICompatible, server: Server
) -> None:
    server.chat = lambda handler, _: whole(handler, "length", usage=True)
    counted, stopped = await complete(backend, ask()), await complete(backend, ask(stop=("d e",)))
    server.chat = lambda handler, _: whole(handler, "stop", usage=False)
    guessed = await complete(backend, ask())
    assert (counted.cached_tokens, guessed.cached_tokens) == (0, 0)
    assert counted == Chunk(text="abcd efgh", finish="length", prompt_tokens=7, completion_tokens=5)
    assert (stopped.text, stopped.finish) == ("abc", "stop")
    assert (guessed.prompt_tokens, guessed.completion_tokens, guessed.estimated) == (3, 3, True)


def test_a_long_fence_that_never_ends_is_read_at_once() -> None:
    assert unfenced("```json" + "\n" * 50_000 + "x") == "```json" + "\n" * 50_000 + "x"
    assert unfenced(' ```json\n{"n": 1}\n``` ') == unfenced('```\n{"n": 1}```') == '{"n": 1}'
    assert unfenced("```") == "```"


async def test_the_key_comes_from_the_kits_own_variable(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DYNTASKMAS_API_KEY", "kits-own")
    backend = connect(f"{server.url}#tiny")
    await complete(backend, ask())
    await backend.aclose()
    assert set(server.keys) == {"Bearer kits-own"}
