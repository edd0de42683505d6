"""Slots, seeds, prefixes, memory: what is said depends on the request alone."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import dyntaskmas_nb.llm.hugging.scheduler as module
from dyntaskmas_nb.errors import ContextOverflow, InvalidInput, OutOfMemory
from dyntaskmas_nb.llm.embedded.prefixes import STALE
from dyntaskmas_nb.llm.hugging.draws import CLOSE, forbid, noise, words
from dyntaskmas_nb.llm.hugging.model import Llama
from dyntaskmas_nb.llm.hugging.scheduler import Scheduler
from dyntaskmas_nb.llm.hugging.slots import Slots
from dyntaskmas_nb.llm.protocol import Chunk, Message, Request
from tests.llm.hugging.conftest import Make, torch

SCHEMA = {
    "type": "object",
    "properties": {"a": {"type": "integer", "maximum": 99}},
    "required": ["a"],
    "additionalProperties": False,
}


def ask(text: str = "Plan a trip.", max_tokens: int = 20, **fields: Any) -> Request:
    return Request(messages=(Message(role="user", content=text),), max_tokens=max_tokens, **fields)


def run(scheduler: Scheduler, steps: int = 10**6) -> dict[object, Chunk]:
    """Each request's text, with the counts of its last chunk; errors as they are."""
    said: dict[Any, Any] = {}
    for _ in range(steps):
        if scheduler.idle:
            break
        for key, item in scheduler.step():
            if isinstance(item, Chunk):
                text = said[key].text if key in said else ""
                said[key] = replace(item, text=text + item.text)
            else:
                said[key] = item
    return said


def merged(one: dict[Any, Any], other: dict[Any, Any]) -> dict[Any, Any]:
    """What was said first, followed by what was said later."""
    for key, item in other.items():
        one[key] = replace(item, text=one[key].text + item.text) if key in one else item
    return one


def alone(make: Make, request: Request, **options: Any) -> Chunk:
    scheduler = make(1, **options)
    scheduler.submit(0, request)
    return run(scheduler)[0]


def crowd(count: int) -> list[Request]:
    return [
        ask(f"Prompt {i} " * (1 + i % 5), 5 + 9 * (i % 7), seed=i, temperature=(0.0, 0.8, 1.5)[i % 3])
        for i in range(count)
    ]


@pytest.mark.parametrize("how", ["plain", "overlap", "recorded", "int8"])
def test_sixty_four_say_the_same_alone_and_in_a_crowd(make: Make, how: str) -> None:
    options: dict[str, Any] = {"overlap": how in {"overlap", "recorded"}, "int8": how == "int8"}
    if how == "recorded":
        options["record"] = lambda body: body
    requests = crowd(64)
    requests[5] = replace(requests[5], json_schema=SCHEMA, max_tokens=40)
    expected = [alone(make, request, **options).text for request in requests]
    assert len(set(expected)) > 30
    assert json.loads(expected[5])["a"] <= 99
    scheduler = make(7, **options)
    for i, request in enumerate(requests):
        scheduler.submit(i, request)
    said = run(scheduler)
    assert [said[i].text for i in range(64)] == expected


