from __future__ import annotations

import numpy as np
import pytest

from dyntaskmas_nb.errors import BadRequest
from dyntaskmas_nb.llm.embedded.chat import ChatTokenizer
from dyntaskmas_nb.llm.embedded.sampling import CLOSE, Grammar, Sampler

LOGITS = np.array([0.0, 1.0, 2.0, -1.0], dtype=np.float32)


def draw(sampler: Sampler, logits: np.ndarray) -> int:
    token = sampler.choose(logits)
    return sampler.settle(logits) if token is None else token


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.0])
def test_frequencies_follow_the_softmax(temperature: float) -> None:
    sampler = Sampler(temperature, 7, None)
    count = 20_000
    seen = np.bincount([draw(sampler, LOGITS) for _ in range(count)], minlength=4) / count
    expected = np.exp(LOGITS / temperature) / np.exp(LOGITS / temperature).sum()
    assert np.abs(seen - expected).max() < 4 * np.sqrt(0.25 / count)


def test_a_close_call_is_left_open_and_settled_by_the_exact_logits() -> None:
    sampler = Sampler(0.0, 0, None)
    assert sampler.choose(np.array([1.0, 1.0 + CLOSE / 4, 0.0], dtype=np.float32)) is None
    assert sampler.settle(np.array([1.0, 1.0 - CLOSE / 4, 0.0], dtype=np.float32)) == 0


@pytest.mark.parametrize("schema", [{"type": "objec"}, {"type": "object", "if": {}}, {"enum": {1, 2}}])
def test_a_schema_that_cannot_be_enforced_is_refused(
    tiny_tokenizer: ChatTokenizer, schema: dict[str, object]
) -> None:
    with pytest.raises(BadRequest, match="schema"):
        Grammar(tiny_tokenizer.bytes_tokenizer, schema)


def test_the_seed_is_all_that_matters() -> None:
    one, again, other = (
        [draw(s, LOGITS) for _ in range(50)] for s in (Sampler(1.0, n, None) for n in (1, 1, 2))
    )
    assert one == again != other
