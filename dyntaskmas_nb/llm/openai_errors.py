"""What the OpenAI SDK raises, as errors of the kit: which server, what happened, what to do."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit, urlunsplit

from dyntaskmas_nb.errors import (
    BackendError,
    BadRequest,
    ContextOverflow,
    Overloaded,
    Unavailable,
)

if TYPE_CHECKING:
    import openai

_OVERFLOW = ("context_length_exceeded", "context length", "context window", "context size", "maximum context")


def translate(error: Exception, url: str, secret: str | None) -> BackendError:
    """The kit's error for `error` from the server at `url`; `secret` is kept out of the message."""
    import openai

    where = public(url)
    match error:
        case BackendError():
            return error
        case openai.APIStatusError():
            return _status(error, where, secret)
        case openai.APIConnectionError():
            cause = error.__cause__ or error
            return Unavailable(
                f"{where}: cannot be reached ({_said(cause, secret)}). "
                "Is the server running, and the address right?"
            )
        case openai.APIError():
            return Unavailable(f"{where}: the server broke off with {_said(error, secret)}. Try again.")
        case _:  # the transport, or an answer that is not what the protocol says
            return Unavailable(
                f"{where}: the answer broke off ({type(error).__name__}: {_said(error, secret)}). "
                "Look at the server's log, and whether it speaks the OpenAI protocol."
            )


def _status(error: openai.APIStatusError, where: str, secret: str | None) -> BackendError:
    """The error of an answer with an HTTP status that is not 200."""
    status: int = error.status_code
    said = _said(error, secret)
    what = f"{where}: HTTP {status}: {said}"
    match status:
        case 401 | 403:
            return BadRequest(f"{what}. Give the server's api_key.")
        case 404:
            return BadRequest(f"{what}. Check the model's name, and that the address ends as in …/v1.")
        case 429 | 503 | 529:
            return Overloaded(f"{what}. Wait, or lower the number of agents.")
        case 408 | 409 | 425:
            return Unavailable(f"{what}. Try again.")
        case _ if status >= 500:
            return Unavailable(f"{what}. Look at the server's log.")
        case _ if any(sign in f"{error.code} {said}".lower() for sign in _OVERFLOW):
            return ContextOverflow(f"{what}. Shorten the context or lower max_tokens.")
        case _:
            return BadRequest(f"{what}. Change what the server names.")


def schema_refused(error: Exception) -> bool:
    """Whether `error` may mean that the server does not know `response_format: json_schema`."""
    import openai

    if not isinstance(error, openai.APIStatusError):
        return False
    # llama-cpp-python's server says 500 for a response_format it does not know.
    return error.status_code in {400, 415, 422, 501} or "response_format" in _said(error, None)


def public(url: str) -> str:
    """`url` without the password somebody may have put into it."""
    parts = urlsplit(url)
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))


def _said(error: Any, secret: str | None) -> str:
    """The error's own words, on one line, short, without the key."""
    text = " ".join(str(getattr(error, "message", "") or error).split()) or type(error).__name__
    return (text.replace(secret, "…") if secret else text)[:300].rstrip(".")
