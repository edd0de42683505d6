"""A sentence becomes a Δ, or an error that says what to do."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import pytest

from dyntaskmas_nb.dtgg.planner import plan
from dyntaskmas_nb.dtgg.repair import plan_schema
from dyntaskmas_nb.errors import InvalidInput, InvalidOutput, OutsideDomain, PlanningFailed, Unavailable
from dyntaskmas_nb.llm.protocol import Caps, Request
from dyntaskmas_nb.llm.simulated import Simulated, constant

GOOD = json.dumps(
    {
        "subtasks": [
            {"id": id, "description": "x", "role": "adder", "complexity": 1, "depends_on": after}
            for id, after in (("add1", []), ("add2", []), ("mul", ["add1", "add2"]))
        ]
    }
)
CYCLE = '{"subtasks": [{"id": "a", "depends_on": ["b"]}, {"id": "b", "depends_on": ["a"]}]}'
REFUSAL = '{"refuse":"outside my domains"}'
TEACHING = Caps(context_window=2_048, terse=True, refuses=True, domains=("travel", "reports"))


class Model(Simulated):
    """Gives `answers` one after another and keeps the requests."""

    def __init__(self, answers: Sequence[str], caps: Caps | None = None, **more: Any) -> None:
        super().__init__(latency=constant(0), replies=self._next, **more)
        self.caps = caps or self.caps
        self.asked: list[Request] = []
        self._left = list(answers)

    def _next(self, request: Request) -> str:
        self.asked.append(request)
        return self._left.pop(0)


async def test_a_sentence_becomes_a_graph() -> None:
    model = Model([GOOD])
    made = await plan("  Calculate 1+2 and 3+4, then multiply ", model, seed=7, timeout=9)
    assert (made.asked, made.repairs) == (1, ())
    assert made.tokens > 0
    assert made.graph.title == "Calculate 1+2 and 3+4, then multiply"
    assert made.graph.predecessors("mul") == ("add1", "add2")
    request = model.asked[0]
    assert (request.tag, request.timeout, request.temperature) == ("planner", 9, 0)
    assert request.json_schema == plan_schema(24, False)
    made = await plan("x", Model([f"Here is the plan:\n```json\n{GOOD.replace('add2', 'Add 2')}\n```"]))
    assert made.repairs == ("The text around the JSON was left out.", "Id 'Add 2' became 'add_2'.")


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        (CYCLE, "cycle: "),
        ('{"subtasks":[]}', "The plan is empty"),
        ("I cannot.", "holds no JSON"),
        (REFUSAL, "declined"),
        (json.dumps({"subtasks": [{"id": f"t{n}"} for n in range(9)]}), "9 subtasks; at most 5"),
    ],
)
async def test_a_bad_plan_is_asked_for_once_more_with_the_reason(bad: str, reason: str) -> None:
    model = Model([bad, GOOD])
    made = await plan("x", model, max_tasks=5)
    assert made.asked == 2
    first, second = model.asked
    assert [message.role for message in second.messages] == ["system", "user", "assistant", "user"]
    assert second.messages[:2] == first.messages
    assert second.messages[2].content == bad
    assert reason in second.messages[3].content
    assert first.seed != second.seed


async def test_after_two_bad_plans_it_is_refused_with_both_reasons() -> None:
    with pytest.raises(
        PlanningFailed, match=r"simulated.*'x'. First answer: .*cycle.*Second answer: .*no JSON"
    ):
        await plan("x", Model([CYCLE, "no"]))
    with pytest.raises(PlanningFailed, match="cut off after 1 tokens"):
        await plan("x", Model([GOOD, GOOD], Caps(context_window=9)))


async def test_what_the_backend_finds_invalid_is_a_bad_answer_but_an_unreachable_one_is_not_asked_again() -> (
    None
):
    model = Model([GOOD, GOOD], faults={("planner", 1): InvalidOutput})
    assert (await plan("x", model)).asked == 2
    assert "InvalidOutput" in model.asked[-1].messages[3].content
    with pytest.raises(Unavailable):
        await plan("x", Model([GOOD], faults={("planner", 1): Unavailable}))


async def test_a_refusal_names_the_ways_out() -> None:
    model = Model([REFUSAL], TEACHING)
    with pytest.raises(OutsideDomain) as caught:
        await plan("Write a sonnet", model)
    ways_out = ("127.0.0.1:8000/v1", "Ollama", "checkpoint", "Python functions", "plan file")
    for part in ("travel, reports", "'Write a sonnet'", *ways_out):
        assert part in str(caught.value)
    assert len(model.asked) == 1
    assert model.asked[0].json_schema == plan_schema(24, True)


async def test_a_terse_model_is_asked_the_same_again_and_drawn() -> None:
    model = Model([CYCLE, GOOD], TEACHING)
    made = await plan("Plan a trip to Oslo " * 150, model)
    assert (made.asked, made.repairs) == (2, ("The model read 400 characters of the request, no more.",))
    first, second = model.asked
    prompt = sum(model.count_tokens(message.content) for message in first.messages)
    assert prompt + first.max_tokens < TEACHING.context_window
    assert first.messages == second.messages
    assert (first.temperature, second.temperature) == (0.0, 0.7)
    with pytest.raises(PlanningFailed, match=r"cycle.*declined"):
        await plan("Plan a trip to Oslo", Model([CYCLE, REFUSAL], TEACHING))


@pytest.mark.parametrize(
    ("sentence", "said"),
    [
        (" \n\t", "is empty; say what"),
        (None, "must be text, not None"),
        ("x" * 10_000_000, "10,000,000 characters long; at most 4,000"),
        ("a\0b", "NUL"),
        ("a\ud800b", "surrogate"),
    ],
)
async def test_a_sentence_that_is_none_is_refused_before_anything_is_asked(sentence: Any, said: str) -> None:
    model = Model([])
    with pytest.raises(InvalidInput, match=said) as caught:
        await plan(sentence, model)
    assert len(str(caught.value)) < 200
    assert model.asked == []


async def test_max_tasks_out_of_range() -> None:
    for wrong in (0, 201, "3"):
        with pytest.raises(InvalidInput, match="max_tasks must be a whole number from 1 to 200"):
            await plan("x", Model([]), max_tasks=wrong)  # type: ignore[arg-type]
