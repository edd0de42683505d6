"""Words and numbers for people: foreign text made printable and escaped, durations and quantities spelled.

Task names, roles, reasons and results come from users and models. Before any of them reaches a terminal,
an SVG or a page, what could steer the reader's screen is replaced by something visible: control characters
(ANSI escapes among them), bidirectional overrides, invisible marks, lone surrogates, line separators.
"""

from __future__ import annotations

import json
import math
import re
from html import escape
from typing import Any

from rich.cells import cell_len, set_cell_size

#: Steering characters. U+200C/U+200D stay: Persian, Indic scripts and emoji sequences need them.
_STEERING = re.compile(
    "[\x00-\x1f\x7f-\x9f\xad\u034f\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f"
    "\ufeff\ufff9-\uffff\ud800-\udfff\U000e0000-\U000e001f]"
)


def _visible(match: re.Match[str]) -> str:
    code = ord(match.group())
    return chr(0x2400 + code) if code < 0x20 else "\ufffd"


def printable(text: object, limit: int = 200) -> str:
    r"""`text` on one line, safe to print, at most `limit` characters long; a cut is marked by an ellipsis.

    >>> printable("red \x1b[31malert\x1b[0m\n two"), printable("a long name", limit=6)
    ('red ␛[31malert␛[0m two', 'a lon…')
    """
    raw = str(text)
    read = raw[: 4 * limit]
    clean = _STEERING.sub(_visible, " ".join(read.split()))
    return clean if read == raw and len(clean) <= limit else clean[: limit - 1].rstrip() + "…"


def paragraph(text: object, limit: int = 20_000) -> str:
    """Like `printable`, keeping line breaks and tabs (as four spaces)."""
    lines = str(text)[: limit + 1].replace("\t", "    ").splitlines()
    clean = "\n".join(_STEERING.sub(_visible, line.rstrip()) for line in lines)
    return clean if len(clean) <= limit else clean[: limit - 1] + "…"


def result_text(value: Any, limit: int = 20_000) -> str:
    """A task's result as text: nothing for None, strings as they are, everything else as indented JSON."""
    if value is None or isinstance(value, str):
        return paragraph(value or "", limit)
    try:
        return paragraph(json.dumps(value, ensure_ascii=False, indent=2, default=str), limit)
    except (TypeError, ValueError, RecursionError):  # keys that JSON has no form for, or a loop
        return paragraph(str(value), limit)


def markup(text: object, limit: int = 200) -> str:
    """`printable` text, escaped for HTML and SVG, between tags and inside quoted attributes."""
    return escape(printable(text, limit), quote=True)


def tag(name: str, *children: str, **attributes: object) -> str:
    """An SVG or HTML element with `children` (already markup); every attribute is escaped here.

    Attributes that are None are left out; underscores in their names are read as hyphens.

    >>> tag("rect", x=1.50, stroke_width=2, fill=None), tag("text", markup("a < b"))
    ('<rect x="1.5" stroke-width="2"></rect>', '<text>a &lt; b</text>')
    """
    known = {key.replace("_", "-"): value for key, value in attributes.items() if value is not None}
    short = {key: f"{value:.7g}" if isinstance(value, float) else str(value) for key, value in known.items()}
    written = "".join(f' {key}="{escape(value, quote=True)}"' for key, value in short.items())
    return f"<{name}{written}>{''.join(children)}</{name}>"


def number(value: float, digits: int = 3) -> str:
    """`value` in at most `digits` significant figures, without an exponent or trailing zeros.

    >>> number(0.12345), number(2.0), number(12345.6), number(-1e-17)
    ('0.123', '2', '12,346', '0')
    """
    if not math.isfinite(value):
        return "–"
    places = max(0, digits - 1 - math.floor(math.log10(abs(value)))) if value else 0
    shown = f"{value:,.{min(places, 9)}f}"
    short = shown.rstrip("0").rstrip(".") if "." in shown else shown
    return "0" if short == "-0" else short


def duration(seconds: float) -> str:
    """Seconds in the units a person would use.

    >>> duration(0.25), duration(12), duration(90), duration(3720)
    ('0.25 s', '12 s', '1 min 30 s', '1 h 2 min')
    """
    if seconds < 60 or not math.isfinite(seconds):
        return f"{number(seconds)} s"
    minutes, left = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    parts = ((hours, "h"), (minutes, "min"), (0 if hours else left, "s"))
    return " ".join(f"{amount:,} {unit}" for amount, unit in parts if amount)


def count(amount: int, noun: str, plural: str = "") -> str:
    """`1 task`, `2 tasks`, `2 dependencies`."""
    return f"{amount:,} {noun if amount == 1 else plural or noun + 's'}"


def fit(text: str, width: int) -> str:
    """`text` cut or padded to exactly `width` terminal cells (wide characters take two).

    >>> fit("flights", 5), fit("旅行", 6)
    ('flig…', '旅行  ')
    """
    return set_cell_size(text if cell_len(text) <= width else set_cell_size(text, width - 1) + "…", width)
