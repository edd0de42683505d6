"""The slot engine against transformers' `generate`: greedy tokens, alone, batched, overlapped, recorded."""

from __future__ import annotations

from typing import Any

import pytest

from dyntaskmas_nb.llm.hugging.scheduler import Scheduler
from dyntaskmas_nb.llm.hugging.tokens import HuggingTokens
from dyntaskmas_nb.llm.protocol import Chunk, Message, Request
from tests.llm.hugging.conftest import KINDS, random_llama, scheduler_on, torch

PROMPTS = [
    "Plan a trip to Kyoto.",
    "x",
    "Compare two budgets for three days, $1,500 each. " * 4,
    "né 京都",
    "1, 2, 3",
]


@pytest.fixture(scope="module", params=[*KINDS])
def model(request: pytest.FixtureRequest) -> Any:
    return random_llama(**KINDS[request.param])


def requests(count: int) -> list[Request]:
    return [
        Request(messages=(Message(role="user", content=PROMPTS[i % len(PROMPTS)]),), max_tokens=8 + 4 * i)
        for i in range(count)
    ]


def greedy(model: Any, tokens: HuggingTokens, request: Request) -> list[int]:
    """transformers' own greedy continuation."""
    prompt = tokens.prompt(request.messages)
    with torch.no_grad():
        out = model.generate(
            torch.tensor([prompt]),
            attention_mask=torch.ones(1, len(prompt), dtype=torch.long),
            do_sample=False,
            max_new_tokens=request.max_tokens,
            eos_token_id=sorted(tokens.ends),
            pad_token_id=0,
        )
    result: list[int] = out[0, len(prompt) :].tolist()
    return result


def run(scheduler: Scheduler, said: dict[object, list[int]], steps: int = 10**6) -> None:
    """Step, and note the tokens of what finishes."""
    for _ in range(steps):
        if scheduler.idle:
            return
        before = {sequence.key: sequence for sequence in (*scheduler._waiting, *scheduler._running.values())}
        for key, item in scheduler.step():
            assert isinstance(item, Chunk)
            if item.finish:
                said[key] = before[key].tokens[before[key].prompt_tokens :]
                assert len(said[key]) == item.completion_tokens


@pytest.mark.parametrize("how", ["plain", "overlap", "recorded"])
def test_greedy_tokens_alone_batched_and_in_generate_are_one(
    model: Any, hf_tokens: HuggingTokens, how: str
) -> None:
    asked = requests(8)
    expected = {i: greedy(model, hf_tokens, request) for i, request in enumerate(asked)}
    assert any(len(tokens) > 20 for tokens in expected.values())
    options: dict[str, Any] = {"overlap": how != "plain"}
    if how == "recorded":
        options["record"] = lambda body: body  # replays the first body of a key, as a CUDA graph would
    for max_batch in (1, 4):
        scheduler = scheduler_on(model, hf_tokens, max_batch, **options)
        said: dict[object, list[int]] = {}
        for i, request in enumerate(asked):  # joining one by one, leaving at different lengths
            scheduler.submit(i, request)
            run(scheduler, said, steps=3)
        run(scheduler, said)
        assert said == expected
