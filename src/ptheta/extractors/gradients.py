"""Edge features: histograms of oriented gradients, without trained weights."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

SIDE = 32  # larger images are downsampled to this side in pixels
DIRECTIONS, CELLS = 8, 7


def brought(x: Tensor) -> Tensor:
    """uint8 (B, C, H, W) -> floats 0..1; larger images are downsampled to `SIDE` pixels."""
    u = x.float() / 255
    if max(u.shape[2:]) <= SIDE:
        return u
    size = [min(SIDE, side) for side in u.shape[2:]]
    return F.interpolate(u, size, mode="bilinear", antialias=True)


class Gradients:
    """`gradients`: the strength of edges by direction in each of 7x7 cells.

    Histograms of oriented gradients (Dalal & Triggs 2005) with square roots instead of block
    normalisation: C * 392 features. Directions are weighted by the third power of the cosine, so
    that the features change smoothly with the angle of an edge.
    """

    name, classes = "gradients", 0
    digest = f"cos3-{DIRECTIONS}-{CELLS}"
    reads = f"up to {SIDE}x{SIDE}, gradients in {CELLS}x{CELLS} cells"

    def __call__(self, x: Tensor) -> tuple[Tensor, Tensor | None]:
        u = F.pad(brought(x), (1, 1, 1, 1), mode="replicate")
        across = u[:, :, 1:-1, 2:] - u[:, :, 1:-1, :-2]
        down = u[:, :, 2:, 1:-1] - u[:, :, :-2, 1:-1]
        cells = [
            F.adaptive_avg_pool2d(_towards(across, down, 2 * math.pi * k / DIRECTIONS), CELLS)
            for k in range(DIRECTIONS)
        ]
        return torch.cat(cells, 1).flatten(1).sqrt(), None


def _towards(across: Tensor, down: Tensor, angle: float) -> Tensor:
    """|g| cos^3 of the angle between the gradient g and a direction, 0 beyond a right angle."""
    along = (math.cos(angle) * across + math.sin(angle) * down).clamp(min=0)
    length = (across.square() + down.square()).clamp(min=1e-12)
    return along**3 / length