def test_noise_of_the_batch_never_reaches_the_text(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """Logits so flat that near-ties abound, disturbed as batching may disturb them."""
    head, step = Llama._head, Llama._step
    monkeypatch.setattr(Llama, "_head", lambda self, hidden: head(self, hidden) * 2e-3)
    requests = [replace(request, temperature=0.0) for request in crowd(8)]
    requests[2] = replace(requests[2], json_schema=SCHEMA)
    expected = [alone(make, request).text for request in requests]
    generator = torch.Generator().manual_seed(0)

    def disturbed(self: Llama, rows: int, span: int) -> None:
        step(self, rows, span)
        self._logits += (torch.rand(self._logits.shape, generator=generator) - 0.5) * (CLOSE / 1.1)

    monkeypatch.setattr(Llama, "_step", disturbed)
    scheduler = make(8)
    for i, request in enumerate(requests):
        scheduler.submit(i, request)
    said = run(scheduler)
    assert [said[i].text for i in range(8)] == expected


def test_draws_follow_the_softmax_and_depend_on_seed_and_position_only() -> None:
    logits = torch.log(torch.tensor([0.5, 0.3, 0.15, 0.05]))
    count = 20_000
    low = torch.zeros(count, dtype=torch.int32)
    drawn = (logits / 0.7 - noise(low + 9, low, torch.arange(count), 4)).argmax(-1)
    frequency = torch.bincount(drawn, minlength=4) / count
    expected = torch.softmax(logits / 0.7, -1)
    # Six standard deviations: fixed by the seed, so it either holds or it does not.
    assert ((frequency - expected).abs() < 6 * (expected * (1 - expected) / count).sqrt()).all()
    row = noise(low[:1] + 9, low[:1], torch.tensor([77]), 4)
    assert torch.equal(row[0], noise(low + 9, low, torch.arange(count), 4)[77])
    others = []
    for seed in (1, 2**31, 2**40, 2**40 + 1, 2**41):
        one, two = (torch.tensor([word], dtype=torch.int32) for word in words(seed))
        others.append(tuple(noise(one, two, torch.tensor([77]), 4)[0].tolist()))
    assert len({*others, tuple(row[0].tolist())}) == 6


def test_forbidden_tokens_go_by_bits_lowest_first() -> None:
    bits = torch.from_numpy(np.array([[0b00000101, 0b10]], np.uint8))
    allowed = torch.isfinite(forbid(torch.zeros(1, 11), bits))[0]
    assert allowed.nonzero().flatten().tolist() == [0, 2, 9]


@pytest.mark.parametrize("overlap", [False, True])
def test_stop_strings_across_tokens(make: Make, overlap: bool) -> None:
    whole = alone(make, ask(max_tokens=40), overlap=overlap).text
    stop = whole[10:16]
    cut = alone(make, ask(max_tokens=40, stop=(stop,)), overlap=overlap)
    assert cut.text == whole[: whole.index(stop)]
    assert cut.finish == "stop"
    begun = alone(make, ask(max_tokens=40, stop=(f"{whole[-2:]}never",)), overlap=overlap)
    assert (begun.text, begun.finish) == (whole, "length")


def test_another_seed_says_something_else(make: Make) -> None:
    said = {alone(make, ask(temperature=1.0, seed=seed)).text for seed in (0, 1, 2**40, 2**40 + 1)}
    assert len(said) == 4


@pytest.mark.parametrize("how", ["plain", "overlap", "recorded"])
def test_prompts_computed_piece_by_piece_while_others_speak(
    make: Make, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    options: dict[str, Any] = {"overlap": how != "plain"}
    if how == "recorded":
        options["record"] = lambda body: body
    requests = crowd(24)
    expected = [alone(make, request, **options).text for request in requests]
    monkeypatch.setattr(module, "CHUNK", 7)
    scheduler = make(6, **options)
    for i, request in enumerate(requests):
        scheduler.submit(i, request)
    filling = 0
    said: dict[object, str] = {}
    while not scheduler.idle:
        for key, chunk in scheduler.step():
            assert isinstance(chunk, Chunk)
            said[key] = said.get(key, "") + chunk.text
        busy = scheduler._running.values()
        filling += any(one.filling for one in busy) and not all(one.filling for one in busy)
    assert [said[i] for i in range(24)] == expected
    assert filling > 20


def test_who_takes_no_part_in_a_step_keeps_what_is_computed(make: Make) -> None:
    """Rows are rounded up: a free slot between busy ones is computed for nobody."""
    text = "Compare two budgets for three days. " * 3
    expected = alone(make, ask(text, 12)).text
    scheduler = make(4, overlap=True, record=lambda body: body)
    for i in range(4):
        endless = ask(f"{i}", 90, json_schema={"type": "string", "minLength": 300})
        scheduler.submit(i, ask(text, 12) if i == 1 else endless)
    run(scheduler, 25)
    assert set(scheduler._running) == {0, 2, 3}
    scheduler.submit("again", ask(text, 12))
    said = run(scheduler)["again"]
    assert said.text == expected
    assert said.cached_tokens == said.prompt_tokens - 1


def test_the_cache_grows_under_a_running_request(make: Make) -> None:
    request = ask(max_tokens=90, temperature=1.0)
    expected = alone(make, request, overlap=True).text
    scheduler = make(2, overlap=True)
    scheduler.submit("short", request)
    first = run(scheduler, 20)["short"].text
    assert scheduler._model.cache.capacity == 256
    scheduler.submit("long", ask(max_tokens=400))
    rest = run(scheduler)["short"].text
    assert scheduler._model.cache.capacity == 512
    assert first + rest == expected


def test_a_step_computes_only_the_rows_it_needs(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    rows: list[int] = []
    step = Llama._step

    def spy(self: Llama, count: int, span: int) -> None:
        rows.append(count)
        step(self, count, span)

    monkeypatch.setattr(Llama, "_step", spy)
    scheduler = make(4, overlap=True)
    for key in "abcd":
        scheduler.submit(key, ask(max_tokens=60))
    run(scheduler, 2)
    for key in "abc":
        scheduler.cancel(key)
    rows.clear()
    run(scheduler, 3)
    assert rows == [1, 1, 1]
    rows.clear()
    alone(make, ask(max_tokens=9), overlap=True)
    assert len(rows) == 8  # the first token comes from the prompt, and none is computed after the last


@pytest.mark.parametrize("overlap", [False, True])
def test_counts_are_exact_and_a_length_is_a_limit(make: Make, hf_tokens: Any, overlap: bool) -> None:
    request = ask(max_tokens=9)
    last = alone(make, request, overlap=overlap)
    assert last.prompt_tokens == len(hf_tokens.prompt(request.messages))
    assert (last.finish, last.completion_tokens) == ("length", 9)


@pytest.mark.parametrize("overlap", [False, True])
def test_cancelling_frees_the_slot_and_nothing_more_is_said(make: Make, overlap: bool) -> None:
    endless = ask(max_tokens=60, temperature=1.0, json_schema={"type": "string", "minLength": 300})
    requests = {key: replace(endless, seed=ord(key)) for key in "abcdefgh"}
    scheduler = make(7, overlap=overlap)
    for key, request in requests.items():
        scheduler.submit(key, request)
    run(scheduler, 5)
    assert "h" in {sequence.key for sequence in scheduler._waiting}
    for key in "abcdef":
        scheduler.cancel(key)
    assert len(scheduler._running) == 1
    said = run(scheduler)
    assert set(said) == {"g", "h"}
    assert said["h"].text == alone(make, requests["h"]).text


def test_overflow_is_refused_before_anything_is_computed(
    make: Make, hf_tokens: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    room = 512 - len(hf_tokens.prompt(ask().messages))
    last = alone(make, ask(max_tokens=room, temperature=1.0))
    assert last.finish == "stop" or last.completion_tokens == room
    monkeypatch.setattr(Llama, "prefill", None)
    scheduler = make(2)
    with pytest.raises(ContextOverflow, match="window of 512"):
        scheduler.submit(0, ask(max_tokens=room + 1))
    scheduler._model.cache._room = 256
    with pytest.raises(ContextOverflow, match="memory"):
        scheduler.submit(0, ask(max_tokens=room))
    assert scheduler.idle


def test_little_room_means_fewer_at_once_and_everybody_is_served(make: Make) -> None:
    scheduler = make(8)
    scheduler._model.cache._room = 512
    seen = []
    requests = [ask(f"Question {i}.", 250 if i == 3 else 12) for i in range(6)]
    for i, request in enumerate(requests):
        scheduler.submit(i, request)
    said: dict[object, Chunk] = {}
    while not scheduler.idle:
        for key, chunk in scheduler.step():
            assert isinstance(chunk, Chunk)
            if chunk.finish:
                said[key] = chunk
        seen.append((scheduler._model.cache.slots, scheduler._model.cache.capacity))
    assert len(said) == 6
    assert (1, 512) in seen
    assert seen[0] == seen[-1] == (2, 256)


def test_a_prefix_is_reused_from_a_free_slot_and_from_a_busy_one(make: Make) -> None:
    text = "You are a planner. Compare two budgets for three days. " * 2
    request = ask(text + "Kyoto?", 12)
    expected = alone(make, request)
    assert expected.cached_tokens == 0
    scheduler = make(3)
    scheduler.submit("first", ask(text + "Paris?", 60))
    run(scheduler, 2)
    scheduler.submit("busy", request)
    busy = run(scheduler)["busy"]
    scheduler.submit("free", request)
    free = run(scheduler)["free"]
    assert busy.text == free.text == expected.text
    assert 16 <= busy.cached_tokens < free.cached_tokens == expected.prompt_tokens - 1


def test_the_beginning_needed_last_is_given_up_first() -> None:
    slots = Slots()
    for slot, steps in enumerate((2, 9, None, 0)):
        slots.leave(slot, [slot] * 40, steps)
    new = [7] * 30
    assert [slots.take(new, {0, 1, 2, 3}, {})[0] for _ in range(4)] == [2, 2, 2, 2]
    slots = Slots()
    for slot, steps in enumerate((2, 9, 9, 0)):
        slots.leave(slot, [slot] * 40, steps)
    assert slots.take(new, {0, 1, 2, 3, 4}, {})[0] == 4  # nobody's
    assert slots.take(new, {0, 1, 2, 3}, {4: new})[:2] == (1, 4)  # of equal ones the one left first
    assert slots.take([3] * 41, {0, 2, 3}, {}) == (3, 3, 40)  # a conversation that goes on
    assert slots.take([0] * 20 + [5] * 20, {0, 2}, {}) == (2, 0, 20)
    assert slots.take([0] * 15 + [5] * 20, {0, 5}, {}) == (5, 5, 0)  # too little to copy


def test_what_nobody_used_for_long_is_given_up_before_what_is_needed() -> None:
    slots, other = Slots(), [9] * 30
    slots.leave(0, [0] * 40, 0)  # its run was cancelled
    for _ in range(STALE):
        slots.take(other, {5}, {})
    slots.leave(1, [1] * 40, 3)
    assert slots.take(other, {0, 1}, {})[0] == 0


def test_higher_priority_is_admitted_first_then_the_older(make: Make) -> None:
    scheduler = make(1)
    for key, priority in [("a", 0.0), ("b", 5.0), ("c", 5.0), ("d", 9.0)]:
        scheduler.submit(key, ask(max_tokens=3, priority=priority))
    assert list(run(scheduler)) == ["d", "b", "c", "a"]


@pytest.mark.parametrize("overlap", [False, True])
@pytest.mark.parametrize("where", ["prefill", "decode"])
def test_out_of_memory_fails_the_newcomer_and_halves_the_batch(
    make: Make, monkeypatch: pytest.MonkeyPatch, where: str, overlap: bool
) -> None:
    requests = [replace(request, max_tokens=30) for request in crowd(6)]
    expected = [alone(make, request).text for request in requests]
    scheduler = make(4, overlap=overlap)
    real, calls = getattr(Llama, where), []

    def short(self: Llama, *arguments: Any) -> None:
        calls.append(len(scheduler._running))
        if len(scheduler._running) > 2:
            raise torch.OutOfMemoryError("CUDA out of memory")
        real(self, *arguments)

    monkeypatch.setattr(Llama, where, short)
    for i, request in enumerate(requests):
        scheduler.submit(i, request)
    said: dict[Any, Any] = {}
    while not any(isinstance(item, OutOfMemory) for item in said.values()):
        said = merged(said, run(scheduler, 1))
    dead = [key for key, item in said.items() if isinstance(item, OutOfMemory)]
    assert [one.key for one in scheduler._waiting] == [i for i in range(6) if i not in dead]
    said = merged(said, run(scheduler))
    assert scheduler._model.cache.slots <= 2
    failed = {key for key, item in said.items() if isinstance(item, OutOfMemory)}
    assert failed == {2 if where == "prefill" else 3}
    assert all(error.retryable for error in said.values() if isinstance(error, OutOfMemory))
    assert {key: said[key].text for key in said if key not in failed} == {
        i: text for i, text in enumerate(expected) if i not in failed
    }
    assert max(calls[-3:]) <= 2


def test_what_is_in_flight_cannot_be_settled(make: Make) -> None:
    model = make(1)._model
    with pytest.raises(InvalidInput, match="overlap"):
        Scheduler(model, None, window=8, max_batch=1, overlap=True, exact=True)  # type: ignore[arg-type]


def test_torch_has_one_thread_during_a_step_of_a_small_model_and_its_own_number_after(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    during: list[int] = []
    prefill = Llama.prefill

    def spy(self: Llama, *arguments: Any) -> None:
        during.append(torch.get_num_threads())
        prefill(self, *arguments)

    monkeypatch.setattr(Llama, "prefill", spy)
    torch.set_num_threads(2)
    alone(make, ask())
    assert set(during) == {1}
    assert torch.get_num_threads() == 2
