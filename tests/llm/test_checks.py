from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest

from dyntaskmas_nb.errors import BadRequest
from dyntaskmas_nb.llm.checks import check_request
from dyntaskmas_nb.llm.protocol import Message, Request

GOOD = Request(messages=(Message(role="user", content="x"),), max_tokens=1, tag="flights")


def test_a_sensible_request_passes() -> None:
    check_request(GOOD)
    check_request(replace(GOOD, temperature=2.0, stop=("x",), timeout=0.1))


@pytest.mark.parametrize(
    "fields",
    [
        {"messages": ()},
        {"max_tokens": 0},
        {"seed": -1},
        {"temperature": -0.1},
        {"temperature": math.nan},
        {"temperature": math.inf},
        {"stop": ("a", "")},
        {"timeout": 0.0},
        {"timeout": math.nan},
    ],
)
def test_what_makes_no_sense_is_refused_with_its_name(fields: dict[str, Any]) -> None:
    with pytest.raises(BadRequest, match=rf"flights: {next(iter(fields))}"):
        check_request(replace(GOOD, **fields))
