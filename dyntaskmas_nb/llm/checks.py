"""What no backend can serve, refused before anything is sent or computed."""

from __future__ import annotations

import math

from dyntaskmas_nb.errors import BackendTimeout, BadRequest
from dyntaskmas_nb.llm.protocol import Request


def check_request(request: Request) -> None:
    """Raise `BadRequest` naming the first field that makes no sense."""
    problem = next((text for wrong, text in _problems(request) if wrong), None)
    if problem is not None:
        raise BadRequest(f"{request.tag or 'request'}: {problem}")


def _problems(request: Request) -> tuple[tuple[bool, str], ...]:
    """Each rule as (broken, what to say)."""
    return (
        (not request.messages, "messages is empty; give at least one."),
        (request.max_tokens < 1, f"max_tokens={request.max_tokens}; it must be at least 1."),
        (request.seed < 0, f"seed={request.seed}; it must not be negative."),
        (
            not (math.isfinite(request.temperature) and request.temperature >= 0),
            f"temperature={request.temperature}; it must be a finite number, 0 (greedy) or more.",
        ),
        ("" in request.stop, "stop holds an empty string, which would stop everything; remove it."),
        (
            request.timeout is not None and not request.timeout > 0,
            f"timeout={request.timeout}; it must be positive, or None for no deadline.",
        ),
    )


def timed_out(name: str, request: Request) -> BackendTimeout:
    """The error of a request whose deadline passed."""
    return BackendTimeout(
        f"{name}: no complete answer for {request.tag or 'the request'} within {request.timeout:g} s. "
        "Raise the timeout or choose a faster model."
    )
