"""A node of the context forest, and what makes one acceptable (paper §III-C, Eqs. 6–8).

Equation 8 gives a node as (id, data, children, tags). Here a node names its parent instead of holding
its children, so that adding one child writes one row, and it carries what sharing between agents needs:
access level, version, owner, provenance and times.

| Paper | Here |
|---|---|
| F = {T_1 … T_n} (Eq. 6) | all nodes of a store |
| T_i (Eq. 7) | the nodes of one `domain`; the domain itself is the tree's root, over its `roots` |
| n = (id, data, children, tags) (Eq. 8) | `ContextNode` |

What is refused is an `InvalidInput` that names node and field, before any write.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from functools import lru_cache
from typing import Any, NewType, TypeAlias
from urllib.parse import quote

import orjson

from dyntaskmas_nb.errors import InvalidInput

NodeId = NewType("NodeId", str)
JSONValue: TypeAlias = "bool | int | float | str | Sequence[JSONValue] | Mapping[str, JSONValue] | None"

MAX_NAME = 512  # characters of an id, domain, owner, tag, run, task or agent
MAX_TEXT = 1_000_000  # characters of a node's text, and of a query
MAX_DATA = 4_000_000  # bytes of a node's data as JSON
MAX_TAGS = 256  # tags of one node
MAX_TIME = 1e15  # seconds, before and after
MAX_COUNT = 2**31 - 1  # of a level or an attempt
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")  # NUL and lone surrogates
_PLAIN_JSON = orjson.OPT_PASSTHROUGH_DATACLASS | orjson.OPT_PASSTHROUGH_DATETIME


@dataclass(frozen=True, slots=True, kw_only=True)
class Provenance:
    """Who made a node. `result`: the node is the answer of that task's attempt, under its `result_id`."""

    run: str
    task: str
    agent: str = ""
    attempt: int = 1
    result: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ContextNode:
    """One piece of shared context (Eq. 8). `put` of a known id replaces that node and raises its version."""

    id: NodeId
    domain: str  # the tree it belongs to, for good; the same as its parent's
    text: str  # what people and agents read, and what is embedded (after the tags)
    data: JSONValue = None  # the value itself, integers of up to 64 bits; tuples come back as lists
    parent: NodeId | None = None  # None for the first level of the domain's tree
    tags: frozenset[str] = frozenset()  # semantic tags (Eq. 9)
    access: int = 0  # an agent of level L reads nodes with access ≤ L (Eq. 15); never below its parent's
    version: int = 0  # set by the store, 1 on the first put
    owner: str = ""  # who answers for the node, free text
    provenance: Provenance | None = None
    created: float = 0.0  # seconds, on the caller's clock; that of the first version is kept
    updated: float = 0.0


def result_id(run: str, task: str, attempt: int) -> NodeId:
    """Return the id of the node that holds an attempt's result.

    >>> result_id("r1", "book/flight", 2)
    'result/r1/book%2Fflight/2'
    """
    return NodeId(f"result/{_quoted(run)}/{_quoted(task)}/{attempt}")


def name_within(id: NodeId, run: str) -> str:
    """Return a node's id without the name of `run`, so that equal runs tell it equally.

    >>> name_within(result_id("r1", "flight", 2), "r1")
    'result/flight/2'
    """
    own = f"result/{_quoted(run)}/"
    return f"result/{id.removeprefix(own)}" if id.startswith(own) else id


@lru_cache(maxsize=1024)
def _quoted(name: str) -> str:
    return quote(name, safe="")


def embedded_text(node: ContextNode) -> str:
    r"""Return what is embedded for `node` (Eq. 14): its tags, sorted, then its text.

    >>> embedded_text(ContextNode(id=NodeId("n"), domain="d", text="two nights", tags=frozenset({"hotel"})))
    'hotel\ntwo nights'
    """
    return " ".join(sorted(node.tags)) + "\n" + node.text if node.tags else node.text


def difference(old: ContextNode, new: ContextNode) -> dict[str, tuple[Any, Any]]:
    """What differs between two versions of a node: field → (old, new), `version` and times left out.

    >>> from dataclasses import replace
    >>> one = ContextNode(id=NodeId("n"), domain="d", text="two nights", tags=frozenset({"hotel"}))
    >>> difference(one, replace(one, text="three nights", version=2))
    {'text': ('two nights', 'three nights')}
    """
    names = [field.name for field in fields(ContextNode)]
    pairs = {name: (getattr(old, name), getattr(new, name)) for name in names}
    left_out = {"version", "created", "updated"}
    return {name: pair for name, pair in pairs.items() if name not in left_out and pair[0] != pair[1]}


