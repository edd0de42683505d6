"""Forms of entities, with their neighbours that are none, and texts made to be slow."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dyntaskmas_nb.sacms.folding import fold
from dyntaskmas_nb.sacms.patterns import find_forms


def forms(text: str) -> list[tuple[str, str]]:
    found = []
    for span in find_forms(fold(text), text):
        place = fold(text).source(span.start, span.end)
        assert place
        found.append((span.what, text[slice(*place)]))
    return found


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        ("date", "2026-05-03"), ("date", "2026-05-03T14:20"), ("date", "3 May 2026"), ("date", "3rd of May"),
        ("date", "May 3, 2026"), ("date", "April 2026"), ("date", "03.05.2026"), ("date", "3/5/2026"),
        ("money", "$1,500"), ("money", "€ 90"), ("money", "1,500 USD"), ("money", "90 dollars"),
        ("money", "USD 12.50"), ("money", "$1.2 million"), ("money", "￥3000"), ("money", "90€"),
        ("duration", "3 days"), ("duration", "3-day"), ("duration", "90ms"), ("duration", "1.5 hours"),
        ("duration", "two nights"), ("version", "v2.3.1"), ("version", "1.20.0"), ("version", "V2-rc1"),
        ("id", "INC-1042"), ("id", "INV-2026-0042"), ("id", "#77"),
        ("id", "123e4567-e89b-12d3-a456-426614174000"), ("email", "ana.b+x@mail.example.org"),
        ("url", "https://example.org/a?b=1#c"), ("url", "http://localhost:8000/v1"),
    ],
)  # fmt: skip
def test_forms(kind: str, text: str) -> None:
    for said in (text, f"({text})", f"See {text}.", f"Ünï {text}, then more"):
        assert forms(said) == [(kind, text)]


@pytest.mark.parametrize(
    "text",
    "top-10|may|second|5|10.0.0.1|1.500|a@b|http://|x$5y|inc-12|3 daylight|#|$|v|12345-6789|3 Mayor"
    "|1.2.3.4.5|2026-5-3x|as|10%".split("|"),
)
def test_no_forms(text: str) -> None:
    assert forms(f"It is {text} here") == []


@given(
    st.lists(st.sampled_from("1 $ € , . - @ a v # may http:// day 00 : İ e\u0301 ﬁ".split(" ")), max_size=30)
)
def test_forms_stand_apart_and_in_the_text(pieces: list[str]) -> None:
    text = " ".join(pieces)
    spans = list(find_forms(fold(text), text))
    assert all(one.end <= other.start for one, other in pairwise(spans))
    assert forms(text) == [(span.what, forms(text)[n][1]) for n, span in enumerate(spans)]


HOSTILE = [
    "1",
    "1,",
    "$1",
    "$ 1",
    "a@",
    "a.",
    "a-1",
    "-1",
    "http://",
    "http://" + "." * 2000,
    "1 may ",
    "may 1, ",
]
HOSTILE += ["1-", "v1.", "abcdef01-", "12 ", "two ", "1.1", "a" * 64 + "@", "x@y.", "#", "३", "1 1 1 "]


@pytest.mark.timeout(60)
@pytest.mark.parametrize("piece", HOSTILE, ids=range(len(HOSTILE)))
def test_a_million_characters_take_no_quadratic_time(piece: str) -> None:
    """Quadratic time would be hours: the test's deadline is what fails."""
    text = (piece * (1_000_000 // len(piece) + 1))[:1_000_000]
    assert sum(1 for _ in find_forms(fold(text), text)) <= 500_000
