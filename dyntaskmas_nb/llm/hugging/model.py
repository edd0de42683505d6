"""A Llama (arXiv:2302.13971) in torch, over a cache with one slot a sequence. The arithmetic, no requests.

For the formulas see `embedded.model`. The cache of a layer is one tensor (slots, 2 · kv heads, capacity,
head_dim), keys first. A step of the batch computes the slots 0 … rows − 1, each at its own length; a slot
that takes no part writes to the last position of its row, which nobody reads. Queries that share a key are
laid out as query positions of that key's head, so keys and values are never expanded.

On a GPU a step is a fixed sequence of kernels, recorded once for each (rows, span) in a CUDA graph and
replayed; rows and span are rounded up so that few are needed, and with the attention kernel of our own there
is no span. Between the attentions the layers run as two
compiled functions. Should compiling or recording fail, that is logged, and the step runs without.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any, Final

import torch
from torch import Tensor
from torch.nn import functional

from dyntaskmas_nb.llm.hugging.cache import FLOOR, Cache, bucket, rounded
from dyntaskmas_nb.llm.hugging.draws import CLOSE, disturbed, forbid, words
from dyntaskmas_nb.llm.hugging.graphs import Graphs, Record, cuda_recorder
from dyntaskmas_nb.llm.hugging.layers import after, before, mix, mix_on_gpu, norm, vary
from dyntaskmas_nb.llm.hugging.weights import Weights

LOG = logging.getLogger(__name__)

SMALL: Final = 1024
"""Hidden size up to which a single thread of a CPU is faster than several."""

_TURN = threading.Lock()
"""Held while torch has one thread: two models restoring each other's setting would leave the wrong one."""


