"""What a backend has to do, as a plain list of checks: see `trial`.

Each has a name, whether a backend must pass it, and a coroutine that returns one sentence, or raises `Failed`
or `Unsupported` with one. Any model passes, even an untrained one, if its engine works: what it says does not
matter, only what comes when, where it ends, and the counts.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from itertools import cycle, islice
from string import ascii_lowercase
from typing import Any

import anyio

from dyntaskmas_nb.errors import BackendTimeout, ContextOverflow
from dyntaskmas_nb.llm.protocol import Backend, Chunk, Message, Request, complete

DEADLINE = 120.0  # seconds for each request
PROMPT = "Plan a 3-day trip to Kyoto for two, in a few sentences."
UNICODE = "Zürich, 東京 🚲"
LARGE = 200_000
"""Tokens of a window that is not tried out: the prompt would be megabytes."""


class Failed(Exception):
    """The backend does not keep its promise."""


class Unsupported(Exception):
    """The backend cannot do it, and says so; or it cannot be found out here."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """`required`: a backend that fails it is of no use to the kit."""

    name: str
    required: bool
    play: Callable[[Backend], Awaitable[str]]


def ask(backend: Backend, text: str = PROMPT, *, tokens: int = 48, **more: Any) -> Request:
    """A request of the trial, with an answer that leaves room in a small window."""
    size = max(1, min(tokens, backend.caps.context_window // 4))
    fields = {"max_tokens": size, "timeout": DEADLINE, "tag": "trial", **more}
    return Request(messages=(Message(role="user", content=text),), **fields)


async def answers(backend: Backend) -> str:
    """Anything at all; the first request also loads what has to be loaded."""
    done = await complete(backend, ask(backend, tokens=16))
    if not done.text:
        raise Failed("The answer is empty.")
    return f"{' '.join(done.text.split())[:40]!r}, {done.completion_tokens} tokens."


async def streams(backend: Backend) -> str:
    """Chunks as they are made, and the end last."""
    pieces = await _chunks(backend, ask(backend))
    ends = [index for index, chunk in enumerate(pieces) if chunk.finish]
    if ends != [len(pieces) - 1]:
        raise Failed(f"Of {len(pieces)} chunks those with a finish are {ends}; it is to be the last alone.")
    if sum(1 for chunk in pieces if chunk.text) < 2:
        raise Unsupported("The answer came in one piece.")
    return f"{len(pieces)} chunks, the last one says {pieces[-1].finish!r}."


async def greedy(backend: Backend) -> str:
    """Temperature 0 gives the same answer again."""
    first, second = [await complete(backend, ask(backend)) for _ in range(2)]
    if first.text != second.text:
        raise Failed("The same prompt at temperature 0 gave two answers.")
    return "The same prompt at temperature 0 gave the same answer twice."


async def seeded(backend: Backend) -> str:
    """A seed gives the same answer again, at a temperature."""
    texts = [
        (await complete(backend, ask(backend, temperature=1.0, seed=seed))).text for seed in (1, 1, 2, 3)
    ]
    if texts[0] != texts[1]:
        raise Failed("The same seed at temperature 1 gave two answers.")
    other = "others give others" if len(set(texts)) > 1 else "so do other seeds"
    return f"The same seed at temperature 1 gave the same answer twice; {other}."


async def stops(backend: Backend) -> str:
    """A stop string ends the answer, and is not part of it."""
    whole = (await complete(backend, ask(backend))).text
    stop = whole[len(whole) // 2 :][:3]
    if not stop:
        raise Unsupported("The answer is empty.")
    done = await complete(backend, ask(backend, stop=(stop,)))
    if stop in done.text:
        raise Failed(f"The answer holds the stop string {stop!r}.")
    if done.text != whole[: whole.find(stop)]:
        raise Unsupported(f"No stop string {stop!r} in the answer, which was another one this time.")
    return f"The answer ended before {stop!r}."


async def limited(backend: Backend) -> str:
    """No more than `max_tokens`."""
    done = await complete(backend, ask(backend, max_tokens=5))
    if done.completion_tokens > 5 and not done.estimated:
        raise Failed(f"{done.completion_tokens} tokens although max_tokens was 5.")
    longer = (await complete(backend, ask(backend))).text
    if done.finish != "length" and len(longer) > len(done.text):
        raise Failed("An answer that max_tokens cut says that it stopped by itself.")
    return f"{done.completion_tokens} tokens of 5, it says {done.finish!r}."


async def structured(backend: Backend) -> str:
    """An answer valid under a JSON schema."""
    schema = _object(n={"type": "integer", "minimum": 10, "maximum": 99}, fit={"type": "boolean"})
    done = await complete(backend, ask(backend, "How old are you?", tokens=64, json_schema=schema))
    value = _json(done.text)
    right = set(value) == {"n", "fit"} and type(value["n"]) is int and type(value["fit"]) is bool
    if not right or not 10 <= value["n"] <= 99:
        raise Failed(f"Not valid under the schema: {done.text[:80]}")
    return f"Valid under the schema: {' '.join(done.text.split())[:60]}"


async def unicode(backend: Backend) -> str:
    """Letters of several bytes come through whole: the schema allows one text only."""
    schema = _object(city={"type": "string", "enum": [UNICODE]})
    said = f"Answer with JSON whose city is exactly: {UNICODE}"
    done = await complete(backend, ask(backend, said, tokens=96, json_schema=schema))
    if (value := _json(done.text)) != {"city": UNICODE}:
        raise Failed(f"{UNICODE!r} came through as {str(value)[:80]}.")
    return f"{UNICODE} came through."


async def cancels(backend: Backend) -> str:
    """Leaving in the middle returns at once, and the next request is answered."""
    start = anyio.current_time()
    async with aclosing(backend.stream(ask(backend, tokens=2048))) as chunks:
        chunk = await anext(chunks)
        start = anyio.current_time()
    took = anyio.current_time() - start
    await complete(backend, ask(backend, tokens=4))
    if took > 2.0:
        raise Failed(f"Leaving a stream took {took:.1f} s.")
    if chunk.finish:
        raise Unsupported("The first chunk was the last one.")
    return f"Leaving a stream took {1000 * took:.0f} ms; the next request was answered."


async def counts(backend: Backend) -> str:
    """The tokens of prompt and answer are reported and plausible."""
    short = await complete(backend, ask(backend))
    longer = await complete(backend, ask(backend, f"{PROMPT} {PROMPT} {PROMPT}", tokens=4))
    if short.estimated:
        raise Unsupported("It reports no tokens; the counts are estimates.")
    if not 0 < short.prompt_tokens < longer.prompt_tokens or not 0 < short.completion_tokens <= 48:
        raise Failed(
            f"Implausible: prompts of {short.prompt_tokens} and, three times as long, {longer.prompt_tokens} "
            f"tokens, an answer of {short.completion_tokens}."
        )
    return f"{short.prompt_tokens} tokens read and {short.completion_tokens} written."


async def overflows(backend: Backend) -> str:
    """A prompt larger than the window is refused, not cut."""
    window = backend.caps.context_window
    if window > LARGE:
        raise Unsupported(f"The window of {window} tokens is too large to be tried out.")
    # A token a letter, nearly always; few enough characters that no estimate of ours refuses it before.
    text = " ".join(islice(cycle(ascii_lowercase), 2 * window))
    try:
        done = await complete(backend, ask(backend, text, max_tokens=1))
    except ContextOverflow:
        return f"A prompt of about {2 * window} tokens was refused."
    if done.estimated or done.prompt_tokens > window:
        raise Unsupported(f"A prompt of about {2 * window} tokens was taken: the window is not known.")
    raise Failed(f"Of a prompt of about {2 * window} tokens {done.prompt_tokens} were read, the rest cut.")


async def in_time(backend: Backend) -> str:
    """A deadline ends the request."""
    start = anyio.current_time()
    try:
        await complete(backend, ask(backend, tokens=2048, timeout=0.02))
    except BackendTimeout:
        took = anyio.current_time() - start
        if took > 2.0:
            raise Failed(f"A request with 0.02 s of time ended after {took:.1f} s.") from None
        return f"A request with 0.02 s of time ended after {1000 * took:.0f} ms."
    raise Unsupported("The answer was there before the deadline.")


CHECKS: Sequence[Check] = tuple(
    Check(name=name, required=required, play=play)
    for name, required, play in (
        ("answers", True, answers),
        ("streams in order", True, streams),
        ("greedy is repeatable", False, greedy),
        ("seeds are repeatable", False, seeded),
        ("stop strings", True, stops),
        ("max_tokens", True, limited),
        ("JSON schema", True, structured),
        ("Unicode", True, unicode),
        ("cancelling", True, cancels),
        ("token counts", True, counts),
        ("context overflow", False, overflows),
        ("deadline", True, in_time),
    )
)


async def _chunks(backend: Backend, request: Request) -> list[Chunk]:
    async with aclosing(backend.stream(request)) as chunks:
        return [chunk async for chunk in chunks]


def _object(**properties: dict[str, Any]) -> dict[str, Any]:
    """The schema of an object that has all these and nothing else."""
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


def _json(text: str) -> dict[str, Any]:
    try:
        value = json.loads(text)
    except ValueError:
        raise Failed(f"No JSON: {text[:80]!r}") from None
    if not isinstance(value, dict):
        raise Failed(f"No JSON object: {text[:80]!r}")
    return value
