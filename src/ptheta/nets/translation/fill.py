"""What stands in a hole before a network has completed it, by name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, TypeAlias

import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d, interpolate

from ptheta.config import Entry, OneOf


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
    """Means of known pixels over squares of 2, 4, 8, ... pixels, each place from the smallest that
    holds some; without any, grey."""
    if x.shape[-2:] == (1, 1):
        return x * known
    weight = avg_pool2d(known, 2, ceil_mode=True, count_include_pad=False)
    total = avg_pool2d(x * known, 2, ceil_mode=True, count_include_pad=False)
    there = (weight > 0).to(x.dtype)
    coarse = smooth(total / weight.clamp(min=1e-6), there)
    wide = interpolate(coarse, x.shape[-2:], mode="bilinear", align_corners=False)
    return torch.where(known > 0, x, wide)


def corrected(start: Tensor, out: Tensor) -> Tensor:
    return start + out


FILLS: dict[str, Fill] = {
    "grey": Fill(grey, anew, about="middle grey, and the network gives the image itself"),
    "smooth": Fill(
        smooth,
        corrected,
        about="means of the nearest known pixels, of which the network gives the correction",
    ),
}

FillName: TypeAlias = Annotated[str, OneOf(FILLS)]