class Llama:
    """A Llama and its cache; not thread-safe.

    `record` makes graphs of steps; left out, CUDA's where there is a GPU, else none.
    """

    def __init__(
        self, config: Any, weights: Weights, *, window: int, max_batch: int, record: Record | None = None
    ) -> None:
        self._weights = weights
        self._heads, self._kv = config.num_attention_heads, config.num_key_value_heads
        self._width = weights.cos.shape[1] * 2
        self._epsilon = float(config.rms_norm_eps)
        self._device, self._dtype = weights.embedding.device, weights.embedding.dtype
        self._cuda = self._device.type == "cuda"
        self._small = config.hidden_size <= SMALL
        if self._cuda and record is None:
            record = cuda_recorder()
        self._rounded = record is not None
        self._graphs = Graphs(record)
        self.cache = Cache(
            (len(weights.layers), 2 * self._kv, self._width), self._device, self._dtype,
            window=window, max_batch=max_batch, moved=self._graphs.clear,
        )  # fmt: skip
        self._last = torch.zeros(max_batch, dtype=torch.int64, device=self._device)
        # Positions, seeds (two words) and temperatures (the bits of a float64), a column a slot.
        self._control = torch.zeros(4, max_batch, dtype=torch.int64, device=self._device)
        self._logits = torch.zeros(max_batch, weights.head.shape[0], dtype=self._dtype, device=self._device)
        self.compiled = False
        self._kernel: Any = None
        self._mix = mix_on_gpu if self._cuda else mix
        self._before: Callable[..., tuple[Tensor, Tensor]] = before
        self._after: Callable[..., Tensor] = after
        self._disturbed: Callable[..., Tensor] = disturbed

    @contextmanager
    def active(self) -> Iterator[None]:
        """The surroundings that every other method needs, for the calling thread."""
        if self._cuda:
            with torch.no_grad(), torch.cuda.device(self._device):
                yield
        else:
            with torch.no_grad(), one_thread() if self._small else nullcontext():
                yield

    def copy(self, source: int, target: int, length: int) -> None:
        """Copy `length` positions from slot to slot."""
        for layer in self.cache.layers:
            layer[target, :, :length] = layer[source, :, :length]

    def swap(self, one: int, other: int, length: int) -> None:
        """Exchange two slots, of which `length` positions matter."""
        both, crossed = [one, other], [other, one]
        for layer in self.cache.layers:
            layer[both, :, :length] = layer[crossed, :, :length]
        self._last[both] = self._last[crossed]
        self._control[:, both] = self._control[:, crossed]

    def prefill(self, slot: int, tokens: Sequence[int], start: int) -> None:
        """Append `tokens` to a slot that holds `start` positions; the logits after them become its own."""
        end = start + len(tokens)
        ids = self._upload(list(tokens))
        positions = torch.arange(start, end, device=self._device)
        span = -(-end // 16) * 16  # what GPU kernels like
        seen = torch.arange(span, device=self._device) <= positions[:, None]
        mask = self._mask(seen.repeat(self._heads // self._kv, 1)[None, None])

        def attend(index: int, query: Tensor, fresh: Tensor) -> Tensor:
            cache = self.cache.layers[index][slot]
            cache[:, start:end] = fresh.transpose(0, 1)
            count, kv, group, width = query.shape
            by_head = query.permute(1, 2, 0, 3).reshape(1, kv, group * count, width)
            mixed = self._mix(by_head, cache[None, :kv, :span], cache[None, kv:, :span], mask)
            return mixed.view(kv, group, count, width).permute(2, 1, 0, 3).reshape(count, -1)

        hidden = self._forward(ids, positions, attend)
        self._logits[slot] = self._head(hidden[-1:])[0]

    def decode(self, positions: Sequence[int | None]) -> None:
        """Append its last token to each slot i that has a position, `positions[i]`; logits become theirs."""
        rows = self.rows(len(positions))
        scrap = self.cache.capacity - 1
        at = [scrap if position is None else position for position in positions]
        at += [scrap] * (rows - len(at))
        self._control[0, :rows].copy_(self._upload(at), non_blocking=True)
        need = max(position for position in positions if position is not None) + 1
        span = min(rounded(need), self.cache.capacity) if self._rounded else need
        if self._kernel is not None:
            span = 0  # each row stops at its own length
        self._graphs.run(("decode", rows, span), lambda: self._step(rows, span))

    def rows(self, count: int) -> int:
        """How many rows a step computes to serve the first `count` slots."""
        return min(bucket(count, 1), self.cache.slots) if self._rounded else count

    def configure(self, slot: int, position: int, seed: int, temperature: float) -> None:
        """Tell how a slot's tokens are drawn, and at which position it is."""
        bits = torch.tensor(temperature, dtype=torch.float64).view(torch.int64).item()
        self._control[:, slot].copy_(self._upload([position, *words(seed), int(bits)]), non_blocking=True)

    def restrict(self, slots: Sequence[int], masks: Any) -> None:
        """Take from the logits of `slots` the tokens whose bit in `masks` (slots, bytes) is 0."""
        at = self._upload(list(slots))
        bits = torch.tensor(masks, pin_memory=self._cuda).to(self._device, non_blocking=True)
        self._logits[at] = forbid(self._logits[at], bits)

    def choose(self, first: int, last: int, *, drawn: bool, exact: bool) -> Choice:
        """Choose the next token of the slots first … last − 1 from their logits, `drawn` or all greedily."""
        if first == 0:
            last = self.rows(last)
        close: list[bool] = []
        if exact:
            scores = self._scores(first, last, drawn)
            best = scores.amax(-1, keepdim=True)
            close = ((scores > best - CLOSE).sum(-1) > 1).tolist()
            self._last[first:last] = scores.argmax(-1)
        else:
            key = ("choose", last, int(drawn)) if first == 0 else None
            self._graphs.run(key, lambda: self._pick(first, last, drawn))
        ids, copied = torch.empty(last - first, dtype=torch.int64, pin_memory=self._cuda), None
        ids.copy_(self._last[first:last], non_blocking=True)
        if self._cuda:
            copied = torch.cuda.Event()
            copied.record()
        return Choice(ids=ids, copied=copied, close=close)

    def warm(self) -> None:
        """On a GPU: compile, so that no request waits for it."""
        if self._cuda:
            with self.active():
                self.compile()
                self.cache.release()

    def compile(self, mode: str | None = None) -> None:
        """Put compiled functions between the attentions, for one row and for several, where that works."""
        plain = self._before, self._after, self._disturbed
        self._before, self._after, self._disturbed = (torch.compile(body, mode=mode) for body in plain)
        self.compiled = True
        try:
            self.cache.reserve(FLOOR - 1, 0)
            self._kernel = self._own_kernel()
            for count in dict.fromkeys((self.cache.slots, 1)):
                self._step(count, 0 if self._kernel else FLOOR)  # a span that GPU kernels take
                self._pick(0, count, drawn=True)
        except Exception as error:  # noqa: BLE001  whatever a compiler may raise: slower, not broken
            LOG.warning("torch.compile failed; the model runs without, more slowly: %r", error)
            self._before, self._after, self._disturbed = plain
            self.compiled = False

    def _own_kernel(self) -> Any:
        """Our attention of single tokens, where Triton compiles it and it agrees with torch's; else None."""
        if not self._cuda or self._dtype.itemsize != 2:
            return None
        try:
            from dyntaskmas_nb.llm.hugging.attention import Decoding

            kernel = Decoding(self._kv, self._heads // self._kv, self._width, len(self._last), self._device)
            layer = self.cache.layers[0].normal_()
            query = torch.randn_like(layer[:1, : self._kv, : self._heads // self._kv])
            position = torch.tensor([FLOOR // 2], device=self._device)
            held = layer[:1, :, : FLOOR // 2 + 1]
            usual = mix(query, held[:, : self._kv], held[:, self._kv :], None)
            difference = kernel(query, layer, position) - usual.transpose(1, 2).reshape(1, -1)
            layer.zero_()
            if float(difference.abs().max()) < 0.05:
                return kernel
            LOG.warning("Our attention kernel is off by %g; torch's is used.", float(difference.abs().max()))
        except Exception as error:  # noqa: BLE001  whatever a compiler may raise: slower, not broken
            LOG.warning("Our attention kernel failed; torch's is used, more slowly: %r", error)
        return None

    def _step(self, rows: int, span: int) -> None:
        """`decode` on the device, from `_control` and `_last` to `_logits`; `span` 0 with our own kernel."""
        positions = self._control[0, :rows]
        if span:
            seen = torch.arange(span, device=self._device) <= positions[:, None]
            mask = self._mask(seen[:, None, None])
        slots = torch.arange(rows, device=self._device)

        def attend(index: int, query: Tensor, fresh: Tensor) -> Tensor:
            cache = self.cache.layers[index]
            cache[slots, :, positions] = fresh
            if not span:
                mixed: Tensor = self._kernel(query, cache, positions)
                return mixed
            keys, values = cache[:rows, : self._kv, :span], cache[:rows, self._kv :, :span]
            return self._mix(query, keys, values, mask).transpose(1, 2).reshape(rows, -1)

        hidden = self._forward(self._last[:rows], positions, attend)
        self._logits[:rows] = self._head(hidden)

    def _forward(
        self, ids: Tensor, positions: Tensor, attend: Callable[[int, Tensor, Tensor], Tensor]
    ) -> Tensor:
        """Hidden states after all layers, before the last norm, (tokens, hidden)."""
        x = self._weights.embedding[ids]
        cos, sin = self._weights.cos[positions][:, None], self._weights.sin[positions][:, None]
        for index, layer in enumerate(self._weights.layers):
            vary(x, cos, sin)
            query, fresh = self._before(
                x, layer.attention_norm, layer.query_key_value, cos, sin, self._heads, self._kv, self._epsilon
            )
            mixed = attend(index, query, fresh)
            vary(mixed)
            x = self._after(x, mixed, layer.output, layer.mlp_norm, layer.gate_up, layer.down, self._epsilon)
        return x

    def _head(self, hidden: Tensor) -> Tensor:
        return functional.linear(norm(hidden, self._weights.norm, self._epsilon), self._weights.head)

    def _pick(self, first: int, last: int, drawn: bool) -> None:
        """`choose` on the device, from `_logits` to `_last`."""
        self._last[first:last] = self._scores(first, last, drawn).argmax(-1)

    def _scores(self, first: int, last: int, drawn: bool) -> Tensor:
        logits, control = self._logits[first:last], self._control[:, first:last]
        if not drawn:
            return logits
        position, low, high = control[:3].to(torch.int32)
        temperature = control[3].view(torch.float64).float()
        vary(logits, low, high, position, temperature)
        return self._disturbed(logits, low, high, position, temperature)

    def _mask(self, seen: Tensor) -> Tensor:
        """0 where `seen`, else −∞, to be added to scores."""
        return torch.zeros(seen.shape, dtype=self._dtype, device=self._device).masked_fill_(
            ~seen, float("-inf")
        )

    def _upload(self, numbers: list[int]) -> Tensor:
        """Numbers for the device; the host does not wait for the copy."""
        here = torch.tensor(numbers, dtype=torch.int64, pin_memory=self._cuda)
        return here.to(self._device, non_blocking=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """Tokens chosen, on their way to the host; `close` says for which rows the choice may be noise."""

    ids: Tensor
    copied: Any
    close: list[bool]

    def read(self) -> list[int]:
        """Wait for the tokens."""
        if self.copied is not None:
            self.copied.synchronize()
        numbers: list[int] = self.ids.tolist()
        return numbers


@contextmanager
def one_thread() -> Iterator[None]:
    """Hold torch to one thread; the setting is the process's own, so it is put back."""
    with _TURN:
        before = torch.get_num_threads()
        torch.set_num_threads(1)
        try:
            yield
        finally:
            torch.set_num_threads(before)
