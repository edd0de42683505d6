from __future__ import annotations

import unicodedata
from xml.etree import ElementTree as ET

from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from dyntaskmas_nb.view.words import fit, markup, number, paragraph, printable, result_text, tag

ANY = st.text(st.characters(codec=None), max_size=300) | st.text(
    "\x1b[31m\n\r\t\u202e\u2066\u2028\ud800<&\"'a ", max_size=80
)
DIRECTIONS = {"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"}


def steers(char: str) -> bool:
    """Characters that could move a cursor, colour a terminal, reorder a line or break UTF-8 and XML."""
    kind, direction = unicodedata.category(char), unicodedata.bidirectional(char)
    return kind in {"Cc", "Cs", "Zl", "Zp"} or direction in DIRECTIONS


@given(ANY, st.integers(1, 60))
def test_printable_is_one_short_line_that_steers_nothing(text: str, limit: int) -> None:
    shown = printable(text, limit)
    assert len(shown) <= limit
    assert not any(map(steers, shown))
    shown.encode()
    assert printable(shown, limit) == shown


@given(ANY)
def test_paragraph_keeps_lines_and_nothing_else_that_steers(text: str) -> None:
    assert not any(steers(char) for char in paragraph(text) if char != "\n")


@given(ANY)
def test_an_element_holds_foreign_text_and_no_foreign_markup(text: str) -> None:
    assert not set(markup(text)) & set("<>\"'")
    value = printable(text)
    node = ET.fromstring(tag("rect", markup(text), data_name=value, x=1 / 3, fill=None))
    assert (node.text or "") == value
    assert node.attrib == {"data-name": value, "x": "0.3333333"}


def test_plain_text_stays_as_it_is_and_a_cut_is_marked() -> None:
    for text in ("Find flights", "שלום עולם", "旅行計画", "naïve café", "👩\u200d🍳 cooks"):
        assert printable(text) == text
    assert printable("x" * 10_000, 50) == "x" * 49 + "…"
    assert printable(" " * 5000 + "late", 50) == "…", "far more white space than is read: said, not hidden"


@given(ANY, st.integers(1, 40))
def test_fit_takes_exactly_its_width(text: str, width: int) -> None:
    assert cell_len(fit(printable(text), width)) == width


def test_results_of_every_kind_become_text() -> None:
    loop: list[object] = []
    loop.append(loop)
    assert (result_text(None), result_text("two\nlines")) == ("", "two\nlines")
    assert result_text({"a": [1, 2]}).startswith("{")
    assert result_text({(1, 2): 3}) == "{(1, 2): 3}"
    assert [number(x) for x in (0, -2.25, 99.99, float("nan"))] == ["0", "-2.25", "100", "–"]
    assert "..." in result_text(loop)
