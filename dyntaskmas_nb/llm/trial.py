"""A short trial of any backend: whether it keeps what `Backend` promises, and how fast it is.

For `dyntaskmas doctor --try` and for the tests of every engine. The checks are in `trial_checks`.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from enum import Enum

import anyio

from dyntaskmas_nb.errors import BackendError
from dyntaskmas_nb.llm.protocol import HINTS, Backend, Chunk, complete
from dyntaskmas_nb.llm.trial_checks import CHECKS, PROMPT, Check, Failed, Unsupported, ask


class Mark(Enum):
    """How a check ended."""

    OK = "✓"
    FAILED = "✗"
    UNSUPPORTED = "–"


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """How `check` ended, in a sentence, and after how many seconds."""

    check: Check
    mark: Mark
    said: str
    seconds: float

    @property
    def bad(self) -> bool:
        """Whether a required check failed."""
        return self.mark is Mark.FAILED and self.check.required


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """What was measured on a repeated prompt: seconds to the first token, tokens a second after that."""

    window: int
    used: tuple[str, ...]
    ignored: tuple[str, ...]
    first_token: float
    tokens_per_second: float
    prompt_tokens: int
    cached_tokens: int


async def trial(backend: Backend, checks: Sequence[Check] = CHECKS) -> AsyncGenerator[Verdict, None]:
    """Play the checks one after the other and yield how each ended; stops where the first one failed."""
    for index, check in enumerate(checks):
        start = anyio.current_time()
        try:
            mark, said = Mark.OK, await check.play(backend)
        except Unsupported as error:
            mark, said = Mark.UNSUPPORTED, str(error)
        except Failed as error:
            mark, said = Mark.FAILED, str(error)
        except BackendError as error:
            mark, said = Mark.FAILED, f"{type(error).__name__}: {error}"
        except Exception as error:  # noqa: BLE001  a check that a strange answer breaks must not end the others
            mark, said = Mark.FAILED, f"the check broke on what came: {type(error).__name__}: {error}"
        yield Verdict(check=check, mark=mark, said=said, seconds=anyio.current_time() - start)
        if index == 0 and mark is Mark.FAILED:
            return


async def measure(backend: Backend) -> Figures:
    """Ask the same long prompt twice, as a session does, and measure the second answer."""
    caps = backend.caps
    text = f"{PROMPT} " * max(1, min(20, caps.context_window // 64))
    shared = backend.count_tokens(text)
    request = ask(backend, text, tokens=64, session="trial", prefix_len=shared, steps_to_next_use=1)
    await complete(backend, request)
    start, first, last = anyio.current_time(), 0.0, Chunk(text="")
    async with aclosing(backend.stream(request)) as chunks:
        async for chunk in chunks:
            first, last = first or anyio.current_time() - start, chunk
    rest = anyio.current_time() - start - first
    return Figures(
        window=backend.caps.context_window,
        used=tuple(hint for hint in HINTS if hint in backend.caps.hints),
        ignored=tuple(hint for hint in HINTS if hint not in backend.caps.hints),
        first_token=first,
        tokens_per_second=max(last.completion_tokens - 1, 0) / rest if rest else 0.0,
        prompt_tokens=last.prompt_tokens,
        cached_tokens=last.cached_tokens,
    )
