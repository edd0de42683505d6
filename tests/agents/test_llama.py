"""Agents that ask a model: what they ask, what fits the window, and what their failures say."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dyntaskmas_nb.agents.context import Context, Item
from dyntaskmas_nb.agents.llama import TIMEOUT, LlamaAgent, as_text, fitted, seed_of
from dyntaskmas_nb.agents.outcome import Answer
from dyntaskmas_nb.agents.prompts import REFUSAL
from dyntaskmas_nb.agents.roles import Behaviours
from dyntaskmas_nb.core.task import Task
from dyntaskmas_nb.errors import AgentError, BackendError, BadRequest, InvalidInput, Overloaded
from dyntaskmas_nb.llm.protocol import Caps, Request
from dyntaskmas_nb.llm.simulated import Simulated, constant

TASK = Task(id="hotel", description="Find a hotel", role="accommodation expert", complexity=2, timeout=30)
RESULTS = {"budget": {"eur": 900}, "dates": "1-3 May"}
CONTEXT = Context(task_id="hotel", request="trip to Oslo", results=RESULTS, seed=4, priority=2.5)
TEACHING = Caps(context_window=2_048, terse=True, refuses=True, domains=("travel planning", "reports"))


class Model(Simulated):
    """Answers `text` and keeps the requests."""

    def __init__(self, text: str = " Villa Bruna \n", caps: Caps | None = None, **more: Any) -> None:
        self.asked: list[Request] = []
        super().__init__(latency=constant(0), replies=lambda r: self.asked.append(r) or text, **more)
        self.caps = caps or self.caps


async def test_what_is_asked() -> None:
    model = Model(caps=TEACHING)
    answer = await LlamaAgent(model)(TASK, CONTEXT, inline=False)
    assert answer == Answer(result="Villa Bruna", tokens=answer.tokens)
    assert answer.tokens > 10
    (request,) = model.asked
    assert [message.content for message in request.messages] == [
        "agent: accommodation expert",
        'request: trip to Oslo\ntask: Find a hotel\ncontext:\n- budget: {"eur":900}\n- dates: 1-3 May',
    ]
    assert (request.tag, request.cost, request.priority, request.timeout) == ("hotel", 2, 2.5, 30)
    assert (request.max_tokens, request.temperature) == (256, 0)
    assert (request.run, request.agent, request.share) == ("", "", None)
    assert request.seed == seed_of(4, "hotel", 1) == 883508231, "the same in every process"
    assert len({seed_of(seed, id, attempt) for seed in (-1, 0) for id in "ab" for attempt in (1, 2)}) == 8


async def test_a_request_says_whose_it_is_and_its_share() -> None:
    model = Model()
    await LlamaAgent(model)(TASK, Context(run="r1", agent="anna", token_share=0.25), inline=False)
    assert [(one.run, one.agent, one.share) for one in model.asked] == [("r1", "anna", 0.25)]


async def test_every_request_has_a_bound_and_a_real_model_a_deadline() -> None:
    for window, virtual, terse, *wanted in (
        (9_000, 0, 0, TIMEOUT, 1_024),
        (300, 1, 0, None, 100),
        (9_000, 0, 1, TIMEOUT, 256),
    ):
        model = Model(caps=Caps(context_window=window, virtual=bool(virtual), terse=bool(terse)))
        await LlamaAgent(model)(Task(id="a"), Context(), inline=False)
        assert [model.asked[0].timeout, model.asked[0].max_tokens] == wanted


def budget_of(model: Simulated, messages: Any) -> int:
    return sum(model.count_tokens(message.content) + 8 for message in messages)


def test_the_least_relevant_goes_first_then_the_long_results_are_cut() -> None:
    model = Model()
    items = tuple(Item(title=f"note {n}", text=f"word{n} " * 40, relevance=n / 10) for n in (2, 9, 5))
    context = Context(results={"short": "brief words", "long": "long " * 400}, relevant=items)
    whole = fitted(TASK, context, model, 10**6)
    places = [whole[1].content.index(part) for part in ("short", "long", "word9", "word5", "word2")]
    assert places == sorted(places)
    fewer = fitted(TASK, context, model, budget_of(model, whole) - 1)[1].content
    assert ["word9" in fewer, "word5" in fewer, "word2" in fewer] == [True, True, False]
    bare = budget_of(model, fitted(TASK, Context(), model, 10**6))
    tight = fitted(TASK, context, model, bare + 150)[1].content
    assert "brief words" in tight
    assert "word9" not in tight
    assert 10 < tight.count("long ") < 400


SIZES = st.lists(st.integers(0, 3_000), max_size=4)


@given(SIZES, SIZES, st.integers(250, 2_000), st.booleans())
def test_a_prompt_fits_whenever_its_bare_form_does(
    results: Any, items: Any, budget: int, terse: bool
) -> None:
    model = Model(caps=Caps(context_window=9_000, terse=terse))
    context = Context(
        results={f"r{n}": "ab " * size for n, size in enumerate(results)},
        relevant=tuple(Item(title="i", text="cd " * size, relevance=size / 3_000) for size in items),
    )
    bare = fitted(TASK, Context(results=dict.fromkeys(context, "")), model, 10**6)
    messages = fitted(TASK, context, model, budget)
    assert budget_of(model, messages) <= max(budget, budget_of(model, bare))


@pytest.mark.parametrize(("error", "retryable"), [(Overloaded, True), (BadRequest, False)])
async def test_a_models_error_is_a_failure(error: type[BackendError], retryable: bool) -> None:
    with pytest.raises(AgentError, match=error.__name__) as caught:
        await LlamaAgent(Model(faults={("hotel", 1): error}))(TASK, CONTEXT, inline=False)
    assert caught.value.retryable is retryable
    with pytest.raises(AgentError, match="simulated gave an empty answer for 'hotel'") as caught:
        await LlamaAgent(Model(" \n "))(TASK, CONTEXT, inline=False)
    assert caught.value.retryable


async def test_a_refusal_names_the_role_and_the_ways_out() -> None:
    with pytest.raises(AgentError) as caught:
        await LlamaAgent(Model(REFUSAL, TEACHING))(TASK, CONTEXT, inline=False)
    for part in ("travel planning, ", 'Kit(agents={"accommodation expert": function})', "/v1"):
        assert part in str(caught.value)
    assert not caught.value.retryable
    said = await LlamaAgent(Model(REFUSAL))(TASK, CONTEXT, inline=False)
    assert said.result == REFUSAL, "only a model that refuses in a fixed way means it"


async def test_a_role_has_its_function_then_the_catch_all_then_the_llama() -> None:
    async def who(behaviours: Behaviours, role: str) -> Any:
        return (await behaviours.agent(role)(TASK, CONTEXT, inline=True)).result

    functions = {"adder": lambda: "function", "*": lambda: "any"}
    assert await who(Behaviours(functions, Model()), "adder") == "function"
    assert await who(Behaviours(functions, Model()), "poet") == "any"
    assert await who(Behaviours({"adder": lambda: 1}, Model()), "poet") == "Villa Bruna"
    assert await who(Behaviours({"poet": LlamaAgent(Model("verse"))}), "poet") == "verse"
    assert Behaviours(functions).roles == ("adder", "*")
    with pytest.raises(AgentError, match=r"role 'ader'\. Roles with a function: 'adder'\."):
        Behaviours({"adder": lambda: 1}).agent("ader")


def test_agents_that_are_none() -> None:
    for agents, said in (
        ([len], "must be a dict"),
        ({1: len}, "must be text, not 1"),
        ({"a": None}, "a function"),
    ):
        with pytest.raises(InvalidInput, match=said):
            Behaviours(agents)  # type: ignore[arg-type]


async def test_what_the_graph_knows_goes_with_the_request() -> None:
    model = Model(caps=Caps(context_window=9_000))
    for role, run in (("cook", "r"), ("cook", "r"), ("poet", "r"), ("cook", "q"), ("cook", "")):
        task = Task(id="t", description="Do it", role=role)
        context = Context(task_id="t", request="trip to Oslo", run=run, steps_to_next_use=3)
        await LlamaAgent(model)(task, context, inline=False)
    one, same, other_role, other_run, nobodys = model.asked
    assert one.session == same.session
    assert len({one.session, other_role.session, other_run.session, nobodys.session}) == 4
    assert nobodys.session == ""
    assert one.steps_to_next_use == 3
    head = one.messages[0].content + one.messages[1].content.partition("<task>")[0]
    assert "trip to Oslo" in head
    assert one.prefix_len == pytest.approx(model.count_tokens(head), abs=2)


def test_equal_results_read_alike() -> None:
    assert as_text({"b": 1, "a": [2, {"d": 3, "c": 4}]}) == as_text({"a": [2, {"c": 4, "d": 3}], "b": 1})
    assert as_text("as it is") == "as it is"


async def test_what_no_store_can_hold_is_left_out() -> None:
    answer = await LlamaAgent(Model(text="Villa\0 Bruna"))(TASK, CONTEXT, inline=False)
    assert answer.result == "Villa Bruna"
