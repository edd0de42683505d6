"""Folding with a way back: the text is the naive one's, and every piece folds to what it was found as."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from dyntaskmas_nb.sacms.folding import MAX_CLUSTER, fold, normal, spaced

# What grows, shrinks, composes and reorders, among plain letters; and anything else there is.
TRICKY = [
    "a",
    "E",
    " ",
    "-",
    "ß",
    "ﬁ",
    "İ",
    "ﷺ",
    "e\u0301",
    "\u0301",
    "\u0316",
    "é",
    "Å",
    "ｶ",
    "ﾞ",
    "Ｋ",
    "京",
]
TRICKY += ["\u1100", "\u1161", "\u11a8", "가", "㎏", "½", "🤖", "\u200d", "Σ", "ς", "ǰ", "\u0345", "क", "ि"]
texts = st.lists(st.sampled_from(TRICKY) | st.characters(exclude_categories=["Cs"]), max_size=12).map("".join)


@given(texts)
@example("\u1100\u1161\u11a8\u1100")  # jamo compose, and are no marks
@example("ｶﾞ")  # this mark is a letter until it is folded
def test_the_text_is_that_of_folding_all_at_once(text: str) -> None:
    assert fold(text).text == unicodedata.normalize("NFKC", text).casefold()


@given(texts, st.data())
def test_every_piece_leads_to_what_it_came_from(text: str, data: st.DataObject) -> None:
    folded = fold(text)
    assert len(folded.origin) == len(folded.text) + 1
    if not folded.text:
        return
    assert folded.source(0, len(folded.text)) == (0, len(text))
    start = data.draw(st.integers(0, len(folded.text) - 1))
    end = data.draw(st.integers(start + 1, len(folded.text)))
    if place := folded.source(start, end):
        assert fold(text[slice(*place)]).text == folded.text[start:end]


@pytest.mark.parametrize(
    ("text", "piece", "place"),
    [
        ("in Kyoto", "kyoto", (3, 8)),
        ("oﬃce Kyoto", "kyoto", (5, 10)),  # one character that becomes three
        ("cafe\u0301 Kyoto", "kyoto", (6, 11)),  # two that become one
        ("İİ Kyoto", "kyoto", (3, 8)),
        ("ＫＹＯＴＯ", "kyoto", (0, 5)),
        ("🤖🤖 Kyoto", "kyoto", (3, 8)),
        ("oﬃce", "ice", None),  # cuts the ligature
        ("cafe\u0301", "cafe", None),  # cuts the letter from its accent: what stands there is "café"
    ],
)
def test_places(text: str, piece: str, place: tuple[int, int] | None) -> None:
    folded = fold(text)
    start = folded.text.find(piece)
    assert (folded.source(start, start + len(piece)) if start >= 0 else None) == place


@given(texts)
def test_normal_is_normal(text: str) -> None:
    assert normal(text) == " ".join(spaced(fold(text).text).split())
    assert len(spaced(text)) == len(text)
    assert not set(normal(text)) & set("-_\n\t")


@pytest.mark.timeout(10)
@pytest.mark.parametrize("marks", ["\u0301\u0316" * 100_000, "\u0301" * 100_000 + "\u0316" * 100_000])
def test_many_marks_take_no_quadratic_time(marks: str) -> None:
    folded = fold(f"a{marks}b")
    assert len(folded.text) == MAX_CLUSTER
    assert folded.source(0, MAX_CLUSTER) == (0, 200_002)
