"""The GPU's attention kernel against plain arithmetic, by Triton's interpreter on a CPU.

Triton comes with torch for CUDA. To run this elsewhere: `pip install --no-deps triton==3.6.0 'numpy<2.3'`
in an environment of its own (its interpreter does not know later NumPys), and float16, as it has no bfloat16.
"""

from __future__ import annotations

import os
from typing import Any

import pytest

torch = pytest.importorskip("torch", reason="needs dyntaskmas_nb[llama]")


@pytest.fixture
def kernel(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setitem(os.environ, "TRITON_INTERPRET", "1")
    pytest.importorskip("triton", reason="our attention kernel needs Triton, which comes with torch for CUDA")
    from dyntaskmas_nb.llm.hugging.attention import Decoding

    return Decoding


@pytest.mark.filterwarnings("ignore:Conversion of an array:DeprecationWarning")  # Triton's interpreter
@pytest.mark.parametrize(
    ("kv", "group", "width", "positions"),
    [(2, 4, 32, [0, 5, 63]), (8, 4, 128, [0, 319, 318, 77]), (1, 8, 64, [130]), (2, 1, 32, [64, 0, 200])],
)
def test_it_mixes_what_each_row_holds(
    kernel: Any, kv: int, group: int, width: int, positions: list[int]
) -> None:
    rows, capacity = len(positions), 320
    draw = torch.Generator().manual_seed(0)
    query = torch.randn(rows, kv + 3, group, width, generator=draw).half()[:, :kv]  # rows lie apart
    cache = torch.randn(rows + 2, 2 * kv, capacity, width, generator=draw).half()
    mixed = kernel(kv, group, width, rows + 2, "cpu")(query, cache, torch.tensor(positions)).float()
    assert not mixed.isnan().any()
    for row, position in enumerate(positions):
        if position == capacity - 1:  # a row that is not in use
            continue
        keys, values = cache[row, :kv, : position + 1].float(), cache[row, kv:, : position + 1].float()
        scores = torch.einsum("kgd,knd->kgn", query[row].float(), keys) * width**-0.5
        expected = torch.einsum("kgn,knd->kgd", scores.softmax(-1), values).transpose(0, 1).reshape(-1)
        torch.testing.assert_close(mixed[row], expected, atol=5e-3, rtol=0)
