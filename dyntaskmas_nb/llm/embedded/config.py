"""The shape of a Llama, read from a Hugging Face `config.json`.

Only what the engine computes is accepted: SiLU, no biases, default or "llama3" rotary scaling. Anything
else is refused here, in one sentence, before a weight is read.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from dyntaskmas_nb.errors import BadWeights


@dataclass(frozen=True, slots=True, kw_only=True)
class RopeScaling:
    """Llama 3's rescaling of the rotary frequencies (the fields of `rope_type: "llama3"`)."""

    factor: float
    low_freq_factor: float
    high_freq_factor: float
    original_max_position_embeddings: int


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
    rope_scaling: RopeScaling | None
    tie_word_embeddings: bool
    eos_token_ids: tuple[int, ...]


def read_config(folder: Path) -> LlamaConfig:
    """Read `folder/config.json`.

    Raises
    ------
    BadWeights
        The file is missing, is not JSON, lacks a field, or describes a model that is not implemented.
    """
    path = folder / "config.json"
    try:
        raw = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise BadWeights(
            f"No model in {folder}: config.json is missing. Give the folder of a Llama checkpoint "
            "(config.json, model.safetensors, tokenizer.json)."
        ) from None
    except (OSError, ValueError) as error:
        raise BadWeights(f"{path} cannot be read: {error}. Fetch the checkpoint again.") from error
    if not isinstance(raw, dict):
        raise BadWeights(f"{path} is not a JSON object. Fetch the checkpoint again.")
    try:
        return parse_config(raw)
    except BadWeights as error:
        raise BadWeights(f"{path}: {error}") from error
    except KeyError as error:
        raise BadWeights(f"{path} lacks the field {error}: it is no Llama config.") from error
    except (TypeError, ValueError) as error:
        raise BadWeights(f"{path} has a field of the wrong type: {error}.") from error


def parse_config(raw: Mapping[str, Any]) -> LlamaConfig:
    """Turn the decoded JSON into a `LlamaConfig`; raises `BadWeights` for what is not implemented."""
    _refuse_unimplemented(raw)
    heads = int(raw["num_attention_heads"])
    hidden = int(raw["hidden_size"])
    key_value_heads = int(raw.get("num_key_value_heads") or heads)
    head_dim = int(raw.get("head_dim") or hidden // max(heads, 1))
    theta, scaling = _rope(raw)
    config = LlamaConfig(
        vocab_size=int(raw["vocab_size"]),
        hidden_size=hidden,
        intermediate_size=int(raw["intermediate_size"]),
        num_hidden_layers=int(raw["num_hidden_layers"]),
        num_attention_heads=heads,
        num_key_value_heads=key_value_heads,
        head_dim=head_dim,
        max_position_embeddings=int(raw.get("max_position_embeddings", 2048)),
        rms_norm_eps=float(raw.get("rms_norm_eps", 1e-6)),
        rope_theta=theta,
        rope_scaling=scaling,
        tie_word_embeddings=bool(raw.get("tie_word_embeddings", False)),
        eos_token_ids=_eos(raw.get("eos_token_id")),
    )
    sizes = (config.vocab_size, hidden, config.intermediate_size, config.num_hidden_layers, heads,
             key_value_heads, head_dim, config.max_position_embeddings)  # fmt: skip
    if min(sizes) < 1 or heads % key_value_heads or head_dim % 2:
        raise BadWeights(
            "sizes must be positive, head_dim even, and num_attention_heads a multiple of "
            "num_key_value_heads."
        )
    return config


def _refuse_unimplemented(raw: Mapping[str, Any]) -> None:
    """Raise for what would be computed wrongly."""
    kind = raw.get("model_type", "llama")
    if kind != "llama":
        raise BadWeights(f"model_type {kind!r} is not implemented; only 'llama' is.")
    for name in ("attention_bias", "mlp_bias"):
        if raw.get(name):
            raise BadWeights(f"{name} is not implemented; convert the model without biases.")
    activation = raw.get("hidden_act", "silu")
    if activation != "silu":
        raise BadWeights(f"hidden_act {activation!r} is not implemented; only 'silu' is.")


def _rope(raw: Mapping[str, Any]) -> tuple[float, RopeScaling | None]:
    """Rotary base and scaling, from `rope_parameters` (transformers 5) or the older two fields."""
    fields = cast("Mapping[str, Any]", raw.get("rope_parameters") or raw.get("rope_scaling") or {})
    theta = float(fields.get("rope_theta") or raw.get("rope_theta") or 10_000.0)
    kind = fields.get("rope_type") or fields.get("type") or "default"
    if kind == "default":
        return theta, None
    if kind != "llama3":
        raise BadWeights(f"rope scaling {kind!r} is not implemented; only 'default' and 'llama3' are.")
    scaling = RopeScaling(
        factor=float(fields["factor"]),
        low_freq_factor=float(fields["low_freq_factor"]),
        high_freq_factor=float(fields["high_freq_factor"]),
        original_max_position_embeddings=int(fields["original_max_position_embeddings"]),
    )
    return theta, scaling


def _eos(value: int | list[int] | None) -> tuple[int, ...]:
    """`eos_token_id` as a tuple."""
    if value is None:
        return ()
    return tuple(int(token) for token in value) if isinstance(value, list) else (int(value),)
