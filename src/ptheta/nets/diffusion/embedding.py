"""How much noise there is, and what is asked for, as numbers that every layer is given."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from ptheta.nets.modules import Layer

FAINT = 1e-2  # of a layer's usual weights
FASTEST = 1000.0  # of the frequencies, whose slowest is 1: radians over times from 0 to 1


@torch.no_grad()
def faint(layer: nn.Linear | nn.Conv2d) -> None:
    """Brings a layer near 0, so that a block begins as nearly the identity and a network as nearly
    0; not to 0, for nothing before it would learn in the first step."""
    layer.weight.mul_(FAINT)
    if layer.bias is not None:
        layer.bias.zero_()


class TimeEmbedding(Layer):
    """Times in [0, 1], (B,) -> (B, width): sines and cosines of many frequencies (Vaswani et al.
    2017), then two layers."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.waves = max(2, width // 4)
        self.layers = nn.Sequential(
            nn.Linear(2 * self.waves, width), nn.SiLU(), nn.Linear(width, width)
        )

    def forward(self, s: Tensor) -> Tensor:
        powers = torch.linspace(0, math.log(FASTEST), self.waves, dtype=s.dtype, device=s.device)
        angles = s[:, None] * powers.exp()
        out: Tensor = self.layers(torch.cat([angles.sin(), angles.cos()], 1))
        return out
