"""Beginnings of prompts, kept with their keys and values, so that those are not computed twice.

Pure bookkeeping; the arrays come from the model.

What is kept is told by the requests (`Request.prefix_len`), what is reused is the longest common beginning,
token by token. Where room is short, the beginning goes first that is needed last (`steps_to_next_use`, after
KVFlow, arXiv:2507.07400), of equal ones the one used longest ago.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from dyntaskmas_nb.llm.embedded.checkpoint import Floats

ROOM = 64 * 2**20
"""Bytes of keys and values kept."""

WORTH = 16
"""Tokens in common from which copying beats computing."""

STALE = 100
"""Prompts after which a beginning that was not used counts as not needed: its run may be over."""

MARKS = 8
"""Tokens of the chat template that may stand within a beginning beside those of its texts."""


@dataclass(slots=True, eq=False)
class Prefix:
    """A kept beginning; `cache` as the model's `keep` gave it, (2, layers, kv heads, tokens, head_dim)."""

    tokens: tuple[int, ...]
    cache: Floats
    steps: float
    used: int = 0


class Prefixes:
    """The kept beginnings, least recently used first."""

    def __init__(self, room: int = ROOM) -> None:
        self._room = room
        self._kept: list[Prefix] = []
        self._turn = 0

    def longest(self, tokens: Sequence[int]) -> tuple[Floats | None, int]:
        """The cache that begins most like `tokens`, and how many positions of it hold for them."""
        self._turn += 1
        best, most = None, WORTH - 1
        for prefix in self._kept:
            alike = common(prefix.tokens, tuple(tokens[:-1]))  # the last is computed: its logits are wanted
            if alike > most:
                best, most = prefix, alike
        if best is None:
            return None, 0
        self._kept.remove(best)
        self._kept.append(best)
        best.used = self._turn
        return best.cache, most

    def size(self, tokens: Sequence[int], prefix_len: int) -> int:
        """How many of `tokens` to keep, where their texts' beginning has `prefix_len`; 0 for none."""
        size = min(prefix_len + MARKS, len(tokens) - 1) if prefix_len >= WORTH else 0
        known = any(prefix.tokens[:prefix_len] == tuple(tokens[:prefix_len]) for prefix in self._kept)
        return 0 if known else size

    def keep(self, tokens: Sequence[int], cache: Floats, steps: int | None) -> None:
        """Keep a beginning, and drop others where there is no room for it."""
        self._kept.append(Prefix(tuple(tokens), cache, math.inf if steps is None else steps, self._turn))
        while len(self._kept) > 1 and sum(prefix.cache.nbytes for prefix in self._kept) > self._room:
            self._kept.remove(max(self._kept[:-1], key=self._needed_in))
        if self._kept[-1].cache.nbytes > self._room:
            self._kept.clear()

    def needed(self, tokens: Sequence[int], steps: int | None) -> None:
        """Note when the beginning of `tokens` will be needed again."""
        for prefix in self._kept:
            if prefix.tokens == tuple(tokens[: len(prefix.tokens)]):
                prefix.steps = math.inf if steps is None else steps

    def _needed_in(self, prefix: Prefix) -> float:
        """In how many steps, as far as that still holds."""
        return prefix.steps if self._turn - prefix.used < STALE else math.inf


def common(one: Sequence[int], other: Sequence[int]) -> int:
    """How many tokens both begin with.

    Examples
    --------
    >>> common([1, 2, 3, 4], [1, 2, 9]), common([], [1]), common([5], [5, 6])
    (2, 0, 1)
    """
    low, high = 0, min(len(one), len(other))
    while low < high:  # by halves: slices are compared faster than tokens
        middle = (low + high + 1) // 2
        if one[low:middle] == other[low:middle]:
            low = middle
        else:
            high = middle - 1
    return low
