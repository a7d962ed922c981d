"""Initial values of holes in the network's input, by name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, TypeAlias

import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d, interpolate, pad

from ptheta.config import Entry, OneOf

SWEEPS = 8  # of relaxation, at each size


@dataclass(frozen=True)
class Fill(Entry):
    """start(x, known): images (B, C, H, W) and which pixels are known, (B, 1, H, W) of 0 and 1
        -> what a network is given: x, and something where it is not known
    end(start, out): that and what the network gives -> images
    """

    start: Callable[[Tensor, Tensor], Tensor]
    end: Callable[[Tensor, Tensor], Tensor]


def grey(x: Tensor, known: Tensor) -> Tensor:
    return x * known


def anew(start: Tensor, out: Tensor) -> Tensor:
    return torch.tanh(out)


def smooth(x: Tensor, known: Tensor) -> Tensor:
    """Nearly the harmonic surface through the known pixels, on which each unknown pixel is the mean
    of its four neighbours: from maps of half the size, each relaxed a few times. Grey where nothing
    is known."""
    if x.shape[-2:] == (1, 1):
        return x * known
    weight = avg_pool2d(known, 2, ceil_mode=True, count_include_pad=False)
    total = avg_pool2d(x * known, 2, ceil_mode=True, count_include_pad=False)
    coarse = smooth(total / weight.clamp(min=1e-6), (weight > 0).to(x.dtype))
    wide = interpolate(coarse, x.shape[-2:], mode="bilinear", align_corners=False)
    for _ in range(SWEEPS):
        wide = torch.where(known > 0, x, relaxed(wide))
    return wide


def relaxed(x: Tensor) -> Tensor:
    """The mean of the four neighbours of each pixel, (B, C, H, W); beyond the border as at it."""
    y = pad(x, (1, 1, 1, 1), mode="replicate")
    across, down = y[..., 1:-1, :-2] + y[..., 1:-1, 2:], y[..., :-2, 1:-1] + y[..., 2:, 1:-1]
    return (across + down) / 4


def corrected(start: Tensor, out: Tensor) -> Tensor:
    return start + out


FILLS: dict[str, Fill] = {
    "grey": Fill(grey, anew, about="middle grey; the network predicts the image itself"),
    "smooth": Fill(
        smooth,
        corrected,
        about="a smooth surface through the known pixels; the network predicts a correction",
    ),
}

FillName: TypeAlias = Annotated[str, OneOf(FILLS)]
