"""A Llama small enough to compute in a test (random weights, a trained tokenizer), and a server on it."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import anyio
import numpy as np
import pytest
from safetensors.numpy import save_file
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

from dyntaskmas_nb.llm.embedded.chat import CONTROLS, ChatTokenizer
from dyntaskmas_nb.llm.embedded.checkpoint import LlamaConfig, read_config, read_weights
from dyntaskmas_nb.llm.embedded.engine import EmbeddedLlama
from dyntaskmas_nb.llm.embedded.model import Llama
from dyntaskmas_nb.llm.openai_compatible import OpenAICompatible
from tests.llm.openai_server import Server

HIDDEN, INNER, LAYERS, HEADS, KV = 32, 48, 2, 4, 2
WINDOW = 384
CORPUS = [
    "Plan a trip to Kyoto for two, 3 days, budget $1,500. " * 3,
    '{"tasks": [{"id": "a", "needs": []}]}' * 3,
]


def write_tokenizer(folder: Path, vocabulary: int = 320) -> Tokenizer:
    """A byte-level BPE with the chat template's special tokens."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary,
        special_tokens=list(CONTROLS),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(CORPUS, trainer)
    tokenizer.save(str(folder / "tokenizer.json"))
    return tokenizer


def write_model(folder: Path, vocabulary: int = 320, seed: int = 0, scale: float = 0.3) -> None:
    """config.json and model.safetensors of a random Llama with grouped queries."""
    head = HIDDEN // HEADS
    config = {
        "model_type": "llama", "vocab_size": vocabulary, "hidden_size": HIDDEN, "intermediate_size": INNER,
        "num_hidden_layers": LAYERS, "num_attention_heads": HEADS, "num_key_value_heads": KV,
        "max_position_embeddings": WINDOW, "rope_theta": 10000.0, "tie_word_embeddings": False,
    }  # fmt: skip
    (folder / "config.json").write_text(json.dumps(config))
    random = np.random.default_rng(seed)

    def matrix(*shape: int) -> np.ndarray:
        return (random.standard_normal(shape) * scale).astype(np.float32)

    tensors = {
        "model.embed_tokens.weight": matrix(vocabulary, HIDDEN),
        "lm_head.weight": matrix(vocabulary, HIDDEN),
    }
    tensors["model.norm.weight"] = np.ones(HIDDEN, np.float32)
    for layer in range(LAYERS):
        at = f"model.layers.{layer}."
        tensors |= {
            f"{at}self_attn.q_proj.weight": matrix(HEADS * head, HIDDEN),
            f"{at}self_attn.k_proj.weight": matrix(KV * head, HIDDEN),
            f"{at}self_attn.v_proj.weight": matrix(KV * head, HIDDEN),
            f"{at}self_attn.o_proj.weight": matrix(HIDDEN, HEADS * head),
            f"{at}mlp.gate_proj.weight": matrix(INNER, HIDDEN),
            f"{at}mlp.up_proj.weight": matrix(INNER, HIDDEN),
            f"{at}mlp.down_proj.weight": matrix(HIDDEN, INNER),
            f"{at}input_layernorm.weight": np.ones(HIDDEN, np.float32),
            f"{at}post_attention_layernorm.weight": np.ones(HIDDEN, np.float32),
        }
    save_file(tensors, folder / "model.safetensors")


@pytest.fixture(scope="session")
def tiny_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A complete checkpoint; do not write into it."""
    folder = tmp_path_factory.mktemp("tiny-llama")
    write_tokenizer(folder)
    write_model(folder)
    return folder


@pytest.fixture(scope="session")
def tiny_config(tiny_folder: Path) -> LlamaConfig:
    return read_config(tiny_folder)


@pytest.fixture
def tiny_model(tiny_folder: Path, tiny_config: LlamaConfig) -> Llama:
    """A model with an empty cache of its own."""
    return Llama(tiny_config, read_weights(tiny_folder, tiny_config))


@pytest.fixture(scope="session")
def tiny_tokenizer(tiny_folder: Path, tiny_config: LlamaConfig) -> ChatTokenizer:
    return ChatTokenizer(tiny_folder, tiny_config)


@pytest.fixture(scope="module")
def llama(tiny_folder: Path) -> Iterator[EmbeddedLlama]:
    backend = EmbeddedLlama(tiny_folder, max_batch=4)
    yield backend
    anyio.run(backend.aclose)


@pytest.fixture
def server(llama: EmbeddedLlama) -> Iterator[Server]:
    ours = Server(llama)
    ours.start()
    yield ours
    ours.stop()


@pytest.fixture
async def backend(server: Server) -> AsyncIterator[OpenAICompatible]:
    ours = OpenAICompatible(server.url)
    yield ours
    await ours.aclose()
