"""Words and semantic tags of a text: T of SA(d) = (T, E, R) (paper §III-C, Eq. 9).

Entities E and relations R come with the semantic analyser.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter

from dyntaskmas_nb.sacms.folding import fold
from dyntaskmas_nb.sacms.node import MAX_NAME

# One CJK, kana or hangul character is a word of its own: those scripts do not put spaces between words.
_WORD = re.compile(r"[぀-ヿ㐀-鿿가-힯]|[^\W_぀-ヿ㐀-鿿가-힯]+(?:'[a-z]+)?")

# What may be a long run of marks, ﾞ and ﾟ among them: normalising takes quadratic time then (see `folding`).
_MARKS = re.compile(r"(?:[^\w\s!-~]|[ﾞﾟ]){33}")

STOP_WORDS = frozenset(
    "a about above after again all also am an and any are as at be because been before being below both but "
    "by can could did do does doing don down during each few for from further had has have having he her "
    "here hers him his how i if in into is it its just me more most my no nor not now of off on once only "
    "or other our out over own per please same she should so some such than that the their them then there "
    "these they this those through to too under until up us very was we were what when where which while "
    "who whom why will with would you your".split()
)


def words(text: str) -> list[str]:
    """Return the words of `text`: NFKC-normalised, lower case, in order; time linear in the text.

    >>> words("Kyoto's 3-day trip, ¥1,500")
    ["kyoto's", '3', 'day', 'trip', '1', '500']
    """
    if not text.isascii() and _MARKS.search(text):
        return _WORD.findall(fold(text).text)
    return _WORD.findall(unicodedata.normalize("NFKC", text).casefold())  # the same, and far faster


def content_words(text: str) -> list[str]:
    """Return `words(text)` without stop words, or all of them when nothing else is left."""
    every = words(text)
    return [word for word in every if word not in STOP_WORDS] or every


def extract_tags(text: str, *, domain: str = "", role: str = "", limit: int = 12) -> frozenset[str]:
    """Return the `limit` commonest content words of `text`, and `domain` and `role` unless empty (Eq. 9).

    # Paper silent: we chose frequency, then first occurrence, because it needs no model and is
    # the same everywhere. Words of one character, bare numbers and what exceeds `MAX_NAME`
    # characters make no tag.

    >>> sorted(extract_tags("The hotel in Kyoto costs 90 dollars; the hotel is quiet.", role="Hotel Agent"))
    ['costs', 'dollars', 'hotel', 'hotel agent', 'kyoto', 'quiet']
    """
    counts = Counter(
        word
        for word in words(text)
        if 1 < len(word) <= MAX_NAME and not word.isdigit() and word not in STOP_WORDS
    )
    known = {name for given in (domain, role) if 0 < len(name := given.strip().casefold()) <= MAX_NAME}
    return frozenset({word for word, _ in counts.most_common(limit)} | known)
