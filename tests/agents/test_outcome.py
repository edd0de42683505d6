"""A result is a JSON value or a sentence that says why not."""

from __future__ import annotations

import dataclasses
import datetime as dt
import enum
import uuid
from collections import OrderedDict, namedtuple
from typing import Any

import numpy as np
import orjson
import pydantic
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dyntaskmas_nb.agents.context import Context, Item
from dyntaskmas_nb.agents.outcome import plain
from dyntaskmas_nb.errors import AgentError


@dataclasses.dataclass
class Hotel:
    name: str
    stars: int


class Town(pydantic.BaseModel):
    name: str
    founded: dt.date


class Colour(enum.Enum):
    RED = "red"


class Level(enum.IntEnum):
    HIGH = 3


Point = namedtuple("Point", "x y")


@pytest.mark.parametrize(
    ("value", "wanted"),
    [
        (None, None),
        (True, True),
        ("text", "text"),
        (2**64 - 1, 2**64 - 1),
        ((1, [2.5, {"a": ()}]), [1, [2.5, {"a": []}]]),
        (Hotel("Bruna", 3), {"name": "Bruna", "stars": 3}),
        (Town(name="Oslo", founded=dt.date(1040, 1, 1)), {"name": "Oslo", "founded": "1040-01-01"}),
        (np.float64(1.5), 1.5),
        (np.int32(7), 7),
        (np.bool_(True), True),
        (np.str_("x"), "x"),
        (np.arange(4).reshape(2, 2), [[0, 1], [2, 3]]),
        (Colour.RED, "red"),
        (Level.HIGH, 3),
        ({Colour.RED: 1}, {"red": 1}),
        (Point(1, 2), [1, 2]),
        (OrderedDict(a=1), {"a": 1}),
        (Context(results={"a": 1}), {"a": 1}),
        (dt.datetime(2026, 5, 1, 12), "2026-05-01T12:00:00"),
        (dt.time(9, 30), "09:30:00"),
        (uuid.UUID(int=1), "00000000-0000-0000-0000-000000000001"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_has_a_json_value(value: object, wanted: object) -> None:
    made = plain(value)
    assert made == wanted
    assert type(made) is type(wanted)
    assert orjson.loads(orjson.dumps(made)) == wanted


ITSELF: list[Any] = []
ITSELF.append(ITSELF)


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ({1, 2}, "The result is a set, which has no order; return sorted(…)."),
        ({"a": [1, float("nan")]}, "The result['a'][1] is nan, which JSON cannot hold"),
        (np.array([1.0, np.inf]), "result[1] is inf"),
        (2**64, "integer beyond 64 bits"),
        ({1: "a"}, "has the key 1; JSON keys are text"),
        (b"x", "is bytes"),
        (Hotel("Bruna", 1j), "result.stars is of type complex"),  # type: ignore[arg-type]
        (Hotel, "is of type type"),
        (object(), "is of type object"),
        ("half \ud800", "lone surrogate"),
        (ITSELF, "nests deeper than 100 levels, or holds itself"),
        (print, "is of type builtin_function_or_method"),
    ],
)
def test_what_has_none(value: object, said: str) -> None:
    with pytest.raises(AgentError) as caught:
        plain(value)
    assert said in str(caught.value)
    assert not caught.value.retryable
    assert len(str(caught.value)) < 300


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda part: st.lists(part, max_size=3) | st.dictionaries(st.text(), part, max_size=3),
)


@given(JSON)
def test_json_stays_as_it_is_and_becomes_a_copy(value: Any) -> None:
    made = plain(value)
    assert made == value
    if isinstance(value, list):
        made.append(1)
        assert made != value


def test_a_context_reads_like_a_dict_of_its_predecessors() -> None:
    context = Context(task_id="mul", results={"add1": 3, "add2": [7]}, relevant=(Item(title="t", text="x"),))
    assert list(context) == ["add1", "add2"]
    assert list(context.values()) == [3, [7]]
    assert dict(context.items()) == dict(context) == {"add1": 3, "add2": [7]}
    assert len(context) == 2
    assert "add3" not in context
    assert context.get("add3", 0) == 0
    with pytest.raises(
        KeyError, match="'mul' has no predecessor 'add3' with a result; there are: 'add1', 'add2'"
    ):
        context["add3"]
    with pytest.raises(dataclasses.FrozenInstanceError):
        context.request = "another"  # type: ignore[misc]


def test_what_an_agent_does_with_a_result_stays_its_own() -> None:
    context = Context(results={"a": {"list": [1]}})
    context["a"]["list"].append(2)
    assert context["a"] == {"list": [1]}
