"""A result is a JSON value or a sentence that says why not; a context is a dict of results."""

from __future__ import annotations

import dataclasses
import datetime as dt
import enum
import uuid
from collections import namedtuple
from typing import Any

import numpy as np
import pydantic
import pytest
from hypothesis import given

from dyntaskmas_nb.agents.context import Context
from dyntaskmas_nb.agents.outcome import plain
from dyntaskmas_nb.errors import AgentError
from tests.strategies import json_values


@dataclasses.dataclass
class Hotel:
    name: str
    stars: complex


class Town(pydantic.BaseModel):
    name: str
    founded: dt.date


class Colour(enum.Enum):
    RED = "red"


Point = namedtuple("Point", "x y")


@pytest.mark.parametrize(
    ("value", "wanted"),
    [
        ((1, [2.5, {"a": ()}]), [1, [2.5, {"a": []}]]),
        (Hotel("Bruna", 3), {"name": "Bruna", "stars": 3}),
        (Town(name="Oslo", founded=dt.date(1040, 1, 1)), {"name": "Oslo", "founded": "1040-01-01"}),
        ([np.float64(1.5), np.int32(7), np.bool_(True), np.str_("x")], [1.5, 7, True, "x"]),
        (np.arange(4).reshape(2, 2)[:, 0], [0, 2]),
        (Colour.RED, "red"),
        (Point(1, 2), [1, 2]),
        (dt.datetime(2026, 5, 1, 12), "2026-05-01T12:00:00"),
        (uuid.UUID(int=1), "00000000-0000-0000-0000-000000000001"),
        ({1: "a", None: "b"}, {"1": "a", "null": "b"}),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_has_a_json_value(value: object, wanted: object) -> None:
    made = plain(value)
    assert made == wanted
    assert type(made) is type(wanted)


ITSELF: list[Any] = []
ITSELF.append(ITSELF)


@pytest.mark.parametrize(
    "value",
    [
        {1, 2},
        2**64,
        float("nan"),
        [np.array([np.inf])],
        b"x",
        Hotel("Bruna", 1j),
        Hotel,
        object(),
        "\ud800",
        ITSELF,
        "x" * 999 + "\ud800",
    ],
)
def test_what_has_none(value: object) -> None:
    with pytest.raises(AgentError, match=r"^The result .* is no JSON value: .*\.$") as caught:
        plain(value)
    assert not caught.value.retryable
    assert len(str(caught.value).encode()) < 250


@given(json_values)
def test_json_stays_as_it_is(value: Any) -> None:
    assert plain(value) == value


def test_a_context_reads_like_a_dict_of_its_predecessors() -> None:
    context = Context(task_id="mul", results={"add1": 3, "add2": [7]})
    assert list(context) == ["add1", "add2"]
    assert dict(context.items()) == dict(context) == {"add1": 3, "add2": [7]}
    assert (len(context), "add3" in context, context.get("add3", 0)) == (2, False, 0)
    with pytest.raises(
        KeyError, match="'mul' has no predecessor 'add3' with a result; there are: 'add1', 'add2'"
    ):
        context["add3"]
    with pytest.raises(dataclasses.FrozenInstanceError):
        context.request = "another"  # type: ignore[misc]
    context["add2"].append(8)
    assert context["add2"] == [7], "what an agent does with a result stays its own"
