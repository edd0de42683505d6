from __future__ import annotations

import json

import numpy as np
import pytest

from dyntaskmas_nb.errors import BadRequest
from dyntaskmas_nb.llm.embedded.chat import ChatTokenizer
from dyntaskmas_nb.llm.embedded.sampling import CLOSE, Grammar, Sampler

LOGITS = np.array([0.0, 1.0, 2.0, -1.0], dtype=np.float32)


def draw(sampler: Sampler, logits: np.ndarray) -> int:
    token = sampler.choose(logits)
    return sampler.settle(logits) if token is None else token


def test_zero_temperature_takes_the_likeliest() -> None:
    assert Sampler(0.0, 0, None).choose(LOGITS) == 2


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.0])
def test_frequencies_follow_the_softmax(temperature: float) -> None:
    sampler = Sampler(temperature, 7, None)
    count = 20_000
    seen = np.bincount([draw(sampler, LOGITS) for _ in range(count)], minlength=4) / count
    expected = np.exp(LOGITS / temperature) / np.exp(LOGITS / temperature).sum()
    assert np.abs(seen - expected).max() < 4 * np.sqrt(0.25 / count)


def test_the_seed_is_all_that_matters() -> None:
    def draws(seed: int) -> list[int]:
        sampler = Sampler(1.0, seed, None)
        return [draw(sampler, LOGITS) for _ in range(50)]

    assert draws(1) == draws(1) != draws(2)


@pytest.mark.parametrize("temperature", [0.0, 0.7])
def test_noise_below_half_the_margin_never_changes_a_choice_that_is_made(temperature: float) -> None:
    noise = np.random.default_rng(0)
    open_calls = 0
    for seed in range(300):
        logits = noise.standard_normal(50).astype(np.float32) * 1e-3
        shaken = logits + noise.uniform(-CLOSE / 2.1, CLOSE / 2.1, 50).astype(np.float32)
        one = Sampler(temperature, seed, None).choose(logits)
        other = Sampler(temperature, seed, None).choose(shaken)
        open_calls += one is None
        assert one is None or other is None or one == other
    assert (temperature > 0) or open_calls  # the rule was put to the test


def test_a_close_call_is_left_open_and_settled_by_the_exact_logits() -> None:
    sampler = Sampler(0.0, 0, None)
    assert sampler.choose(np.array([1.0, 1.0 + CLOSE / 4, 0.0], dtype=np.float32)) is None
    assert sampler.settle(np.array([1.0, 1.0 - CLOSE / 4, 0.0], dtype=np.float32)) == 0


SCHEMA = {
    "type": "object",
    "properties": {"name": {"type": "string", "maxLength": 4}, "days": {"type": "integer", "maximum": 9}},
    "required": ["name", "days"],
    "additionalProperties": False,
}


@pytest.mark.parametrize("seed", range(8))
def test_random_choices_within_a_grammar_are_valid(tiny_tokenizer: ChatTokenizer, seed: int) -> None:
    """The logits are noise; whatever comes out satisfies the schema."""
    random = np.random.default_rng(seed)
    grammar = Grammar(tiny_tokenizer.bytes_tokenizer, SCHEMA)
    sampler = Sampler(1.0, seed, grammar)
    decoder, text = tiny_tokenizer.decoder(), ""
    for _ in range(400):
        token = draw(sampler, random.standard_normal(320).astype(np.float32))
        if token in tiny_tokenizer.ends:
            break
        grammar.advance(token)
        text += decoder.push(token)
        if grammar.complete:
            break
    value = json.loads(text)
    assert list(value) == ["name", "days"]
    assert len(value["name"]) <= 4
    assert value["days"] <= 9


@pytest.mark.parametrize("schema", [{"type": "objec"}, {"type": "object", "if": {}}, {"enum": {1, 2}}])
def test_a_schema_that_cannot_be_enforced_is_refused(
    tiny_tokenizer: ChatTokenizer, schema: dict[str, object]
) -> None:
    with pytest.raises(BadRequest, match="schema"):
        Grammar(tiny_tokenizer.bytes_tokenizer, schema)
