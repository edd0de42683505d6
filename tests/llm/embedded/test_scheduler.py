"""Continuous batching without threads: what is said does not depend on who else is speaking."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import dyntaskmas_nb.llm.embedded.scheduler as module
from dyntaskmas_nb.errors import ContextOverflow, InvalidOutput
from dyntaskmas_nb.llm.embedded.chat import ChatTokenizer
from dyntaskmas_nb.llm.embedded.checkpoint import LlamaConfig
from dyntaskmas_nb.llm.embedded.model import Llama
from dyntaskmas_nb.llm.embedded.sampling import CLOSE, Grammar, Sampler
from dyntaskmas_nb.llm.embedded.scheduler import Scheduler
from dyntaskmas_nb.llm.protocol import Chunk, Message, Request

Make = Callable[[int], Scheduler]


@pytest.fixture
def make(tiny_model: Llama, tiny_tokenizer: ChatTokenizer) -> Make:
    return lambda max_batch: Scheduler(tiny_model, tiny_tokenizer, max_batch)


def ask(text: str = "Plan a trip.", max_tokens: int = 20, **fields: object) -> Request:
    return Request(messages=(Message(role="user", content=text),), max_tokens=max_tokens, **fields)  # type: ignore[arg-type]


def run(scheduler: Scheduler) -> dict[object, list[Chunk]]:
    said: dict[object, list[Chunk]] = {}
    while not scheduler.idle:
        for key, item in scheduler.step():
            assert isinstance(item, Chunk)
            said.setdefault(key, []).append(item)
    return said


def alone(make: Make, request: Request) -> tuple[str, Chunk]:
    scheduler = make(1)
    scheduler.submit(0, request)
    chunks = run(scheduler)[0]
    return "".join(chunk.text for chunk in chunks), chunks[-1]


def crowd(count: int) -> list[Request]:
    return [
        ask(
            f"Prompt {i} " * (1 + i % 5),
            max_tokens=5 + 9 * (i % 7),
            seed=i,
            temperature=(0.0, 0.8, 1.5)[i % 3],
        )
        for i in range(count)
    ]


def test_the_same_seed_says_the_same_alone_and_in_a_crowd(make: Make) -> None:
    requests = crowd(24)
    expected = [alone(make, request)[0] for request in requests]
    assert len(set(expected)) > 12  # the model does say different things
    scheduler = make(7)
    said: dict[object, str] = {}
    for i, request in enumerate(requests):
        scheduler.submit(i, request)
        for key, item in scheduler.step():
            assert isinstance(item, Chunk)
            said[key] = said.get(key, "") + item.text
    for key, chunks in run(scheduler).items():
        said[key] = said.get(key, "") + "".join(chunk.text for chunk in chunks)
    assert [said[i] for i in range(24)] == expected


def test_noise_of_the_batch_never_reaches_the_text(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """Logits so flat that near-ties abound, disturbed as batching may disturb them."""
    exact, decode = Llama._logits, Llama.decode
    monkeypatch.setattr(Llama, "_logits", lambda self, hidden: exact(self, hidden) * np.float32(2e-3))
    requests = [replace(request, temperature=0.0) for request in crowd(8)]
    expected = [alone(make, request)[0] for request in requests]
    random, prompts = np.random.default_rng(0), []
    prefill = Llama.prefill

    def disturbed(self: Llama, tokens: list[int], lengths: list[int]) -> np.ndarray:
        logits = decode(self, tokens, lengths)
        return logits + random.uniform(-CLOSE / 2.1, CLOSE / 2.1, logits.shape).astype(np.float32)

    def counted(self: Llama, row: int, tokens: list[int], *more: object) -> np.ndarray:
        prompts.append(row)
        return prefill(self, row, tokens, *more)

    monkeypatch.setattr(Llama, "decode", disturbed)
    monkeypatch.setattr(Llama, "prefill", counted)
    scheduler = make(4)
    for i, request in enumerate(requests):
        scheduler.submit(i, request)
    said = run(scheduler)
    assert ["".join(chunk.text for chunk in said[i]) for i in range(8)] == expected
    assert len(prompts) > len(requests) + 5  # there were close calls


def test_stop_strings_are_never_said(make: Make) -> None:
    text, _ = alone(make, ask(max_tokens=40))
    stop = text[11:16]  # spans tokens
    cut, last = alone(make, ask(max_tokens=40, stop=("never said", stop)))
    assert cut == text[: text.index(stop)]
    assert last.finish == "stop"
    assert last.completion_tokens < 40


def test_every_control_token_ends_the_answer(
    make: Make, monkeypatch: pytest.MonkeyPatch, tiny_tokenizer: ChatTokenizer
) -> None:
    for end in tiny_tokenizer.ends:
        script = iter([*tiny_tokenizer.encode("ab"), end])
        monkeypatch.setattr(Sampler, "choose", lambda self, logits, script=script: next(script))
        text, last = alone(make, ask())
        assert (text, last.finish) == ("ab", "stop")


def test_a_json_schema_is_kept_and_ends_the_answer(make: Make) -> None:
    schema = {"type": "object", "properties": {"n": {"type": "integer", "minimum": 10, "maximum": 99}},
              "required": ["n"], "additionalProperties": False}  # fmt: skip
    for seed in range(5):
        text, last = alone(make, ask(json_schema=schema, temperature=1.0, seed=seed, max_tokens=60))
        assert 10 <= json.loads(text)["n"] <= 99
        assert last.finish == "stop"


@pytest.mark.parametrize("method", ["allow", "advance"])
def test_a_grammar_that_gives_up_fails_its_own_request_only(
    make: Make, monkeypatch: pytest.MonkeyPatch, method: str
) -> None:
    def give_up(*_: object) -> None:
        raise InvalidOutput("too complex")

    monkeypatch.setattr(Grammar, method, give_up)
    expected = alone(make, ask())[0]
    scheduler = make(2)
    scheduler.submit("schema", ask(json_schema={"type": "string"}))
    scheduler.submit("plain", ask())
    outputs = []
    while not scheduler.idle:
        outputs += scheduler.step()
    assert [type(item) for key, item in outputs if key == "schema"] == [InvalidOutput]
    assert "".join(item.text for key, item in outputs if key == "plain") == expected  # type: ignore[union-attr]


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_cancelling_anyone_at_any_time_leaves_the_others_alone(
    tiny_model: Llama, tiny_tokenizer: ChatTokenizer, data: st.DataObject
) -> None:
    requests = crowd(6)
    expected = [alone(lambda n: Scheduler(tiny_model, tiny_tokenizer, n), request)[0] for request in requests]
    scheduler = Scheduler(tiny_model, tiny_tokenizer, 3)
    said = dict.fromkeys(range(6), "")
    finished: set[object] = set()
    gone = set()
    for i, request in enumerate(requests):
        scheduler.submit(i, request)
    while not scheduler.idle:
        key = data.draw(st.sampled_from([None, None, None, None, *range(6)]))
        if key is not None:
            scheduler.cancel(key)
            gone |= {key} - finished
        for who, item in scheduler.step():
            assert who not in gone
            assert isinstance(item, Chunk)
            said[who] += item.text  # type: ignore[index]
            finished |= {who} if item.finish else set()
        assert len(scheduler._running) <= 3
    assert finished == set(range(6)) - gone
    assert all(said[i] == expected[i] for i in finished)  # type: ignore[index]


def test_overflow_is_refused_before_anything_is_computed(
    make: Make, tiny_tokenizer: ChatTokenizer, tiny_config: LlamaConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    room = tiny_config.max_position_embeddings - len(tiny_tokenizer.prompt(ask().messages))
    _, last = alone(make, ask(max_tokens=room, temperature=1.0))
    assert last.finish == "stop" or last.completion_tokens == room
    monkeypatch.setattr(Llama, "prefill", None)
    scheduler = make(2)
    with pytest.raises(ContextOverflow, match="exceed"):
        scheduler.submit(0, ask(max_tokens=room + 1))
    assert scheduler.idle


def test_higher_priority_is_admitted_first_then_the_older_and_not_all_at_once(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    scheduler = make(1)
    for key, priority in [("a", 0.0), ("b", 5.0), ("c", 5.0), ("d", 9.0)]:
        scheduler.submit(key, ask(max_tokens=3, priority=priority))
    assert list(run(scheduler)) == ["d", "b", "c", "a"]
    monkeypatch.setattr(module, "PREFILL_BUDGET", 30)
    scheduler = make(8)
    for key in "abcdef":
        scheduler.submit(key, ask("word " * 10))
    assert 0 < len({key for key, _ in scheduler.step()}) < 6
    assert len(run(scheduler)) == 6
