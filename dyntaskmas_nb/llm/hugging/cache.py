"""Where keys and values lie: for each layer one tensor of slots, grown when a request needs more.

A layer's tensor is (slots, 2 · kv heads, capacity, head_dim), keys first. The capacity doubles, so that it
seldom grows; on a GPU there are as many slots as its memory holds, up to the batch limit.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Final

import numpy as np
import torch
from torch import Tensor

FLOOR: Final = 256
"""The smallest capacity of a slot, and the smallest span of positions attended to on a GPU."""

SPARE: Final = 0.85
"""The share of the GPU's free memory that the cache may take; the rest is for what steps need."""


class Cache:
    """`shape` is (layers, 2 · kv heads, head_dim); `moved` is called before the tensors change places."""

    def __init__(
        self,
        shape: tuple[int, int, int],
        device: Any,
        dtype: Any,
        *,
        window: int,
        max_batch: int,
        moved: Callable[[], None],
    ) -> None:
        self._shape, self._device, self._dtype, self._moved = shape, device, dtype, moved
        self._most = -(-(window + 1) // FLOOR) * FLOOR
        self._max_batch = max_batch
        self._cuda = device.type == "cuda"
        self._room: int | None = None  # positions, of all slots together; None: not known, as on a CPU
        if self._cuda:
            torch.cuda.empty_cache()
            free, _ = torch.cuda.mem_get_info(device)
            self._room = int(free * SPARE) // int(math.prod(shape) * dtype.itemsize)
        self.layers: list[Tensor] = []

    @property
    def slots(self) -> int:
        """How many sequences it holds now."""
        return len(self.layers[0]) if self.layers else 0

    @property
    def capacity(self) -> int:
        """How many positions a slot has; the last is for scrap."""
        return self.layers[0].shape[2] if self.layers else 0

    def sized(self, length: int) -> int:
        """The capacity that a slot gets to hold `length` positions."""
        return min(bucket(length + 1, FLOOR), self._most)

    def fits(self, length: int) -> bool:
        """Whether memory holds a slot of `length` positions at all."""
        return self._room is None or self.sized(length) <= self._room

    def reserve(self, length: int, busy: int) -> bool:
        """Make slots hold `length` positions, keeping the first `busy` slots' contents; False: no room."""
        capacity = max(self.sized(length), self.capacity)
        slots = self._max_batch if self._room is None else min(self._max_batch, self._room // capacity)
        if slots < max(busy, 1):
            return False
        if (slots, capacity) == (self.slots, self.capacity):
            return True
        self._moved()
        layers, heads, width = self._shape
        old, self.layers = self.layers, []
        for _ in range(layers):  # one by one: memory holds one layer more than needed, not twice as many
            fresh = self._zeros((slots, heads, capacity, width))
            if old:
                kept = old.pop(0)[:slots]
                fresh[: len(kept), :, : kept.shape[2]] = kept
                del kept
                self._give_back()
            self.layers.append(fresh)
        return True

    def release(self, max_batch: int | None = None) -> None:
        """Free everything; from now on there are at most `max_batch` slots, if given."""
        self._max_batch = max_batch or self._max_batch
        self._moved()
        self.layers = []
        self._give_back()

    def _zeros(self, shape: tuple[int, ...]) -> Tensor:
        """Zeros; on a CPU in pages that cost nothing until they are used."""
        if self._cuda:
            return torch.zeros(shape, dtype=self._dtype, device=self._device)
        size = math.prod(shape) * self._dtype.itemsize
        return torch.from_numpy(np.zeros(size, np.uint8)).view(self._dtype).view(shape)

    def _give_back(self) -> None:
        """Give freed memory back to the GPU: pieces of the old size do not serve the new one."""
        if self._cuda:
            torch.cuda.empty_cache()


def bucket(number: int, smallest: int) -> int:
    """`smallest`, doubled until it holds `number`.

    Examples
    --------
    >>> bucket(5, 1), bucket(256, 256), bucket(257, 256)
    (8, 256, 512)
    """
    while smallest < number:
        smallest *= 2
    return smallest


def rounded(length: int) -> int:
    """The span of positions that a step attends to: at least `FLOOR`, and at most an eighth too much.

    Each span is recorded once; what it is too long is read in vain at every step.

    Examples
    --------
    >>> rounded(3), rounded(257), rounded(1000), rounded(1025)
    (256, 288, 1024, 1152)
    """
    step = bucket(length, FLOOR) // 16
    return max(FLOOR, -(-length // step) * step)
