"""Continuous batching: requests join and leave the running batch between steps. No threads, no clock.

A step admits waiting requests (highest priority first, then oldest) and computes their prompts, then adds
one token to every running sequence. Prompts are computed one at a time, so that their result does not
depend on company; at most `PREFILL_BUDGET` prompt tokens a step, so that a crowd of newcomers does not
silence those already speaking. What a prompt has in common with an earlier one of its role is copied
(`prefixes`); that may change the last bits of a logit, as a batch does, and is settled in the same way.
"""

from __future__ import annotations

from bisect import insort
from collections.abc import Callable, Hashable
from dataclasses import dataclass

from dyntaskmas_nb.errors import BackendError, ContextOverflow
from dyntaskmas_nb.llm.embedded.chat import ChatTokenizer
from dyntaskmas_nb.llm.embedded.checkpoint import Floats
from dyntaskmas_nb.llm.embedded.model import Llama
from dyntaskmas_nb.llm.embedded.prefixes import Prefixes
from dyntaskmas_nb.llm.embedded.sampling import Grammar, Sampler
from dyntaskmas_nb.llm.protocol import Chunk, Finish, Request
from dyntaskmas_nb.llm.text import StopFilter

PREFILL_BUDGET = 512

Output = tuple[Hashable, Chunk | BackendError]
"""What a step has for the request submitted under a key."""


@dataclass(slots=True, eq=False, kw_only=True)
class _Sequence:
    """A request on its way; `tokens` is the prompt followed by the answer so far."""

    key: Hashable
    priority: float
    tokens: list[int]
    prompt_tokens: int
    max_tokens: int
    sampler: Sampler
    decode: Callable[[int], str]
    stops: StopFilter
    prefix_len: int
    steps: int | None
    cached: int = 0


class Scheduler:
    """The batch, and who waits for it. Row i of the model's cache belongs to `_running[i]`."""

    def __init__(self, model: Llama, tokenizer: ChatTokenizer, max_batch: int) -> None:
        self._model = model
        self._tokenizer = tokenizer
        self._max_batch = max_batch
        self._prefixes = Prefixes()
        self._waiting: list[_Sequence] = []
        self._running: list[_Sequence] = []

    @property
    def idle(self) -> bool:
        """Whether there is nothing to do."""
        return not (self._running or self._waiting)

    def submit(self, key: Hashable, request: Request) -> None:
        """Queue `request`; its chunks come out of `step` under `key`.

        Raises `ContextOverflow` when prompt and `max_tokens` do not fit the window, `BadRequest` when the
        schema cannot be enforced or a message is no text; nothing has been computed then.
        """
        names = self._tokenizer.names()
        tokens = self._tokenizer.prompt(request.messages, names)
        window = self._model.config.max_position_embeddings
        if len(tokens) + request.max_tokens > window:
            raise ContextOverflow(
                f"{request.tag or 'The request'}: {len(tokens)} prompt tokens and "
                f"max_tokens={request.max_tokens} exceed the embedded model's window of {window}. "
                "Shorten the context or lower max_tokens."
            )
        schema = request.json_schema
        grammar = None if schema is None else Grammar(self._tokenizer.bytes_tokenizer, schema)
        sequence = _Sequence(
            key=key,
            priority=request.priority,
            tokens=tokens,
            prompt_tokens=len(tokens),
            max_tokens=request.max_tokens,
            sampler=Sampler(request.temperature, request.seed, grammar),
            decode=self._tokenizer.decoder(names),
            stops=StopFilter(request.stop),
            prefix_len=request.prefix_len,
            steps=request.steps_to_next_use,
        )
        insort(self._waiting, sequence, key=lambda waiting: -waiting.priority)

    def cancel(self, key: Hashable) -> None:
        """Forget a request, waiting or running; its row is free at once. Unknown keys are no error."""
        self._waiting = [sequence for sequence in self._waiting if sequence.key != key]
        for row, sequence in enumerate(self._running):
            if sequence.key == key:
                self._leave(row)
                return

    def step(self) -> list[Output]:
        """Admit who can be, and give every running sequence one token."""
        outputs: list[Output] = []
        self._admit(outputs)
        if self._running:
            last = [sequence.tokens[-1] for sequence in self._running]
            held = [len(sequence.tokens) - 1 for sequence in self._running]
            logits = self._model.decode(last, held)
            finished = [row for row in range(len(last)) if self._advance(row, logits[row], outputs)]
            for row in reversed(finished):
                self._leave(row)
        return outputs

    def _admit(self, outputs: list[Output]) -> None:
        """Move waiting requests into free rows; each gets its first token from its prompt."""
        budget = PREFILL_BUDGET
        while self._waiting and len(self._running) < self._max_batch and budget > 0:
            sequence = self._waiting.pop(0)
            row = len(self._running)
            self._running.append(sequence)
            logits = self._prefill(row, sequence)
            budget -= sequence.prompt_tokens - sequence.cached
            if self._advance(row, logits, outputs):
                self._leave(row)

    def _prefill(self, row: int, sequence: _Sequence) -> Floats:
        """Compute a prompt, less what it has in common with an earlier one; keep what later ones have."""
        tokens, prefixes = sequence.tokens, self._prefixes
        cache, sequence.cached = prefixes.longest(tokens)
        logits = self._model.prefill(row, tokens, cache, sequence.cached)
        if size := prefixes.size(tokens, sequence.prefix_len):
            prefixes.keep(tokens[:size], self._model.keep(row, size), sequence.steps)
        elif sequence.prefix_len:
            prefixes.needed(tokens, sequence.steps)
        return logits

    def _advance(self, row: int, logits: Floats, outputs: list[Output]) -> bool:
        """Give a row its next token; whether it is finished, or failed.

        A close call is settled by computing the sequence again, alone.
        """
        sequence = self._running[row]
        try:
            token = sequence.sampler.choose(logits)
            if token is None:
                token = sequence.sampler.settle(self._model.prefill(row, sequence.tokens))
            chunk = self._say(sequence, token)
        except BackendError as error:  # the grammar gave up: this request's failure, nobody else's
            outputs.append((sequence.key, error))
            return True
        if chunk.text or chunk.finish:
            outputs.append((sequence.key, chunk))
        return chunk.finish is not None

    def _say(self, sequence: _Sequence, token: int) -> Chunk:
        """Add `token` to the answer, and return what it says."""
        sequence.tokens.append(token)
        count = len(sequence.tokens) - sequence.prompt_tokens
        ended = token in self._tokenizer.ends
        text = "" if ended else sequence.stops.push(sequence.decode(token))
        complete = not ended and sequence.sampler.advance(token)
        finish: Finish | None = None
        if ended or complete or sequence.stops.stopped:
            finish = "stop"
        elif count >= sequence.max_tokens:
            finish = "length"
        if finish is None:
            return Chunk(text=text)
        text += sequence.stops.flush()
        return Chunk(
            text=text,
            finish=finish,
            prompt_tokens=sequence.prompt_tokens,
            completion_tokens=count,
            cached_tokens=sequence.cached,
        )

    def _leave(self, row: int) -> None:
        """Take a row out; the last one moves into the hole so that rows stay dense."""
        last = self._running.pop()
        if row < len(self._running):
            self._model.move(len(self._running), row, len(last.tokens))
            self._running[row] = last
