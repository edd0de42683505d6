"""Our Llama against transformers': logits and greedy text."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dyntaskmas_nb.llm.embedded.chat import ChatTokenizer
from dyntaskmas_nb.llm.embedded.checkpoint import read_config, read_weights
from dyntaskmas_nb.llm.embedded.engine import SHIPPED
from dyntaskmas_nb.llm.embedded.model import Llama
from dyntaskmas_nb.llm.embedded.scheduler import Scheduler
from dyntaskmas_nb.llm.protocol import Chunk, Message, Request

torch = pytest.importorskip("torch", reason="torch is the reference for exactness: pip install the CPU build")
transformers = pytest.importorskip(
    "transformers", reason="transformers' Llama is the reference for exactness"
)

LLAMA3 = {"rope_type": "llama3", "rope_theta": 500.0, "factor": 8.0, "low_freq_factor": 1.0,
          "high_freq_factor": 4.0, "original_max_position_embeddings": 64}  # fmt: skip
KINDS: dict[str, dict[str, Any]] = {
    "tied": {"tie_word_embeddings": True},
    "untied": {"tie_word_embeddings": False, "num_key_value_heads": 1},
    "llama3-rope": {"tie_word_embeddings": True, "rope_parameters": LLAMA3, "head_dim": 24},
}
PROMPTS = [
    "Plan a trip to Kyoto.",
    "x",
    "Compare two budgets for three days, $1,500 each. " * 4,
    "né 京都",
    "1, 2, 3",
]


def shipped_as_transformers(folder: Path) -> Any:
    """The shipped weights, dequantised, in transformers' model."""
    from safetensors.numpy import load_file

    raw = load_file(folder / "model.safetensors")
    state = {
        name: torch.tensor(value.astype(np.float32) * (raw[f"{name}.scale"].astype(np.float32)[:, None]
                           if value.dtype == np.int8 else 1))
        for name, value in raw.items() if not name.endswith(".scale")
    }  # fmt: skip
    model = transformers.LlamaForCausalLM(transformers.LlamaConfig.from_pretrained(folder))
    missing, unexpected = model.load_state_dict(state, strict=False)
    assert not unexpected
    assert set(missing) <= {"lm_head.weight"}
    model.tie_weights()
    return model


@pytest.fixture(scope="module", params=[*KINDS, "shipped"])
def pair(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, tiny_folder: Path
) -> Iterator[tuple[Any, Path]]:
    """transformers' model and the folder of the same weights."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    if request.param == "shipped":
        if not (SHIPPED / "model.safetensors").exists():
            pytest.skip("the shipped weights are not in this checkout")
        yield shipped_as_transformers(SHIPPED).eval(), SHIPPED
    else:
        torch.manual_seed(3)
        config = transformers.LlamaConfig(
            **{"vocab_size": 320, "hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 3,
               "num_attention_heads": 4, "num_key_value_heads": 2, "max_position_embeddings": 512,
               "initializer_range": 0.1, **KINDS[request.param]}
        )  # fmt: skip
        folder = tmp_path_factory.mktemp(request.param)
        model = transformers.LlamaForCausalLM(config).eval()
        model.save_pretrained(folder)
        (folder / "tokenizer.json").write_bytes((tiny_folder / "tokenizer.json").read_bytes())
        yield model, folder
    torch.set_num_threads(threads)


def logits_of(model: Any, ids: list[int]) -> np.ndarray:
    with torch.no_grad():
        result: np.ndarray = model(torch.tensor([ids])).logits[0].numpy()
    return result


def test_logits_differ_by_at_most_1e_4(pair: tuple[Any, Path], record_property: Any) -> None:
    model, folder = pair
    config = read_config(folder)
    ours = Llama(config, read_weights(folder, config))
    length = min(300, config.max_position_embeddings)
    # Text, since a trained model is ill-conditioned on random tokens: single positions differ by 1e-4 there.
    ids = (ChatTokenizer(folder, config).encode(" ".join(PROMPTS) * 9) * 2)[:length]
    # In float64: with logits of ±30, transformers' own float32 is up to 8e-5 off the exact ones.
    expected = logits_of(model.double(), ids)
    model.float()
    worst = max(np.abs(ours.prefill(0, ids[:end]) - expected[end - 1]).max() for end in (1, 2, 100, length))
    ours.prefill(0, ids[:10])
    ours.prefill(1, ids[:60])
    for at in range(50):
        both = ours.decode([ids[10 + at], ids[60 + at]], [10 + at, 60 + at])
        worst = max(worst, np.abs(both - expected[[10 + at, 60 + at]]).max())
    record_property("max_logit_difference", float(worst))
    print(f"max logit difference {worst:.1e}")
    assert worst <= 1e-4


def requests(count: int) -> list[Request]:
    return [
        Request(messages=(Message(role="user", content=PROMPTS[i % len(PROMPTS)]),), max_tokens=8 + 4 * i)
        for i in range(count)
    ]


def greedy(model: Any, tokenizer: ChatTokenizer, request: Request) -> str:
    """transformers' own greedy continuation, as text."""
    names = tokenizer.names()
    prompt = tokenizer.prompt(request.messages, names)
    with torch.no_grad():
        out = model.generate(
            torch.tensor([prompt]),
            attention_mask=torch.ones(1, len(prompt), dtype=torch.long),
            do_sample=False,
            max_new_tokens=request.max_tokens,
            eos_token_id=sorted(tokenizer.ends),
            pad_token_id=0,
        )
    decoder = tokenizer.decoder(names)
    return "".join(decoder(int(t)) for t in out[0, len(prompt) :] if int(t) not in tokenizer.ends)


def drain(scheduler: Scheduler, texts: dict[object, str], steps: int = 10**6) -> None:
    for _ in range(steps):
        if scheduler.idle:
            return
        for key, item in scheduler.step():
            assert isinstance(item, Chunk)
            texts[key] = texts.get(key, "") + item.text


def test_greedy_text_alone_batched_and_in_transformers_is_one(pair: tuple[Any, Path]) -> None:
    model, folder = pair
    config = read_config(folder)
    tokenizer = ChatTokenizer(folder, config)
    ours = Llama(config, read_weights(folder, config))
    asked = requests(8)
    expected = {i: greedy(model, tokenizer, request) for i, request in enumerate(asked)}
    alone: dict[object, str] = {}
    for i, request in enumerate(asked):
        scheduler = Scheduler(ours, tokenizer, 1)
        scheduler.submit(i, request)
        drain(scheduler, alone)
    batched: dict[object, str] = {}
    scheduler = Scheduler(ours, tokenizer, 4)
    for i, request in enumerate(asked):  # joining one by one, leaving at different lengths
        scheduler.submit(i, request)
        drain(scheduler, batched, steps=3)
    drain(scheduler, batched)
    assert alone == expected
    assert batched == expected
