"""The mathematics of Llama (arXiv:2302.13971) in NumPy, over a cache that several sequences share.

For a token's hidden state x, each layer computes

    x ← x + O · attend(rope(Q·n(x)), rope(K·n(x)), V·n(x))        n(x) = w · x / √(mean(x²) + ε)
    x ← x + D · (silu(G·n(x)) · U·n(x))                           silu(g) = g / (1 + e^−g)

and the logits are H · n(x). Grouped queries: each of the kv heads serves heads/kv query heads.

The cache has one row (slot) a sequence. Sequences of different lengths decode together: row i is written
at its own length, and a mask hides what lies beyond. Rows are kept dense by the caller (`move`), so a
step works on plain slices and copies nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from dyntaskmas_nb.llm.embedded import rope
from dyntaskmas_nb.llm.embedded.config import LlamaConfig
from dyntaskmas_nb.llm.embedded.weights import Floats, Weights

PREFILL_CHUNK = 256
"""Prompt tokens computed at once: bounds the attention matrix (heads · 256 · length)."""

_GROWTH = 256
_HIDDEN = np.float32(-np.inf)
Attend = Callable[[int, Floats], Floats]


class Llama:
    """A Llama and its key-value cache; not thread-safe."""

    def __init__(self, config: LlamaConfig, weights: Weights) -> None:
        self.config = config
        self._weights = weights
        self._keys = self._values = self._empty(0, 0)
        self._cos, self._sin = rope.tables(config, 0)

    def prefill(self, slot: int, tokens: Sequence[int]) -> Floats:
        """Compute a prompt into `slot`, from position 0, and return the logits after it, (vocab,).

        The result depends on `tokens` alone, to the last bit, whatever else is in the batch.
        """
        ids = np.asarray(tokens, dtype=np.intp)
        self._reserve(slot + 1, len(ids))
        hidden = self._weights.embedding[:0]
        for start in range(0, len(ids), PREFILL_CHUNK):
            part = ids[start : start + PREFILL_CHUNK]
            positions = np.arange(start, start + len(part))
            hidden = self._forward(part, positions, self._one_row(slot, start, len(part)))
        logits: Floats = self._logits(hidden[-1:])[0]
        return logits

    def decode(self, tokens: Sequence[int], lengths: Sequence[int]) -> Floats:
        """Append `tokens[i]` to row i, which holds `lengths[i]` positions; logits (rows, vocab)."""
        at = np.asarray(lengths, dtype=np.intp)
        self._reserve(len(at), int(at.max()) + 1)
        return self._logits(self._forward(np.asarray(tokens, dtype=np.intp), at, self._all_rows(at)))

    def move(self, source: int, target: int, length: int) -> None:
        """Copy `length` positions of row `source` over row `target`."""
        for cache in (self._keys, self._values):
            cache[:, target, :, :length] = cache[:, source, :, :length]

    def _forward(self, tokens: NDArray[np.intp], positions: NDArray[np.intp], attend: Attend) -> Floats:
        """Hidden states after all layers, (tokens, hidden), before the last norm."""
        config = self.config
        rotated = config.num_attention_heads + config.num_key_value_heads
        shape = (len(tokens), rotated + config.num_key_value_heads, config.head_dim)
        cos, sin = self._cos[positions], self._sin[positions]
        x: Floats = self._weights.embedding[tokens]
        for index, layer in enumerate(self._weights.layers):
            heads = (self._norm(x, layer.attention_norm) @ layer.query_key_value.T).reshape(shape)
            rope.rotate(heads[:, :rotated], cos, sin)
            x += attend(index, heads) @ layer.output.T
            gate_up = self._norm(x, layer.mlp_norm) @ layer.gate_up.T
            x += _swiglu(gate_up, config.intermediate_size) @ layer.down.T
        return x

    def _logits(self, hidden: Floats) -> Floats:
        """Scores of every vocabulary entry, (tokens, vocab)."""
        logits: Floats = self._norm(hidden, self._weights.norm) @ self._weights.head.T
        return logits

    def _norm(self, x: Floats, weight: Floats) -> Floats:
        """RMSNorm of each row."""
        mean = np.vecdot(x, x)
        mean *= np.float32(1 / x.shape[-1])
        mean += np.float32(self.config.rms_norm_eps)
        normed: Floats = x / np.sqrt(mean)[:, None]
        normed *= weight
        return normed

    def _split(self, heads: Floats) -> tuple[Floats, Floats, Floats]:
        """Scaled queries (tokens, kv, group, d), keys and values (tokens, kv, d)."""
        config = self.config
        queries, kv = config.num_attention_heads, config.num_key_value_heads
        scaled = heads[:, :queries] * np.float32(config.head_dim**-0.5)
        grouped = scaled.reshape(len(heads), kv, queries // kv, config.head_dim)
        return grouped, heads[:, queries : queries + kv], heads[:, queries + kv :]

    def _all_rows(self, lengths: NDArray[np.intp]) -> Attend:
        """Attention of one new token in each row."""
        rows, span = np.arange(len(lengths)), int(lengths.max()) + 1
        mask = np.where(np.arange(span) <= lengths[:, None], np.float32(0), _HIDDEN)[:, None, None, :]

        def attend(index: int, heads: Floats) -> Floats:
            query, key, value = self._split(heads)
            keys, values = self._keys[index], self._values[index]
            keys[rows, :, lengths] = key
            values[rows, :, lengths] = value
            scores = query @ keys[: len(rows), :, :span].swapaxes(-1, -2)
            scores += mask
            mixed: Floats = _softmax(scores) @ values[: len(rows), :, :span]
            return mixed.reshape(len(rows), -1)

        return attend

    def _one_row(self, slot: int, start: int, count: int) -> Attend:
        """Causal attention of `count` new tokens of one row."""
        end = start + count
        mask = np.where(np.arange(end) <= np.arange(start, end)[:, None], np.float32(0), _HIDDEN)

        def attend(index: int, heads: Floats) -> Floats:
            query, key, value = self._split(heads)
            keys, values = self._keys[index, slot], self._values[index, slot]
            keys[:, start:end] = key.swapaxes(0, 1)
            values[:, start:end] = value.swapaxes(0, 1)
            by_head = query.transpose(1, 2, 0, 3)  # (kv, group, tokens, d)
            scores = by_head @ keys[:, None, :end].swapaxes(-1, -2)
            scores += mask
            mixed: Floats = _softmax(scores) @ values[:, None, :end]
            return mixed.transpose(2, 0, 1, 3).reshape(count, -1)

        return attend

    def _empty(self, rows: int, length: int) -> Floats:
        """A cache of (layers, rows, kv heads, positions, head_dim); untouched pages cost nothing."""
        config = self.config
        return np.zeros(
            (config.num_hidden_layers, rows, config.num_key_value_heads, length, config.head_dim), np.float32
        )

    def _reserve(self, rows: int, length: int) -> None:
        """Make room for `rows` sequences of `length` positions, keeping what is there."""
        had_rows, had_length = self._keys.shape[1], self._keys.shape[3]
        if rows <= had_rows and length <= had_length:
            return
        rows = max(had_rows, 1 << (rows - 1).bit_length())
        length = max(had_length, -(-length // _GROWTH) * _GROWTH)
        keys, values = self._empty(rows, length), self._empty(rows, length)
        keys[:, :had_rows, :, :had_length] = self._keys
        values[:, :had_rows, :, :had_length] = self._values
        self._keys, self._values = keys, values
        self._cos, self._sin = rope.tables(self.config, length)


def _softmax(scores: Floats) -> Floats:
    """Softmax over the last axis, in place."""
    scores -= scores.max(axis=-1, keepdims=True)
    np.exp(scores, out=scores)
    scores /= scores.sum(axis=-1, keepdims=True)
    return scores


def _swiglu(gate_up: Floats, inner: int) -> Floats:
    """silu(gate) · up; e^−g may overflow to infinity, where silu is 0 as it should be."""
    gate: Floats
    up: Floats
    gate, up = gate_up[:, :inner], gate_up[:, inner:]
    with np.errstate(over="ignore"):
        below: Floats = np.exp(-gate)
    below += np.float32(1)
    activated: Floats = gate / below
    activated *= up
    return activated
