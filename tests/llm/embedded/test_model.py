"""The mathematics against itself (no torch needed); against transformers: test_exactness.py."""

from __future__ import annotations

import numpy as np

from dyntaskmas_nb.llm.embedded.model import PREFILL_CHUNK, Llama
from dyntaskmas_nb.llm.embedded.sampling import CLOSE

IDS = [int(token) for token in np.random.default_rng(1).integers(6, 300, 300)]


def test_a_prompt_longer_than_a_chunk(tiny_model: Llama) -> None:
    assert len(IDS) > PREFILL_CHUNK
    whole = tiny_model.prefill(0, IDS)
    tiny_model.prefill(1, IDS[:100])
    logits = np.zeros_like(whole)
    for at in range(100, 300):
        logits = tiny_model.decode([7, IDS[at]], [0, at])[1]
    assert np.abs(logits - whole).max() < CLOSE / 2


def test_rows_of_different_lengths_do_not_see_each_other(tiny_model: Llama) -> None:
    starts = [3, 17, 60, 1]
    for row, start in enumerate(starts):
        tiny_model.prefill(row, IDS[row : row + start])
    batch = tiny_model.decode([IDS[row + start] for row, start in enumerate(starts)], starts)
    for row, start in enumerate(starts):
        alone = tiny_model.prefill(9, IDS[row : row + start + 1])
        assert np.abs(batch[row] - alone).max() < CLOSE / 2


def test_a_prompt_gives_the_same_bits_in_any_row_and_company(tiny_model: Llama) -> None:
    first = tiny_model.prefill(0, IDS[:50])
    for row in (3, 1):
        tiny_model.prefill(row, IDS[50:120])
    tiny_model.decode([1, 2, 3, 4], [50, 70, 0, 70])
    assert np.array_equal(first, tiny_model.prefill(2, IDS[:50]))


def test_logits_that_transformers_computed_for_this_model(tiny_model: Llama) -> None:
    """So that the mathematics has a witness where torch is missing."""
    expected = {0: (-0.6633, -1.9925, 1.6640), 9: (-1.6907, 0.3143, 2.9124), 299: (-1.3672, 0.5309, 2.7752)}
    for last, values in expected.items():
        assert np.allclose(tiny_model.prefill(0, IDS[: last + 1])[[0, 100, 319]], values, atol=2e-4)
