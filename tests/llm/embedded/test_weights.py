from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save, save_file

from dyntaskmas_nb.errors import BadWeights
from dyntaskmas_nb.llm.embedded.config import LlamaConfig
from dyntaskmas_nb.llm.embedded.weights import Weights, read_weights

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


def test_float16(
    tmp_path: Path, tiny_folder: Path, tiny_config: LlamaConfig, tensors: dict[str, np.ndarray]
) -> None:
    save_file(
        {name: value.astype(np.float16) for name, value in tensors.items()}, tmp_path / "model.safetensors"
    )
    assert same(read_weights(tmp_path, tiny_config), read_weights(tiny_folder, tiny_config), 1e-3)


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


def test_shards_and_their_index(
    tmp_path: Path, tiny_folder: Path, tiny_config: LlamaConfig, tensors: dict[str, np.ndarray]
) -> None:
    names = sorted(tensors)
    parts = {"a.safetensors": names[::2], "b.safetensors": names[1::2]}
    for part, members in parts.items():
        save_file({name: tensors[name] for name in members}, tmp_path / part)
    index = {"weight_map": {name: part for part, members in parts.items() for name in members}}
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps(index))
    assert same(read_weights(tmp_path, tiny_config), read_weights(tiny_folder, tiny_config), 0.0)
    (tmp_path / "b.safetensors").unlink()
    with pytest.raises(BadWeights, match=r"b\.safetensors is missing"):
        read_weights(tmp_path, tiny_config)


@pytest.mark.parametrize("shard", ["../model.safetensors", "/etc/hostname"])
def test_an_index_cannot_name_files_elsewhere(tmp_path: Path, tiny_config: LlamaConfig, shard: str) -> None:
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps({"weight_map": {"x": shard}}))
    with pytest.raises(BadWeights, match="outside"):
        read_weights(tmp_path, tiny_config)


def test_tied_embeddings_are_one_array(tmp_path: Path, tiny_config: LlamaConfig, tiny_folder: Path) -> None:
    from dyntaskmas_nb.llm.embedded.config import parse_config

    raw = json.loads((tiny_folder / "config.json").read_text()) | {"tie_word_embeddings": True}
    weights = read_weights(tiny_folder, parse_config(raw))
    assert weights.head is weights.embedding


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


@pytest.mark.parametrize("cut", [0, 4, 100, -1])
def test_a_truncated_file_is_one_typed_error(
    tmp_path: Path, tiny_folder: Path, tiny_config: LlamaConfig, cut: int
) -> None:
    (tmp_path / "model.safetensors").write_bytes((tiny_folder / "model.safetensors").read_bytes()[:cut])
    with pytest.raises(BadWeights, match="cannot be read"):
        read_weights(tmp_path, tiny_config)
