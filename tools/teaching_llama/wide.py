"""The training phrasings: the lists of `phrasings*.py`, joined in one place with those of `wide/*.txt`.

Each text file is one author's: sections such as `[devops.HEADS]`, one phrasing a line. What these files add
makes at least half of what is drawn.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from string import Formatter
from typing import Any

from tools.teaching_llama import phrasings
from tools.teaching_llama.phrasings_devops import DEVOPS as NARROW_DEVOPS
from tools.teaching_llama.phrasings_documents import DOCUMENTS as NARROW_DOCUMENTS
from tools.teaching_llama.phrasings_robots import ROBOTS as NARROW_ROBOTS

FOLDER = Path(__file__).parent / "wide"
SECTION = re.compile(r"\[([\w.]+)\]")
ANYWHERE = frozenset({"n", "name", "place", "pseudo"})
"""Fields that a fact's value may hold."""

NARROW: dict[str, dict[str, Any]] = {
    "travel": phrasings.TRAVEL,
    "research": phrasings.RESEARCH,
    "devops": NARROW_DEVOPS,
    "documents": NARROW_DOCUMENTS,
    "robots": NARROW_ROBOTS,
}


def sections(lists: Mapping[str, Any], prefix: str) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Yield each list of phrasings under its name, `devops.VALUES.stack`."""
    for key, found in lists.items():
        if isinstance(found, Mapping):
            yield from sections(found, f"{prefix}.{key}")
        else:
            yield f"{prefix}.{key}", tuple(found)


def fields(text: str) -> frozenset[str]:
    """Return the names of the fields of `text`.

    Raises
    ------
    ValueError
        A brace that opens or closes nothing.
    """
    return frozenset(name for _, name, _, _ in Formatter().parse(text) if name is not None)


KNOWN = {"refusals": phrasings.REFUSALS} | dict(x for n, d in NARROW.items() for x in sections(d, n))
FIELDS = {section: frozenset(map(fields, texts)) for section, texts in KNOWN.items()}


def fault(section: str, line: str) -> str | None:
    """Return what is wrong with a line of `section`, or None."""
    try:
        found = fields(line)
    except ValueError as error:
        return f"{error}: close each brace"
    last, kinds = section.rpartition(".")[2], FIELDS[section]
    if ".VALUES." in section or last in ("PEOPLE", "WHEN", "TOPIC", "DEADLINE"):  # any or none of them
        most = frozenset().union(*kinds) if last in ("WHEN", "TOPIC", "DEADLINE") else ANYWHERE
        allowed, wanted = found <= most, [most]
    else:
        wanted = [x for x in kinds if not x] or list(kinds)  # flags and refusals have none
        allowed = found in wanted
    if not allowed:
        names = " or ".join(sorted(" ".join(sorted(x)) or "none" for x in wanted))
        return f"it has the fields {sorted(found)}: use {names}"
    clause = last.islower() and ".VALUES." not in section and last != "refusals"
    if clause and line[:1] not in (" ", ",", "."):
        return "a clause begins with a blank, a comma or a full stop"
    return None


def read(path: Path) -> dict[str, tuple[str, ...]]:
    """Return the sections of one author's file.

    Raises
    ------
    ValueError
        A section that nothing draws from, or a line with the wrong fields; it says where.
    """
    found: dict[str, list[str]] = {}
    lines: list[str] | None = None
    for number, line in enumerate(path.read_text(encoding="utf-8").split("\n"), 1):
        if not line.strip():
            continue
        head = SECTION.fullmatch(line)
        if head and head[1] not in KNOWN:
            raise ValueError(f"{path.name}, line {number}: nothing draws from {line}; see wide.KNOWN.")
        if head:
            section, lines = head[1], found.setdefault(head[1], [])
            continue
        if lines is None:
            raise ValueError(f"{path.name}, line {number}: begin with a section, such as [travel.HEADS].")
        if wrong := fault(section, line):
            raise ValueError(f"{path.name}, line {number}, [{section}]: {wrong}.")
        lines.append(line)
    return {name: tuple(dict.fromkeys(texts)) for name, texts in found.items()}


def together(files: Iterable[Mapping[str, tuple[str, ...]]]) -> dict[str, tuple[str, ...]]:
    """Return the lines of all files by section, each once."""
    found: dict[str, dict[str, None]] = {}
    for file in files:
        for section, lines in file.items():
            found.setdefault(section, {}).update(dict.fromkeys(lines))
    return {section: tuple(lines) for section, lines in found.items()}


AUTHORS = {path.stem: read(path) for path in sorted(FOLDER.glob("*.txt"))}
LINES = together(AUTHORS.values())
NEW = frozenset(line for lines in LINES.values() for line in lines)
"""Every line that these files add."""


def blended(narrow: tuple[str, ...], new: tuple[str, ...]) -> tuple[str, ...]:
    """Return both lists, the new one repeated so that it is three fifths of them or more."""
    times = -(-3 * len(narrow) // (2 * len(new))) if new else 0
    return (*narrow, *new * max(1, times))


def joined(lists: Mapping[str, Any], prefix: str) -> dict[str, Any]:
    """Return a domain's lists with the new lines in them."""
    return {
        key: joined(found, f"{prefix}.{key}")
        if isinstance(found, Mapping)
        else blended(tuple(found), LINES.get(f"{prefix}.{key}", ()))
        for key, found in lists.items()
    }


TRAVEL, RESEARCH, DEVOPS, DOCUMENTS, ROBOTS = (joined(lists, name) for name, lists in NARROW.items())
REFUSALS = blended(tuple(phrasings.REFUSALS), LINES.get("refusals", ()))
