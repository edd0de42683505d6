"""Continuous batching over the slots of a torch Llama: requests join and leave between steps. No threads.

A step admits waiting requests (highest priority first, then oldest), computes a limited piece of their
prompts, one sequence at a time, and adds one token to every running sequence.

On a GPU the host is one step behind (`overlap`): the next step is launched with tokens that only the GPU
knows yet, and while it computes, the host reads the tokens of the step before. A sequence that turns out to
have ended has one token too many in flight, which is dropped.

On a CPU in float32 (`exact`) a text does not depend on who else is in the batch: a choice too close to call
is made again with the sequence computed alone (see `embedded.sampling`). In bfloat16 rounding differs by
more than candidates do; there only the random draws are independent of the batch, not the logits.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Hashable

import numpy as np
import torch
from numpy.typing import NDArray

from dyntaskmas_nb.errors import BackendError, ContextOverflow, InvalidInput, OutOfMemory
from dyntaskmas_nb.llm.embedded.sampling import Grammar
from dyntaskmas_nb.llm.hugging.model import Choice, Llama
from dyntaskmas_nb.llm.hugging.sequence import Sequence
from dyntaskmas_nb.llm.hugging.slots import Slots
from dyntaskmas_nb.llm.hugging.tokens import Tokens
from dyntaskmas_nb.llm.protocol import Chunk, Request
from dyntaskmas_nb.llm.text import StopFilter

CHUNK = 512
"""Prompt tokens computed at once; also what bounds the prompts' part of a step."""

Output = tuple[Hashable, Chunk | BackendError]
"""What a step has for the request submitted under a key."""


