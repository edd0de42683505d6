"""The laws of the context forest, checked on a whole batch before it is written (Eqs. 6, 7).

Pure: the store answers two questions (`Forest`), this module decides. The laws:

1. A parent exists, in the store or in the batch, and lies in the same domain (one tree a domain).
2. Following parents never comes back (no cycle).
3. A node's level is at least its parent's. # Paper silent: we chose this because a readable child under
   a hidden parent would give away that the parent exists, in every walk of the tree.
4. `put` never lowers a level; that needs an explicit call.
5. One result for each (run, task, attempt).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

from dyntaskmas_nb.errors import CycleError, InvalidInput
from dyntaskmas_nb.sacms.node import MAX_BATCH, ContextNode, NodeId


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a stored node stands in the forest."""

    id: NodeId
    parent: NodeId | None
    domain: str
    access: int


class Forest(Protocol):
    """What the laws need to know of the stored forest."""

    def place(self, id: NodeId) -> Place | None:
        """Return the place of a stored node."""

    def places_below(self, id: NodeId) -> Iterable[Place]:
        """Return the places of its stored children."""

    def result_at(self, run: str, task: str, attempt: int) -> NodeId | None:
        """Return the id of the result of that attempt, if one is stored."""


def check_batch(nodes: Sequence[ContextNode], forest: Forest) -> None:
    """Check that `forest` with `nodes` put into it still obeys the laws.

    Raises
    ------
    CycleError
        Parents would form a cycle; the message and `cycle` name it.
    InvalidInput
        Any other law is broken.
    """
    if len(nodes) > MAX_BATCH:
        raise InvalidInput(f"put was given {len(nodes)} nodes; at most {MAX_BATCH} at once. Split them.")
    batch = {node.id: node for node in nodes}
    if len(batch) < len(nodes):
        twice = next(node.id for node in nodes if sum(other.id == node.id for other in nodes) > 1)
        raise InvalidInput(f"node {twice!r:.80} comes twice in one put. Keep one of them.")
    moved = False
    for node in nodes:
        stored = forest.place(node.id)
        moved |= stored is not None and stored.parent != node.parent
        _check_parent(node, batch, forest)
        if stored is not None:
            _check_replacement(node, stored, batch, forest)
    _check_cycles(nodes, batch, forest, through_store=moved)
    _check_results(nodes, forest, batch)


def _check_parent(node: ContextNode, batch: dict[NodeId, ContextNode], forest: Forest) -> None:
    if node.parent is None:
        return
    parent = batch.get(node.parent) or forest.place(node.parent)
    if parent is None:
        raise InvalidInput(
            f"node {node.id!r:.80} names the parent {node.parent!r:.80}, which does not exist. Put it first."
        )
    if parent.domain != node.domain:
        raise InvalidInput(
            f"node {node.id!r:.80} is in domain {node.domain!r:.80}, its parent in {parent.domain!r:.80}. "
            "Keep a tree in one domain."
        )
    if node.access < parent.access:
        raise InvalidInput(
            f"node {node.id!r:.80} has level {node.access}, below its parent's {parent.access}. "
            f"Give it at least {parent.access} or another parent."
        )


def _check_replacement(
    node: ContextNode, stored: Place, batch: dict[NodeId, ContextNode], forest: Forest
) -> None:
    if node.access < stored.access:
        raise InvalidInput(
            f"node {node.id!r:.80} would fall from level {stored.access} to {node.access}. "
            "put never opens a node to more readers; keep its level."
        )
    if node.access == stored.access and node.domain == stored.domain:
        return
    for child in forest.places_below(node.id):
        if child.id not in batch and (child.access < node.access or child.domain != node.domain):
            raise InvalidInput(
                f"node {node.id!r:.80} has children that would be left at a lower level or in another "
                "domain. Put them in the same batch."
            )


def _check_cycles(
    nodes: Sequence[ContextNode], batch: dict[NodeId, ContextNode], forest: Forest, *, through_store: bool
) -> None:
    # A cycle needs an edge of the batch. If no stored node moves, it lies in the batch entirely.
    safe: set[NodeId] = set()
    for node in nodes:
        path: dict[NodeId, None] = {}
        at: NodeId | None = node.id
        while at is not None and at not in safe:
            if at in path:
                steps = list(path)
                cycle = (*steps[steps.index(at) :], at)
                raise CycleError(f"parents would form a cycle: {' → '.join(cycle):.400}.", cycle)
            path[at] = None
            if at in batch:
                at = batch[at].parent
            elif through_store:
                stored = forest.place(at)
                at = stored.parent if stored else None
            else:
                at = None
        safe.update(path)


def _check_results(nodes: Sequence[ContextNode], forest: Forest, batch: dict[NodeId, ContextNode]) -> None:
    seen: set[tuple[str, str, int]] = set()
    for node in nodes:
        made = node.provenance
        if made is None or not made.result:
            continue
        key = (made.run, made.task, made.attempt)
        other = forest.result_at(*key)
        if key in seen or (other is not None and other != node.id and other not in batch):
            raise InvalidInput(
                f"task {made.task!r:.80} of run {made.run!r:.80} has a result for attempt {made.attempt} "
                "already. Replace that node, or count the attempt up."
            )
        seen.add(key)
