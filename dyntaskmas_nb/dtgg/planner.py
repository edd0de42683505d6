"""The planner: a sentence becomes a validated Δ through a language model (paper §III-A, Eqs. 2 and 4).

The model's answer is untrusted text. It is read as JSON (`reading`), repaired where the repair is obvious
(`repair`), asked for once more with the reason where it is not, and then refused with both reasons.

Deviation: the further message with the reason goes to models that hold a conversation. A terse one was
trained on exactly one short prompt, so it is asked the same again and drawn with some temperature instead.
"""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import blake2b

from dyntaskmas_nb.agents.prompts import REQUEST_CHARS, planner_messages
from dyntaskmas_nb.core.delta import Batch
from dyntaskmas_nb.core.graph import TaskGraph
from dyntaskmas_nb.core.task import check_text
from dyntaskmas_nb.dtgg.reading import Broken, read_json
from dyntaskmas_nb.dtgg.repair import Repaired, repair
from dyntaskmas_nb.dtgg.schema import MAX_PLAN, plan_schema
from dyntaskmas_nb.dtgg.update import as_delta
from dyntaskmas_nb.errors import InvalidInput, InvalidOutput, OutsideDomain, PlanningFailed
from dyntaskmas_nb.llm.protocol import Backend, Completion, Message, Request, complete

