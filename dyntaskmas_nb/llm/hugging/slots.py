"""Which slot of the cache a request gets, and what earlier ones left in the free slots. Pure bookkeeping.

A slot that a request leaves stays as it is: the next prompt that begins with the same tokens starts from
there. Where a slot must be given up, it is one that nobody used, else the one whose beginning is needed
last (`Request.steps_to_next_use`, after KVFlow, arXiv:2507.07400; unknown is later than any), of equal ones
the one left longest ago.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple

from dyntaskmas_nb.llm.embedded.prefixes import STALE, WORTH, common


class Left(NamedTuple):
    """What a slot holds, in how many steps of the graph it is needed again, and since which request."""

    tokens: Sequence[int]
    steps: float
    turn: int


class Slots:
    """The contents of the free slots, the one left longest ago first."""

    def __init__(self) -> None:
        self._left: dict[int, Left] = {}
        self._turn = 0

    def leave(self, slot: int, tokens: Sequence[int], steps: int | None) -> None:
        """Note that a request left `tokens` in `slot`."""
        self._left[slot] = Left(tokens, math.inf if steps is None else steps, self._turn)

    def move(self, source: int, target: int) -> None:
        """Note that the contents of a free slot are in another now."""
        if left := self._left.pop(source, None):
            self._left[target] = left

    def length(self, slot: int) -> int:
        """How many positions of a free slot are worth keeping."""
        return len(self._left[slot].tokens) if slot in self._left else 0

    def forget(self, first: int = 0) -> None:
        """The contents of the slots from `first` on are lost."""
        self._left = {slot: left for slot, left in self._left.items() if slot < first}

    def take(
        self, tokens: Sequence[int], free: Collection[int], busy: Mapping[int, Sequence[int]]
    ) -> tuple[int, int, int]:
        """Choose the slot for `tokens`: it, the slot that begins most like them, and how many are alike.

        `free` are the slots to choose from; `busy` tells what the others hold. The last token is never
        alike: its logits are wanted.
        """
        self._turn += 1
        holds = {**busy, **{slot: left.tokens for slot, left in self._left.items()}}
        alike = {slot: common(held, tokens[:-1]) for slot, held in holds.items()}
        source = max(alike, key=alike.__getitem__, default=0)
        most = alike.get(source, 0)
        if most < WORTH:
            source, most = -1, 0
        if source in free and most == self.length(source):  # a conversation that goes on
            target = source
        else:
            unused = (slot for slot in sorted(free) if slot not in self._left)
            target = next(unused, -1)
            if target < 0:
                target = max(self._left, key=self._needed_in)
        self._left.pop(target, None)
        return target, source if most else target, most

    def _needed_in(self, slot: int) -> float:
        """In how many steps, as far as that still holds."""
        left = self._left[slot]
        return left.steps if self._turn - left.turn < STALE else math.inf
