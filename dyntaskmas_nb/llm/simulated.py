"""A model that thinks nothing, in time that can be virtual: for lessons, previews and tests.

How long a call takes, what it answers and how it fails depends only on (seed, `request.tag`, how often that
tag has asked before), never on the order of calls of different tags. Time passes by `anyio.sleep` alone, so
that under trio's virtual clock it is exact.

`table2(n)` follows the paper's Table II (arXiv:2503.07675, §V): the latencies printed there for N agents fit
R = 68.78 + 6.26·√N ms within 0.02 ms. The curve is calibrated to the print, not measured by us.
"""

from __future__ import annotations

import hashlib
import math
import random
from collections import Counter
from collections.abc import AsyncGenerator, Callable, Mapping
from dataclasses import dataclass
from typing import Literal

import anyio

from dyntaskmas_nb.errors import BackendError, EngineDead, InvalidInput
from dyntaskmas_nb.llm.checks import check_request, timed_out
from dyntaskmas_nb.llm.protocol import Caps, Chunk, Finish, Request
from dyntaskmas_nb.llm.text import StopFilter, estimate_tokens

CONTEXT_WINDOW = 32_768
PIECES = 4
"""Chunks of an answer: enough to see it stream; each costs a timer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Latency:
    """Seconds a call takes: `seconds(request, chance)`, and `label` for people."""

    label: str
    seconds: Callable[[Request, random.Random], float]


Fault = type[BackendError] | Literal["stall"]
"""What goes wrong: an error of that class, or an answer that begins and never ends."""

Replies = Mapping[str, str] | Callable[[Request], str]


def by_cost(seconds_per_unit: float = 1.0) -> Latency:
    """`request.cost` (the task's complexity) times `seconds_per_unit`."""
    unit = _positive("seconds_per_unit", seconds_per_unit)
    return Latency(label=f"cost × {unit:g} s", seconds=lambda request, _: max(request.cost, 0.0) * unit)


def constant(seconds: float) -> Latency:
    """The same for every call."""
    value = _positive("constant", seconds)
    return Latency(label=f"{value:g} s", seconds=lambda _, __: value)


def lognormal(median: float, sigma: float) -> Latency:
    """Log-normal: half the calls take less than `median` seconds; `sigma` is the spread of the logarithm."""
    middle, spread = _positive("median", median), _positive("sigma", sigma)

    def seconds(_: Request, chance: random.Random) -> float:
        return middle * math.exp(spread * chance.gauss(0.0, 1.0))

    return Latency(label=f"log-normal, median {middle:g} s, σ {spread:g}", seconds=seconds)


def table2(n_agents: int) -> Latency:
    """The paper's Table II, calibrated: 68.78 + 6.26·√N milliseconds for N agents."""
    if n_agents < 1:
        raise InvalidInput(f"table2 needs the number of agents, 1 or more, not {n_agents}.")
    value = (68.78 + 6.26 * math.sqrt(n_agents)) / 1000
    return Latency(label=f"calibrated to Table II, N = {n_agents}", seconds=lambda _, __: value)


def latency_from_spec(spec: str) -> Latency:
    """Read a latency from the command line.

    Raises
    ------
    InvalidInput
        `spec` is none of `cost[:s]`, `constant:s`, `lognormal:median,sigma`, `table2:agents`.

    Examples
    --------
    >>> latency_from_spec("table2:16").label
    'calibrated to Table II, N = 16'
    """
    kind, _, rest = spec.partition(":")
    try:
        match kind, [float(part) for part in rest.split(",")] if rest else []:
            case "cost", []:
                return by_cost()
            case "cost", [unit]:
                return by_cost(unit)
            case "constant", [seconds]:
                return constant(seconds)
            case "lognormal", [median, sigma]:
                return lognormal(median, sigma)
            case "table2", [agents] if agents.is_integer():
                return table2(int(agents))
    except ValueError as error:  # float() refused; InvalidInput from the constructors as well
        raise InvalidInput(f"Latency {spec!r}: {error}") from error
    raise InvalidInput(
        f"Latency {spec!r} is none of cost:SECONDS_PER_UNIT, constant:SECONDS, lognormal:MEDIAN,SIGMA, "
        "table2:AGENTS; try constant:0.5."
    )


def _positive(name: str, value: float) -> float:
    """`value`, refused unless finite and not negative."""
    if not (math.isfinite(value) and value >= 0):
        raise InvalidInput(f"{name} must be a number of seconds, 0 or more, not {value}.")
    return value


class Simulated:
    """A `Backend` with scripted answers, latencies and faults.

    Parameters
    ----------
    latency : Latency, optional
        How long a call takes; by default `by_cost()`: its task's complexity in seconds.
    replies : mapping or callable, optional
        The answer by tag, or a function of the request; else an answer that says who was asked what.
    faults : mapping, optional
        (tag, attempt) → `BackendError` class or "stall"; attempts of a tag count from 1.
    seed : int
        Seeds the latencies.
    """

    name = "simulated"
    caps = Caps(context_window=CONTEXT_WINDOW, virtual=True)

    def __init__(
        self,
        latency: Latency | None = None,
        replies: Replies | None = None,
        faults: Mapping[tuple[str, int], Fault] | None = None,
        seed: int = 0,
    ) -> None:
        self.latency = latency or by_cost()
        self._replies = replies
        self._faults = dict(faults or {})
        self._seed = seed
        self._attempts: Counter[str] = Counter()
        self._closed = False

    def count_tokens(self, text: str) -> int:
        """An estimate: one for four characters."""
        return estimate_tokens(text)

    async def stream(self, request: Request) -> AsyncGenerator[Chunk, None]:
        """Yield the scripted answer in a few pieces, spread evenly over the call's latency.

        Raises
        ------
        BadRequest
            The request makes no sense.
        BackendTimeout
            `request.timeout` seconds have passed.
        EngineDead
            The backend was closed.
        BackendError
            Whatever `faults` says; halfway through the call's latency.
        """
        check_request(request)
        if self._closed:
            raise EngineDead("The simulated model was closed. Make a new Kit to go on.")
        self._attempts[request.tag] += 1
        attempt = self._attempts[request.tag]
        start = anyio.current_time()
        seconds = self.latency.seconds(request, _chance(self._seed, request.tag, attempt))
        fault = self._faults.get((request.tag, attempt))
        pieces, last = self._answer(request)
        for index, piece in enumerate(pieces):
            if fault is not None and index >= len(pieces) // 2:
                await self._fail(request, attempt, fault, start, seconds)
            await self._until(start, seconds * (index + 1) / len(pieces), request)
            yield last if index == len(pieces) - 1 else Chunk(text=piece)

    async def aclose(self) -> None:
        """Later calls raise `EngineDead`."""
        self._closed = True

    def _answer(self, request: Request) -> tuple[list[str], Chunk]:
        """The answer's pieces, and the chunk that ends it."""
        stops = StopFilter(request.stop)
        text = stops.push(self._reply(request)) + stops.flush()
        finish: Finish = "stop"
        if estimate_tokens(text) > request.max_tokens:
            text, finish = text[: request.max_tokens * 4], "length"
        size = max(1, -(-len(text) // PIECES))
        pieces = [text[at : at + size] for at in range(0, len(text), size)] or [""]
        last = Chunk(
            text=pieces[-1],
            finish=finish,
            prompt_tokens=sum(estimate_tokens(message.content) for message in request.messages),
            completion_tokens=estimate_tokens(text),
            estimated=True,
        )
        return pieces, last

    def _reply(self, request: Request) -> str:
        """What to answer, whole."""
        if callable(self._replies):
            return self._replies(request)
        if self._replies is not None and request.tag in self._replies:
            return self._replies[request.tag]
        asked = " ".join(request.messages[-1].content.split())
        return f"{request.tag or 'model'}: {asked[:80]}{'…' if len(asked) > 80 else ''}"

    async def _fail(self, request: Request, attempt: int, fault: Fault, start: float, seconds: float) -> None:
        """Carry out a scripted fault."""
        if fault == "stall":
            await self._until(start, math.inf, request)
            return
        await self._until(start, seconds / 2, request)
        who = request.tag or "the request"
        raise fault(f"simulated: {fault.__name__} of {who}, attempt {attempt}, as scripted.")

    async def _until(self, start: float, after: float, request: Request) -> None:
        """Sleep until `after` seconds from `start`, or raise at the request's deadline."""
        limit = math.inf if request.timeout is None else request.timeout
        await anyio.sleep_until(start + min(after, limit))
        if after > limit:
            raise timed_out(self.name, request)


def _chance(seed: int, tag: str, attempt: int) -> random.Random:
    """Random numbers of one call. Hashed by SHA-256: Python's own hash of a string varies by process."""
    digest = hashlib.sha256(f"{seed}\0{attempt}\0{tag}".encode()).digest()
    return random.Random(int.from_bytes(digest))
