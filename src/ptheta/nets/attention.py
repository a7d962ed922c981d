"""A layer of self-attention and an MLP, each with a layer norm before it (Radford et al. 2019)."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn


class AttentionLayer(nn.Module):
    """x + attention(norm x), then x + mlp(norm x): (B, T, E) -> (B, T, E)."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv, self.proj = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.up, self.down = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

    def heads_of(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """(B, T, E) -> query, key, value, each (B, heads, T, E / heads)"""
        q, k, v = self.qkv(self.norm1(x)).unflatten(-1, (3, self.heads, -1)).unbind(2)
        return q.transpose(1, 2), k.transpose(1, 2), v.transpose(1, 2)

    def after(self, x: Tensor, attended: Tensor) -> Tensor:
        """The rest of the layer: attended (B, heads, T, E / heads)."""
        x = x + self.proj(attended.transpose(1, 2).flatten(2))
        h: Tensor = self.down(F.gelu(self.up(self.norm2(x))))
        return x + h

    def forward(self, x: Tensor, seen: Tensor | None = None) -> Tensor:
        """seen: which tokens the others see, bool (B, 1, 1, T); without it each sees those up to
        itself."""
        q, k, v = self.heads_of(x)
        causal = seen is None
        attended = F.scaled_dot_product_attention(q, k, v, attn_mask=seen, is_causal=causal)
        return self.after(x, attended)
