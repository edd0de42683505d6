"""A node of the context forest, and what makes one acceptable (paper §III-C, Eqs. 6–8).

Equation 8 gives a node as (id, data, children, tags). Here a node names its parent instead of holding
its children, so that adding one child writes one row, and it carries what sharing between agents needs:
access level, version, owner, provenance and times.

| Paper | Here |
|---|---|
| F = {T_1 … T_n} (Eq. 6) | all nodes of a store |
| T_i (Eq. 7) | the nodes of one `domain`; the domain itself is the tree's root, over its `roots` |
| n = (id, data, children, tags) (Eq. 8) | `ContextNode` |

Everything is checked before any write; what is refused is an `InvalidInput` that names node and field.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NewType, TypeAlias
from urllib.parse import quote

from dyntaskmas_nb.errors import InvalidInput

NodeId = NewType("NodeId", str)
JSONValue: TypeAlias = "bool | int | float | str | Sequence[JSONValue] | Mapping[str, JSONValue] | None"

MAX_NAME = 512  # characters of an id, domain, owner, tag, run, task or agent
MAX_TEXT = 1_000_000  # characters of a node's text, and of a query
MAX_DATA = 4_000_000  # characters of a node's data as JSON
MAX_TAGS = 256  # tags of one node
MAX_BATCH = 10_000  # nodes of one `put`
MAX_LEVEL = 2**31 - 1
MAX_NESTING = 100  # lists and objects inside each other
MAX_INT_BITS = 14_000  # Python reads integers of up to 4,300 digits


@dataclass(frozen=True, slots=True, kw_only=True)
class Provenance:
    """Who made a node. `result`: the node is the answer of that task; an attempt has at most one."""

    run: str
    task: str
    agent: str = ""
    attempt: int = 1
    result: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ContextNode:
    """One piece of shared context (Eq. 8).

    Attributes
    ----------
    id : NodeId
        Unique in the store. `put` of a known id replaces that node and raises its version.
    domain : str
        The tree it belongs to; the same as its parent's.
    text : str
        What people and agents read, and what is embedded (after the tags).
    data : JSONValue
        The value itself, any JSON; tuples come back as lists.
    parent : NodeId or None
        None for the first level of the domain's tree.
    tags : frozenset of str
        Semantic tags (Eq. 9).
    access : int
        Level of the node, ≥ 0 and ≥ its parent's. An agent of level L reads nodes with access ≤ L (Eq. 15).
    version : int
        Set by the store: 1 on the first `put`; ignored in what is put.
    owner : str
        Who answers for the node, free text.
    provenance : Provenance or None
        Which run, task, agent and attempt wrote it.
    created, updated : float
        Seconds, on the caller's clock. When a node is replaced, `created` of its first version is kept.
    """

    id: NodeId
    domain: str
    text: str
    data: JSONValue = None
    parent: NodeId | None = None
    tags: frozenset[str] = frozenset()
    access: int = 0
    version: int = 0
    owner: str = ""
    provenance: Provenance | None = None
    created: float = 0.0
    updated: float = 0.0


def result_id(run: str, task: str, attempt: int) -> NodeId:
    """Return the node id under which an attempt's result is stored by convention.

    >>> result_id("r1", "book/flight", 2)
    'result/r1/book%2Fflight/2'
    """
    return NodeId(f"result/{quote(run, safe='')}/{quote(task, safe='')}/{attempt}")


def embedded_text(node: ContextNode) -> str:
    r"""Return what is embedded for `node` (Eq. 14): its tags, sorted, then its text.

    >>> embedded_text(ContextNode(id=NodeId("n"), domain="d", text="two nights", tags=frozenset({"hotel"})))
    'hotel\ntwo nights'
    """
    return " ".join(sorted(node.tags)) + "\n" + node.text if node.tags else node.text


def check_text(value: object, where: str, *, limit: int = MAX_TEXT, empty: bool = True) -> str:
    """Return `value` if it is text that every part of the store can hold.

    Raises
    ------
    InvalidInput
        Not a string, empty where it must not be, longer than `limit`, or holding NUL or a lone surrogate.
    """
    if not isinstance(value, str):
        raise InvalidInput(f"{where} is {type(value).__name__}, not text. Give a string.")
    if not empty and not value.strip():
        raise InvalidInput(f"{where} is empty. Give it a name.")
    if len(value) > limit:
        raise InvalidInput(f"{where} has {len(value)} characters; at most {limit} are stored. Shorten it.")
    if "\x00" in value:
        raise InvalidInput(f"{where} holds a NUL character. Remove it.")
    if not value.isascii():
        try:
            value.encode()
        except UnicodeEncodeError as error:
            raise InvalidInput(
                f"{where} holds a lone surrogate at character {error.start}. Decode the text properly first."
            ) from None
    return value


def check_count(value: object, where: str, *, least: int, most: int = MAX_LEVEL) -> int:
    """Return `value` if it is an integer (not a bool) in [least, most]; raises InvalidInput."""
    if isinstance(value, bool) or not isinstance(value, int):
        raise InvalidInput(f"{where} is {value!r:.40}, not an integer. Give one of at least {least}.")
    if not least <= value <= most:
        raise InvalidInput(f"{where} is {value}; it must lie between {least} and {most}.")
    return value


def check_time(value: object, where: str) -> None:
    """Raise InvalidInput unless `value` is a finite number of seconds."""
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        raise InvalidInput(f"{where} is {value!r:.40}, not a finite number of seconds.")


def check_tags(tags: object, where: str) -> frozenset[str]:
    """Return `tags` as a frozenset of non-empty strings; raises InvalidInput."""
    if isinstance(tags, str) or not isinstance(tags, (frozenset, set, list, tuple)):
        raise InvalidInput(f"{where} is {type(tags).__name__}. Give a set of strings.")
    if len(tags) > MAX_TAGS:
        raise InvalidInput(f"{where} has {len(tags)} tags; at most {MAX_TAGS} are stored.")
    return frozenset(check_text(tag, f"a tag of {where}", limit=MAX_NAME, empty=False) for tag in tags)


def encode_json(value: JSONValue, where: str) -> str:
    """Return `value` as compact JSON text.

    Raises
    ------
    InvalidInput
        Not JSON (the message gives the path), NaN or infinite, bad text, nested or sized past the limits.
    """
    _check_json(value, where, MAX_NESTING)
    text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    if len(text) > MAX_DATA:
        raise InvalidInput(f"{where} takes {len(text)} characters as JSON; at most {MAX_DATA} are stored.")
    return text


def _check_json(value: object, where: str, depth: int) -> None:
    if depth < 0:
        raise InvalidInput(f"{where:.200} is nested deeper than {MAX_NESTING} levels. Flatten it.")
    match value:
        case None | bool():
            return
        case str():
            check_text(value, where, limit=MAX_DATA)
        case int():
            if value.bit_length() > MAX_INT_BITS:
                raise InvalidInput(f"{where} is an integer of {value.bit_length()} bits. Store it as text.")
        case float():
            if not math.isfinite(value):
                raise InvalidInput(f"{where} is {value}, which JSON cannot hold. Use null or text.")
        case list() | tuple():
            for index, item in enumerate(value):
                _check_json(item, f"{where}[{index}]", depth - 1)
        case dict():
            for key, item in value.items():
                check_text(key, f"a key of {where}", limit=MAX_DATA)
                _check_json(item, f"{where}[{key!r:.40}]", depth - 1)
        case _:
            raise InvalidInput(f"{where} is {type(value).__name__}, which is not JSON. Convert it first.")


def check_node(node: ContextNode) -> str:
    """Check every field of `node` that can be judged alone; return its data as JSON text.

    Raises
    ------
    InvalidInput
        The message names the node and the field.
    """
    if not isinstance(node, ContextNode):
        raise InvalidInput(f"put was given {type(node).__name__}. Give ContextNode objects.")
    check_text(node.id, "a node's id", limit=MAX_NAME, empty=False)
    name = f"node {node.id!r:.80}"
    check_text(node.domain, f"domain of {name}", limit=MAX_NAME, empty=False)
    check_text(node.text, f"text of {name}")
    check_text(node.owner, f"owner of {name}", limit=MAX_NAME)
    check_tags(node.tags, f"tags of {name}")
    check_count(node.access, f"access of {name}", least=0)
    check_time(node.created, f"created of {name}")
    check_time(node.updated, f"updated of {name}")
    if node.parent is not None:
        check_text(node.parent, f"parent of {name}", limit=MAX_NAME, empty=False)
        if node.parent == node.id:
            raise InvalidInput(f"{name} names itself as its parent. Give another parent, or None.")
    if node.provenance is not None:
        made = node.provenance
        check_text(made.run, f"run of {name}", limit=MAX_NAME, empty=False)
        check_text(made.task, f"task of {name}", limit=MAX_NAME, empty=False)
        check_text(made.agent, f"agent of {name}", limit=MAX_NAME)
        check_count(made.attempt, f"attempt of {name}", least=0)
    return encode_json(node.data, f"data of {name}")
