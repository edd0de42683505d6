"""What a look into a run's context store shows: tables for a notebook, bounded plain data for a browser.

Texts come from users and models: they are made printable, cut, and escaped where they become HTML.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from typing import Any, Literal, TypeAlias

from dyntaskmas_nb.sacms.node import ContextNode, NodeId, Provenance, difference
from dyntaskmas_nb.view.words import (
    count,
    duration,
    fit,
    markup,
    number,
    paragraph,
    printable,
    result_text,
    tag,
)

#: Nodes that one look shows at most; the versions of one node; characters of a text, and of a changed field.
NODES, VERSIONS, TEXT, FIELD = 500, 50, 4_000, 400
#: Rows that a table shows; the objects themselves hold all.
ROWS = 200
Verdict: TypeAlias = Literal["given", "not above θ", "beyond k", "left out", "another run's", "hidden"]


@dataclass(frozen=True, slots=True, repr=False, kw_only=True)
class ContextTree:
    """The forest (Eqs. 6–8): each node before its children, with its depth; this run's domain comes first.

    `access` is the level it was looked at with, None for all of them; `highest` the highest level there is
    among the nodes looked at; `cut`: there are more nodes.
    """

    nodes: tuple[tuple[int, ContextNode], ...]
    access: int | None = None
    highest: int = 0
    cut: bool = False

    def __repr__(self) -> str:
        return _text(_TREE, self._rows(), (24, 36, 5, 7, 40), self._note())

    def _repr_html_(self) -> str:
        return _html(_TREE, self._rows(), self._note())

    def to_dict(self) -> dict[str, Any]:
        """JSON-able, without texts: `id` as the store knows it, `name` and `title` as they can be shown."""
        told = [_named(node) | {"depth": depth} for depth, node in self.nodes[:NODES]]
        return {"nodes": told, "access": self.access, "highest": self.highest, "cut": self.cut}

    def _rows(self) -> list[tuple[str, ...]]:
        names = ["\u2002" * min(2 * depth, 20) + title_of(node) for depth, node in self.nodes]
        return [
            (node.domain, name, str(node.access), str(node.version), ", ".join(sorted(node.tags)))
            for name, (_, node) in zip(names, self.nodes, strict=True)
        ]

    def _note(self) -> str:
        level = "every level" if self.access is None else f"level {self.access}"
        more = "; there are more" if self.cut else ""
        return f"{count(len(self.nodes), 'node')} for {level}, the highest is {self.highest}{more}"


@dataclass(frozen=True, slots=True, repr=False, kw_only=True)
class ContextVersions:
    """All versions of a node, oldest first; `deleted`: it has no current one."""

    id: NodeId
    versions: tuple[ContextNode, ...]
    deleted: bool = False

    @property
    def differences(self) -> tuple[dict[str, tuple[Any, Any]], ...]:
        """For each version what differs from the one before, field → (old, new); nothing for the first."""
        return {}, *(difference(old, new) for old, new in pairwise(self.versions))

    def __repr__(self) -> str:
        return _text(_VERSIONS, self._rows(), (7, 12, 24, 5, 30, 60), self._note())

    def _repr_html_(self) -> str:
        return _html(_VERSIONS, self._rows(), self._note())

    def to_dict(self) -> dict[str, Any]:
        """JSON-able: the latest `VERSIONS`, texts cut at `TEXT` characters, changed fields at `FIELD`."""
        pairs = list(zip(self.versions, self.differences, strict=True))[-VERSIONS:]
        return _named(self.versions[-1]) | {
            "deleted": self.deleted,
            "left_out": len(self.versions) - len(pairs),
            "versions": [_told(node, changes) for node, changes in pairs],
        }

    def _rows(self) -> list[tuple[str, ...]]:
        changed = [", ".join(changes) for changes in self.differences]
        return [
            (str(n.version), duration(round(n.updated, 3)), _maker(n), str(n.access), what, n.text)
            for n, what in zip(self.versions, changed, strict=True)
        ]

    def _note(self) -> str:
        return f"{self.id}: {count(len(self.versions), 'version')}{', deleted' if self.deleted else ''}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """A node that a query considered (Eqs. 14–15): relevance, shared tags, the verdict and why."""

    id: NodeId
    title: str
    version: int
    access: int
    relevance: float
    shared_tags: tuple[str, ...]
    verdict: Verdict
    why: str


@dataclass(frozen=True, slots=True, repr=False, kw_only=True)
class ContextQuery:
    """What a query gives at level `access` (None: all) and θ, and what not and why, by falling relevance.

    `agent` is whose level that is, "" where it was given as a number.
    """

    text: str
    access: int | None
    theta: float
    k: int
    rows: tuple[Seen, ...]
    agent: str = ""

    @property
    def given(self) -> tuple[NodeId, ...]:
        """Ids of the nodes that are given."""
        return tuple(row.id for row in self.rows if row.verdict == "given")

    def __repr__(self) -> str:
        return _text(_QUERY, self._rows(), (9, 14, 30, 5, 48), self._note())

    def _repr_html_(self) -> str:
        return _html(_QUERY, self._rows(), self._note())

    def to_dict(self) -> dict[str, Any]:
        """JSON-able: the `NODES` most relevant rows."""
        asked = {"text": paragraph(self.text, TEXT), "agent": self.agent, "access": self.access}
        rows = [asdict(row) | _plain(row) for row in self.rows[:NODES]]
        return asked | {"theta": self.theta, "k": self.k, "rows": rows, "cut": len(self.rows) > NODES}

    def _rows(self) -> list[tuple[str, ...]]:
        return [
            (f"{row.relevance:.3f}", row.verdict, row.title, str(row.access), row.why) for row in self.rows
        ]

    def _note(self) -> str:
        level = "every level" if self.access is None else f"level {self.access}"
        who = f"{self.agent}, {level}" if self.agent else level
        return f"{len(self.given)} of {count(len(self.rows), 'node')} given to {who}, θ {number(self.theta)}"


_TREE = "domain", "node", "level", "version", "tags"
_VERSIONS = "version", "time", "by", "level", "changed", "text"
_QUERY = "relevance", "verdict", "node", "level", "why"


def title_of(node: ContextNode) -> str:
    """What people call a node: the task that made it, else its id."""
    return node.provenance.task if node.provenance else node.id


def _plain(row: Seen) -> dict[str, Any]:
    texts = {"name": printable(row.id), "title": printable(row.title), "why": printable(row.why)}
    return texts | {"shared_tags": _tags(row.shared_tags)}


def _named(node: ContextNode) -> dict[str, Any]:
    return {
        "id": node.id,
        "name": printable(node.id),
        "title": printable(title_of(node)),
        "domain": printable(node.domain),
        "parent": node.parent,
        "access": node.access,
        "version": node.version,
        "tags": _tags(sorted(node.tags)),
    }


def _told(node: ContextNode, changes: dict[str, tuple[Any, Any]]) -> dict[str, Any]:
    """A version for a browser; data that only repeats the text is left out."""
    text, data, made = paragraph(node.text, TEXT), result_text(node.data, TEXT), node.provenance
    return _named(node) | {
        "text": text,
        "cut": len(node.text) > TEXT,
        "data": "" if data == text else data,
        "owner": printable(node.owner),
        "created": node.created,
        "updated": node.updated,
        "provenance": made and {name: _field(value) for name, value in asdict(made).items()},
        "changes": {
            name: [_shown(old), _shown(new)]
            for name, (old, new) in changes.items()
            if name != "data" or changes.get("text") != (old, new)
        },
    }


def _field(value: object) -> object:
    return printable(value) if isinstance(value, str) else value


def _shown(value: Any) -> str:
    """One side of a changed field."""
    listed = sorted(value) if isinstance(value, frozenset) else value
    return result_text(asdict(listed) if isinstance(listed, Provenance) else listed, FIELD)


def _tags(tags: Sequence[str]) -> list[str]:
    return [printable(tag, 80) for tag in tags[:32]]


def _maker(node: ContextNode) -> str:
    made = node.provenance
    return f"{made.agent or node.owner}, attempt {made.attempt}" if made else node.owner


def _text(head: Sequence[str], rows: Sequence[Sequence[str]], widths: Sequence[int], note: str) -> str:
    lines = [
        "  ".join(fit(printable(c, 2 * w), w) for c, w in zip(row, widths, strict=True)).rstrip()
        for row in [head, *rows[:ROWS]]
    ]
    return "\n".join([*lines, *_left_out(rows), printable(note, 700)])


def _html(head: Sequence[str], rows: Sequence[Sequence[str]], note: str) -> str:
    names = tag("tr", *(tag("th", markup(name), scope="col") for name in head))
    body = [tag("tr", *(tag("td", markup(cell, 300)) for cell in row)) for row in rows[:ROWS]]
    below = ". ".join([printable(note, 700), *_left_out(rows)])
    return tag("table", tag("caption", markup(below, 900)), names, *body)


def _left_out(rows: Sequence[object]) -> list[str]:
    return [f"{len(rows) - ROWS:,} more rows are not shown"] if len(rows) > ROWS else []
