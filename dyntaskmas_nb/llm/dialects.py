"""What is known of the servers that speak the OpenAI protocol, told apart by their list of models.

Strict servers refuse fields that they do not know, hence a server gets those beyond OpenAI's own only where
its `owned_by` says that it takes them. Pure.

==============  ====================================  =============================================
Server          Our hint → its field                  Where its context window is
==============  ====================================  =============================================
vLLM            priority → priority (lower first),    `max_model_len`
                session → session_id
llama.cpp       none (`cache_prompt` always)          `meta.n_ctx`, `GET /props` (of a slot),
                                                      `meta.n_ctx_train` (at most)
trtllm-serve    none known                            not said
Ollama          none                                  not said; it cuts long prompts without a word
==============  ====================================  =============================================

llama.cpp also takes `id_slot`, which would tie a session to a slot: under load everybody else waits for the
slot although others are free, so it is not used. vLLM's `cache_salt` keeps requests from sharing a prefix;
whoever wants that gives it in `extra_body`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from dyntaskmas_nb.llm.protocol import Request

Value = Callable[[Request], Any]
"""What a hint's field is to say, None for nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Dialect:
    """A server's own fields: `hints` by the name of ours, `always` for every request; `props`: has /props.

    `warms`: its requests share what their prompts have in common, once one of them has computed it.
    """

    name: str
    hints: Mapping[str, tuple[str, Value]] = field(default_factory=dict)
    always: Mapping[str, Any] = field(default_factory=dict)
    props: bool = False
    warms: bool = False

    def fields(self, request: Request) -> dict[str, Any]:
        """What to add to the body of `request`.

        Examples
        --------
        >>> urgent = Request(messages=(), max_tokens=1, priority=2.5, session="trip")
        >>> DIALECTS["vllm"].fields(urgent)
        {'priority': -2500, 'session_id': 'trip'}
        """
        told = {name: value(request) for name, value in self.hints.values()}
        return {**self.always, **{name: value for name, value in told.items() if value is not None}}


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """What a server said of itself: the window in tokens, and the one `trained` for; None if it did not."""

    model: str
    dialect: Dialect
    window: int | None = None
    trained: int | None = None


def _priority(request: Request) -> int | None:
    """The order of vLLM is the other way round, in whole numbers: thousandths, kept within 32 bits."""
    return -round(max(-2e6, min(2e6, request.priority)) * 1000) or None


#: By `owned_by` in the list of models.
DIALECTS = {
    "vllm": Dialect(
        name="vLLM",
        warms=True,
        hints={
            "priority": ("priority", _priority),
            "session": ("session_id", lambda request: request.session or None),
        },
    ),
    "llamacpp": Dialect(name="llama.cpp", always={"cache_prompt": True}, props=True),
    "tensorrt_llm": Dialect(name="trtllm-serve", warms=True),
    "library": Dialect(name="Ollama"),
}
UNKNOWN = Dialect(name="")


def read_list(listed: Any, model: str | None) -> Server | None:
    """What the list of models says of `model`, or of the first; None where none is listed."""
    data = _get(listed, "data")
    entries = [one for one in (data if isinstance(data, list) else ()) if isinstance(_get(one, "id"), str)]
    if not entries:
        return None if model is None else Server(model=model, dialect=UNKNOWN)
    # A server with one model often answers to any name.
    found = entries[0] if model is None or len(entries) == 1 else None
    found = next((entry for entry in entries if entry["id"] == model), found)
    meta = _get(found, "meta")
    return Server(
        model=model or entries[0]["id"],
        dialect=DIALECTS.get(str(_get(found or entries[0], "owned_by")), UNKNOWN),
        window=_count(_get(found, "max_model_len")) or _count(_get(meta, "n_ctx")),
        trained=_count(_get(meta, "n_ctx_train")),
    )


def read_props(props: Any) -> int | None:
    """The context window of one slot, from llama.cpp's `GET /props`."""
    return _count(_get(_get(props, "default_generation_settings"), "n_ctx"))


def cached_tokens(event: Any) -> int:
    """The tokens of the prompt that the server had computed before, where the `event` of a stream says."""
    details = _get(_get(event, "usage"), "prompt_tokens_details")
    return _count(_get(details, "cached_tokens")) or _count(_get(_get(event, "timings"), "cache_n")) or 0


def counted(event: Any) -> tuple[int, int] | None:
    """The tokens of prompt and answer, where the `event` of a stream says both."""
    usage = _get(event, "usage")
    prompt, answer = _count(_get(usage, "prompt_tokens")), _get(usage, "completion_tokens")
    return (prompt, answer) if prompt is not None and type(answer) is int and answer >= 0 else None


def _get(thing: Any, name: str) -> Any:
    """`name` of foreign JSON, which may be anything, and which the SDK makes objects of where it knows it."""
    return thing.get(name) if isinstance(thing, Mapping) else getattr(thing, name, None)


def _count(value: Any) -> int | None:
    """A number above 0."""
    return value if type(value) is int and value > 0 else None
