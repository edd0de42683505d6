"""A Hugging Face Llama's parameters, fused and placed where they are computed; rows of int8 on request.

Queries, keys and values of a layer become one matrix, gate and up another: fewer, larger products. With
int8 each row r of a matrix W is kept as

    W[r, :] ≈ scale[r] · int8[r, :]        scale[r] = max |W[r, :]| / 127

which halves the memory of bfloat16. Embedding and head stay as they are: their rounding would be heard.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor

from dyntaskmas_nb.errors import BadWeights

KINDS = ("llama", "mistral", "qwen2")
"""Model types with Llama's arithmetic."""

ROTARY = ("default", "llama3", "linear", "yarn")
"""Rotary scalings whose angles depend on the position alone."""

Matrix = tuple[Tensor, Tensor | None, Tensor | None]
"""A weight (out, in), the scales of its rows where it is int8, and a bias."""


class Layer(NamedTuple):
    """One layer's parameters."""

    attention_norm: Tensor
    query_key_value: Matrix
    output: Matrix
    mlp_norm: Tensor
    gate_up: Matrix
    down: Matrix


class Weights(NamedTuple):
    """All of a model's parameters; `cos` and `sin` have a row a position, (positions, head_dim / 2)."""

    embedding: Tensor
    layers: list[Layer]
    norm: Tensor
    head: Tensor
    cos: Tensor
    sin: Tensor


def check(config: Any) -> None:
    """Raise `BadWeights` for a model whose arithmetic is not Llama's."""
    if config.model_type not in KINDS:
        raise BadWeights(
            f"This checkpoint cannot be computed here: its type is {config.model_type!r}, not one of "
            f"{', '.join(KINDS)}. Serve it with vLLM."
        )
    rotary = (getattr(config, "rope_parameters", None) or {}).get("rope_type", "default")
    sliding = getattr(config, "sliding_window", None)
    for problem, found in (
        (f"hidden_act={config.hidden_act!r}, not 'silu'", config.hidden_act != "silu"),
        (f"rope_type={rotary!r}, not one of {', '.join(ROTARY)}", rotary not in ROTARY),
        (f"sliding_window={sliding}; only full attention is computed", bool(sliding)),
    ):
        if found:
            raise BadWeights(f"This checkpoint cannot be computed here: {problem}. Serve it with vLLM.")


def take(
    model: Any, device: Any, dtype: Any, *, positions: int, int8: bool = False, consume: bool = False
) -> Weights:
    """Fuse the parameters of `model` (a `LlamaForCausalLM`) on `device`.

    With `consume` its layers are given up one by one, so that memory holds hardly more than one copy.
    """

    def matrix(*parts: Any) -> Matrix:
        weight = torch.cat([part.weight.detach().to(device, dtype) for part in parts])
        bias = None
        if parts[0].bias is not None:
            bias = torch.cat([part.bias.detach().to(device, dtype) for part in parts])
        if not int8:
            return weight, None, bias
        scale = (weight.abs().amax(1).float() / 127).clamp_min(1e-12)
        return (weight.float() / scale[:, None]).round_().to(torch.int8), scale.to(dtype), bias

    def vector(norm: Any) -> Tensor:
        return norm.weight.detach().to(device, dtype)

    inner = model.model
    config = model.config
    kv, group = config.num_key_value_heads, config.num_attention_heads // config.num_key_value_heads
    layers = []
    for index, layer in enumerate(inner.layers):
        attention, mlp = layer.self_attn, layer.mlp
        layers.append(
            Layer(
                attention_norm=vector(layer.input_layernorm),
                query_key_value=matrix(attention.q_proj, attention.k_proj, attention.v_proj),
                output=_regrouped(matrix(attention.o_proj), kv, group),
                mlp_norm=vector(layer.post_attention_layernorm),
                gate_up=matrix(mlp.gate_proj, mlp.up_proj),
                down=matrix(mlp.down_proj),
            )
        )
        if consume:
            inner.layers[index] = torch.nn.Identity()
    embedding = vector(inner.embed_tokens)
    tied = model.lm_head.weight is inner.embed_tokens.weight
    cos, sin = _rotary(inner.rotary_emb, config, positions)
    return Weights(
        embedding, layers, vector(inner.norm), embedding if tied else vector(model.lm_head),
        cos.to(device), sin.to(device),
    )  # fmt: skip


def _regrouped(matrix: Matrix, kv: int, group: int) -> Matrix:
    """Columns in the order in which attention leaves its results: group by group, not head by head."""
    weight, scale, bias = matrix
    by_head = weight.view(len(weight), kv, group, -1)
    return by_head.transpose(1, 2).reshape(len(weight), -1).contiguous(), scale, bias


def _rotary(module: Any, config: Any, positions: int) -> tuple[Tensor, Tensor]:
    """Cosines and sines of every position's angles, in float32, by transformers' own arithmetic."""
    fresh = type(module)(config)  # the model's own may lie on another device, or never have been filled
    cos, sin = fresh(torch.zeros(1), torch.arange(positions)[None])
    half = cos.shape[-1] // 2  # both halves are alike
    return cos[0, :, :half].contiguous(), sin[0, :, :half].contiguous()
