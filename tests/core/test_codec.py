"""Nouns to JSON and back: nothing is lost, foreign bytes get one sentence that names the field."""

from __future__ import annotations

from typing import Any, get_args

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dyntaskmas_nb.core import command, delta, event
from dyntaskmas_nb.core.codec import decode, encode, from_json
from dyntaskmas_nb.core.delta import AddTask, ReviseTask
from dyntaskmas_nb.core.event import TaskDone
from dyntaskmas_nb.core.task import Resource, Task
from dyntaskmas_nb.errors import InvalidInput
from tests.strategies import commands, deltas, events, json_values, results

KINDS = [cls.__name__ for union in (delta.Delta, command.Command, event.Event) for cls in get_args(union)]


@given(st.one_of(events, events, deltas(bad=False), commands))
def test_every_noun_comes_back_as_it_was(noun: object) -> None:
    data = encode(noun)
    assert decode(data) == noun
    assert encode(decode(data)) == data
    assert from_json(orjson.loads(data)) == noun


def test_the_strategies_reach_every_kind() -> None:
    seen = set()

    @settings(max_examples=2_000, database=None)
    @given(st.one_of(events, events, deltas(bad=False), commands))
    def gather(noun: object) -> None:
        seen.add(type(noun).__name__)

    gather()
    assert seen == set(KINDS)


@given(results)
def test_a_result_that_looks_like_an_event_stays_data(result: Any) -> None:
    done = TaskDone(1.0, "a", 1, result)
    assert decode(encode(done)).result == result
    task = AddTask(task=Task(id="a", inputs=result))
    assert decode(encode(task)).task.inputs == result
    assert decode(encode(ReviseTask(id="a", changes={"inputs": result}))).changes["inputs"] == result


def test_resources_inside_changes_become_resources_again() -> None:
    edit = ReviseTask(id="a", changes={"resources": (Resource(key="disk", exclusive=False),), "boost": 1.0})
    assert decode(encode(edit)) == edit


near_misses = st.fixed_dictionaries(
    {"kind": st.sampled_from([*KINDS, "Nothing"])},
    optional={
        name: json_values | st.fixed_dictionaries({"kind": st.sampled_from(KINDS)}) | st.just("a")
        for name in "t id task delta deltas command changes after before inverse result settings".split()
    },
)


@given(st.one_of(json_values, near_misses, st.binary(max_size=30), st.text(max_size=30)))
def test_arbitrary_input_gives_a_noun_or_one_clear_error(foreign: Any) -> None:
    try:
        noun = decode(foreign if isinstance(foreign, bytes | str) else orjson.dumps(foreign))
    except InvalidInput as error:
        complaint = str(error)
    else:
        assert type(noun).__name__ in KINDS
        return
    assert complaint
    assert "\n" not in complaint


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "not JSON"),
        (b"\xff\xfe", "not JSON"),
        ("\ud800", "not JSON"),
        (b"[]", 'an object with a "kind"'),
        (b'{"kind": 3}', 'an object with a "kind"'),
        (b'{"kind": "Explode"}', "Unknown kind 'Explode'"),
        (b'{"kind": "Pause", "loud": 1}', "Pause: unknown field 'loud'"),
        (b'{"kind": "TaskDone", "t": 1, "task": "a", "attempt": 1}', r"TaskDone\.result: field required"),
        (b'{"kind": "CancelTask", "id": 7}', r"CancelTask\.id: .*valid string, got 7"),
        (
            b'{"kind": "AddTask", "task": {"id": "a", "complexity": "x"}}',
            r"AddTask\.task\.complexity: .* got 'x'",
        ),
        (
            b'{"kind": "AddTask", "task": {"id": "a", "join": {"kind": "most"}}}',
            r"AddTask\.task\.join\.kind: ",
        ),
        (
            b'{"kind": "ReviseTask", "id": "a", "changes": {"resources": [1]}}',
            r"ReviseTask\.changes\.resources: .* 1",
        ),
        (b'{"kind": "ReviseTask", "id": "a", "changes": [1]}', r"ReviseTask\.changes: "),
        (b'{"kind": "Batch", "deltas": [{"kind": "Pause2"}]}', "Unknown kind 'Pause2'"),
        (b'{"kind": "Batch", "deltas": 5}', r"Batch\.deltas: "),
        (b'{"kind": "CommandSubmitted", "t": 0, "id": 1, "command": null}', 'an object with a "kind"'),
        (
            b'{"kind": "DeltaSubmitted", "t": 0, "id": 1, "delta": {"kind": "Pause"}}',
            r"DeltaSubmitted\.delta",
        ),
        (b'{"kind": "RunEnded", "t": 0, "status": "odd"}', r"RunEnded\.status: "),
    ],
)
def test_an_error_names_the_field(data: bytes | str, words: str) -> None:
    with pytest.raises(InvalidInput, match=words):
        decode(data)


def test_a_bottomless_nest_is_refused() -> None:
    deep = '{"kind":"RemoveTask","id":"a"}'
    for _ in range(450):
        deep = f'{{"kind":"Batch","deltas":[{deep}]}}'
    with pytest.raises(InvalidInput, match="nested too deeply"):
        decode(deep)


def test_long_input_is_cut_in_the_message() -> None:
    with pytest.raises(InvalidInput) as caught:
        decode(orjson.dumps({"kind": "CancelTask", "id": ["x" * 10_000]}))
    assert len(str(caught.value)) < 200


def test_equal_nouns_give_equal_bytes() -> None:
    assert encode(AddTask(task=Task(id="a"))) == encode(AddTask(after={}, task=Task(id="a", complexity=1.0)))
    assert encode(command.Resume()) == b'{"kind":"Resume"}'
