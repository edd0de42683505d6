"""The mathematics of Llama (arXiv:2302.13971) in NumPy, over a cache that several sequences share.

For a token's hidden state x, each layer computes

    x ← x + O · attend(rope(Q·n(x)), rope(K·n(x)), V·n(x))        n(x) = w · x / √(mean(x²) + ε)
    x ← x + D · (silu(G·n(x)) · U·n(x))                           silu(g) = g / (1 + e^−g)

and the logits are H · n(x). Grouped queries: each of the kv heads serves heads/kv query heads. `rope`
(arXiv:2104.09864, in Hugging Face's layout) turns pair i of a head of d, (x_i, x_{i+d/2}), at position p by

    p · f_i ,   f_i = θ^(−2i/d)        θ: the base

The cache has one row (slot) a sequence. Sequences of different lengths decode together: row i is written
at its own length, and a mask hides what lies beyond. Rows are kept dense by the caller (`move`), so a
step works on plain slices and copies nothing.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from dyntaskmas_nb.llm.embedded.checkpoint import Floats, LlamaConfig, Weights

PREFILL_CHUNK = 256
"""Prompt tokens computed at once: bounds the attention matrix (heads · 256 · length)."""

_GROWTH = 256


class Llama:
    """A Llama and its key-value cache; not thread-safe."""

    def __init__(self, config: LlamaConfig, weights: Weights) -> None:
        self.config = config
        self._weights = weights
        layers, heads, width = config.num_hidden_layers, config.num_key_value_heads, config.head_dim
        self._cache = np.zeros((2, layers, 0, heads, 0, width), np.float32)  # keys and values
        self._cos, self._sin = _rotary_tables(config, 0)

    def prefill(
        self, slot: int, tokens: Sequence[int], cache: Floats | None = None, cached: int = 0
    ) -> Floats:
        """Compute a prompt into `slot`, from position 0, and return the logits after it, (vocab,).

        The result depends on `tokens` alone, to the last bit, whatever else is in the batch; not so where the
        first `cached` positions are taken from a `cache` that `keep` gave.
        """
        self._reserve(slot + 1, len(tokens))
        if cache is not None:
            self._cache[:, :, slot, :, :cached] = cache[:, :, :, :cached]
        hidden = self._weights.embedding[:0]
        for start in range(cached, len(tokens), PREFILL_CHUNK):
            hidden = self._forward([tokens[start : start + PREFILL_CHUNK]], [start], slot)
        logits: Floats = self._logits(hidden[-1:])[0]
        return logits

    def decode(self, tokens: Sequence[int], lengths: Sequence[int]) -> Floats:
        """Append `tokens[i]` to row i, which holds `lengths[i]` positions; logits (rows, vocab)."""
        self._reserve(len(tokens), max(lengths) + 1)
        return self._logits(self._forward([[token] for token in tokens], lengths, 0))

    def keep(self, slot: int, length: int) -> Floats:
        """Return a copy of the first `length` positions of a row, (2, layers, kv heads, length, head_dim)."""
        return self._cache[:, :, slot, :, :length].copy()

    def move(self, source: int, target: int, length: int) -> None:
        """Copy `length` positions of row `source` over row `target`."""
        self._cache[:, :, target, :, :length] = self._cache[:, :, source, :, :length]

    def _forward(self, tokens: Sequence[Sequence[int]], starts: Sequence[int], slot: int) -> Floats:
        """Append `tokens` (rows, count) to the rows from `slot` on, which hold `starts` positions.

        Returns the hidden states after all layers, (rows · count, hidden), before the last norm.
        """
        config, ids = self.config, np.asarray(tokens, np.intp)
        rotated = config.num_attention_heads + config.num_key_value_heads
        shape = (*ids.shape, rotated + config.num_key_value_heads, config.head_dim)
        positions = np.asarray(starts, np.intp)[:, None] + np.arange(ids.shape[1])
        cos, sin = self._cos[positions], self._sin[positions]
        x: Floats = self._weights.embedding[ids.ravel()]
        for index, layer in enumerate(self._weights.layers):
            heads = (self._norm(x, layer.attention_norm) @ layer.query_key_value.T).reshape(shape)
            _rotate(heads[..., :rotated, :], cos, sin)
            cache = self._cache[:, index, slot : slot + len(ids)]
            x += self._attend(heads, cache, positions).reshape(len(x), -1) @ layer.output.T
            gate_up = self._norm(x, layer.mlp_norm) @ layer.gate_up.T
            x += _swiglu(gate_up, config.intermediate_size) @ layer.down.T
        return x

    def _attend(self, heads: Floats, cache: Floats, positions: NDArray[np.intp]) -> Floats:
        """Write keys and values of `heads` (rows, count, heads, d) at `positions`; mix what they see."""
        rows, count, _, width = heads.shape
        kv = self.config.num_key_value_heads
        queries = heads[:, :, : -2 * kv]
        at, span = np.arange(rows)[:, None], int(positions.max()) + 1
        cache[0][at, :, positions] = heads[:, :, -2 * kv : -kv]
        cache[1][at, :, positions] = heads[:, :, -kv:]
        grouped = (queries * np.float32(width**-0.5)).reshape(rows, count, kv, -1, width)
        # (rows, kv, group · count, d)
        by_head = grouped.transpose(0, 2, 3, 1, 4).reshape(rows, kv, -1, width)
        scores = by_head @ cache[0][:, :, :span].swapaxes(-1, -2)
        scores = scores.reshape(rows, -1, count, span)
        unseen = np.arange(span) > positions[:, None, :, None]  # (rows, 1, count, span)
        np.copyto(scores, np.float32(-np.inf), where=unseen)
        mixed = _softmax(scores).reshape(rows, kv, -1, span) @ cache[1][:, :, :span]
        by_token: Floats = mixed.reshape(rows, -1, count, width).swapaxes(1, 2)
        return by_token

    def _logits(self, hidden: Floats) -> Floats:
        """Scores of every vocabulary entry, (tokens, vocab)."""
        logits: Floats = self._norm(hidden, self._weights.norm) @ self._weights.head.T
        return logits

    def _norm(self, x: Floats, weight: Floats) -> Floats:
        """RMSNorm of each row."""
        mean = np.vecdot(x, x) * np.float32(1 / x.shape[-1]) + np.float32(self.config.rms_norm_eps)
        normed: Floats = x / np.sqrt(mean)[:, None]
        normed *= weight
        return normed

    def _reserve(self, rows: int, length: int) -> None:
        """Make room for `rows` sequences of `length` positions, keeping what is there."""
        _, layers, had_rows, heads, had_length, width = self._cache.shape
        if rows <= had_rows and length <= had_length:
            return
        rows = max(had_rows, 1 << (rows - 1).bit_length())
        length = max(had_length, -(-length // _GROWTH) * _GROWTH)
        cache = np.zeros((2, layers, rows, heads, length, width), np.float32)  # untouched pages cost nothing
        cache[:, :, :had_rows, :, :had_length] = self._cache
        self._cache = cache
        self._cos, self._sin = _rotary_tables(self.config, length)


def _rotary_tables(config: LlamaConfig, length: int) -> tuple[Floats, Floats]:
    """Cosines and sines of every position's angles, each (length, 1, head_dim/2).

    In float32 throughout, as transformers computes them: at position 2000 float64 would differ by 1e-4.
    """
    exponent = np.arange(0, config.head_dim, 2, dtype=np.float32) / np.float32(config.head_dim)
    frequency: Floats = (np.float32(1.0) / np.float32(config.rope_theta) ** exponent).astype(np.float32)
    if config.rope_scaling:  # Llama 3: long waves slowed by `factor`, short ones kept, a blend between
        factor, low, high, original = config.rope_scaling
        blend = np.clip((original * frequency / (2 * math.pi) - low) / (high - low), 0.0, 1.0)
        frequency = np.asarray(frequency * ((1 - blend) / factor + blend), np.float32)
    turn: Floats = np.arange(length, dtype=np.float32)[:, None] * frequency
    return np.cos(turn)[:, None, :], np.sin(turn)[:, None, :]


def _rotate(heads: Floats, cos: Floats, sin: Floats) -> None:
    """Turn `heads` (tokens, heads, head_dim) in place by `cos`, `sin` (tokens, 1, head_dim/2)."""
    half = heads.shape[-1] // 2
    first, second = heads[..., :half], heads[..., half:]
    turned = first * cos
    turned -= second * sin
    second *= cos
    second += first * sin
    first[...] = turned


def _softmax(scores: Floats) -> Floats:
    """Softmax over the last axis, in place."""
    scores -= scores.max(axis=-1, keepdims=True)
    np.exp(scores, out=scores)
    scores /= scores.sum(axis=-1, keepdims=True)
    return scores


def _swiglu(gate_up: Floats, inner: int) -> Floats:
    """silu(gate) · up; e^−g may overflow to infinity, where silu is 0 as it should be."""
    gate: Floats = gate_up[:, :inner]
    with np.errstate(over="ignore"):
        below: Floats = np.exp(-gate)
    below += np.float32(1)
    activated: Floats = gate / below
    activated *= gate_up[:, inner:]
    return activated
