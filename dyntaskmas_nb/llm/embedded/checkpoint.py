"""A Llama as files: its shape from `config.json`, its parameters from safetensors, as float32 arrays.

Two layouts of a matrix W: Hugging Face's (F32, F16 or BF16), and the kit's own, int8 under the Hugging Face
name and one float16 factor a row under `<name>.scale`:

    W[r, :] = scale[r] · int8[r, :]

Only what the engine computes is accepted: SiLU, no biases, default or "llama3" rotary scaling.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dyntaskmas_nb.errors import BadWeights

Floats = NDArray[np.float32]
Tensors = Mapping[str, NDArray[np.generic]]

ROPE_SCALING = ("factor", "low_freq_factor", "high_freq_factor", "original_max_position_embeddings")
"""Fields of Llama 3's rescaling of the rotary frequencies (`rope_type: "llama3"`)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LlamaConfig:
    """Sizes and constants of one model, under their Hugging Face names."""

    vocab_size: int
    hidden_size: int
    intermediate_size: int
    num_hidden_layers: int
    num_attention_heads: int
    num_key_value_heads: int
    head_dim: int
    max_position_embeddings: int
    rms_norm_eps: float
    rope_theta: float
    rope_scaling: tuple[float, ...]  # empty, or the values of ROPE_SCALING
    tie_word_embeddings: bool
    eos_token_ids: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Layer:
    """One decoder layer; matrices are (outputs, inputs) as in PyTorch, stacked where they share an input."""

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


def read_config(folder: Path) -> LlamaConfig:
    """Read `folder/config.json`; raises `BadWeights` with its path where it cannot serve."""
    path = folder / "config.json"
    try:
        return parse_config(json.loads(path.read_text(encoding="utf-8")))
    except FileNotFoundError:
        raise BadWeights(
            f"config.json is missing: {folder} is not the folder of a Llama checkpoint."
        ) from None
    except BadWeights as error:
        raise BadWeights(f"{path}: {error}") from error
    except KeyError as error:
        raise BadWeights(f"{path} lacks the field {error}: it is no Llama config.") from error
    except (OSError, ValueError, TypeError, AttributeError) as error:
        raise BadWeights(f"{path} cannot be read: {error}. Fetch the checkpoint again.") from error


