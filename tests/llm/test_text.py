from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from dyntaskmas_nb.llm.text import StopFilter, estimate_tokens

few = st.text("ab.", max_size=12)


@given(st.lists(few), st.lists(st.text("ab.", min_size=1, max_size=4), max_size=1))
def test_one_stop_string_cuts_as_if_the_text_were_whole(pieces: list[str], stops: list[str]) -> None:
    filtered = StopFilter(stops)
    said = "".join(filtered.push(piece) for piece in pieces) + filtered.flush()
    whole = "".join(pieces)
    found = [whole.index(stop) for stop in stops if stop in whole]
    assert said == (whole[: min(found)] if found else whole)
    assert filtered.stopped == bool(found)


@given(st.lists(few), st.lists(st.text("ab.", min_size=1, max_size=4), max_size=3))
def test_no_stop_string_is_ever_said(pieces: list[str], stops: list[str]) -> None:
    filtered = StopFilter(stops)
    said = "".join(filtered.push(piece) for piece in pieces) + filtered.flush()
    assert "".join(pieces).startswith(said)
    assert not any(stop in said for stop in stops)


def test_text_is_held_back_only_while_it_may_be_a_stop_string() -> None:
    filtered = StopFilter(["</s>"])
    assert [filtered.push(piece) for piece in ("a<", "/b", "<")] == ["a", "</b", ""]
    assert filtered.flush() == "<"


def test_estimates_round_up() -> None:
    assert [estimate_tokens("x" * n) for n in (0, 1, 4, 5)] == [0, 1, 1, 2]


def test_a_stop_string_may_be_split_anywhere() -> None:
    for at in range(1, 5):
        filtered = StopFilter(["<end>"])
        assert filtered.push("x" + "<end>"[:at]) == "x"
        assert filtered.push("<end>"[at:] + "y") == ""
        assert filtered.stopped
