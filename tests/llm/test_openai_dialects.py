"""Servers are told apart by their list of models; each gets what it takes, and says what it can."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import anyio
import pytest

from dyntaskmas_nb.errors import BadRequest, ContextOverflow, Overloaded, Unavailable
from dyntaskmas_nb.llm.dialects import DIALECTS, cached_tokens
from dyntaskmas_nb.llm.openai_compatible import OpenAICompatible, Patience
from dyntaskmas_nb.llm.protocol import HINTS, complete
from tests.llm.openai_server import Body, Handler, Server, ask, serve, whole

pytest.importorskip("openai", reason="needs dyntaskmas_nb[openai]")

OWN = {"priority", "session_id", "cache_prompt", "cache_salt"}
VLLM = {"id": "llama", "object": "model", "owned_by": "vllm", "max_model_len": 777}
LLAMA_CPP = {"id": "llama.gguf", "object": "model", "owned_by": "llamacpp", "meta": {"n_ctx_train": 4096}}


def hinted(**fields: object) -> Any:
    hints = {"priority": 1.5, "session": "trip/planner", "prefix_len": 9, "steps_to_next_use": 2}
    return ask(**{**hints, **fields})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("owner", "sent", "used"),
    [
        ("vllm", {"priority": -1500, "session_id": "trip/planner"}, {"priority", "session"}),
        ("llamacpp", {"cache_prompt": True}, set()),
        ("tensorrt_llm", {}, set()),
        ("library", {}, set()),
        ("somebody", {}, set()),
        (None, {}, set()),
    ],
)
async def test_each_server_gets_what_it_takes_and_no_more(
    backend: OpenAICompatible, server: Server, owner: str | None, sent: Body, used: set[str]
) -> None:
    server.models = [{"id": "m", "object": "model", "owned_by": owner}]
    assert backend.caps.hints == frozenset()  # not known yet
    await complete(backend, hinted())
    assert {name: value for name, value in server.asked[0].items() if name in OWN} == sent
    assert backend.caps.hints == used


def test_hints_are_those_of_the_protocol() -> None:
    assert all(set(dialect.hints) <= set(HINTS) for dialect in DIALECTS.values())


@pytest.mark.parametrize(
    ("priority", "sent"), [(0.0, None), (0.25, -250), (-1.0, 1000), (1e12, -2_000_000_000)]
)
async def test_urgent_ones_have_the_lower_number(
    backend: OpenAICompatible, server: Server, priority: float, sent: int | None
) -> None:
    server.models = [VLLM]
    await complete(backend, ask(priority=priority))
    assert server.asked[0].get("priority") == sent
    assert "session_id" not in server.asked[0]


async def test_a_field_that_is_refused_is_left_out_from_then_on(
    backend: OpenAICompatible, server: Server
) -> None:
    def first_come_first_served(handler: Handler, body: Body) -> None:
        if body.get("priority", 0):
            handler.error(400, f"Got priority {body['priority']} but priority scheduling is not enabled.")
        else:
            serve(handler, body)

    server.models, server.chat = [VLLM], first_come_first_served
    for _ in range(2):
        await complete(backend, hinted())
    assert ["priority" in body for body in server.asked] == [True, False, False]
    assert all(body["session_id"] == "trip/planner" for body in server.asked)
    assert backend.caps.hints == {"session"}


async def test_one_field_after_the_other(backend: OpenAICompatible, server: Server) -> None:
    def strict(handler: Handler, body: Body) -> None:
        if extra := sorted(OWN & set(body)):
            handler.error(422, f"extra fields not permitted: {extra[0]}")
        else:
            serve(handler, body)

    server.models, server.chat = [VLLM], strict
    for _ in range(2):
        await complete(backend, hinted())
    assert [sorted(OWN & set(body)) for body in server.asked] == [
        ["priority", "session_id"],
        ["session_id"],
        [],
        [],
    ]
    assert backend.caps.hints == frozenset()


async def test_a_failure_that_happens_to_name_a_field_is_no_refusal(server: Server) -> None:
    server.models, server.chat = [VLLM], lambda handler, _: handler.error(500, "priority queue broke")
    backend = OpenAICompatible(server.url, retries=0)
    with pytest.raises(Unavailable, match="queue broke"):
        await complete(backend, hinted())
    assert len(server.asked) == 1
    await backend.aclose()


async def test_a_refusal_that_names_no_field_of_ours_is_the_request_s(
    backend: OpenAICompatible, server: Server
) -> None:
    server.models = [VLLM]
    server.chat = lambda handler, _: handler.error(400, "temperature too high")
    with pytest.raises(BadRequest, match="temperature"):
        await complete(backend, hinted())
    assert len(server.asked) == 1
    assert backend.caps.hints == {"priority", "session"}


async def test_the_users_own_fields_go_along_and_win(server: Server) -> None:
    server.models = [VLLM]
    own = {"cache_salt": "mine", "priority": 7}
    backend = OpenAICompatible(server.url, extra_body=own)
    await complete(backend, hinted())
    assert {name: value for name, value in server.asked[0].items() if name in OWN} == {
        **own, "session_id": "trip/planner",
    }  # fmt: skip
    server.chat = lambda handler, _: handler.error(400, "priority?")
    with pytest.raises(BadRequest, match=r"priority\?"):
        await complete(backend, hinted())
    assert len(server.asked) == 2  # what the user gave is not left out in silence
    await backend.aclose()


# --- the list of models ------------------------------------------------------------------------------------


async def test_the_server_is_asked_once_however_many_begin(backend: OpenAICompatible, server: Server) -> None:
    async with anyio.create_task_group() as tasks:
        for _ in range(4):
            tasks.start_soon(complete, backend, ask())
    assert server.got == ["/v1/models"]


@pytest.mark.parametrize(
    ("model", "window", "hints"),
    [("big", 999, 2), ("small", 77, 0), ("adapter", None, 2)],
)
async def test_the_entry_is_the_models_own(
    server: Server, model: str, window: int | None, hints: int
) -> None:
    server.models = [
        VLLM | {"id": "big", "max_model_len": 999},
        {"id": "small", "object": "model", "owned_by": "x", "max_model_len": 77},
    ]
    backend = OpenAICompatible(server.url, model, context_window=5000)
    await complete(backend, hinted())
    assert server.asked[0]["model"] == model
    assert backend.caps.context_window == (window or 5000)
    assert len(backend.caps.hints) == hints
    await backend.aclose()


async def test_a_server_with_one_model_answers_to_any_name(server: Server) -> None:
    server.models = [VLLM]
    backend = OpenAICompatible(server.url, "alias")
    await complete(backend, ask())
    assert (server.asked[0]["model"], backend.caps.context_window) == ("alias", 777)
    await backend.aclose()


@pytest.mark.parametrize(
    ("props", "meta", "window"),
    [
        ({"default_generation_settings": {"n_ctx": 1024}}, {"n_ctx_train": 4096}, 1024),
        (None, {"n_ctx_train": 4096}, 4096),
        ({"default_generation_settings": "?"}, {"n_ctx_train": "many"}, 8192),
        ({"default_generation_settings": {"n_ctx": 1024}}, {"n_ctx": 512}, 512),
    ],
)
async def test_llama_cpp_says_how_large_a_slot_is(
    backend: OpenAICompatible, server: Server, props: Body | None, meta: Body, window: int
) -> None:
    server.models, server.props = [LLAMA_CPP | {"meta": meta}], props
    await complete(backend, ask())
    assert backend.caps.context_window == window
    assert server.got[1:] == ([] if "n_ctx" in meta else ["/props"])


@pytest.mark.parametrize("listed", [404, 405, 401, 501, "[]", "nonsense", '{"data": 7}'])
async def test_a_server_without_a_list_is_asked_for_the_model_that_was_named(
    server: Server, monkeypatch: pytest.MonkeyPatch, listed: int | str
) -> None:
    def get(self: Handler) -> None:
        self.answer(200, listed) if isinstance(listed, str) else self.error(listed, "no")

    monkeypatch.setattr(Handler, "do_GET", get)
    named = OpenAICompatible(server.url, "tiny")
    assert (await complete(named, hinted())).finish
    assert not OWN & set(server.asked[0])
    await named.aclose()
    unnamed = OpenAICompatible(server.url, patience=Patience(pause=0.001))
    said = f"HTTP {listed}" if isinstance(listed, int) and listed != 405 else server.url
    with pytest.raises((BadRequest, Unavailable), match=said):
        await complete(unnamed, ask())
    await unnamed.aclose()


async def test_a_server_that_is_still_loading_is_waited_for(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[int] = []
    answer = Handler.do_GET

    def get(self: Handler) -> None:
        calls.append(1)
        self.error(503, "Loading model") if len(calls) < 3 else answer(self)

    monkeypatch.setattr(Handler, "do_GET", get)
    server.models = [VLLM]
    backend = OpenAICompatible(server.url, "llama", patience=Patience(pause=0.001))
    await complete(backend, hinted())
    assert backend.caps.hints == {"priority", "session"}
    await backend.aclose()
    calls.clear()
    backend = OpenAICompatible(server.url, "llama", retries=0)
    with pytest.raises(Overloaded, match="Loading"):
        await complete(backend, hinted())
    await backend.aclose()


# --- what comes back ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("say", "cached"),
    [
        (lambda handler: handler.usage(7, 5, {"cached_tokens": 4}), 4),
        (lambda handler: handler.usage(7, 5, timings={"cache_n": 6, "prompt_n": 1}), 6),
        (lambda handler: handler.usage(7, 5, {"cached_tokens": "many"}, timings={"cache_n": -1}), 0),
        (lambda handler: (handler.event({"timings": {"cache_n": 3}}), handler.usage(7, 5)), 3),
        (lambda handler: handler.usage(7, 5), 0),
    ],
)
async def test_what_was_cached_is_counted(
    backend: OpenAICompatible, server: Server, say: Callable[[Handler], None], cached: int
) -> None:
    def chat(handler: Handler, _: Body) -> None:
        handler.begin()
        handler.say("Yes.", "stop")
        say(handler)

    server.chat = chat
    done = await complete(backend, ask())
    assert (done.cached_tokens, done.prompt_tokens, done.estimated) == (cached, 7, False)


def test_foreign_json_may_be_anything() -> None:
    for event in (None, {}, {"usage": None}, {"usage": 3, "timings": []}, {"timings": {"cache_n": True}}):
        assert cached_tokens(event) == 0


@pytest.mark.parametrize(
    ("prompt", "answer", "sent"),
    [
        (400, 100, True),
        (1, 776, True),
        (1, 777, False),
        (400, 777, False),
        (400, 776, False),  # 50 tokens of the prompt and 776
        (4000, 277, True),  # about 1000 tokens: maybe 500
        (4000, 278, False),
    ],
)
async def test_what_cannot_fit_the_known_window_is_not_sent(
    backend: OpenAICompatible, server: Server, prompt: int, answer: int, sent: bool
) -> None:
    server.models = [VLLM]
    server.chat = lambda handler, _: whole(handler, "stop", usage=True)
    request = ask("x" * prompt, answer)
    if sent:
        await complete(backend, request)
    else:
        with pytest.raises(ContextOverflow, match="window of 777"):
            await complete(backend, request)
    assert bool(server.asked) == sent


async def test_a_guessed_window_refuses_nothing(backend: OpenAICompatible, server: Server) -> None:
    server.chat = lambda handler, _: whole(handler, "stop", usage=True)
    assert (await complete(backend, ask(max_tokens=100_000))).finish
    known = OpenAICompatible(server.url, context_window=2000)
    with pytest.raises(ContextOverflow, match="2000"):
        await complete(known, ask(max_tokens=100_000))
    await known.aclose()
