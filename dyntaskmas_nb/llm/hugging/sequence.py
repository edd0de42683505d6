"""One request on its way through the engine, and what it says."""

from __future__ import annotations

from collections.abc import Callable, Collection, Hashable
from dataclasses import dataclass

from dyntaskmas_nb.llm.embedded.sampling import Grammar
from dyntaskmas_nb.llm.protocol import Chunk, Finish, Request
from dyntaskmas_nb.llm.text import StopFilter


@dataclass(slots=True, eq=False, kw_only=True)
class Sequence:
    """A request under its key; `tokens` is the prompt followed by the answer so far.

    `slot` is its place, −1 for none; `held` how many positions of it are computed, or launched; `filling`
    while its first logits are missing; `flying` how many chosen tokens the host has not read; `turn` when it
    was placed.
    """

    key: Hashable
    request: Request
    tokens: list[int]
    prompt_tokens: int
    grammar: Grammar | None
    decode: Callable[[int], str]
    stops: StopFilter
    slot: int = -1
    held: int = 0
    filling: bool = True
    flying: int = 0
    cached: int = 0
    turn: int = 0

    @property
    def length(self) -> int:
        """Tokens so far, those in flight included."""
        return len(self.tokens) + self.flying

    @property
    def limit(self) -> int:
        """The most positions it can need."""
        return self.prompt_tokens + self.request.max_tokens

    def restart(self) -> None:
        """Forget what was computed, not what was said: it will be computed again, all at once."""
        self.slot, self.held, self.flying, self.filling = -1, 0, 0, True

    def say(self, token: int, ends: Collection[int]) -> Chunk:
        """Add `token` to the answer, and return what it says; raises what the grammar raises."""
        self.tokens.append(token)
        count = len(self.tokens) - self.prompt_tokens
        ended = token in ends
        text = "" if ended else self.stops.push(self.decode(token))
        complete = not ended and self.grammar is not None and self.grammar.advance(token)
        finish: Finish | None = None
        if ended or complete or self.stops.stopped:
            finish = "stop"
        elif count >= self.request.max_tokens:
            finish = "length"
        if finish is None:
            return Chunk(text=text)
        return Chunk(
            text=text + self.stops.flush(),
            finish=finish,
            prompt_tokens=self.prompt_tokens,
            completion_tokens=count,
            cached_tokens=self.cached,
        )