MAX_SENTENCE = 4_000
MAX_TASKS = 24
_TOKENS_PER_TASK = 150
_MAX_TOKENS = 4_096
_SHOWN_ANSWER = 1_000
_SECOND_TEMPERATURE = 0.7


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What the planner made of a sentence.

    Attributes
    ----------
    graph : TaskGraph
        The plan, titled with the sentence.
    delta : Batch
        The Δ that builds it from nothing.
    repairs : tuple of str
        What was changed in the model's answer, a sentence each.
    asked : int
        How often the model was asked, 1 or 2.
    tokens : int
        Tokens read and written by the model in all.
    """

    graph: TaskGraph
    delta: Batch
    repairs: tuple[str, ...] = ()
    asked: int = 1
    tokens: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class _Refused:
    """The model declined the request."""


async def plan(
    sentence: str,
    backend: Backend,
    *,
    max_tasks: int = MAX_TASKS,
    seed: int = 0,
    timeout: float | None = 120,
    max_tokens: int | None = None,
) -> Plan:
    """Ask `backend` to decompose `sentence` and return a valid plan (Eq. 2).

    Parameters
    ----------
    sentence : the request, at most 4,000 characters.
    max_tasks : the most tasks, 1 to 200.
    timeout : seconds for each of at most two answers, None for no deadline.
    max_tokens : the most tokens of an answer; by default what `max_tasks` may need and the window holds.

    Raises
    ------
    InvalidInput
        The sentence is empty, too long or no text (see `check_sentence`), or `max_tasks` is out of range.
    OutsideDomain
        The teaching model declined; the message names the ways to connect another.
    PlanningFailed
        Two answers held no usable plan; the message says what was wrong with each.
    BackendError
        The model could not be asked (unreachable, overloaded, too slow, …).

    References
    ----------
    arXiv:2503.07675, §III-A, Eq. 2.
    """
    sentence = check_sentence(sentence)
    if isinstance(max_tasks, bool) or not isinstance(max_tasks, int) or not 1 <= max_tasks <= MAX_PLAN:
        raise InvalidInput(f"max_tasks must be a whole number from 1 to {MAX_PLAN}, not {max_tasks!r}.")
    asker = _Asker(
        sentence=sentence,
        backend=backend,
        max_tasks=max_tasks,
        seed=seed,
        timeout=timeout,
        max_tokens=max_tokens or min(_TOKENS_PER_TASK * max_tasks + 100, _MAX_TOKENS),
    )
    reasons: list[str] = []
    for asked in (1, 2):
        outcome = await asker.ask(reasons)
        if isinstance(outcome, Repaired):
            repairs = (*asker.notes(), *outcome.repairs)
            delta = as_delta(outcome.graph)
            return Plan(graph=outcome.graph, delta=delta, repairs=repairs, asked=asked, tokens=asker.tokens)
        if isinstance(outcome, Broken):
            reasons.append(outcome.reason)
        elif backend.caps.refuses and not reasons:
            raise outside_domain(sentence, backend)
        else:
            reasons.append("The model declined to plan this.")
    raise PlanningFailed(
        f"{backend.name} gave no usable plan for {_short(sentence)}. First answer: {reasons[0]} "
        f"Second answer: {reasons[1]} Say it in other words, bring a plan file, or choose another model."
    )


def check_sentence(sentence: object) -> str:
    """Return `sentence` without surrounding blanks; its cost does not grow with a sentence that is too long.

    Raises
    ------
    InvalidInput
        It is empty, not text, longer than 4,000 characters, or holds a NUL or half a surrogate pair.

    Examples
    --------
    >>> check_sentence("  Plan a trip to Oslo ")
    'Plan a trip to Oslo'
    """
    if not isinstance(sentence, str):
        raise InvalidInput(f"The request must be text, not {type(sentence).__name__}.")
    if len(sentence) > MAX_SENTENCE:
        raise InvalidInput(
            f"The request is {len(sentence):,} characters long; at most {MAX_SENTENCE:,} are taken. "
            "Shorten it, or bring the plan as a file."
        )
    if not any(char.isprintable() and not char.isspace() for char in sentence):
        raise InvalidInput(
            'The request is empty; say what is to be done, as in "Plan a 3-day trip to Kyoto".'
        )
    check_text(sentence, "The request", MAX_SENTENCE)
    return sentence.strip()


def outside_domain(sentence: str, backend: Backend) -> OutsideDomain:
    """The error for a request that the teaching model declined, with the ways to go on."""
    domains = " and ".join(backend.caps.domains) or "its own domains"
    return OutsideDomain(
        f"The embedded teaching model only knows {domains}, and {_short(sentence)} is something else. "
        'Connect a real Llama: Kit(model="http://127.0.0.1:8000/v1") for llama.cpp, vLLM, Ollama or '
        "trtllm-serve, or the directory of a local checkpoint as model; or give Python functions as agents "
        "with a plan of your own, or a plan file."
    )


@dataclass(slots=True, kw_only=True)
class _Asker:
    """The conversation with the model about one sentence, and the tokens it took."""

    sentence: str
    backend: Backend
    max_tasks: int
    seed: int
    timeout: float | None
    max_tokens: int
    answer: str = ""
    tokens: int = 0

    async def ask(self, reasons: list[str]) -> Repaired | Broken | _Refused:
        """Ask for the plan, again if there are `reasons` why the answer before was none."""
        try:
            answer = await complete(self.backend, self._request(reasons))
        except InvalidOutput as error:
            self.answer = ""
            return Broken(reason=str(error))
        self.answer = answer.text
        self.tokens += answer.prompt_tokens + answer.completion_tokens
        return _judge(answer, self.max_tasks, self.sentence)

    def notes(self) -> tuple[str, ...]:
        """What is to be known of a plan besides its repairs."""
        if self.backend.caps.terse and len(self.sentence) > REQUEST_CHARS:
            return (
                f"The teaching model reads {REQUEST_CHARS} characters of a request; the rest was left out.",
            )
        return ()

    def _request(self, reasons: list[str]) -> Request:
        caps = self.backend.caps
        messages = planner_messages(self.sentence, terse=caps.terse, max_tasks=self.max_tasks)
        if reasons and not caps.terse:
            # The answer stands between the two questions: servers refuse two turns of one speaker in a row.
            said = self.answer[:_SHOWN_ANSWER] or "(no valid answer)"
            again = f"That is no usable plan: {reasons[-1]} Answer again with the whole plan, as JSON only."
            messages += (Message(role="assistant", content=said), Message(role="user", content=again))
        prompt = sum(self.backend.count_tokens(message.content) + 8 for message in messages)
        return Request(
            messages=messages,
            max_tokens=max(1, min(self.max_tokens, caps.context_window - prompt - 8)),
            seed=_seed(self.seed, len(reasons)),
            temperature=_SECOND_TEMPERATURE if reasons and caps.terse else 0.0,
            json_schema=plan_schema(self.max_tasks, caps.refuses),
            timeout=self.timeout,
            tag="planner",
        )


def _judge(answer: Completion, max_tasks: int, title: str) -> Repaired | Broken | _Refused:
    """What an answer amounts to: a plan, nothing usable, or a refusal."""
    read = read_json(answer.text)
    if isinstance(read, Broken):
        if answer.finish == "length":
            return Broken(
                reason=f"The answer was cut off after {answer.completion_tokens} tokens; make it shorter."
            )
        return read
    if isinstance(read.value, dict) and "refuse" in read.value and "subtasks" not in read.value:
        return _Refused()
    outcome = repair(read.value, max_tasks=max_tasks, title=title)
    if isinstance(outcome, Broken):
        return outcome
    return Repaired(graph=outcome.graph, repairs=(*read.repairs, *outcome.repairs))


def _seed(seed: int, asked: int) -> int:
    """A seed ≥ 0 that every backend takes, the same in every process."""
    return int.from_bytes(blake2b(f"{seed}/planner/{asked}".encode(), digest_size=4).digest()) >> 1


def _short(sentence: str) -> str:
    text = " ".join(sentence.split())
    return f"“{text if len(text) <= 80 else text[:79] + '…'}”"