def check_text(value: object, where: str, *, limit: int = MAX_TEXT, empty: bool = True) -> str:
    """Return `value` if it is text without NUL and lone surrogates, of at most `limit` characters.

    Raises InvalidInput if it is not, or is blank although not `empty`.
    """
    if not isinstance(value, str):
        raise InvalidInput(f"{where} is {type(value).__name__}, not text. Give a string.")
    if not empty and not value.strip():
        raise InvalidInput(f"{where} is empty. Give it a name.")
    if len(value) > limit:
        raise InvalidInput(f"{where} has {len(value)} characters; at most {limit} are stored. Shorten it.")
    if not (value.isascii() and value.isprintable()) and _UNSTORABLE.search(value):
        raise InvalidInput(
            f"{where} holds a NUL character or a lone surrogate. Decode the text properly first."
        )
    return value


def check_name(value: object, where: str) -> str:
    """Return `value` if it can name anything in a store; raises InvalidInput."""
    return check_text(value, where, limit=MAX_NAME, empty=False)


def check_count(value: object, where: str, *, least: int = 0, most: int = MAX_COUNT) -> int:
    """Return `value` if it is an integer (not a bool) in [least, most]; raises InvalidInput."""
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
        raise InvalidInput(f"{where} is {value!r:.40}; it must be an integer between {least} and {most}.")
    return value


def check_theta(value: object, where: str) -> float:
    """Return `value` if it can be a threshold θ: a number (not a bool) in [0, 1]; raises InvalidInput."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
        raise InvalidInput(f"{where} is {value!r:.40}; it must lie between 0 and 1.")
    return float(value)


def check_data(value: JSONValue, where: str) -> str:
    """Return `value` as JSON text.

    Raises InvalidInput if it is not JSON, holds NaN or infinity, is nested past 254 levels or too large.
    """
    try:
        text = orjson.dumps(value, option=_PLAIN_JSON)
        if b"null" in text and value is not None:
            json.dumps(value, allow_nan=False)  # orjson writes NaN and infinity as null; this one refuses
    except (TypeError, ValueError) as error:
        raise InvalidInput(f"{where} cannot be stored as JSON: {error}. Convert it first.") from None
    if len(text) > MAX_DATA:
        raise InvalidInput(f"{where} takes {len(text)} bytes as JSON; at most {MAX_DATA} are stored.")
    return text.decode()


def check_node(node: ContextNode) -> str:
    """Check every field of `node` that can be judged alone; return its data as JSON text.

    Raises InvalidInput, which names the node and the field.
    """
    if not isinstance(node, ContextNode):
        raise InvalidInput(f"put was given {type(node).__name__}. Give ContextNode objects.")
    check_name(node.id, "a node's id")
    name = f"node {node.id!r:.80}"
    check_name(node.domain, f"domain of {name}")
    check_text(node.text, f"text of {name}")
    check_text(node.owner, f"owner of {name}", limit=MAX_NAME)
    check_count(node.access, f"access of {name}")
    if not isinstance(node.tags, frozenset | set) or len(node.tags) > MAX_TAGS:
        raise InvalidInput(f"tags of {name} must be a set of at most {MAX_TAGS} strings.")
    for tag in node.tags:
        check_name(tag, f"a tag of {name}")
    if node.parent is not None:
        check_name(node.parent, f"parent of {name}")
    for time, what in ((node.created, "created"), (node.updated, "updated")):
        if isinstance(time, bool) or not isinstance(time, int | float) or not abs(time) <= MAX_TIME:
            raise InvalidInput(f"{what} of {name} is {time!r:.40}; it must be a finite number of seconds.")
    if (made := node.provenance) is not None:
        if not isinstance(made, Provenance) or type(made.result) is not bool:
            raise InvalidInput(f"provenance of {name} is {made!r:.80}; give a Provenance, or None.")
        check_result(made.run, made.task, made.attempt)
        check_text(made.agent, f"agent of {name}", limit=MAX_NAME)
        if made.result and node.id != result_id(made.run, made.task, made.attempt):
            raise InvalidInput(f"{name} is a result, so its id must be result_id(run, task, attempt).")
    return check_data(node.data, f"data of {name}")


def check_result(run: object, task: object, attempt: object) -> None:
    """Raise InvalidInput unless the three can name a result."""
    check_name(run, "the run")
    check_name(task, "the task")
    check_count(attempt, "the attempt")
