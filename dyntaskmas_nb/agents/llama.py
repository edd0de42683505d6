"""Agents that ask a language model (paper §III-D): one task, one prompt, one text."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from hashlib import blake2b
from typing import Any

import orjson

from dyntaskmas_nb.agents.context import Context, Item
from dyntaskmas_nb.agents.outcome import Answer
from dyntaskmas_nb.agents.prompts import REFUSAL, ContextItem, agent_messages
from dyntaskmas_nb.core.task import Task
from dyntaskmas_nb.errors import AgentError, BackendError, InvalidOutput
from dyntaskmas_nb.llm.protocol import Backend, Message, Request, complete

TIMEOUT = 600.0
"""Seconds that a task without a timeout of its own waits for a real model."""

_TOKENS = 256
_MESSAGE_TOKENS = 8


class LlamaAgent:
    """An agent that answers its task with the text of a language model.

    Parameters
    ----------
    backend : the model.
    max_tokens : the most tokens of an answer; by default 256, more for a task of complexity above 4, and
        never more than a third of the context window.
    """

    __slots__ = ("_backend", "_max_tokens")

    def __init__(self, backend: Backend, *, max_tokens: int | None = None) -> None:
        self._backend = backend
        self._max_tokens = max_tokens

    def __repr__(self) -> str:
        return f"LlamaAgent({self._backend.name})"

    async def __call__(self, task: Task, context: Context, *, inline: bool) -> Answer:
        """Ask the model; `inline` is all the same to it.

        Raises
        ------
        AgentError
            The model failed, gave no text, or declined; retryable where the model's own error is.
        """
        try:
            completion = await complete(self._backend, self._request(task, context))
            text = completion.text.strip().encode("utf-8", "replace").decode()
            if not text:
                raise InvalidOutput(f"{self._backend.name} gave an empty answer for {task.id!r}.")
        except BackendError as error:
            raise AgentError(str(error), retryable=error.retryable) from error
        if self._backend.caps.refuses and text.startswith(REFUSAL):
            raise self._declined(task)
        return Answer(result=text, tokens=completion.prompt_tokens + completion.completion_tokens)

    def _request(self, task: Task, context: Context) -> Request:
        caps = self._backend.caps
        max_tokens = self._max_tokens or min(
            max(_TOKENS, min(round(64 * task.complexity), 4 * _TOKENS)), max(caps.context_window // 3, 1)
        )
        return Request(
            messages=fitted(task, context, self._backend, caps.context_window - max_tokens),
            max_tokens=max_tokens,
            seed=seed_of(context.seed, task.id, context.attempt),
            timeout=task.timeout if task.timeout is not None else None if caps.virtual else TIMEOUT,
            priority=context.priority,
            tag=task.id,
            cost=task.complexity,
        )

    def _declined(self, task: Task) -> AgentError:
        domains = " and ".join(self._backend.caps.domains) or "its own domains"
        return AgentError(
            f"The embedded teaching model declined {task.id!r} (role {task.role!r}): it only knows {domains}."
            f' Give a Python function for the role, Kit(agents={{"{task.role}": function}}), or connect a'
            ' real Llama, Kit(model="http://127.0.0.1:8000/v1").',
            retryable=False,
        )


def seed_of(seed: int, task_id: str, attempt: int) -> int:
    """A seed in [0, 2³¹) for one attempt of one task of a run, the same in every process.

    Examples
    --------
    >>> seed_of(1, "hotel", 1) == seed_of(1, "hotel", 1) != seed_of(1, "hotel", 2)
    True
    """
    return int.from_bytes(blake2b(f"{seed}/{attempt}/{task_id}".encode(), digest_size=4).digest()) >> 1


def fitted(task: Task, context: Context, backend: Backend, budget: int) -> tuple[Message, ...]:
    """The prompt for `task` within `budget` tokens where shortening its context can achieve that.

    Relevant pieces are left out first, the least relevant one before the others; then the predecessors'
    results are cut, all to the same length at most, so that the short ones stay whole.
    """
    results = [ContextItem(title=id, text=as_text(result)) for id, result in context.items()]
    relevant = sorted(context.relevant, key=lambda item: -item.relevance)

    def messages(found: Sequence[ContextItem]) -> tuple[Message, ...]:
        text = task.description.strip() or task.id.replace("_", " ")
        return agent_messages(task.role, text, context.request, found, terse=backend.caps.terse)

    def fits(found: Sequence[ContextItem]) -> bool:
        return sum(backend.count_tokens(m.content) + _MESSAGE_TOKENS for m in messages(found)) <= budget

    while relevant and not fits([*results, *map(_item, relevant)]):
        relevant.pop()
    if relevant or fits(results):
        return messages([*results, *map(_item, relevant)])
    low, high = 0, max((len(result.text) for result in results), default=0)
    while low < high:  # the greatest length that fits
        middle = (low + high + 1) // 2
        low, high = (middle, high) if fits(_cut(results, middle)) else (low, middle - 1)
    return messages(_cut(results, low))


def as_text(result: Any) -> str:
    """A result as an agent reads it: text as it is, anything else as JSON."""
    return result if isinstance(result, str) else orjson.dumps(result).decode()


def _item(item: Item) -> ContextItem:
    return ContextItem(title=item.title, text=item.text)


def _cut(items: Sequence[ContextItem], length: int) -> list[ContextItem]:
    return [
        item
        if len(item.text) <= length
        else replace(item, text=item.text[: max(length - 1, 0)] + "…" * (length > 0))
        for item in items
    ]