def parse_config(raw: Mapping[str, Any]) -> LlamaConfig:
    """Turn the decoded JSON into a `LlamaConfig`; raises `BadWeights` for what is not implemented."""
    # Rotary base and scaling stand in `rope_parameters` since transformers 5, in two fields before.
    rope = raw.get("rope_parameters") or raw.get("rope_scaling") or {}
    kind = rope.get("rope_type") or rope.get("type") or "default"
    for name, value, known in (
        ("model_type", raw.get("model_type", "llama"), ("llama",)),
        ("attention_bias", raw.get("attention_bias", False), (False,)),
        ("mlp_bias", raw.get("mlp_bias", False), (False,)),
        ("hidden_act", raw.get("hidden_act", "silu"), ("silu",)),
        ("rope_type", kind, ("default", "llama3")),
    ):
        if value not in known:
            raise BadWeights(f"{name} {value!r} is not implemented; {' and '.join(map(repr, known))} only.")
    heads, hidden = int(raw["num_attention_heads"]), int(raw["hidden_size"])
    eos = raw.get("eos_token_id")
    config = LlamaConfig(
        vocab_size=int(raw["vocab_size"]),
        hidden_size=hidden,
        intermediate_size=int(raw["intermediate_size"]),
        num_hidden_layers=int(raw["num_hidden_layers"]),
        num_attention_heads=heads,
        num_key_value_heads=int(raw.get("num_key_value_heads") or heads),
        head_dim=int(raw.get("head_dim") or hidden // max(heads, 1)),
        max_position_embeddings=int(raw.get("max_position_embeddings", 2048)),
        rms_norm_eps=float(raw.get("rms_norm_eps", 1e-6)),
        rope_theta=float(rope.get("rope_theta") or raw.get("rope_theta") or 10_000.0),
        rope_scaling=tuple(float(rope[name]) for name in ROPE_SCALING) if kind == "llama3" else (),
        tie_word_embeddings=bool(raw.get("tie_word_embeddings", False)),
        eos_token_ids=tuple(eos) if isinstance(eos, list) else () if eos is None else (int(eos),),
    )
    sizes = [value for value in astuple(config) if isinstance(value, int) and not isinstance(value, bool)]
    if min(sizes) < 1 or heads % config.num_key_value_heads or config.head_dim % 2:
        raise BadWeights(
            "sizes must be positive, head_dim even, num_attention_heads a multiple of num_key_value_heads."
        )
    return config


def read_weights(folder: Path, config: LlamaConfig) -> Weights:
    """Read the parameters from `model.safetensors`, or its shards `model-*.safetensors`, in `folder`.

    Raises `BadWeights` for a file or tensor that is missing, damaged or not of the shape `config` says.
    """
    tensors: dict[str, NDArray[np.generic]] = {}
    for path in sorted(folder.glob("model*.safetensors")):
        tensors |= _read_file(path)
    if not tensors:
        raise BadWeights(f"No model.safetensors in {folder}. Give the folder of a complete checkpoint.")
    hidden, inner = config.hidden_size, config.intermediate_size
    queries = config.num_attention_heads * config.head_dim
    keys = config.num_key_value_heads * config.head_dim

    def layer(index: int) -> Layer:
        def take(name: str, *shape: int) -> Floats:
            return _take(tensors, f"model.layers.{index}.{name}.weight", *shape)

        query = take("self_attn.q_proj", queries, hidden)
        key = take("self_attn.k_proj", keys, hidden)
        value = take("self_attn.v_proj", keys, hidden)
        gate, up = take("mlp.gate_proj", inner, hidden), take("mlp.up_proj", inner, hidden)
        return Layer(
            attention_norm=take("input_layernorm", hidden),
            query_key_value=np.concatenate([query, key, value]),
            output=take("self_attn.o_proj", hidden, queries),
            mlp_norm=take("post_attention_layernorm", hidden),
            gate_up=np.concatenate([gate, up]),
            down=take("mlp.down_proj", hidden, inner),
        )

    embedding = _take(tensors, "model.embed_tokens.weight", config.vocab_size, hidden)
    tied = config.tie_word_embeddings
    return Weights(
        embedding=embedding,
        layers=tuple(layer(index) for index in range(config.num_hidden_layers)),
        norm=_take(tensors, "model.norm.weight", hidden),
        head=embedding if tied else _take(tensors, "lm_head.weight", config.vocab_size, hidden),
    )


def _take(tensors: Tensors, name: str, *shape: int) -> Floats:
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


_DTYPES = {"F32": "<f4", "F16": "<f2", "I8": "i1", "BF16": "<u2"}


def _read_file(path: Path) -> dict[str, NDArray[np.generic]]:
    """The tensors of one safetensors file; BF16 (which NumPy lacks) becomes float32."""
    from safetensors import SafetensorError, deserialize

    try:
        entries = deserialize(path.read_bytes())  # type: ignore[no-untyped-call]
    except (OSError, SafetensorError) as error:
        raise BadWeights(f"{path} cannot be read: {error}. Fetch the checkpoint again.") from error
    tensors = {}
    for name, entry in entries:
        kind = entry["dtype"]
        if kind not in _DTYPES:
            raise BadWeights(f"{path}: tensor {name} is {kind}; only {', '.join(_DTYPES)} are read.")
        flat = np.frombuffer(entry["data"], dtype=_DTYPES[kind])
        if kind == "BF16":  # the upper half of a float32
            flat = (flat.astype(np.uint32) << 16).view(np.float32)
        tensors[name] = flat.reshape(entry["shape"])
    return tensors
