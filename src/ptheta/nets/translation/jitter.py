"""Changes of training images that leave what they show as it is: each image has its own draw.
Images are floats (B, C, H, W) in [-1, 1]."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, TypeAlias

import torch
from torch import Tensor
from torch.nn.functional import interpolate, pad

from ptheta.compute import streams
from ptheta.config import Entry, OneOf

ENLARGED = 286 / 256  # Isola et al. 2017, appendix 6.2 (arXiv:1611.07004)


def flip(x: Tensor) -> Tensor:
    """Left and right exchanged, of every second image."""
    turned = streams.uniform(len(x), 1, 1, 1, device=x.device) < 0.5
    return torch.where(turned, x.flip(3), x)


def crop(x: Tensor) -> Tensor:
    """Enlarged from 256 pixels to 286, and a piece of the size that it had."""
    height, width = x.shape[2:]
    size = [round(height * ENLARGED), round(width * ENLARGED)]
    return _pieces(interpolate(x, size, mode="bilinear", antialias=True), height, width)


def shift(x: Tensor) -> Tensor:
    """Shifted by up to a sixteenth of the side each way; the border is repeated."""
    height, width = x.shape[2:]
    up, left = (height + 8) // 16, (width + 8) // 16
    return _pieces(pad(x, (left, left, up, up), mode="replicate"), height, width)


def _pieces(x: Tensor, height: int, width: int) -> Tensor:
    """A piece of this size of each image, anywhere in it."""
    b, c, h, w = x.shape
    top = streams.integers(0, h - height + 1, b, 1, device=x.device)
    left = streams.integers(0, w - width + 1, b, 1, device=x.device)
    rows = top + torch.arange(height, device=x.device)
    columns = left + torch.arange(width, device=x.device)
    x = x.gather(2, rows[:, None, :, None].expand(b, c, height, w))
    return x.gather(3, columns[:, None, None, :].expand(b, c, height, width))


@dataclass(frozen=True)
class Jitter(Entry):
    """apply: scaled images -> images of the same shape"""

    apply: Callable[[Tensor], Tensor]


JITTERS: dict[str, Jitter] = {
    "flip": Jitter(flip, about="left and right exchanged, of every second image"),
    "crop": Jitter(crop, about="enlarged by 30 in 256, and a piece of it"),
    "shift": Jitter(shift, about="shifted by up to a sixteenth of the side"),
}

JitterName: TypeAlias = Annotated[str, OneOf(JITTERS)]
