"""Terms as whole words, against a search that tries each term at each place."""

from __future__ import annotations

import re
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dyntaskmas_nb.sacms.folding import fold, normal, spaced
from dyntaskmas_nb.sacms.terms import Span, compile_terms, find_terms, longest

WORDS = ["hotel", "hotels", "hot", "el", "room", "key", "a", "é", "straße"]
terms = st.lists(
    st.lists(st.sampled_from(WORDS), min_size=1, max_size=3).map(" ".join), max_size=8, unique=True
)
texts = st.lists(
    st.sampled_from([*WORDS, "HOTEL", "Straße", "e\u0301", "ﬁ", "1", "🤖", "\u0301"])
    | st.sampled_from([" ", "-", "_", "\n", ",", ""]),
    max_size=16,
).map("".join)


def by_trying(text: str, wanted: list[str]) -> set[tuple[int, int]]:
    """Where a term stands in a text, by regular expressions, one after the other."""
    found = set()
    for term in wanted:
        # \w has no combining marks: they are part of a word, too.
        pattern = rf"(?=(?<![^\W_])(?<!\u0301)({re.escape(term)})(?![^\W_]|\u0301))"
        found |= {match.span(1) for match in re.finditer(pattern, text)}
    return found


@given(texts, terms)
def test_all_whole_words_and_nothing_else(text: str, wanted: list[str]) -> None:
    folded, known = fold(text), [normal(term) for term in wanted]
    found = list(find_terms(folded, compile_terms(known)))
    assert {(span.start, span.end) for span in found} == by_trying(spaced(folded.text), known)
    assert len(found) == len(set(found))
    for span in found:
        place = folded.source(span.start, span.end)
        assert place
        assert normal(text[slice(*place)]) == span.what


@given(st.lists(st.tuples(st.integers(0, 20), st.integers(1, 9)), max_size=12))
def test_longest_leaves_no_overlap_and_nothing_that_would_fit(pairs: list[tuple[int, int]]) -> None:
    spans = [Span(start, start + length, "x") for start, length in pairs]
    chosen = longest(spans)
    assert all(one.end <= other.start for one, other in pairwise(chosen))
    for span in spans:
        rivals = [one for one in chosen if one.start < span.end and span.start < one.end]
        assert any(
            one.start < span.start or (one.start == span.start and one.end >= span.end) for one in rivals
        )


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("hotel", ["hotel"]),
        ("Non-Stop", ["non stop"]),
        ("book_hotel", ["hotel"]),
        ("hotelier, motel, hotel7", []),
        ("東京ホテル", ["ホテル"]),  # no blanks between words
        ("किताब", []),  # "ताब" is the end of a word whose middle is a mark
        ("hotel\u0301", []),
        ("non  stop", []),  # two blanks: a known limit
    ],
)
def test_word_borders(text: str, found: list[str]) -> None:
    known = compile_terms(["hotel", "non stop", "ホテル", "ताब"])
    assert [span.what for span in find_terms(fold(text), known)] == found


def test_no_terms_find_nothing() -> None:
    assert list(find_terms(fold("hotel"), compile_terms([""]))) == []
