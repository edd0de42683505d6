"""Choosing the next tokens of a batch on the device that computed their logits.

By the Gumbel-max trick (see `embedded.sampling`), with E exponentially distributed, one for each token,

    argmax(logits − temperature · ln E)

is distributed as softmax(logits / temperature). E comes from no generator but from a hash of the request's
seed, the position and the token: so a request's draws are its own, whatever the batch and the device, and
nothing is kept between steps. The hash is 32-bit multiply-and-shift mixing, twice.
"""

from __future__ import annotations

from typing import Final

import torch
from torch import Tensor

CLOSE: Final = 4e-4
"""A difference of float32 logits too small to trust across batch sizes (see `embedded.sampling`)."""


def words(seed: int) -> tuple[int, int]:
    """The seed's low 64 bits as two signed 32-bit numbers.

    Examples
    --------
    >>> words(7), words(2**32 - 1)
    ((7, 0), (-1, 0))
    """
    low, high = seed & 0xFFFFFFFF, seed >> 32 & 0xFFFFFFFF
    return low - (low >> 31 << 32), high - (high >> 31 << 32)


def _mix(x: Tensor) -> Tensor:
    """Spread every bit of int32 numbers over all of them; products wrap."""
    x = x ^ (x >> 16 & 0xFFFF)  # int32 shifts keep the sign: the masks make them logical
    x = x * 0x21F0AAAD
    x = x ^ (x >> 15 & 0x1FFFF)
    x = x * 0x735A2D97
    return x ^ (x >> 15 & 0x1FFFF)


def noise(low: Tensor, high: Tensor, positions: Tensor, size: int) -> Tensor:
    """The logarithm of E for every token, (rows, size); the seeds' words int32, as `positions` (rows,)."""
    at = _mix(positions.to(torch.int32))
    one, other = _mix(low ^ at)[:, None], _mix(high ^ _mix(at + 1))[:, None]
    tokens = torch.arange(size, dtype=torch.int32, device=low.device)
    bits = _mix(_mix(tokens ^ one) + other)
    # 31 bits, at their finest near 0: the smallest E wins.
    uniform = ((bits & 0x7FFFFFFF).float() + 0.5) * 2.0**-31
    return torch.log(-torch.log1p(-uniform.clamp_max(1 - 2.0**-24)))


def disturbed(logits: Tensor, low: Tensor, high: Tensor, positions: Tensor, temperature: Tensor) -> Tensor:
    """What the choice maximises, (rows, vocabulary) float32."""
    return logits.float() - temperature[:, None] * noise(low, high, positions, logits.shape[-1])


def forbid(logits: Tensor, bits: Tensor) -> Tensor:
    """`logits` (rows, vocabulary) with −∞ where `bits` (rows, bytes; lowest bit first) has no 1."""
    unpacked = bits[..., None] >> torch.arange(8, dtype=torch.uint8, device=bits.device) & 1
    allowed = unpacked.flatten(1)[:, : logits.shape[-1]].bool()
    return logits.masked_fill(~allowed, float("-inf"))
