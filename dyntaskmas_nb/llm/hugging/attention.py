"""Attention of one new token a row over what its slot holds, as a Triton kernel: it reads what is there.

torch's kernels take a mask, and read all positions up to the longest row's, those of unused slots as well.
Here a row stops at its own length. Rows and heads are few (a batch of 8 on 8 heads is 64 programs, a GPU has
more processors), so each row's positions are split among several programs, whose parts are joined after
(T. Dao et al., "Flash-Decoding", 2023). With s a part's scores, m their maximum and l = Σ exp(s − m):

    mixed = Σ_parts exp(m − M) · (Σ exp(s − m) · v) / Σ_parts exp(m − M) · l        M = max m

Imported only where there is a GPU; Triton comes with torch for CUDA.
"""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

BLOCK = 64
"""Positions that a program reads at once."""

PROGRAMS, MOST = 512, 32
"""About how many programs a step should have, and into how many parts a row is split at the most."""


@triton.jit
def _part(
    queries, cache, positions, sums, tops, scale, scrap, stride,
    KV: tl.constexpr, GROUP: tl.constexpr, WIDTH: tl.constexpr, CAPACITY: tl.constexpr,
    SPLITS: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    row, head, split = tl.program_id(0).to(tl.int64), tl.program_id(1), tl.program_id(2)
    position = tl.load(positions + row)
    length = tl.where(position >= scrap, 1, position + 1)
    blocks = (length + BLOCK - 1) // BLOCK
    each = (blocks + SPLITS - 1) // SPLITS * BLOCK
    start = split * each
    end = tl.minimum(start + each, length)
    member, across, along = tl.arange(0, 16), tl.arange(0, WIDTH), tl.arange(0, BLOCK)
    there = (member < GROUP)[:, None]
    place = row * stride + (head * GROUP + member)[:, None] * WIDTH + across[None, :]
    query = tl.load(queries + place, mask=there, other=0.0)
    keys = cache + (row * 2 * KV + head) * CAPACITY * WIDTH
    values = keys + KV * CAPACITY * WIDTH
    top = tl.full([16], float("-inf"), tl.float32)
    total = tl.zeros([16], tl.float32)
    mixed = tl.zeros([16, WIDTH], tl.float32)
    for first in range(start, end, BLOCK):
        at = first + along
        held = at < end
        key = tl.load(keys + at[None, :] * WIDTH + across[:, None], mask=held[None, :], other=0.0)
        scores = tl.dot(query, key) * scale
        scores = tl.where(held[None, :], scores, float("-inf"))
        higher = tl.maximum(top, tl.max(scores, 1))
        shares = tl.exp(scores - higher[:, None])
        kept = tl.exp(top - higher)
        value = tl.load(values + at[:, None] * WIDTH + across[None, :], mask=held[:, None], other=0.0)
        mixed = mixed * kept[:, None] + tl.dot(shares.to(value.dtype), value)
        total = total * kept + tl.sum(shares, 1)
        top = higher
    out = (((row * KV + head) * SPLITS + split) * GROUP + member)[:, None]
    tl.store(sums + out * WIDTH + across[None, :], mixed, mask=there)
    both = (((row * KV + head) * SPLITS + split) * GROUP + member) * 2
    tl.store(tops + both, top, mask=member < GROUP)
    tl.store(tops + both + 1, total, mask=member < GROUP)


@triton.jit
def _join(
    sums, tops, out,
    KV: tl.constexpr, GROUP: tl.constexpr, WIDTH: tl.constexpr, SPLITS: tl.constexpr,
):  # fmt: skip
    row, head, member = tl.program_id(0).to(tl.int64), tl.program_id(1), tl.program_id(2)
    split, across = tl.arange(0, SPLITS), tl.arange(0, WIDTH)
    part = ((row * KV + head) * SPLITS + split) * GROUP + member
    top, total = tl.load(tops + part * 2), tl.load(tops + part * 2 + 1)
    weight = tl.exp(top - tl.max(top, 0))
    mixed = tl.load(sums + part[:, None] * WIDTH + across[None, :])
    whole = tl.sum(mixed * weight[:, None], 0) / tl.sum(total * weight, 0)
    # group by group, as the output matrix's columns are
    place = (row * GROUP + member) * KV + head
    tl.store(out + place * WIDTH + across, whole.to(out.dtype.element_ty))


class Decoding:
    """The kernel for a model with `kv` heads; fixed buffers, so that its launches can be recorded."""

    def __init__(self, kv: int, group: int, width: int, rows: int, device: object) -> None:
        self._kv, self._group, self._width = kv, group, width
        parts = max(self._parts(count) * count for count in (1 << n for n in range(rows.bit_length())))
        parts = max(parts, self._parts(rows) * rows)
        self._sums = torch.empty(parts * kv * group * width, dtype=torch.float32, device=device)
        self._tops = torch.empty(parts * kv * group * 2, dtype=torch.float32, device=device)

    def _parts(self, rows: int) -> int:
        """Into how many parts each of `rows` is split: a power of two."""
        wanted = max(1, PROGRAMS // (rows * self._kv))
        return min(MOST, 1 << (wanted.bit_length() - 1))

    def __call__(self, query: Tensor, cache: Tensor, positions: Tensor) -> Tensor:
        """Mix for `query` (rows, kv, group, head_dim) what slots 0 … rows − 1 hold up to `positions`.

        `cache` is a layer's (slots, 2 · kv, capacity, head_dim); a row at the last position is not in use.
        Returns (rows, group · kv · head_dim).
        """
        rows, kv, group, width = query.shape
        if query.stride()[1:] != (group * width, width, 1):  # rows may lie apart: queries beside keys
            query = query.contiguous()
        capacity, splits = cache.shape[2], self._parts(rows)
        out = torch.empty(rows, group * kv * width, dtype=query.dtype, device=query.device)
        shape = {"KV": kv, "GROUP": group, "WIDTH": width, "SPLITS": splits}
        _part[rows, kv, splits](
            query, cache, positions, self._sums, self._tops, width**-0.5, capacity - 1, query.stride(0),
            **shape, CAPACITY=capacity, BLOCK=BLOCK, num_warps=4, num_stages=3,
        )  # fmt: skip
        _join[rows, kv, group](self._sums, self._tops, out, **shape, num_warps=4)
        return out
