"""Names made for things the user did not name."""

from __future__ import annotations

import re
import secrets
from collections.abc import Container
from datetime import datetime

_SMALL = frozenset("a an and at by for from in into of on or the to with".split())


def slug(text: str, taken: Container[str]) -> str:
    """A short id from the first words of `text`, different from all that are `taken`.

    Examples
    --------
    >>> slug("Check the visa rules for Japan", {"check_visa_rules"})
    'check_visa_rules_2'
    """
    words = [word for word in re.findall(r"[^\W_]+", text.lower()) if word not in _SMALL]
    name = "_".join(words[:3])[:40] or "task"
    number, made = 1, name
    while made in taken:
        number += 1
        made = f"{name}_{number}"
    return made


def run_name(now: datetime) -> str:
    """A name for a run that sorts by time and does not repeat."""
    return f"{now:%Y%m%d-%H%M%S}-{secrets.token_hex(2)}"
