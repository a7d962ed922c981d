"""A residual network for vectors with noise."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch.nn.functional as F
from torch import Tensor, nn

from ptheta.compute import streams
from ptheta.nets.diffusion.embedding import faint
from ptheta.nets.modules import Modules


class ResidualLayer(nn.Module):
    """x + linear(dropout(silu(linear(silu(norm(x)) + e)))), e what the embedding adds."""

    def __init__(self, width: int, embedding: int, dropout: float) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.first, self.second = nn.Linear(width, width), nn.Linear(width, width)
        self.of_embedding = nn.Linear(embedding, width)
        self.dropout = streams.Dropout(dropout)

    def forward(self, x: Tensor, embedded: Tensor) -> Tensor:
        h = F.silu(self.first(F.silu(self.norm(x))) + self.of_embedding(embedded))
        out: Tensor = x + self.second(self.dropout(h))
        return out

    if TYPE_CHECKING:

        def __call__(self, x: Tensor, embedded: Tensor) -> Tensor: ...


class VectorNet(nn.Module):
    """(B, dims) and an embedding (B, E) -> (B, dims), nearly 0 at the start."""

    def __init__(self, dims: int, width: int, layers: int, embedding: int, dropout: float) -> None:
        super().__init__()
        self.entry = nn.Linear(dims, width)
        self.layers = Modules([ResidualLayer(width, embedding, dropout) for _ in range(layers)])
        self.norm, self.exit = nn.LayerNorm(width), nn.Linear(width, dims)
        faint(self.exit)

    def forward(self, x: Tensor, embedded: Tensor) -> Tensor:
        h = self.entry(x)
        for layer in self.layers:
            h = layer(h, embedded)
        out: Tensor = self.exit(F.silu(self.norm(h)))
        return out
