"""Context Update Handler (paper §III-C, Eq. 16): what a transaction asks for, and what comes of it.

Equation 16 gives n′ = U(n, c): the same id and children, version + 1, tags ∪ new tags. How the content of n
and c becomes that of n′ is a named policy, a `Merge`. `resolve` is pure: it looks at the forest through two
functions, obeys its laws or refuses the whole transaction, and returns the versions to be written. Both
stores write what it returns, and nothing else.

The laws of the forest:

1. A node has one parent or none, in its own domain, and is not below itself: so there is no cycle.
2. A node's level is at least its parent's. # Paper silent: we chose this because a readable child under a
   hidden parent would give away that the parent exists, in every walk of the tree.
3. A level rises freely, with all that lies below it, and falls only when `SetLevel` says so.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, TypeAlias, get_args

from dyntaskmas_nb.errors import InvalidInput, VersionConflict
from dyntaskmas_nb.sacms.node import ContextNode, NodeId, check_count, check_data, check_name, check_node

MAX_BATCH = 10_000  # changes of one transaction
Merge = Literal["replace", "append", "json_merge", "reject_conflict"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Put:
    """Write `node`: as it is (`merge` None), or merged with the version there is, its tags added to those.

    `retract` are tags to be dropped. `expected`: the version it must have now, 0 for none; None for any.
    """

    node: ContextNode
    merge: Merge | None = None
    retract: frozenset[str] = frozenset()
    expected: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Move:
    """Put a node, with all that lies below it, under another parent of its domain; None for none."""

    id: NodeId
    parent: NodeId | None
    expected: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Delete:
    """Delete a node; with `cascade` all that lies below it too, else that is a reason to refuse."""

    id: NodeId
    cascade: bool = False
    expected: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SetLevel:
    """Set a node's access level, also to a lower one, but not below its parent's."""

    id: NodeId
    access: int
    expected: int | None = None


Change: TypeAlias = Put | Move | Delete | SetLevel
Look: TypeAlias = Callable[[NodeId], tuple[ContextNode | None, int]]
"""A node's current version, and the number of its last one, 0 for none."""
Below: TypeAlias = Callable[[NodeId], Iterable[NodeId]]
"""The ids of a node's children."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """What a transaction writes: new versions by id (None: deleted), their data as JSON, and its answers."""

    nodes: Mapping[NodeId, ContextNode | None]
    data: Mapping[NodeId, str]
    versions: tuple[int, ...]


class _Forest:
    """The forest with what the transaction has changed so far laid over it."""

    def __init__(self, look: Look, below: Below) -> None:
        self._look, self._below = look, below
        self.written: dict[NodeId, ContextNode | None] = {}
        self.data: dict[NodeId, str] = {}
        self._last: dict[NodeId, int] = {}

    def now(self, id: NodeId) -> ContextNode | None:
        if id in self.written:
            return self.written[id]
        node, self._last[id] = self._look(id)
        return node

    def there(self, id: NodeId, expected: int | None) -> ContextNode:
        node = self.now(NodeId(check_name(id, "the id")))
        _expect(id, node, expected)
        if node is None:
            raise InvalidInput(f"there is no node {id!r:.80}. Put it first.")
        return node

    def children(self, id: NodeId) -> list[ContextNode]:
        ids = dict.fromkeys([*self._below(id), *self.written])
        return [node for each in ids if (node := self.now(each)) and node.parent == id]

    def write(self, node: ContextNode, data: str | None = None) -> int:
        """Make `node` the newest version of its id; `data` is its data as JSON, where that is known."""
        self.data[node.id] = check_data(node.data, f"data of node {node.id!r:.80}") if data is None else data
        if node.id not in self._last:
            self.now(node.id)
        version = self._last[node.id] + (node.id not in self.written or self.written[node.id] is None)
        self._last[node.id] = version
        self.written[node.id] = replace(node, version=version, tags=frozenset(node.tags))
        return version

    def raise_below(self, above: ContextNode) -> None:
        """Hide what lies below a node at least as well as the node (law 3)."""
        for child in self.children(above.id):
            if child.access < above.access:
                raised = replace(child, access=above.access)
                self.write(raised)
                self.raise_below(raised)


def resolve(changes: Sequence[Change], look: Look, below: Below) -> Written:
    """What `changes`, in order and all or none, make of the forest that `look` and `below` show.

    Raises
    ------
    InvalidInput
        A change makes no sense, or would break a law of the forest; the message names node and field.
    VersionConflict
        A node has another version than was expected, or `reject_conflict` met another content.
    """
    if len(changes) > MAX_BATCH:
        raise InvalidInput(f"one put takes at most {MAX_BATCH} nodes; this has {len(changes)}. Split it.")
    forest = _Forest(look, below)
    versions = tuple([_apply(forest, change) for change in changes])
    return Written(nodes=forest.written, data=forest.data, versions=versions)


def _apply(forest: _Forest, change: Change) -> int:
    match change:
        case Put():
            return _put(forest, change)
        case Move(id=id, parent=parent):
            node = forest.there(id, change.expected)
            moved = replace(node, parent=parent)
            _check_place(forest, moved)
            above = parent
            while above is not None:
                if above == id:
                    raise InvalidInput(f"node {id!r:.80} cannot be moved below itself, to {parent!r:.80}.")
                found = forest.now(above)
                above = found.parent if found else None
            return forest.write(moved)
        case Delete(id=id, cascade=cascade):
            node = forest.there(id, change.expected)
            below = forest.children(id)
            if below and not cascade:
                raise InvalidInput(f"node {id!r:.80} has {len(below)} children. Delete with cascade=True.")
            for child in below:
                _apply(forest, Delete(id=child.id, cascade=True))
            forest.written[node.id] = None
            return 0
        case SetLevel(id=id, access=access):
            node = replace(forest.there(id, change.expected), access=check_count(access, "access"))
            _check_place(forest, node)
            version = forest.write(node)
            forest.raise_below(node)
            return version
        case _:
            raise InvalidInput(f"a transaction holds Put, Move, Delete and SetLevel, not {change!r:.80}.")


def _put(forest: _Forest, change: Put) -> int:
    node = change.node
    data = check_node(node)
    if not isinstance(change.retract, frozenset | set):
        raise InvalidInput(
            f"retract of node {node.id!r:.80} must be a set of tags, not {change.retract!r:.40}."
        )
    old = forest.now(node.id)
    _expect(node.id, old, change.expected)
    if old is None:
        _check_place(forest, node)
        return forest.write(node, data)
    if node.id in forest.written:
        raise InvalidInput(f"node {node.id!r:.80} comes twice in one put. Keep one of them.")
    if (node.domain, node.parent) != (old.domain, old.parent) or node.access < old.access:
        raise InvalidInput(
            f"node {node.id!r:.80} is stored with another (domain, parent, level) than "
            f"{(node.domain, node.parent, node.access)!r:.200}. put replaces what a node says, not where it "
            "stands; give its own, or use Move and SetLevel."
        )
    node = replace(node, created=old.created)
    if change.merge is not None:
        node = merged(old, node, change.merge, change.retract)
        data = check_node(node)
    elif change.retract:
        node = replace(node, tags=node.tags - change.retract)
    version = forest.write(node, data)
    if node.access > old.access:
        forest.raise_below(node)
    return version


def _expect(id: NodeId, node: ContextNode | None, expected: int | None) -> None:
    has = node.version if node else 0
    if expected is not None and check_count(expected, "the expected version") != has:
        raise VersionConflict(
            f"node {id!r:.80} has version {has}, not {expected}: somebody wrote it since. Read it again."
        )


def _check_place(forest: _Forest, node: ContextNode) -> None:
    """Laws 1 and 2 for a node that stands anew."""
    if node.parent is None:
        return
    name, above = f"node {node.id!r:.80}", forest.now(NodeId(check_name(node.parent, "the parent")))
    if above is None or above.id == node.id:
        raise InvalidInput(f"{name} has the parent {node.parent!r:.80}, which does not exist. Put it first.")
    if node.domain != above.domain or node.access < above.access:
        raise InvalidInput(
            f"{name} is in domain {node.domain!r:.80} on level {node.access}, its parent in "
            f"{above.domain!r:.80} on {above.access}. Stay in its domain and at least on its level."
        )


def merged(
    old: ContextNode, new: ContextNode, merge: Merge, retract: frozenset[str] = frozenset()
) -> ContextNode:
    """U(n, c) of Eq. 16: `new` merged into `old`, tags ∪ new tags without those to `retract`.

    `replace` takes text and data of the new one, `append` adds them after the old (data that is no list
    counts as one of a list), `json_merge` merges data by RFC 7396 and takes a text that is not empty, and
    `reject_conflict` raises `VersionConflict` where text or data differ.

    >>> old = ContextNode(id=NodeId("n"), domain="d", text="a", data={"x": 1, "y": 2}, tags=frozenset({"p"}))
    >>> new = ContextNode(id=NodeId("n"), domain="d", text="", data={"y": None}, tags=frozenset({"q"}))
    >>> both = merged(old, new, "json_merge")
    >>> both.text, both.data, sorted(both.tags)
    ('a', {'x': 1}, ['p', 'q'])
    """
    text, data = new.text, new.data
    match merge:
        case "replace":
            pass
        case "append":
            text = "\n".join(part for part in (old.text, text) if part)
            data = [*_listed(old.data), *_listed(data)]
        case "json_merge":
            text, data = text or old.text, _merge_patch(old.data, data)
        case "reject_conflict":
            if (old.text, old.data) != (text, data):
                raise VersionConflict(f"node {old.id!r:.80} says something else since version {old.version}.")
        case _:
            raise InvalidInput(f"merge is one of {', '.join(get_args(Merge))}, not {merge!r:.40}.")
    return replace(new, text=text, data=data, tags=(old.tags | new.tags) - retract)


def _listed(data: Any) -> Sequence[Any]:
    if data is None:
        return ()
    return data if isinstance(data, list | tuple) else [data]


def _merge_patch(target: Any, patch: Any) -> Any:
    """RFC 7396: objects are merged key by key, null removes one, everything else replaces."""
    if not isinstance(patch, Mapping):
        return patch
    made = dict(target) if isinstance(target, Mapping) else {}
    for key, value in patch.items():
        if value is None:
            made.pop(key, None)
        else:
            made[key] = _merge_patch(made.get(key), value)
    return made
