"""Images as vectors of sub-pixels in an order of their pixels; R, G, B of a pixel stay together."""

from __future__ import annotations

import torch
from torch import Tensor

from ptheta.specs import to_symmetric, to_unit


def flatten(x: Tensor, order: Tensor | None = None) -> Tensor:
    """(B, C, H, W) -> (B, H * W * C), pixels in `order` (raster where None), colours inside."""
    pixels = x.flatten(2).transpose(1, 2)  # (B, H W, C)
    return (pixels if order is None else pixels[:, order]).flatten(1)


def unflatten(out: Tensor, spec_shape: tuple[int, int, int], order: Tensor | None = None) -> Tensor:
    """(B, H * W * C, P) -> (B, P * C, H, W): the inverse for P numbers of each sub-pixel."""
    c, h, w = spec_shape
    pixels = out.view(len(out), h * w, c, -1)
    if order is not None:
        pixels = pixels[:, torch.argsort(order)]
    return pixels.permute(0, 3, 2, 1).reshape(len(out), -1, h, w)


def scaled(x: Tensor, levels: int) -> Tensor:
    """Pixel values (uint8) as the input of a network on vectors: binary ones as 0 and 1, so that a
    pixel that is off adds nothing; more levels as -1 to 1."""
    return to_unit(x) if levels == 2 else to_symmetric(x)
