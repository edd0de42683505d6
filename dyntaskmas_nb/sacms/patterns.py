"""Entities that have a form instead of a name: dates, money, durations, versions, ids, addresses (Eq. 9).

The patterns read folded text (lower case, digits of any width). Every repetition is bounded and no two
neighbours can take the same character twice over, so a text of n characters takes time linear in n.

Paper silent: we chose forms that are hard to mistake and leave out what needs a reader, such as "next week",
"May" alone or "1.500" (one and a half, or more?). English words only.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from dyntaskmas_nb.sacms.folding import Folded
from dyntaskmas_nb.sacms.terms import Span

_MONTH = (
    "(?:jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?|sept?(?:ember)?|"
    "oct(?:ober)?|nov(?:ember)?|dec(?:ember)?)"
)
_DAY = r"\d{1,2}(?:st|nd|rd|th)?"
_NUMBER = r"(?:\d{1,3}(?:,\d{3}){1,4}|\d{1,12})(?:\.\d{1,2})?"
_COUNT = "(?:two|three|four|five|six|seven|eight|nine|ten|twelve)"
_UNITS = "(?:milliseconds?|seconds?|minutes?|hours?|days?|nights?|weeks?|months?|years?)"
_FORMS = {
    "url": r"https?://[^\s<>\"]{1,2000}(?<![.,;:!?)\]'])",
    "email": r"[a-z0-9.+-]{1,64}@(?:[a-z0-9-]{1,63}\.){1,5}[a-z]{2,24}",
    "date": (
        r"\d{4}-\d{2}-\d{2}(?:[t ]\d{2}:\d{2}(?::\d{2})?z?)?|\d{1,2}[./]\d{1,2}[./]\d{4}|"
        rf"{_DAY} (?:of )?{_MONTH}(?:,? \d{{4}})?|{_MONTH} {_DAY}(?:,? \d{{4}})?|{_MONTH} \d{{4}}"
    ),
    "money": (
        rf"(?:[$€£¥₹]|(?:usd|eur|gbp|jpy|chf)) ?{_NUMBER}(?: ?(?:million|billion|[kmb]))?|"
        rf"{_NUMBER}(?: ?[$€£¥₹]| (?:usd|eur|gbp|jpy|chf|dollars?|euros?|pounds?|yen|cents?))"
    ),
    "duration": rf"\d{{1,6}}(?:\.\d{{1,2}})?[ -]?(?:{_UNITS}|ms|s|secs?|mins?|h|hrs?)|{_COUNT}[ -]{_UNITS}",
    "version": (
        r"v\d{1,4}(?:\.\d{1,5}){0,3}(?:-[a-z0-9]{1,12}(?:\.\d{1,5})?)?|"
        r"\d{1,4}\.\d{1,5}\.\d{1,5}(?:-[a-z0-9]{1,12})?"
    ),
    "id": r"#\d{1,10}|[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}",
    "code": r"[a-z]{2,10}(?:-\d{1,10}){1,3}",
}
# A look ahead at the first character spares the eight alternatives at most places.
_FORM = re.compile(
    r"(?<![\w.,@/+-])(?=[\w$€£¥₹#])(?:"
    + "|".join(f"(?P<{kind}>{form})" for kind, form in _FORMS.items())
    + r")(?![\w@]|[.,]\d)"
)


def find_forms(folded: Folded, text: str) -> Iterator[Span]:
    """Yield the entities of `folded` (`text` is its source) that a pattern shows, left to right, apart.

    >>> from dyntaskmas_nb.sacms.folding import fold
    >>> said = "INC-1234: 90 ms over $1,500 on 3 May 2026, see top-10"
    >>> [(span.what, said[span.start : span.end]) for span in find_forms(fold(said), said)]
    [('id', 'INC-1234'), ('duration', '90 ms'), ('money', '$1,500'), ('date', '3 May 2026')]
    """
    for match in _FORM.finditer(folded.text):
        start, end = match.span()
        kind = str(match.lastgroup)
        if (place := folded.source(start, end)) is None:
            continue
        if kind == "code":  # "INC-12" is an id, "top-10" is not: the capitals of the source tell
            if not text[slice(*place)].isupper():
                continue
            kind = "id"
        yield Span(start, end, kind, is_term=False)
