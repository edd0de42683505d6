"""What the OpenAI SDK raises, as errors of the kit: which server, what happened, what to do."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dyntaskmas_nb.errors import BackendError, BadRequest, ContextOverflow, Overloaded, Unavailable

if TYPE_CHECKING:
    import openai

_OVERFLOW = ("context_length_exceeded", "context length", "context window", "context size", "maximum context")


def translate(error: Exception, where: str, secret: str | None) -> BackendError:
    """The kit's error for `error` from the server `where`; `secret` is kept out of the message."""
    import openai

    said = _said(error, secret)
    match error:
        case BackendError():
            return error
        case openai.APIStatusError():
            return _status(error, said, f"{where}: HTTP {error.status_code}: {said}")
        case openai.APIConnectionError():
            said = _said(error.__cause__ or error, secret)
            return Unavailable(
                f"{where}: cannot be reached ({said}). Is the server running, and the address right?"
            )
        case _:  # an error inside the stream, the transport, or an answer that is not what the protocol says
            return Unavailable(
                f"{where}: the answer broke off ({type(error).__name__}: {said}). "
                "Look at the server's log, and whether it speaks the OpenAI protocol."
            )


def _status(error: openai.APIStatusError, said: str, what: str) -> BackendError:
    """The error of an answer with an HTTP status that is not 200."""
    status = error.status_code
    if status in {401, 403}:
        return BadRequest(f"{what}. Give the server's api_key.")
    if status == 404:
        return BadRequest(f"{what}. Check the model's name, and that the address ends as in …/v1.")
    if status in {429, 503}:
        return Overloaded(f"{what}. Wait, or lower the number of agents.")
    if status >= 500 or status == 408:
        return Unavailable(f"{what}. Look at the server's log.")
    if any(sign in f"{error.code} {said}".lower() for sign in _OVERFLOW):
        return ContextOverflow(f"{what}. Shorten the context or lower max_tokens.")
    return BadRequest(f"{what}. Change what the server names.")


def schema_refused(error: openai.APIStatusError) -> bool:
    """Whether `error` may mean that the server does not know `response_format: json_schema`."""
    # llama-cpp-python's server says 500 for a response_format it does not know.
    return error.status_code in {400, 415, 422, 501} or "response_format" in _said(error, None)


def _said(error: BaseException, secret: str | None) -> str:
    """The error's own words, on one line, short, without the key."""
    text = " ".join(str(getattr(error, "message", "") or error).split()) or type(error).__name__
    return (text.replace(secret, "…") if secret else text)[:300].rstrip(".")
