"""Marks around the facts of an answer: what stands between them is copied from the prompt, word by word.

A plan or an answer written from marked facts has the marks in it; the encoder makes placeholders of the words
between them, and `plain` takes the marks away. No request holds a mark.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import fields, replace
from typing import TypeVar

OPEN, CLOSE = "\ue000", "\ue001"
MARKS = re.compile(f"[{OPEN}{CLOSE}]")
Facts = TypeVar("Facts")


def plain(text: str) -> str:
    """Return `text` without marks."""
    return text.replace(OPEN, "").replace(CLOSE, "")


def mark(text: str) -> str:
    """Return `text` as one fact; nothing stays nothing."""
    return f"{OPEN}{plain(text)}{CLOSE}" if text else ""


def marked(facts: Facts) -> Facts:
    """Return a trip or a report with every fact marked."""
    texts = {f.name: getattr(facts, f.name) for f in fields(facts) if f.name != "sentence"}
    return replace(facts, **{name: mark(x) for name, x in texts.items() if isinstance(x, str)})


def marked_values(facts: Mapping[str, str]) -> dict[str, str]:
    """Return findings with each one marked."""
    return {key: mark(x) for key, x in facts.items()}


def spans(text: str) -> tuple[str, list[bool]]:
    """Return marked `text` without its marks, and for each character whether it belongs to a fact."""
    flags: list[bool] = []
    for before, piece in zip(("", *MARKS.findall(text)), MARKS.split(text), strict=True):
        flags += [before == OPEN] * len(piece)
    return plain(text), flags
