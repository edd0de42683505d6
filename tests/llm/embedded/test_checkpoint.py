from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file, save, save_file

from dyntaskmas_nb.errors import BadWeights
from dyntaskmas_nb.llm.embedded.checkpoint import (
    LlamaConfig,
    Weights,
    parse_config,
    read_config,
    read_weights,
)

PLAIN: dict[str, Any] = {
    "model_type": "llama", "vocab_size": 100, "hidden_size": 64, "intermediate_size": 96,
    "num_hidden_layers": 2, "num_attention_heads": 4,
}  # fmt: skip
LLAMA3 = {"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
          "original_max_position_embeddings": 8192}  # fmt: skip


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"model_type": "mistral"}, "mistral"),
        ({"attention_bias": True}, "attention_bias"),
        ({"mlp_bias": True}, "mlp_bias"),
        ({"hidden_act": "gelu"}, "gelu"),
        ({"rope_scaling": {"type": "linear", "factor": 2.0}}, "linear"),
        ({"rope_parameters": {"rope_type": "yarn"}}, "yarn"),
        ({"num_key_value_heads": 3}, "multiple"),
        ({"head_dim": 7}, "even"),
        ({"vocab_size": 0}, "positive"),
    ],
)
def test_what_is_not_implemented_is_refused_by_name(fields: dict[str, Any], said: str) -> None:
    with pytest.raises(BadWeights, match=said):
        parse_config(PLAIN | fields)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "cannot be read"),
        ("[]", "cannot be read"),
        ("{}", "lacks the field"),
        (json.dumps(PLAIN | {"vocab_size": "many"}), "cannot be read"),
        (json.dumps(PLAIN | {"rope_scaling": {"rope_type": "llama3"}}), "lacks the field 'factor'"),
    ],
)
def test_an_unusable_config_is_one_typed_error_with_its_path(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "config.json").write_text(text)
    with pytest.raises(BadWeights, match=said) as caught:
        read_config(tmp_path)
    assert str(tmp_path) in str(caught.value)


def test_defaults_and_older_spellings() -> None:
    config = parse_config(PLAIN | {"rope_theta": 5.0, "eos_token_id": [3, 5]})
    assert (config.num_key_value_heads, config.head_dim, config.rope_theta) == (4, 16, 5.0)
    assert (config.eos_token_ids, config.rope_scaling) == ((3, 5), ())
    assert parse_config(PLAIN | {"rope_scaling": LLAMA3, "rope_theta": 8.0}).rope_scaling == (
        8.0,
        1.0,
        4.0,
        8192,
    )


def test_float16_shards_and_a_truncated_file(
    tmp_path: Path, tiny_folder: Path, tiny_config: LlamaConfig
) -> None:
    whole = load_file(tiny_folder / "model.safetensors")
    names = sorted(whole)
    for part, members in enumerate((names[::2], names[1::2])):
        half = {name: whole[name].astype(np.float16) for name in members}
        save_file(half, tmp_path / f"model-0000{part + 1}-of-00002.safetensors")
    read, exact = read_weights(tmp_path, tiny_config), read_weights(tiny_folder, tiny_config)
    assert np.allclose(read.layers[1].gate_up, exact.layers[1].gate_up, atol=1e-3)
    path = tmp_path / "model-00002-of-00002.safetensors"
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(BadWeights, match="cannot be read"):
        read_weights(tmp_path, tiny_config)


Q = "model.layers.1.self_attn.q_proj.weight"
GATE = "model.layers.0.mlp.gate_proj.weight"


@pytest.fixture
def tensors(tiny_folder: Path) -> dict[str, np.ndarray]:
    return load_file(tiny_folder / "model.safetensors")


def same(one: Weights, other: Weights, tolerance: float) -> bool:
    pairs = zip(one.layers, other.layers, strict=True)
    return all(
        np.allclose(a, b, rtol=tolerance, atol=tolerance)
        for a, b in [
            (one.embedding, other.embedding),
            (one.head, other.head),
            *((x.query_key_value, y.query_key_value) for x, y in pairs),
        ]
    )


def test_float32_is_read_exactly_and_stacked(
    tiny_folder: Path, tiny_config: LlamaConfig, tensors: dict[str, np.ndarray]
) -> None:
    weights = read_weights(tiny_folder, tiny_config)
    assert np.array_equal(weights.layers[1].query_key_value[: tensors[Q].shape[0]], tensors[Q])
    assert np.array_equal(weights.layers[0].gate_up[: tiny_config.intermediate_size], tensors[GATE])
    assert weights.head is not weights.embedding


def test_bfloat16(
    tmp_path: Path, tiny_folder: Path, tiny_config: LlamaConfig, tensors: dict[str, np.ndarray]
) -> None:
    upper = {name: (value.view(np.uint32) >> 16).astype(np.uint16) for name, value in tensors.items()}
    data = save(upper)  # as U16: only the header has to say otherwise
    size = int.from_bytes(data[:8], "little")
    header = data[8 : 8 + size].replace(b'"U16"', b'"BF16"')
    whole = len(header).to_bytes(8, "little") + header + data[8 + size :]
    (tmp_path / "model.safetensors").write_bytes(whole)
    weights = read_weights(tmp_path, tiny_config)
    assert same(weights, read_weights(tiny_folder, tiny_config), 1e-2)
    assert np.array_equal(weights.embedding.view(np.uint32) >> 16, upper["model.embed_tokens.weight"])


def test_int8_rows_times_their_scale(
    tmp_path: Path, tiny_config: LlamaConfig, tensors: dict[str, np.ndarray]
) -> None:
    scale = (np.abs(tensors[Q]).max(axis=1) / 127).astype(np.float16)
    rounded = np.round(tensors[Q] / scale[:, None].astype(np.float32)).clip(-127, 127).astype(np.int8)
    save_file(tensors | {Q: rounded, f"{Q}.scale": scale}, tmp_path / "model.safetensors")
    read = read_weights(tmp_path, tiny_config).layers[1].query_key_value[: len(rounded)]
    assert np.array_equal(read, rounded.astype(np.float32) * scale.astype(np.float32)[:, None])


def damage(tensors: dict[str, np.ndarray], kind: str) -> dict[str, np.ndarray]:
    match kind:
        case "lacks the tensor":
            return {name: value for name, value in tensors.items() if name != Q}
        case "has shape":
            return tensors | {Q: tensors[Q][:-1].copy()}
        case "one factor a row":
            return tensors | {Q: tensors[Q].astype(np.int8)}
        case "not finite":
            return tensors | {Q: np.full_like(tensors[Q], np.nan)}
        case _:
            return tensors | {Q: tensors[Q].astype(np.float64)}


@pytest.mark.parametrize(
    "kind", ["lacks the tensor", "has shape", "one factor a row", "not finite", "is F64"]
)
def test_a_damaged_tensor_is_named(
    tmp_path: Path, tiny_config: LlamaConfig, tensors: dict[str, np.ndarray], kind: str
) -> None:
    save_file(damage(tensors, kind), tmp_path / "model.safetensors")
    with pytest.raises(BadWeights, match=kind) as caught:
        read_weights(tmp_path, tiny_config)
    assert Q in str(caught.value)
