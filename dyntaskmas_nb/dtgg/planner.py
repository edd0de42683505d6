"""The planner: a sentence becomes a validated Δ through a language model (paper §III-A, Eqs. 2 and 4).

The model's answer is repaired where the repair is obvious (`repair`), asked for once more with the reason
where it is not, and then refused with both reasons.

Deviation: the further message with the reason goes to models that hold a conversation. A terse one was
trained on exactly one short prompt, so it is asked the same again and drawn with some temperature instead.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from dyntaskmas_nb.agents.llama import MESSAGE_TOKENS, seed_of
from dyntaskmas_nb.agents.prompts import REQUEST_CHARS, planner_messages
from dyntaskmas_nb.core.graph import TaskGraph
from dyntaskmas_nb.core.task import check_text, shown
from dyntaskmas_nb.dtgg.repair import plan_schema, read_json, repair
from dyntaskmas_nb.dtgg.streaming import SubtaskReader
from dyntaskmas_nb.errors import InvalidInput, InvalidOutput, OutsideDomain, PlanningFailed
from dyntaskmas_nb.llm.protocol import Backend, Chunk, Message, Request, answered

MAX_SENTENCE = 4_000
MAX_TASKS = 24
MAX_PLAN = 200

Hear = Callable[[dict[str, Any]], Awaitable[None]]
"""Is told each subtask of the model's first answer, unchecked, as soon as it is written."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """The graph made of a sentence, what was repaired (a sentence each), and the cost.

    `asked`: how often the model was asked, 1 or 2; `tokens`: read and written by it in all.
    """

    graph: TaskGraph
    repairs: tuple[str, ...] = ()
    asked: int = 1
    tokens: int = 0


async def plan(
    sentence: str,
    backend: Backend,
    *,
    max_tasks: int = MAX_TASKS,
    seed: int = 0,
    timeout: float | None = 120,
    hear: Hear | None = None,
) -> Plan:
    """Ask `backend` to decompose `sentence` into at most `max_tasks` tasks (arXiv:2503.07675, Eq. 2).

    `timeout` is in seconds for each of at most two answers, None for no deadline.

    Raises
    ------
    InvalidInput
        The sentence is empty, no text, or longer than 4,000 characters, or `max_tasks` is not from 1 to 200.
    OutsideDomain
        The teaching model declined; the message names the ways to connect another.
    PlanningFailed
        Two answers held no usable plan; the message says what was wrong with each.
    BackendError
        The model could not be asked (unreachable, overloaded, too slow, …).
    """
    sentence = check_sentence(sentence)
    if not isinstance(max_tasks, int) or not 1 <= max_tasks <= MAX_PLAN:
        raise InvalidInput(f"max_tasks must be a whole number from 1 to {MAX_PLAN}, not {max_tasks!r}.")
    failed: list[tuple[str, str]] = []  # what the model said, and why it is no plan
    tokens = 0
    for asked in (1, 2):
        said = ""
        try:
            make = partial(_request, sentence, backend, max_tasks, seed, timeout, failed)
            answer = await answered(backend, make, _reading(hear) if hear and not failed else None)
            said = answer.text
            tokens += answer.prompt_tokens + answer.completion_tokens
            graph, repairs = _read(answer, backend, max_tasks, sentence, first=not failed)
        except InvalidOutput as error:
            failed.append((said, str(error)))
        else:
            return Plan(graph=graph, repairs=tuple(repairs), asked=asked, tokens=tokens)
    raise PlanningFailed(
        f"{backend.name} gave no usable plan for {shown(sentence)}. First answer: {failed[0][1]} "
        f"Second answer: {failed[1][1]} Say it in other words, bring a plan file, or choose another model."
    )


def check_sentence(sentence: object) -> str:
    """Return `sentence` without surrounding blanks; raises `InvalidInput` as `plan` does for it."""
    if isinstance(sentence, str) and not sentence.strip():
        raise InvalidInput('The request is empty; say what is to be done: "Plan a 3-day trip to Kyoto".')
    check_text(sentence, "The request", MAX_SENTENCE)
    return str(sentence).strip()


def _reading(hear: Hear) -> Callable[[str], Awaitable[None]]:
    """Takes an answer piece by piece, and tells `hear` each subtask."""
    reader = SubtaskReader()

    async def read(text: str) -> None:
        for row in reader.feed(text):
            await hear(row)

    return read


def _request(
    sentence: str,
    backend: Backend,
    max_tasks: int,
    seed: int,
    timeout: float | None,
    failed: list[tuple[str, str]],
) -> Request:
    """Ask for the plan, once more with the reason if an answer `failed`."""
    caps = backend.caps
    messages = planner_messages(sentence, terse=caps.terse, max_tasks=max_tasks)
    if failed and not caps.terse:
        said, reason = failed[-1]
        # The answer stands between the two questions: servers refuse two turns of one speaker in a row.
        again = f"That is no usable plan: {reason} Answer again with the whole plan, as JSON only."
        said = said[:1_000] or "(no valid answer)"
        messages += (Message(role="assistant", content=said), Message(role="user", content=again))
    prompt = sum(backend.count_tokens(message.content) + MESSAGE_TOKENS for message in messages)
    return Request(
        messages=messages,
        max_tokens=max(1, min(4_096, caps.context_window - prompt - MESSAGE_TOKENS)),
        seed=seed_of(seed, "planner", len(failed)),
        temperature=0.7 if failed and caps.terse else 0.0,
        json_schema=plan_schema(max_tasks, caps.refuses),
        timeout=timeout,
        tag="planner",
        attempt=len(failed) + 1,
    )


def _read(
    answer: Chunk, backend: Backend, max_tasks: int, sentence: str, *, first: bool
) -> tuple[TaskGraph, list[str]]:
    """The plan in an answer and its repairs; raises `InvalidOutput`, or `OutsideDomain` for a refusal."""
    caps = backend.caps
    try:
        value, around = read_json(answer.text)
        if not (isinstance(value, dict) and "refuse" in value):
            graph, repairs = repair(value, max_tasks=max_tasks, title=sentence)
            if caps.terse and len(sentence) > REQUEST_CHARS:
                around.append(f"The model read {REQUEST_CHARS} characters of the request, no more.")
            return graph, around + repairs
    except InvalidOutput:
        if answer.finish == "stop":
            raise
        reason = f"The answer was cut off after {answer.completion_tokens} tokens; make it shorter."
        raise InvalidOutput(reason) from None
    if not (caps.refuses and first):
        raise InvalidOutput("The model declined to plan this.")
    raise OutsideDomain(
        f"The embedded teaching model only knows {', '.join(caps.domains)}, and {shown(sentence)} is "
        'something else. Connect a real Llama: Kit(model="http://127.0.0.1:8000/v1") for llama.cpp, vLLM, '
        "Ollama or trtllm-serve, or the directory of a local checkpoint as model; or give Python functions "
        "as agents with a plan of your own, or a plan file."
    )
