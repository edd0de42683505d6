"""Known terms in a text, as whole words, in one pass (Aho and Corasick 1975, doi:10.1145/360825.360855).

The automaton (pyahocorasick) finds every occurrence of every term in time linear in the text, whatever both
say. Kept are those that begin and end at a word border; `longest` then chooses among those that overlap.

A character of Chinese, Japanese or Korean is a word of its own, as in `sacms.tags`. Scripts that put no
blanks between words otherwise (Thai, Lao, Khmer) are searched only between punctuation: a known limit.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NamedTuple, Protocol, TypeVar

from dyntaskmas_nb.sacms.folding import Folded, spaced

MAX_TERM = 80  # characters of a term
_ALONE = re.compile("[぀-ヿ㐀-鿿가-힯]")


class Span(NamedTuple):
    """A piece of a folded text: `text[start:end]`, and the term or kind of pattern found there."""

    start: int
    end: int
    what: str
    is_term: bool = True


class Placed(Protocol):
    """Anything with a start and an end."""

    @property
    def start(self) -> int:
        """Its first character."""

    @property
    def end(self) -> int:
        """The character after its last."""


P = TypeVar("P", bound=Placed)


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """Terms to look for, compiled. Made by `compile_terms`, used by `find_terms`."""

    trie: Any  # an ahocorasick.Automaton: term → itself; None without terms


def compile_terms(terms: Iterable[str]) -> Terms:
    """Compile `terms`, each in its `folding.normal` form; empty ones are left out."""
    import ahocorasick

    trie = ahocorasick.Automaton()
    for term in terms:
        if term:
            trie.add_word(term, term)
    if not len(trie):
        return Terms(trie=None)
    trie.make_automaton()
    return Terms(trie=trie)


def find_terms(folded: Folded, terms: Terms) -> Iterator[Span]:
    """Yield every occurrence of a term as whole words, overlapping ones too, by where they end.

    >>> from dyntaskmas_nb.sacms.folding import fold
    >>> found = find_terms(fold("Hotels: a hotel-room"), compile_terms(["hotel", "hotel room"]))
    >>> [(span.start, span.end, span.what) for span in found]
    [(10, 15, 'hotel'), (10, 20, 'hotel room')]
    """
    if terms.trie is None:
        return
    text = spaced(folded.text)
    for last, term in terms.trie.iter(text):
        start, end = last + 1 - len(term), last + 1
        if _border(text, start) and _border(text, end) and folded.source(start, end):
            yield Span(start, end, term)


def longest(spans: Iterable[P]) -> list[P]:
    """Choose spans that do not overlap: from left to right, the longest first; of equal ones the first.

    >>> found = [Span(0, 5, "hotel"), Span(0, 10, "hotel room"), Span(6, 14, "room key")]
    >>> [span.what for span in longest(found)]
    ['hotel room']
    """
    chosen: list[P] = []
    free = 0
    for span in sorted(spans, key=lambda span: (span.start, -span.end)):
        if span.start >= free:
            chosen.append(span)
            free = span.end
    return chosen


def _border(text: str, at: int) -> bool:
    """Whether a word may begin or end between `text[at - 1]` and `text[at]`."""
    return at in (0, len(text)) or not (_joined(text[at - 1]) and _joined(text[at]))


@lru_cache(maxsize=8192)
def _joined(char: str) -> bool:
    """Whether `char` belongs to the same word as a neighbour that does so, too."""
    in_word = char.isalnum() or unicodedata.category(char).startswith("M")
    return in_word and not _ALONE.match(char)
