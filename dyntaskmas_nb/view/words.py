"""Words and numbers for people: foreign text made printable, durations and quantities spelled.

Task names, roles, reasons and results come from users and models. Before any of them reaches a terminal,
an SVG or a page, what could steer the reader's screen is replaced by something visible: control characters
(ANSI escapes among them), bidirectional overrides, invisible marks, lone surrogates, line separators.
"""

from __future__ import annotations

import json
import math
import re
import unicodedata
from html import escape
from typing import Any

#: Steering characters. U+200C/U+200D stay: Persian, Indic scripts and emoji sequences need them.
_STEERING = re.compile(
    "[\x00-\x1f\x7f-\x9f\xad\u034f\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f"
    "\ufeff\ufff9-\uffff\ud800-\udfff\U000e0000-\U000e001f]"
)
_SPACES = re.compile(r"\s+")
ELLIPSIS = "…"


def _visible(match: re.Match[str]) -> str:
    code = ord(match.group())
    if code < 0x20:
        return chr(0x2400 + code)
    return "␡" if code == 0x7F else "\ufffd"


def printable(text: object, limit: int = 200) -> str:
    r"""`text` on one line, safe to print, at most `limit` characters long.

    White space is folded, steering characters are shown as symbols, a cut is marked by an ellipsis.

    Examples
    --------
    >>> printable("red \x1b[31malert\x1b[0m\n two")
    'red ␛[31malert␛[0m two'
    >>> printable("a long name", limit=6)
    'a lon…'
    """
    raw = str(text)
    folded = _SPACES.sub(" ", raw[: 4 * limit + 64]).strip()
    clean = _STEERING.sub(_visible, folded)
    whole = len(raw) <= 4 * limit + 64
    return clean if whole and len(clean) <= limit else clean[: max(limit - 1, 0)].rstrip() + ELLIPSIS


def paragraph(text: object, limit: int = 20_000) -> str:
    """Like `printable`, keeping line breaks and tabs (as four spaces)."""
    lines = str(text)[: limit + 1].replace("\t", "    ").splitlines()
    clean = "\n".join(_STEERING.sub(_visible, line.rstrip()) for line in lines)
    return clean if len(clean) <= limit else clean[: limit - 1] + ELLIPSIS


def result_text(value: Any, limit: int = 20_000) -> str:
    """A task's result as text: strings as they are, everything else as indented JSON."""
    if value is None:
        return ""
    if isinstance(value, str):
        return paragraph(value, limit)
    try:
        return paragraph(json.dumps(value, ensure_ascii=False, indent=2, default=str), limit)
    except (TypeError, ValueError, RecursionError):  # keys that JSON has no form for, or a loop
        return paragraph(str(value), limit)


def markup(text: object, limit: int = 200) -> str:
    """`printable` text, escaped for HTML and SVG, between tags and inside quoted attributes."""
    return escape(printable(text, limit), quote=True)


def number(value: float, digits: int = 3) -> str:
    """`value` in at most `digits` significant figures, without an exponent or trailing zeros.

    >>> number(0.12345), number(2.0), number(12345.6)
    ('0.123', '2', '12,346')
    """
    if not math.isfinite(value):
        return "–"
    if value == 0:
        return "0"
    places = max(0, digits - 1 - math.floor(math.log10(abs(value))))
    shown = f"{value:,.{min(places, 9)}f}"
    return shown.rstrip("0").rstrip(".") if "." in shown else shown


def duration(seconds: float) -> str:
    """Seconds in the units a person would use.

    >>> duration(0.25), duration(12), duration(90), duration(3720)
    ('0.25 s', '12 s', '1 min 30 s', '1 h 2 min')
    """
    if not math.isfinite(seconds):
        return "–"
    if abs(seconds) < 60:
        return f"{number(seconds)} s"
    sign, whole = ("-" if seconds < 0 else ""), round(abs(seconds))
    hours, rest = divmod(whole, 3600)
    minutes, left = divmod(rest, 60)
    if hours:
        return f"{sign}{hours:,} h" + (f" {minutes} min" if minutes else "")
    return f"{sign}{minutes} min" + (f" {left} s" if left else "")


def count(amount: int, noun: str, plural: str = "") -> str:
    """`1 task`, `2 tasks`, `2 dependencies`."""
    return f"{amount:,} {noun if amount == 1 else plural or noun + 's'}"


def columns(text: str) -> int:
    """How many terminal cells `text` takes: two for wide ones (East Asian, emoji), none for marks."""
    return len(text) if text.isascii() else sum(map(_cells, text))


def _cells(char: str) -> int:
    if unicodedata.combining(char) or char in "\u200c\u200d\ufe0e\ufe0f":
        return 0
    return 2 if unicodedata.east_asian_width(char) in "WF" else 1


def fit(text: str, width: int) -> str:
    """`text` cut or padded to exactly `width` terminal cells.

    >>> fit("flights", 5), fit("旅行", 6)
    ('flig…', '旅行  ')
    """
    if width <= 0:
        return ""
    used = columns(text)
    if used <= width:
        return text + " " * (width - used)
    kept, used = "", 0
    for char in text:
        if used + _cells(char) > width - 1:
            break
        kept, used = kept + char, used + _cells(char)
    return kept + ELLIPSIS + " " * (width - 1 - used)
