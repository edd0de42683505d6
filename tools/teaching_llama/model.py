"""A Llama in plain PyTorch, with Hugging Face's names and layout, for training and batched greedy decoding.

RMSNorm, rotary positions (rotate-half), grouped-query attention, SwiGLU, tied embedding:
Touvron et al., arXiv:2302.13971; Su et al., arXiv:2104.09864; Ainslie et al., arXiv:2305.13245.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional


@dataclass(frozen=True, slots=True)
class Shape:
    """Sizes of the model."""

    vocab: int = 3072
    hidden: int = 320
    layers: int = 6
    heads: int = 10
    kv_heads: int = 5
    inner: int = 880
    positions: int = 1024
    theta: float = 10_000.0
    eps: float = 1e-5

    @property
    def head(self) -> int:
        return self.hidden // self.heads


def rotary(shape: Shape, length: int) -> tuple[Tensor, Tensor]:
    """Return cos and sin, each [length, head]."""
    inverse = shape.theta ** (-torch.arange(0, shape.head, 2).float() / shape.head)
    angle = torch.outer(torch.arange(length).float(), inverse)
    angle = torch.cat((angle, angle), dim=-1)
    return angle.cos(), angle.sin()


def rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    a, b = x.chunk(2, dim=-1)
    return x * cos + torch.cat((-b, a), dim=-1) * sin


class Attention(nn.Module):
    def __init__(self, s: Shape) -> None:
        super().__init__()
        self.s = s
        self.q_proj = nn.Linear(s.hidden, s.hidden, bias=False)
        self.k_proj = nn.Linear(s.hidden, s.kv_heads * s.head, bias=False)
        self.v_proj = nn.Linear(s.hidden, s.kv_heads * s.head, bias=False)
        self.o_proj = nn.Linear(s.hidden, s.hidden, bias=False)

    def forward(
        self, x: Tensor, cos: Tensor, sin: Tensor, past: list[Tensor] | None, mask: Tensor | None
    ) -> Tensor:
        b, n, _ = x.shape
        s = self.s
        q = rotate(self.q_proj(x).view(b, n, s.heads, s.head).transpose(1, 2), cos, sin).to(x.dtype)
        k = rotate(self.k_proj(x).view(b, n, s.kv_heads, s.head).transpose(1, 2), cos, sin).to(x.dtype)
        v = self.v_proj(x).view(b, n, s.kv_heads, s.head).transpose(1, 2).to(x.dtype)
        if past is not None:
            if past:
                k, v = torch.cat((past[0], k), 2), torch.cat((past[1], v), 2)
            past[:] = [k, v]
        group = s.heads // s.kv_heads
        k, v = k.repeat_interleave(group, 1), v.repeat_interleave(group, 1)
        if mask is None and x.is_cuda:
            y = functional.scaled_dot_product_attention(q, k, v, is_causal=True)
        else:  # written out: on CPUs this beats the fused backward
            score = q @ k.transpose(-1, -2) * s.head**-0.5
            if mask is None:
                mask = torch.ones(n, n, dtype=torch.bool).tril()
            y = score.float().masked_fill(~mask, -1e9).softmax(-1).to(v.dtype) @ v
        return self.o_proj(y.transpose(1, 2).reshape(b, n, s.hidden))


class MLP(nn.Module):
    def __init__(self, s: Shape) -> None:
        super().__init__()
        self.gate_proj = nn.Linear(s.hidden, s.inner, bias=False)
        self.up_proj = nn.Linear(s.hidden, s.inner, bias=False)
        self.down_proj = nn.Linear(s.inner, s.hidden, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return self.down_proj(functional.silu(self.gate_proj(x)) * self.up_proj(x))


class Layer(nn.Module):
    def __init__(self, s: Shape, dropout: float) -> None:
        super().__init__()
        self.dropout = dropout
        self.input_layernorm = nn.RMSNorm(s.hidden, eps=s.eps)
        self.self_attn = Attention(s)
        self.post_attention_layernorm = nn.RMSNorm(s.hidden, eps=s.eps)
        self.mlp = MLP(s)

    def forward(
        self, x: Tensor, cos: Tensor, sin: Tensor, past: list[Tensor] | None, mask: Tensor | None
    ) -> Tensor:
        x = x + self.dropped(self.self_attn(self.input_layernorm(x), cos, sin, past, mask))
        return x + self.dropped(self.mlp(self.post_attention_layernorm(x)))

    def dropped(self, branch: Tensor) -> Tensor:
        return functional.dropout(branch, self.dropout) if self.dropout and self.training else branch


class Body(nn.Module):
    def __init__(self, s: Shape, dropout: float) -> None:
        super().__init__()
        self.embed_tokens = nn.Embedding(s.vocab, s.hidden)
        self.layers = nn.ModuleList(Layer(s, dropout) for _ in range(s.layers))
        self.norm = nn.RMSNorm(s.hidden, eps=s.eps)


class Llama(nn.Module):
    """The language model; `state_dict()` has Hugging Face's names. Only training drops parts of its branches."""

    def __init__(self, s: Shape, dropout: float = 0.0) -> None:
        super().__init__()
        self.s = s
        self.model = Body(s, dropout)
        cos, sin = rotary(s, s.positions)
        self.register_buffer("cos", cos, persistent=False)
        self.register_buffer("sin", sin, persistent=False)
        for name, p in self.named_parameters():
            if p.ndim == 2:
                scale = (
                    0.02 / (2 * s.layers) ** 0.5
                    if name.endswith(("o_proj.weight", "down_proj.weight"))
                    else 0.02
                )
                nn.init.normal_(p, std=scale)

    def hidden(
        self, ids: Tensor, past: list[list[Tensor]] | None = None, mask: Tensor | None = None, start: int = 0
    ) -> Tensor:
        """Return the last hidden states [batch, length, hidden]; `past` caches keys and values by layer."""
        x = self.model.embed_tokens(ids)
        cos, sin = self.cos[start : start + ids.shape[1]], self.sin[start : start + ids.shape[1]]
        for i, layer in enumerate(self.model.layers):
            x = layer(x, cos, sin, None if past is None else past[i], mask)
        return self.model.norm(x)

    def logits(self, hidden: Tensor) -> Tensor:
        return functional.linear(hidden, self.model.embed_tokens.weight)

    @torch.no_grad()
    def greedy(self, prompts: list[list[int]], end: int, limit: int = 560) -> list[list[int]]:
        """Continue each prompt until `end`.

        Prompts are padded on the left and the padding masked; rotary positions are relative, so the shift
        does not matter.
        """
        width = max(map(len, prompts))
        limit = min(limit, self.s.positions - width)
        ids = torch.tensor([[0] * (width - len(p)) + p for p in prompts])
        real = torch.tensor([[False] * (width - len(p)) + [True] * len(p) for p in prompts])
        causal = torch.ones(width, width, dtype=torch.bool).tril()
        mask = causal[None, None] & real[:, None, None, :] | torch.eye(width, dtype=torch.bool)
        past: list[list[Tensor]] = [[] for _ in self.model.layers]
        state, out = self.hidden(ids, past, mask), [[] for _ in prompts]
        open_rows = set(range(len(prompts)))
        for step in range(limit):
            token = self.logits(state[:, -1]).argmax(-1)
            for row in list(open_rows):
                if token[row] == end:
                    open_rows.discard(row)
                else:
                    out[row].append(int(token[row]))
            if not open_rows:
                break
            real = torch.cat((real, torch.ones(len(prompts), 1, dtype=torch.bool)), 1)
            state = self.hidden(token[:, None], past, real[:, None, None, :], start=width + step)
        return out
