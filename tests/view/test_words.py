from __future__ import annotations

import unicodedata

from hypothesis import given
from hypothesis import strategies as st

from dyntaskmas_nb.view.words import columns, duration, fit, markup, number, paragraph, printable, result_text

ANY = st.text(st.characters(codec=None), max_size=300) | st.text(
    "\x1b[31m\n\r\t\u202e\u2066\u2028\ud800<&\"'a ", max_size=80
)


def steers(char: str) -> bool:
    """Characters that could move a cursor, colour a terminal, reorder a line or break UTF-8 and XML."""
    return unicodedata.category(char) in ("Cc", "Cs", "Zl", "Zp") or unicodedata.bidirectional(char) in (
        "LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI",
    )  # fmt: skip


@given(ANY, st.integers(1, 60))
def test_printable_is_one_short_line_that_steers_nothing(text: str, limit: int) -> None:
    shown = printable(text, limit)
    assert len(shown) <= limit
    assert not any(map(steers, shown))
    shown.encode()


@given(ANY)
def test_printable_changes_nothing_the_second_time(text: str) -> None:
    assert printable(printable(text)) == printable(text)


@given(ANY)
def test_paragraph_keeps_lines_and_nothing_else_that_steers(text: str) -> None:
    assert not any(steers(char) for char in paragraph(text) if char != "\n")


@given(ANY)
def test_markup_holds_no_markup(text: str) -> None:
    assert not set(markup(text)) & set("<>\"'")


def test_plain_text_stays_as_it_is() -> None:
    for text in ("Find flights", "שלום עולם", "旅行計画", "naïve café", "👩\u200d🍳 cooks"):
        assert printable(text) == text


def test_a_long_text_is_cut_with_a_mark() -> None:
    assert printable("x" * 10_000, 50) == "x" * 49 + "…"
    assert printable(" " * 5000 + "late", 50) == "…", "far more white space than is read: said, not hidden"


@given(ANY, st.integers(0, 40))
def test_fit_takes_exactly_its_width(text: str, width: int) -> None:
    assert columns(fit(printable(text), width)) == width


def test_results_of_every_kind_become_text() -> None:
    loop: list[object] = []
    loop.append(loop)
    assert result_text(None) == ""
    assert result_text("two\nlines") == "two\nlines"
    assert result_text({"a": [1, 2]}).startswith("{")
    assert result_text({(1, 2): 3}) == "{(1, 2): 3}"
    assert "..." in result_text(loop)


def test_numbers_and_durations_read_well() -> None:
    assert [number(x) for x in (0, 7, 0.5, 1234.5, -2.25, 99.99)] == [
        "0",
        "7",
        "0.5",
        "1,234",
        "-2.25",
        "100",
    ]
    assert number(float("nan")) == "–"
    assert [duration(x) for x in (0, 0.0005, 59.5, 60, 3600, 7265)] == [
        "0 s", "0.0005 s", "59.5 s", "1 min", "1 h", "2 h 1 min",
    ]  # fmt: skip
