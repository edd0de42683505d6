"""Random Llamas of transformers, small enough to compute in a test, with the tests' own tokenizer."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip(
    "torch", reason="the engine under test computes with torch: pip install the CPU build"
)
transformers = pytest.importorskip("transformers", reason="the engine under test reads with transformers")

from dyntaskmas_nb.llm.hugging.model import Llama  # noqa: E402
from dyntaskmas_nb.llm.hugging.scheduler import Scheduler  # noqa: E402
from dyntaskmas_nb.llm.hugging.tokens import HuggingTokens  # noqa: E402
from dyntaskmas_nb.llm.hugging.weights import take  # noqa: E402

LLAMA3 = {"rope_type": "llama3", "rope_theta": 500.0, "factor": 8.0, "low_freq_factor": 1.0,
          "high_freq_factor": 4.0, "original_max_position_embeddings": 64}  # fmt: skip
KINDS: dict[str, dict[str, Any]] = {
    "tied": {"tie_word_embeddings": True},
    "untied": {"tie_word_embeddings": False, "num_key_value_heads": 1},
    "llama3-rope": {"tie_word_embeddings": True, "rope_parameters": LLAMA3, "head_dim": 24},
}
WINDOW = 512
TEMPLATE = (
    "{{ '<|bos|>' }}{% for message in messages %}"
    "{{ '<|' + message.role + '|>' + message.content + '<|end|>' }}{% endfor %}{{ '<|assistant|>' }}"
)


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Two cores are shared by all tests, and matrices are tiny."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def random_llama(**fields: Any) -> Any:
    """transformers' own model with random weights."""
    torch.manual_seed(3)
    config = transformers.LlamaConfig(
        **{"vocab_size": 320, "hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 3,
           "num_attention_heads": 4, "num_key_value_heads": 2, "max_position_embeddings": WINDOW,
           "initializer_range": 0.1, "bos_token_id": 0, "eos_token_id": 4, **fields}
    )  # fmt: skip
    return transformers.LlamaForCausalLM(config).eval()


@pytest.fixture(scope="session")
def reference() -> Any:
    return random_llama(**KINDS["untied"])


@pytest.fixture(scope="session")
def hf_tokenizer(tiny_folder: Path) -> Any:
    """The tests' tokenizer as transformers reads it, with a chat template."""
    tokenizer = transformers.PreTrainedTokenizerFast(
        tokenizer_file=str(tiny_folder / "tokenizer.json"), bos_token="<|bos|>", eos_token="<|end|>",
        additional_special_tokens=["<|system|>", "<|user|>", "<|assistant|>"],
    )  # fmt: skip
    tokenizer.chat_template = TEMPLATE
    return tokenizer


@pytest.fixture(scope="session")
def hf_tokens(hf_tokenizer: Any) -> HuggingTokens:
    return HuggingTokens(hf_tokenizer, 320, [hf_tokenizer.eos_token_id])


Make = Callable[..., Scheduler]


@pytest.fixture
def make(reference: Any, hf_tokens: HuggingTokens) -> Make:
    """A scheduler on a model of its own; `record` as in `Llama`."""
    return lambda max_batch, **options: scheduler_on(reference, hf_tokens, max_batch, **options)


def scheduler_on(
    model: Any, tokens: Any, max_batch: int, *, overlap: bool = False, int8: bool = False, record: Any = None
) -> Scheduler:
    with torch.no_grad():
        weights = take(model, "cpu", torch.float32, positions=WINDOW + 512, int8=int8)
    llama = Llama(model.config, weights, window=WINDOW, max_batch=max_batch, record=record)
    return Scheduler(llama, tokens, window=WINDOW, max_batch=max_batch, overlap=overlap, exact=not overlap)
