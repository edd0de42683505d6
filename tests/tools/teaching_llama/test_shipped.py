"""The shipped teaching model: its files, its tokenizer, and a few requests end to end."""

from __future__ import annotations

import json
from pathlib import Path

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer

import dyntaskmas_nb.llm.embedded
from dyntaskmas_nb.agents.context import Item
from dyntaskmas_nb.agents.prompts import REFUSAL, agent_messages, planner_messages
from dyntaskmas_nb.dtgg.repair import plan_schema
from dyntaskmas_nb.llm.embedded.engine import EmbeddedLlama
from dyntaskmas_nb.llm.protocol import Message, Request, complete
from tools.teaching_llama.plan import REFUSED, read

FOLDER = Path(dyntaskmas_nb.llm.embedded.__file__).parent / "weights"
SEVEN = {
    "preferences": frozenset(),
    "destination": frozenset({"preferences"}),
    "transport": frozenset({"destination"}),
    "accommodation": frozenset({"destination"}),
    "attractions": frozenset({"destination"}),
    "dining": frozenset({"destination"}),
    "itinerary": frozenset({"transport", "accommodation", "attractions", "dining"}),
}


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    found = Tokenizer.from_file(str(FOLDER / "tokenizer.json"))
    found.encode_special_tokens = True
    return found


def asked(*prompts: tuple[Message, ...], schema: bool = False) -> list[str]:
    async def one(backend: EmbeddedLlama, at: int) -> None:
        rule = plan_schema(16, True) if schema else None
        out[at] = (
            await complete(backend, Request(messages=prompts[at], max_tokens=480, json_schema=rule))
        ).text

    async def every() -> None:
        backend = EmbeddedLlama()
        async with anyio.create_task_group() as group:
            for at in range(len(prompts)):
                group.start_soon(one, backend, at)
        await backend.aclose()

    out = [""] * len(prompts)
    anyio.run(every)
    return out


def planned(*sentences: str) -> list[str]:
    return asked(*(planner_messages(s, terse=True, max_tasks=16) for s in sentences), schema=True)


def test_the_files_are_small_and_complete() -> None:
    assert {p.name for p in FOLDER.iterdir()} >= {
        "config.json",
        "model.safetensors",
        "tokenizer.json",
        "MODEL_CARD.md",
    }
    assert sum(p.stat().st_size for p in FOLDER.iterdir()) <= 8_500_000


def test_config_agrees_with_the_tokenizer(tokenizer: Tokenizer) -> None:
    config = json.loads((FOLDER / "config.json").read_text())
    assert tokenizer.get_vocab_size() == config["vocab_size"] <= 3072
    assert tokenizer.token_to_id("<|bos|>") == config["bos_token_id"]
    assert tokenizer.token_to_id("<|end|>") == config["eos_token_id"]
    assert config["num_key_value_heads"] < config["num_attention_heads"]


@given(text=st.text(max_size=80))
def test_any_text_comes_back_from_its_tokens(tokenizer: Tokenizer, text: str) -> None:
    assert tokenizer.decode(tokenizer.encode(text).ids, skip_special_tokens=False) == text


def test_special_tokens_in_a_text_are_text(tokenizer: Tokenizer) -> None:
    ids = tokenizer.encode("<|end|><|assistant|>").ids
    assert min(ids) > 5


@pytest.mark.parametrize("name", ["Marrakech", "Kyoto", "Reykjavík", "Xochimilco"])
def test_a_name_is_cut_alike_wherever_it_stands(tokenizer: Tokenizer, name: str) -> None:
    alone = tokenizer.encode(name).tokens
    for text in (f"to {name} for", f'"{name}"', f"{name}, now", f"(in {name})", f"\n{name}"):
        tokens = tokenizer.encode(text).tokens
        assert any(tokens[i : i + len(alone)] == alone for i in range(len(tokens)))


def test_digits_are_single(tokenizer: Tokenizer) -> None:
    assert [t for t in tokenizer.encode("$1,500 in 2026").tokens if t.isdigit()] == list("15002026")


def test_both_ways_to_ask_for_kyoto_give_the_papers_seven_agents() -> None:
    for text in planned(
        "Plan a 3-day trip to Kyoto for two with a budget of 1500 dollars",
        "Plan a 3-day trip to Kyoto for two, budget $1,500",
    ):
        plan = read(text)
        assert plan is not None
        assert plan.shape == SEVEN
        assert "Kyoto" in plan.subtasks[-1].description


@pytest.mark.parametrize(
    ("sentence", "first", "facts"),
    [
        ("Deploy the payment service to Kubernetes before Friday", "checkout", ("payment", "Kubernetes")),
        (
            "Put 40 supplier invoices into a spreadsheet, we need totals and due dates",
            "intake",
            ("invoices", "due"),
        ),
        ("Let two robot arms sort red and blue blocks", "survey", ("arms", "blocks")),
    ],
)
def test_the_three_other_domains(sentence: str, first: str, facts: tuple[str, ...]) -> None:
    (text,) = planned(sentence)
    plan = read(text)
    assert plan is not None
    assert plan.subtasks[0].id == first
    assert all(any(fact in x.description for x in plan.subtasks) for fact in facts)


def test_a_report_and_refusals() -> None:
    report, *refusals = planned(
        "Write a report on battery recycling",
        "Write a poem about Kyoto",
        "Fix the bug in the booking service",
        "Calculate 1+2 and 3+4, then multiply",
    )
    plan = read(report)
    assert plan is not None
    assert plan.shape["analysis"] == {"papers", "data", "news"}
    assert refusals == [REFUSED] * 3


def test_agents_use_their_context_and_decline_what_is_outside() -> None:
    request = "Plan a 3-day trip to Kyoto for two with a budget of 1500 dollars"
    context = [
        Item(title="transport", text="Take the 08:15 train to Brandal."),
        Item(title="accommodation", text="Stay at Villa Bruna."),
    ]
    itinerary, poem = asked(
        agent_messages(
            "itinerary writer", "Write the 3-day itinerary for Kyoto", request, context, terse=True
        ),
        agent_messages("poet", "Write a poem about love", "Write a poem about love", [], terse=True),
    )
    assert "Villa Bruna" in itinerary
    assert "08:15" in itinerary
    assert poem == REFUSAL
