from __future__ import annotations

from xml.etree import ElementTree as ET

from hypothesis import given
from hypothesis import strategies as st

from dyntaskmas_nb.view.svg import tag, text
from dyntaskmas_nb.view.words import printable


@given(
    st.text(st.characters(codec="utf-8", exclude_categories=("Cc",)), max_size=40).filter(
        lambda t: t.isprintable()
    )
)
def test_attributes_and_text_come_back_as_they_went_in(value: str) -> None:
    node = ET.fromstring(tag("rect", text(value), data_name=value))
    assert node.get("data-name") == value
    assert (node.text or "") == printable(value)


def test_numbers_are_short_and_none_is_left_out() -> None:
    assert tag("rect", x=1 / 3, y=2, fill=None) == '<rect x="0.3333333" y="2"/>'
