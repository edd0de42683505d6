"""What the OpenAI SDK raises, as errors of the kit: which server, what happened, what to do."""

from __future__ import annotations

import math
from collections.abc import Collection
from typing import TYPE_CHECKING

from dyntaskmas_nb.errors import (
    BackendError,
    BadRequest,
    ContextOverflow,
    OutOfMemory,
    Overloaded,
    Unavailable,
)

if TYPE_CHECKING:
    import openai

_OVERFLOW = ("context_length_exceeded", "context length", "context window", "context size", "maximum context")

_REACHED = ("ReadError", "RemoteProtocolError", "DecodingError")
"""Errors of the SDK's transport, httpx or a later one, after the server was reached."""


def translate(error: Exception, where: str, secret: str | None) -> BackendError:
    """The kit's error for `error` from the server `where`; `secret` is kept out of the message."""
    import openai

    if isinstance(error.__cause__, Exception) and type(error.__cause__).__name__ in _REACHED:
        error = error.__cause__
    said = _said(error, secret)
    match error:
        case BackendError():
            return error
        case UnicodeEncodeError():  # ours, not the server's: nothing has been sent
            return BadRequest(
                f"{where}: the request is no text ({said}). "
                "Remove halves of surrogate pairs from it, and letters that are not ASCII from the api_key."
            )
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
        return BadRequest(
            f"{what}. Give the server's key: set DYNTASKMAS_API_KEY, or "
            "Kit(model=OpenAICompatible(url, api_key=…))."
        )
    if status == 404:
        return BadRequest(f"{what}. Check the model's name, and that the address ends as in …/v1.")
    if status in {429, 503}:
        return Overloaded(f"{what}. Wait, or lower the number of agents.")
    if status >= 500 and "out of memory" in said.lower():
        return OutOfMemory(f"{what}. Lower the number of agents, or max_tokens.")
    if status >= 500 or status == 408:
        return Unavailable(f"{what}. Look at the server's log.")
    if _overflows(error):
        return ContextOverflow(f"{what}. Shorten the context or lower max_tokens.")
    return BadRequest(f"{what}. Change what the server names.")


class SchemaRefused(Exception):
    """The server may know no JSON schemas; never leaves the backend."""


def schema_refused(error: Exception) -> bool:
    """Whether `error` may mean that the server does not know `response_format: json_schema`."""
    import openai

    if not isinstance(error, openai.APIStatusError) or _overflows(error):
        return False
    # llama-cpp-python's server says 500 for a response_format it does not know.
    return error.status_code in {400, 415, 422, 501} or "response_format" in _said(error, None)


def refused_fields(error: openai.APIStatusError, fields: Collection[str]) -> set[str]:
    """Those of `fields` that `error` names: the server does not take them."""
    said = f"{error.body} {_said(error, None)}".lower()
    return {name for name in fields if error.status_code in {400, 422} and name in said}


def cannot_list(error: openai.APIError) -> bool:
    """Whether a server that says `error` to `GET /models` may have no such list, and answer all the same."""
    return getattr(error, "status_code", None) in {400, 401, 403, 404, 405, 500, 501}


def retry_after(error: BackendError) -> float | None:
    """The seconds that the server asks to wait, if it does; a date would need its clock and ours to agree."""
    headers = getattr(getattr(error.__cause__, "response", None), "headers", {})
    try:
        seconds = float(headers.get("retry-after", ""))
    except ValueError:
        return None
    return seconds if 0 <= seconds < math.inf else None


def _overflows(error: openai.APIStatusError) -> bool:
    said = f"{error.code} {_said(error, None)}".lower()
    return error.status_code < 500 and any(sign in said for sign in _OVERFLOW)


def _said(error: BaseException, secret: str | None) -> str:
    """The error's own words, on one line, short, without the key."""
    text = " ".join(str(getattr(error, "message", "") or error).split()) or type(error).__name__
    return (text.replace(secret, "…") if secret else text)[:300].rstrip(".")
