"""Words are those of the text normalised at once, in linear time; tags are tags that a node may have."""

from __future__ import annotations

import tracemalloc
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dyntaskmas_nb.sacms.node import MAX_NAME, check_node
from dyntaskmas_nb.sacms.tags import _WORD, extract_tags, words

JOINING = ["\u0301", "\u0316", "ﾞ", "ﾟ", "\u3099", "\u0345", "™", "─", "-", "a", "É", "京", " "]


@given(
    st.lists(st.sampled_from(JOINING) | st.characters(exclude_categories=["Cs"]), max_size=20).map("".join)
)
def test_words_are_those_of_the_text_normalised_at_once(text: str) -> None:
    for one in (text, "─" * 40 + text):  # as it is, and where it may be a long run of marks
        assert words(one) == _WORD.findall(unicodedata.normalize("NFKC", one).casefold())


@pytest.mark.timeout(10)
@pytest.mark.parametrize(
    "marks",
    ["\u0301\u0316" * 100_000, "\u0301" * 100_000 + "\u0316" * 100_000, "ﾞ\u0301" * 100_000, "ﾞ─" * 100_000],
)
def test_many_marks_take_no_quadratic_time(marks: str) -> None:
    found = words(f"hotel {marks} bar")
    assert (found[0], found[-1]) == ("hotel", "bar")


@pytest.mark.parametrize("letter", ["x", "ﬃ", "İ"])  # of which one may become several
def test_no_tag_is_longer_than_a_node_may_have(letter: str, make) -> None:
    long = letter * (MAX_NAME - 20)
    for text in (long, f"{long}{'y' * 20}", f"{long}{'y' * 21} bar"):
        tags = extract_tags(text, domain=text, role=text)
        check_node(make("n", text, tags=tags))
        assert all(len(tag) <= MAX_NAME for tag in tags)
    assert extract_tags("x" * MAX_NAME) == {"x" * MAX_NAME}
    assert extract_tags(f"{'x' * 600} hotel", limit=1) == {"hotel"}


def test_texts_are_not_kept() -> None:
    tracemalloc.start()
    try:
        for number in range(20):
            extract_tags(f"hotel {number} " * 10_000)
        assert tracemalloc.get_traced_memory()[0] < 1_000_000
    finally:
        tracemalloc.stop()
