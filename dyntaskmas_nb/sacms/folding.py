"""Text made comparable (NFKC, case-folded) with the way back to the source (for Eq. 9's entities).

Normalising moves letters: "ﬁ" becomes two, "e" and an accent become one, so a place found in the folded text
is not one of the source. We fold cluster by cluster (a character and the marks that join it): nothing
composes across their borders, so the pieces side by side are the whole text folded, and every folded
character knows its cluster.

Deviation: of a cluster only the first 32 characters are folded, as in Unicode's Stream-Safe Text Format
(UAX #15, §13). Python 3.11 sorts a long run of marks in quadratic time: 40,000 of them take a second.
"""

from __future__ import annotations

import unicodedata
from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

MAX_CLUSTER = 32
_SEPARATORS = str.maketrans(dict.fromkeys("-_\t\n\r\u2010", " "))


@dataclass(frozen=True, slots=True, kw_only=True)
class Folded:
    """A folded text; `origin[i]` is where the cluster of its i-th character starts in the source.

    `origin` has one entry more than `text`: the length of the source.
    """

    text: str
    origin: Sequence[int]

    def source(self, start: int, end: int) -> tuple[int, int] | None:
        """Return where `text[start:end]` (not empty) stands in the source, None if it cuts a cluster."""
        origin = self.origin
        if (start and origin[start - 1] == origin[start]) or origin[end - 1] == origin[end]:
            return None
        return origin[start], origin[end]


def fold(text: str) -> Folded:
    """Return `text` in NFKC and case-folded, with the place of each character in the source.

    >>> folded = fold("Ofﬁce in MÜNCHEN")
    >>> folded.text, folded.source(10, 17), folded.source(2, 3)
    ('office in münchen', (9, 16), None)
    """
    if text.isascii():
        return Folded(text=text.lower(), origin=range(len(text) + 1))
    table = {char: _folded(char) for char in set(text)}
    joining = set(filter(_joins, table))
    if not joining and all(len(folded) == 1 for folded in table.values()):
        return Folded(
            text=text.translate({ord(char): folded for char, folded in table.items()}),
            origin=range(len(text) + 1),
        )
    starts = [0, *(at for at, char in enumerate(text) if at and char not in joining)]
    pieces: list[str] = []
    origin = array("L")
    for start, end in pairwise([*starts, len(text)]):
        piece = table[text[start]] if end - start == 1 else _folded(text[start:end])
        pieces.append(piece)
        origin.extend([start] * len(piece))
    origin.append(len(text))
    return Folded(text="".join(pieces), origin=origin)


def spaced(text: str) -> str:
    """Return a folded text with hyphens, underscores and line ends as blanks; its length stays.

    >>> spaced("book_flight: non-stop")
    'book flight: non stop'
    """
    return text.translate(_SEPARATORS)


def normal(term: str) -> str:
    r"""Return the form in which terms are compared: folded, one blank between words.

    >>> normal("  Check-in\n Desk ")
    'check in desk'
    """
    return " ".join(spaced(fold(term).text).split())


def _folded(cluster: str) -> str:
    return unicodedata.normalize("NFKC", cluster[:MAX_CLUSTER]).casefold()


def _joins(char: str) -> bool:
    """Whether `char` may compose or reorder with what stands before it: marks, and jamo of a syllable."""
    first = unicodedata.normalize("NFKD", char)[0]
    return unicodedata.category(first).startswith("M") or "\u1160" <= first <= "\u11ff"
