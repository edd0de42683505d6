"""Agents that ask a language model (paper §III-D): one task, one prompt, one text."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from hashlib import blake2b

import orjson

from dyntaskmas_nb.agents.context import Context, Item
from dyntaskmas_nb.agents.outcome import Answer
from dyntaskmas_nb.agents.prompts import REFUSAL, agent_messages, agent_prefix
from dyntaskmas_nb.agents.warming import Warming
from dyntaskmas_nb.core.task import Task
from dyntaskmas_nb.errors import AgentError, BackendError
from dyntaskmas_nb.llm.price import Price
from dyntaskmas_nb.llm.protocol import Backend, Chunk, Message, Request, answered

TIMEOUT = 600.0  # seconds that a task without a timeout of its own waits for a real model
MESSAGE_TOKENS = 8  # that the marks around a message may take


class LlamaAgent:
    """An agent that answers its task with the text of the language model `backend`, at `price`."""

    __slots__ = ("_backend", "_price", "_warming")

    def __init__(self, backend: Backend, price: Price = Price()) -> None:
        self._backend = backend
        self._price = price
        self._warming = Warming()

    async def __call__(self, task: Task, context: Context, *, inline: bool) -> Answer:
        """Ask the model; `inline` is all the same to it.

        Raises `AgentError` where it failed, gave no text or declined; retryable where its own error is.
        """
        try:
            caps = self._backend.caps
            completion = await self._ask(partial(self._request, task, context))
        except BackendError as error:
            raise AgentError(str(error), retryable=error.retryable) from error
        # Neither half a surrogate nor a NUL can be stored.
        text = completion.text.replace("\0", "").strip().encode("utf-8", "replace").decode()
        read, written = completion.prompt_tokens, completion.completion_tokens
        tokens, cost = read + written, self._price.of(read, written)
        if not text:
            empty = f"{self._backend.name} gave an empty answer for {task.id!r}."
            raise AgentError(empty, tokens=tokens, cost=cost)
        if caps.refuses and text.startswith(REFUSAL):
            raise AgentError(
                f"The embedded teaching model declined {task.id!r} (role {task.role!r}): it only knows "
                f"{', '.join(caps.domains)}. Give a Python function for the role, "
                f'Kit(agents={{"{task.role}": function}}), or connect a real Llama, '
                'Kit(model="http://127.0.0.1:8000/v1").',
                retryable=False,
                tokens=tokens,
                cost=cost,
            )
        return Answer(
            result=text,
            tokens=tokens,
            cost=cost,
            waited=completion.waited,
            cached=completion.cached_tokens,
        )

    async def _ask(self, make: Callable[[], Request]) -> Chunk:
        if not self._backend.caps.warms:
            return await answered(self._backend, make)
        async with self._warming.turn(make()) as heard:
            return await answered(self._backend, make, heard)

    def _request(self, task: Task, context: Context) -> Request:
        caps = self._backend.caps
        max_tokens = max(1, min(256 if caps.terse else 1_024, caps.context_window // 3))
        return Request(
            messages=fitted(task, context, self._backend, caps.context_window - max_tokens),
            max_tokens=max_tokens,
            seed=seed_of(context.seed, task.id, context.attempt),
            timeout=TIMEOUT if task.timeout is None and not caps.virtual else task.timeout,
            priority=context.priority,
            tag=task.id,
            cost=task.complexity * context.seconds_per_unit,
            attempt=context.attempt,
            run=context.run,
            agent=context.agent,
            share=context.token_share,
            session=_session(context.run, task.role),
            prefix_len=sum(
                self._backend.count_tokens(text)
                for text in agent_prefix(task.role, context.request, terse=caps.terse)
            ),
            steps_to_next_use=context.steps_to_next_use,
        )


def seed_of(seed: int, task_id: str, attempt: int) -> int:
    """A seed in [0, 2³¹) for one attempt of one task of a run, the same in every process."""
    return int.from_bytes(blake2b(f"{seed}/{attempt}/{task_id}".encode(), digest_size=4).digest()) >> 1


def _session(run: str, role: str) -> str:
    """A name for the prompts of a role in a run: roles are foreign text of any length, this is 16 letters."""
    return blake2b(f"{run}/{role}".encode(), digest_size=8).hexdigest() if run else ""


def as_text(result: object) -> str:
    """A result as agents read it: text as it is, anything else as JSON with sorted keys."""
    return result if isinstance(result, str) else orjson.dumps(result, option=orjson.OPT_SORT_KEYS).decode()


def fitted(task: Task, context: Context, backend: Backend, budget: int) -> tuple[Message, ...]:
    """The prompt for `task` within `budget` tokens, where shortening its context can achieve that.

    Relevant pieces go first, the least relevant one before the others; then the predecessors' results are
    cut to a common length, so that the short ones stay whole.
    """
    results = {id: as_text(result) for id, result in context.items()}
    relevant = sorted(context.relevant, key=lambda item: -item.relevance)
    length = max(map(len, results.values()), default=0)
    description = task.description.strip() or task.id.replace("_", " ")
    while True:
        found = [Item(title=id, text=text[:length]) for id, text in results.items()] + relevant
        messages = agent_messages(task.role, description, context.request, found, terse=backend.caps.terse)
        tokens = sum(backend.count_tokens(message.content) + MESSAGE_TOKENS for message in messages)
        if tokens <= budget or not (relevant or length):
            return messages
        if relevant:
            relevant.pop()
        else:
            length = length * 3 // 4
