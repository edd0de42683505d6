from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from dyntaskmas_nb.llm.text import StopFilter

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
