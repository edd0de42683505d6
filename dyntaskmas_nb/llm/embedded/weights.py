"""The parameters of a Llama, read from safetensors into float32 arrays.

Two layouts: Hugging Face (F32, F16 or BF16, one file or a sharded index), and the kit's own, where a
matrix is int8 under its Hugging Face name and `<name>.scale` holds one float16 factor a row:

    W[r, :] = scale[r] · int8[r, :]

Queries, keys and values are stacked into one matrix, and so are gate and up, so that a layer takes four
matrix products.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import numpy as np
from numpy.typing import NDArray

from dyntaskmas_nb.errors import BadWeights
from dyntaskmas_nb.llm.embedded.config import LlamaConfig

Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True, kw_only=True)
class Layer:
    """One decoder layer; matrices are (outputs, inputs) as in PyTorch."""

    attention_norm: Floats
    query_key_value: Floats
    output: Floats
    mlp_norm: Floats
    gate_up: Floats
    down: Floats


@dataclass(frozen=True, slots=True, kw_only=True)
class Weights:
    """All parameters; `head` is `embedding` itself where the config ties them."""

    embedding: Floats
    layers: tuple[Layer, ...]
    norm: Floats
    head: Floats


def read_weights(folder: Path, config: LlamaConfig) -> Weights:
    """Read the checkpoint in `folder`.

    Raises
    ------
    BadWeights
        A file or tensor is missing or damaged, or its shape is not what `config` says.
    """
    return assemble(_read_tensors(folder), config)


def assemble(tensors: Mapping[str, NDArray[np.generic]], config: LlamaConfig) -> Weights:
    """Name, check, dequantise and stack the tensors of a checkpoint; raises `BadWeights`."""
    hidden, inner = config.hidden_size, config.intermediate_size
    queries = config.num_attention_heads * config.head_dim
    keys = config.num_key_value_heads * config.head_dim

    def take(name: str, *shape: int) -> Floats:
        return _take(tensors, name, shape)

    def layer(index: int) -> Layer:
        at = f"model.layers.{index}."
        return Layer(
            attention_norm=take(f"{at}input_layernorm.weight", hidden),
            query_key_value=np.concatenate(
                [
                    take(f"{at}self_attn.q_proj.weight", queries, hidden),
                    take(f"{at}self_attn.k_proj.weight", keys, hidden),
                    take(f"{at}self_attn.v_proj.weight", keys, hidden),
                ]
            ),
            output=take(f"{at}self_attn.o_proj.weight", hidden, queries),
            mlp_norm=take(f"{at}post_attention_layernorm.weight", hidden),
            gate_up=np.concatenate(
                [
                    take(f"{at}mlp.gate_proj.weight", inner, hidden),
                    take(f"{at}mlp.up_proj.weight", inner, hidden),
                ]
            ),
            down=take(f"{at}mlp.down_proj.weight", hidden, inner),
        )

    embedding = take("model.embed_tokens.weight", config.vocab_size, hidden)
    return Weights(
        embedding=embedding,
        layers=tuple(layer(index) for index in range(config.num_hidden_layers)),
        norm=take("model.norm.weight", hidden),
        head=embedding if config.tie_word_embeddings else take("lm_head.weight", config.vocab_size, hidden),
    )


def _take(tensors: Mapping[str, NDArray[np.generic]], name: str, shape: tuple[int, ...]) -> Floats:
    """One parameter as contiguous float32."""
    raw = tensors.get(name)
    if raw is None:
        raise BadWeights(f"The checkpoint lacks the tensor {name}: it does not match its config.json.")
    if raw.shape != shape:
        raise BadWeights(f"The tensor {name} has shape {raw.shape}, but config.json says {shape}.")
    value = np.ascontiguousarray(raw, dtype=np.float32)
    if raw.dtype == np.int8:
        scale = tensors.get(f"{name}.scale")
        if scale is None or scale.shape != shape[:1]:
            raise BadWeights(f"The int8 tensor {name} needs {name}.scale with one factor a row.")
        value *= np.asarray(scale, dtype=np.float32)[:, None]
    if not np.isfinite(value).all():
        raise BadWeights(f"The tensor {name} holds numbers that are not finite: the checkpoint is damaged.")
    return value


def _read_tensors(folder: Path) -> dict[str, NDArray[np.generic]]:
    """Every tensor of `model.safetensors`, or of the shards its index names."""
    index = folder / "model.safetensors.index.json"
    names = ["model.safetensors"]
    if not (folder / names[0]).exists() and index.exists():
        try:
            names = sorted(set(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values()))
        except (OSError, ValueError, LookupError, AttributeError, TypeError) as error:
            raise BadWeights(f"{index} cannot be read ({error!r}). Fetch the checkpoint again.") from error
    tensors: dict[str, NDArray[np.generic]] = {}
    for name in names:
        if Path(name).name != name:
            raise BadWeights(f"{index} names the shard {name!r}, which lies outside the checkpoint's folder.")
        tensors.update(_read_file(folder / name))
    return tensors


def _read_file(path: Path) -> dict[str, NDArray[np.generic]]:
    """The tensors of one safetensors file; BF16 (which NumPy lacks) becomes float32."""
    from safetensors import SafetensorError, deserialize

    try:
        entries = deserialize(path.read_bytes())  # type: ignore[no-untyped-call]
    except FileNotFoundError:
        raise BadWeights(
            f"No weights: {path} is missing. Give the folder of a complete checkpoint."
        ) from None
    except (OSError, SafetensorError) as error:
        raise BadWeights(f"{path} cannot be read: {error}. Fetch the checkpoint again.") from error
    return {name: _array(path, name, entry) for name, entry in entries}


_DTYPES = {"F32": "<f4", "F16": "<f2", "I8": "i1", "BF16": "<u2"}


def _array(path: Path, name: str, entry: Mapping[str, object]) -> NDArray[np.generic]:
    """Decode one entry of a safetensors file."""
    kind = str(entry["dtype"])
    if kind not in _DTYPES:
        raise BadWeights(f"{path}: tensor {name} is {kind}; only {', '.join(_DTYPES)} are read.")
    flat = np.frombuffer(cast("bytes", entry["data"]), dtype=np.dtype(_DTYPES[kind]))
    if kind == "BF16":  # the upper half of a float32
        flat = (flat.astype(np.uint32) << 16).view(np.float32)
    return flat.reshape(cast("list[int]", entry["shape"]))
