"""A model that thinks nothing, in time that can be virtual: for lessons, previews and tests.

A call's latency depends on (seed of the backend, `request.seed`, `tag` and `attempt`), its faults on (`tag`,
`attempt`), and on nothing that happened before: the same run, started twice, is the same. Time passes by
`anyio.sleep_until` alone, so that under trio's virtual clock it is exact.
"""

from __future__ import annotations

import hashlib
import math
import random
from collections.abc import AsyncGenerator, Callable, Mapping
from typing import Literal

import anyio

from dyntaskmas_nb.errors import BackendError, EngineDead, InvalidInput
from dyntaskmas_nb.llm.protocol import Caps, Chunk, Request, guarded
from dyntaskmas_nb.llm.text import StopFilter, estimate_tokens

PIECES = 4
"""Chunks of an answer: enough to see it stream; each costs a timer."""

Latency = Callable[[Request, random.Random], float]
"""Seconds a call takes, from the request and random numbers of its own."""

Fault = type[BackendError] | Literal["stall"]
"""What goes wrong: an error of that class, or an answer that begins and never ends."""

Replies = Mapping[str, str] | Callable[[Request], str]


def by_cost(seconds_per_unit: float = 1.0) -> Latency:
    """`request.cost` (the task's complexity) times `seconds_per_unit`."""
    unit = _not_negative(seconds_per_unit)
    return lambda request, _: max(request.cost, 0.0) * unit


def constant(seconds: float) -> Latency:
    """The same for every call."""
    value = _not_negative(seconds)
    return lambda _, __: value


def lognormal(median: float, sigma: float) -> Latency:
    """Log-normal: half the calls take less than `median` seconds; `sigma` is the spread of the logarithm."""
    middle, spread = _not_negative(median), _not_negative(sigma)
    return lambda _, chance: middle * math.exp(spread * chance.gauss(0.0, 1.0))


def table2(agents: float) -> Latency:
    """Table II of arXiv:2503.07675 for N agents: 68.78 + 6.26·√N milliseconds.

    Calibrated, not measured: the curve fits the latencies printed there within 0.02 ms.
    """
    if agents < 1 or agents % 1:
        raise InvalidInput(f"{agents:g} is no number of agents; give 1 or more")
    return constant((68.78 + 6.26 * math.sqrt(agents)) / 1000)


def _not_negative(value: float) -> float:
    """`value`, refused unless finite and not negative."""
    if not 0 <= value < math.inf:
        raise InvalidInput(f"{value} is no number of seconds; give 0 or more")
    return value


def latency_from_spec(spec: str) -> Latency:
    """Read a latency from the command line: "constant:0.5", "lognormal:1,0.5", "table2:16", "cost:2".

    Raises `InvalidInput` for none of these, or a number that makes no sense.
    """
    kind, _, rest = spec.partition(":")
    kinds: dict[str, Callable[..., Latency]] = {
        "cost": by_cost, "constant": constant, "lognormal": lognormal, "table2": table2
    }  # fmt: skip
    try:
        return kinds[kind](*(float(part) for part in rest.split(",") if rest))
    except (KeyError, TypeError, ValueError) as error:
        raise InvalidInput(
            f"Latency {spec!r} is none of cost:SECONDS_PER_UNIT, constant:SECONDS, lognormal:MEDIAN,SIGMA, "
            f"table2:AGENTS ({error}); try constant:0.5."
        ) from error


class Simulated:
    """A `Backend` with scripted latencies (default: a task's complexity in seconds), answers and faults.

    `replies`: the answer by tag, or a function of the request; else it says who was asked what. `faults`:
    (tag, attempt) → `BackendError` class or "stall". `seed` seeds the latencies.
    """

    name = "simulated"
    caps = Caps(context_window=32_768, virtual=True)
    count_tokens = staticmethod(estimate_tokens)

    def __init__(
        self,
        latency: Latency | None = None,
        replies: Replies | None = None,
        faults: Mapping[tuple[str, int], Fault] | None = None,
        seed: int = 0,
    ) -> None:
        self._latency = latency or by_cost()
        self._replies: Replies = {} if replies is None else replies
        self._faults = dict(faults or {})
        self._seed = seed
        self._closed = False

    @guarded
    async def stream(self, request: Request) -> AsyncGenerator[Chunk, None]:
        """Yield the scripted answer in a few pieces, spread evenly over the call's latency.

        Raises what `faults` says, halfway; `EngineDead` when closed.
        """
        if self._closed:
            raise EngineDead("The simulated model was closed. Make a new Kit to go on.")
        start = anyio.current_time()
        seconds = self._latency(request, _chance(self._seed, request))
        fault = self._faults.get((request.tag, request.attempt))
        chunks = self._answer(request)
        for index, chunk in enumerate(chunks):
            if index == len(chunks) // 2 and isinstance(fault, str):
                await anyio.sleep_forever()
            elif index == len(chunks) // 2 and isinstance(fault, type):
                await anyio.sleep_until(start + seconds / 2)
                who = request.tag or "the request"
                raise fault(f"simulated: {fault.__name__} of {who}, attempt {request.attempt}, as scripted.")
            await anyio.sleep_until(start + seconds * (index + 1) / len(chunks))
            yield chunk

    async def aclose(self) -> None:
        """Later calls raise `EngineDead`."""
        self._closed = True

    def _answer(self, request: Request) -> list[Chunk]:
        """The whole answer, in pieces."""
        stops = StopFilter(request.stop)
        whole = stops.push(self._reply(request)) + stops.flush()
        text = whole[: request.max_tokens * 4]
        size = max(1, -(-len(text) // PIECES))
        *pieces, end = [text[at : at + size] for at in range(0, len(text), size)] or [""]
        last = Chunk(
            text=end,
            finish="stop" if text == whole else "length",
            prompt_tokens=sum(estimate_tokens(message.content) for message in request.messages),
            completion_tokens=estimate_tokens(text),
            estimated=True,
        )
        return [*(Chunk(text=piece) for piece in pieces), last]

    def _reply(self, request: Request) -> str:
        """What to answer, whole."""
        if callable(self._replies):
            return self._replies(request)
        asked = " ".join(request.messages[-1].content.split())
        short = asked if len(asked) <= 80 else f"{asked[:80]}…"
        return self._replies.get(request.tag, f"{request.tag or 'model'}: {short}")


def _chance(seed: int, request: Request) -> random.Random:
    """Random numbers of one call. Hashed by SHA-256: Python's own hash of a string varies by process."""
    call = f"{seed}\0{request.seed}\0{request.attempt}\0{request.tag}"
    return random.Random(int.from_bytes(hashlib.sha256(call.encode()).digest()))