class Scheduler:
    """The batch, and who waits for it."""

    def __init__(
        self, model: Llama, tokens: Tokens, *, window: int, max_batch: int, overlap: bool, exact: bool
    ) -> None:
        if exact and overlap:
            raise InvalidInput("exact=True and overlap=True; what is launched cannot be settled: choose one.")
        self._model, self._tokens, self._window = model, tokens, window
        self._max_batch, self._overlap, self._exact = max_batch, overlap, exact
        self._waiting: list[Sequence] = []
        self._running: dict[int, Sequence] = {}
        self._slots = Slots()
        self._flights: list[tuple[list[Sequence], list[int], Choice]] = []
        self._turns = 0

    @property
    def idle(self) -> bool:
        """Whether there is nothing to do."""
        return not (self._running or self._waiting)

    def submit(self, key: Hashable, request: Request) -> None:
        """Queue `request`; its chunks come out of `step` under `key`.

        Raises `ContextOverflow` when prompt and `max_tokens` fit neither the window nor the memory, and
        `BadRequest` for what tokenizer or grammar refuse; nothing has been computed then.
        """
        tokens = self._tokens.prompt(request.messages)
        need = len(tokens) + request.max_tokens
        room = self._window if self._model.cache.fits(need) else 0
        if need > room:
            where = f"the model's window of {self._window}" if room else "what the GPU's memory holds"
            raise ContextOverflow(
                f"{request.tag or 'The request'}: {len(tokens)} prompt tokens and "
                f"max_tokens={request.max_tokens} exceed {where}. Shorten the context or lower max_tokens."
            )
        schema = request.json_schema
        sequence = Sequence(
            key=key,
            request=request,
            tokens=tokens,
            prompt_tokens=len(tokens),
            grammar=None if schema is None else Grammar(self._tokens.bytes_tokenizer, schema),
            decode=self._tokens.decoder(),
            stops=StopFilter(request.stop),
        )
        insort(self._waiting, sequence, key=_rank)

    def cancel(self, key: Hashable) -> None:
        """Forget a request, waiting or running; its slot is free at once. Unknown keys are no error."""
        self._waiting = [sequence for sequence in self._waiting if sequence.key != key]
        for sequence in list(self._running.values()):
            if sequence.key == key:
                self._leave(sequence)

    def step(self) -> list[Output]:
        """Admit who can be, and give every running sequence one token."""
        outputs: list[Output] = []
        try:
            with self._model.active():
                self._step(outputs)
        except (torch.OutOfMemoryError, MemoryError) as error:
            self._shrink(outputs, error)
        return outputs

    def _step(self, outputs: list[Output]) -> None:
        self._admit(outputs)
        self._pack()
        speakers = [
            sequence
            for sequence in self._running.values()
            if not sequence.filling and sequence.length < sequence.limit
        ]
        count = max((sequence.slot for sequence in speakers), default=-1) + 1
        if speakers:
            positions: list[int | None] = [None] * count
            for sequence in speakers:
                positions[sequence.slot] = sequence.length - 1
                sequence.held = sequence.length
            self._model.decode(positions)
        self._collect(outputs)
        if speakers:
            self._choose(speakers, 0, count, outputs)
            if not self._overlap:
                self._collect(outputs)

    # --- joining and leaving

    def _admit(self, outputs: list[Output]) -> None:
        """Compute prompts, of those begun first, then of those who wait, as far as the budget goes."""
        budget = CHUNK
        while budget > 0:
            begun = (sequence for sequence in self._running.values() if sequence.filling)
            sequence = next(begun, None) or self._place()
            if sequence is None:
                return
            end = min(sequence.held + budget, len(sequence.tokens))
            self._model.prefill(sequence.slot, sequence.tokens[sequence.held : end], sequence.held)
            budget -= end - sequence.held
            sequence.held = end
            if end == len(sequence.tokens):
                sequence.filling = False
                self._configure(sequence)
                self._choose([sequence], sequence.slot, sequence.slot + 1, outputs)
                if not self._overlap:
                    self._collect(outputs)

    def _place(self) -> Sequence | None:
        """Give the first who waits a slot; None while there is nobody, or no slot or room for him."""
        if not self._waiting or len(self._running) >= self._max_batch:
            return None
        sequence, cache = self._waiting[0], self._model.cache
        self._turns += 1
        sequence.turn = self._turns
        few, large = cache.slots < self._max_batch, cache.capacity > cache.sized(sequence.limit)
        if few and large and not self._running:  # a long request made slots so
            cache.release()
            self._slots.forget()
        if not cache.reserve(sequence.limit, max(self._running, default=-1) + 1):
            return None
        self._slots.forget(cache.slots)
        free = [slot for slot in range(cache.slots) if slot not in self._running]
        if not free:
            return None
        busy = {slot: other.tokens[: other.held] for slot, other in self._running.items()}
        target, source, cached = self._slots.take(sequence.tokens, free, busy)
        if source != target:
            self._model.copy(source, target, cached)
        del self._waiting[0]
        sequence.slot, sequence.held = target, cached
        sequence.cached = min(cached, sequence.prompt_tokens)
        self._running[target] = sequence
        return sequence

    def _pack(self) -> None:
        """Move sequences into the lowest slots, so that a step computes few rows for nobody."""
        running = self._running
        while running and (high := max(running)) >= self._model.rows(len(running)):
            low = next(slot for slot in range(high) if slot not in running)
            sequence = running.pop(high)
            self._model.swap(high, low, max(sequence.held, self._slots.length(low)))
            self._slots.move(low, high)
            sequence.slot, running[low] = low, sequence

    def _leave(self, sequence: Sequence) -> None:
        """Take a sequence out; its slot keeps what was computed for whoever begins alike."""
        del self._running[sequence.slot]
        kept = sequence.tokens[: sequence.held]
        self._slots.leave(sequence.slot, kept, sequence.request.steps_to_next_use)
        sequence.slot = -1

    def _shrink(self, outputs: list[Output], error: BaseException) -> None:
        """After running out of memory: fail the newcomer, begin the others again, fewer at a time."""
        crowd = sorted(self._running.values(), key=lambda sequence: sequence.turn)
        self._max_batch = max(1, min(self._max_batch, len(crowd)) // 2)
        newcomer = max([*crowd, *self._waiting[:1]], key=lambda sequence: sequence.turn)
        (self._waiting if newcomer.slot < 0 else crowd).remove(newcomer)
        self._running.clear()
        self._flights.clear()  # their tokens are computed again
        self._slots.forget()
        self._model.cache.release(self._max_batch)
        refusal = OutOfMemory(
            f"{newcomer.request.tag or 'The request'}: the model ran out of memory; from now on it takes "
            f"{self._max_batch} at once. Ask again, or use a shorter context or int8 weights."
        )
        refusal.__cause__ = error
        outputs.append((newcomer.key, refusal))
        for sequence in reversed(crowd):
            sequence.restart()
            self._waiting.insert(bisect_left(self._waiting, _rank(sequence), key=_rank), sequence)

    # --- choosing and saying

    def _configure(self, sequence: Sequence) -> None:
        request = sequence.request
        self._model.configure(sequence.slot, sequence.length - 1, request.seed, request.temperature)

    def _choose(self, speakers: list[Sequence], first: int, last: int, outputs: list[Output]) -> None:
        """Choose the next tokens of `speakers`, in the slots first … last − 1; `_collect` reads them."""
        masks: dict[int, NDArray[np.uint8]] = {}
        for sequence in speakers:
            if sequence.slot >= 0 and sequence.grammar is not None:
                try:
                    masks[sequence.slot] = sequence.grammar.bits()
                except BackendError as error:  # the grammar gave up: this request's failure, nobody else's
                    outputs.append((sequence.key, error))
                    self._leave(sequence)
        if masks:
            self._model.restrict(list(masks), np.stack(list(masks.values())))
        speakers = [sequence for sequence in speakers if sequence.slot >= 0]
        drawn = any(sequence.request.temperature for sequence in speakers)
        choice = self._model.choose(first, last, drawn=drawn, exact=self._exact)
        for sequence in speakers:
            sequence.flying += 1
        self._flights.append((speakers, [sequence.slot - first for sequence in speakers], choice))

    def _collect(self, outputs: list[Output]) -> None:
        """Read the tokens in flight, and say them."""
        flights, self._flights = self._flights, []
        for speakers, rows, choice in flights:
            tokens = choice.read()
            for sequence, row in zip(speakers, rows, strict=True):
                if sequence.slot < 0:  # cancelled, or ended by an earlier token
                    continue
                sequence.flying -= 1
                close = bool(choice.close) and choice.close[row]
                self._advance(sequence, self._settle(sequence) if close else tokens[row], outputs)

    def _settle(self, sequence: Sequence) -> int:
        """The token that was too close to call, from the sequence computed alone."""
        for start in range(0, sequence.length, CHUNK):
            self._model.prefill(sequence.slot, sequence.tokens[start : start + CHUNK], start)
        if sequence.grammar is not None:
            self._model.restrict([sequence.slot], sequence.grammar.bits()[None])
        alone = self._model.choose(
            sequence.slot, sequence.slot + 1, drawn=bool(sequence.request.temperature), exact=False
        )
        return alone.read()[0]

    def _advance(self, sequence: Sequence, token: int, outputs: list[Output]) -> None:
        """Say `token`; a sequence that is finished, or failed, leaves."""
        try:
            chunk = sequence.say(token, self._tokens.ends)
        except BackendError as error:
            outputs.append((sequence.key, error))
            self._leave(sequence)
            return
        if chunk.text or chunk.finish:
            outputs.append((sequence.key, chunk))
        if chunk.finish:
            self._leave(sequence)


def _rank(sequence: Sequence) -> float:
    """Where a request stands in the queue."""
    return -sequence.request.priority
