"""Choosing the next token: greedy or by temperature, within a grammar, and the same however batched.

Matrix products of different batch sizes differ in their last bits (order of summation): about 1e-5 in a
logit, and 1e-4 at the worst position seen. That changes the choice only where two candidates are that
close. `Sampler.choose` says when they are (`CLOSE`); the scheduler then computes the logits again for the
sequence alone, which depends on its tokens only, and asks `settle`. So the same seed gives the same text
alone and in any batch, for one such computation in some thousand tokens.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from dyntaskmas_nb.errors import BadRequest, InvalidOutput
from dyntaskmas_nb.llm.embedded.checkpoint import Floats

if TYPE_CHECKING:
    from llguidance import LLTokenizer

CLOSE: Final = 4e-4
"""A difference of logits too small to trust across batch sizes: four times the worst noise measured."""


class Grammar:
    """Keeps an answer valid under a JSON schema; `BadRequest` for one that cannot be enforced."""

    def __init__(self, tokenizer: LLTokenizer, schema: Mapping[str, Any]) -> None:
        from llguidance import LLMatcher

        try:
            text = json.dumps(schema, default=dict)  # a nested read-only Mapping is a dict to JSON
        except (TypeError, ValueError) as error:
            raise BadRequest(f"The JSON schema is not JSON: {error}.") from error
        # At most one blank between the parts: a small model could otherwise write blanks for ever.
        rules = LLMatcher.grammar_from_json_schema(text, overrides={"whitespace_pattern": r"[ \n]?"})
        problem = LLMatcher.validate_grammar(rules, tokenizer)
        if problem:
            raise BadRequest(f"The JSON schema cannot be enforced: {problem}. Simplify the schema.")
        self._matcher = LLMatcher(tokenizer, rules)

    def allow(self, logits: Floats) -> Floats:
        """`logits` with what the grammar forbids at −∞; raises `InvalidOutput` when its parser gives up."""
        allowed = np.unpackbits(self.bits(), count=len(logits), bitorder="little").view(np.bool_)
        return np.where(allowed, logits, np.float32(-np.inf))

    def bits(self) -> NDArray[np.uint8]:
        """What the grammar allows next, one bit a token, lowest bit first; raises as `allow`."""
        bits = np.frombuffer(self._matcher.compute_bitmask(), dtype=np.uint8)
        self._check()
        return bits

    def advance(self, token: int) -> bool:
        """Take note of the token chosen; whether nothing but the end can follow. Raises as `allow`."""
        self._matcher.consume_token(token)
        self._check()
        return self._matcher.is_stopped()

    def _check(self) -> None:
        if self._matcher.is_error():
            problem = self._matcher.get_error()
            raise InvalidOutput(f"The JSON schema could not be followed to the end: {problem}")


class Sampler:
    """The choices of one request, from its own random numbers.

    By the Gumbel-max trick: with E exponentially distributed, one for each token,

        argmax(logits − temperature · ln E)

    is distributed as softmax(logits / temperature). So sampling, like greedy choice, is one comparison of
    scores in the logits' own unit, and "too close" means the same for both.
    """

    def __init__(self, temperature: float, seed: int, grammar: Grammar | None) -> None:
        self._grammar = grammar
        self._temperature = temperature
        self._random = np.random.Generator(np.random.PCG64(seed))
        self._noise: float | NDArray[np.float64] = 0.0

    def choose(self, logits: Floats) -> int | None:
        """The next token, or None when too close to call: then ask `settle` with exact logits."""
        if self._temperature:
            self._noise = self._temperature * np.log(self._random.standard_exponential(len(logits)))
        scores = self._scores(logits)
        best = int(scores.argmax())
        return best if np.count_nonzero(scores > scores[best] - CLOSE) == 1 else None

    def settle(self, logits: Floats) -> int:
        """The token that `choose` left open: the first of the best."""
        return int(self._scores(logits).argmax())

    def advance(self, token: int) -> bool:
        """Take note of the token chosen; whether the grammar, if any, is complete."""
        return self._grammar is not None and self._grammar.advance(token)

    def _scores(self, logits: Floats) -> NDArray[np.floating]:
        """What the choice maximises."""
        return (logits if self._grammar is None else self._grammar.allow(logits)) - self._noise
