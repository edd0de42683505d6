"""Rotary position embedding (arXiv:2104.09864), in the "rotate half" layout of Hugging Face.

With θ the base, d the head dimension and p the position, pair i of a head, (x_i, x_{i+d/2}), is turned by

    p · f_i ,   f_i = θ^(−2i/d)

"llama3" scaling divides the slow frequencies by `factor` and blends the band between.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from dyntaskmas_nb.llm.embedded.config import LlamaConfig, RopeScaling

Floats = NDArray[np.float32]


def tables(config: LlamaConfig, length: int) -> tuple[Floats, Floats]:
    """Cosines and sines, each (length, 1, head_dim/2).

    In float32 throughout, as transformers computes them: at position 2000 float64 would differ by 1e-4.
    """
    turn = np.arange(length, dtype=np.float32)[:, None] * frequencies(config)
    return np.cos(turn)[:, None, :], np.sin(turn)[:, None, :]


def frequencies(config: LlamaConfig) -> Floats:
    """The angle a position adds to each pair, (head_dim/2,)."""
    exponent = np.arange(0, config.head_dim, 2, dtype=np.float32) / np.float32(config.head_dim)
    plain: Floats = np.float32(1.0) / np.float32(config.rope_theta) ** exponent
    return plain if config.rope_scaling is None else _llama3(plain, config.rope_scaling)


def _llama3(plain: Floats, scaling: RopeScaling) -> Floats:
    """Llama 3's rescaling: long waves slowed by `factor`, short ones kept, a linear blend between."""
    wave = 2 * math.pi / plain
    low, high = scaling.low_freq_factor, scaling.high_freq_factor
    blend = np.clip((scaling.original_max_position_embeddings / wave - low) / (high - low), 0.0, 1.0)
    return ((1 - blend) * plain / scaling.factor + blend * plain).astype(np.float32)


def rotate(heads: Floats, cos: Floats, sin: Floats) -> None:
    """Turn `heads` (tokens, heads, head_dim) in place by `cos`, `sin` (tokens, 1, head_dim/2)."""
    half = heads.shape[-1] // 2
    first, second = heads[..., :half], heads[..., half:]
    turned = first * cos
    turned -= second * sin
    second *= cos
    second += first * sin
    first[...] = turned
