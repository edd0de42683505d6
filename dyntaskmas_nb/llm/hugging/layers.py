"""The arithmetic between two attentions, as functions of tensors: what `torch.compile` makes fast."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from dyntaskmas_nb.llm.hugging.weights import Matrix


def norm(x: Tensor, weight: Tensor, epsilon: float) -> Tensor:
    """RMSNorm of each row, in float32."""
    wide = x.float()
    scaled = wide * torch.rsqrt(wide.pow(2).mean(-1, keepdim=True) + epsilon)
    return weight * scaled.to(x.dtype)


def linear(x: Tensor, matrix: Matrix) -> Tensor:
    """Product with a matrix, of int8 or not."""
    weight, scale, bias = matrix
    if scale is None:
        return functional.linear(x, weight, bias)
    product = functional.linear(x, weight.to(x.dtype)) * scale
    return product if bias is None else product + bias


def before(
    x: Tensor, weight: Tensor, matrix: Matrix, cos: Tensor, sin: Tensor, heads: int, kv: int, epsilon: float
) -> tuple[Tensor, Tensor]:
    """Queries (tokens, kv, group, head_dim), and keys with values (tokens, 2 · kv, head_dim), turned."""
    count, group = x.shape[0], heads // kv
    projected = linear(norm(x, weight, epsilon), matrix).view(count, heads + 2 * kv, -1)
    first, second = projected[:, : heads + kv].float().chunk(2, -1)
    turned = torch.cat((first * cos - second * sin, second * cos + first * sin), -1).to(x.dtype)
    query = turned[:, :heads].reshape(count, kv, group, -1)
    return query, torch.cat((turned[:, heads:], projected[:, heads + kv :]), 1)


def after(
    x: Tensor, mixed: Tensor, output: Matrix, weight: Tensor, gate_up: Matrix, down: Matrix, epsilon: float
) -> Tensor:
    """The rest of a layer, from what attention mixed, (tokens, group · kv · head_dim)."""
    x = x + linear(mixed, output)
    gate, up = linear(norm(x, weight, epsilon), gate_up).chunk(2, -1)
    return x + linear(functional.silu(gate) * up, down)


def mix(query: Tensor, keys: Tensor, values: Tensor, mask: Tensor | None) -> Tensor:
    """Attention of queries (rows, kv, count, head_dim), by kernels that torch chooses."""
    return functional.scaled_dot_product_attention(query, keys, values, attn_mask=mask)


def mix_on_gpu(query: Tensor, keys: Tensor, values: Tensor, mask: Tensor) -> Tensor:
    """The same, by one kernel asked for by name: left to choose, torch may plan anew for every shape."""
    bias = mask.expand(*query.shape[:3], keys.shape[2])
    mixed: Tensor = torch.ops.aten._scaled_dot_product_efficient_attention(query, keys, values, bias, False)[
        0
    ]
    return mixed


def vary(*tensors: Tensor) -> None:
    """Tell the compiler that the number of rows is not always this one."""
    for tensor in tensors:
        torch._dynamo.maybe_mark_dynamic(tensor, 0)
