"""Differentiable augmentation of real and fake inputs of a discriminator (DiffAugment, Zhao
et al. 2020, arXiv:2006.10738). Images are floats (B, C, H, W) in [-1, 1]; each has its own draw."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import pad

from ptheta.compute import streams
from ptheta.config import Entry
from ptheta.specs import DataSpec, ImageSpec


def color(x: Tensor) -> Tensor:
    """Brightness +-0.5, saturation 0 to 2, contrast 0.5 to 1.5."""
    drawn = streams.uniform(3 * len(x), device=x.device)
    brightness, saturation, contrast = drawn.view(3, -1, 1, 1, 1)
    x = x + (brightness - 0.5)
    grey = x.mean(1, keepdim=True)
    x = torch.lerp(grey, x, 2 * saturation)
    mean = x.mean((1, 2, 3), keepdim=True)
    return torch.lerp(mean, x, contrast + 0.5)


def translation(x: Tensor) -> Tensor:
    """Shifted by up to an eighth of the side each way; what comes in is 0."""
    b, c, h, w = x.shape
    up, left = (h + 4) // 8, (w + 4) // 8
    rows = streams.integers(0, 2 * up + 1, b, 1, device=x.device) + torch.arange(h, device=x.device)
    cols = streams.integers(0, 2 * left + 1, b, 1, device=x.device) + torch.arange(
        w, device=x.device
    )
    x = pad(x, (left, left, up, up))
    x = x.gather(2, rows[:, None, :, None].expand(b, c, h, x.shape[3]))
    return x.gather(3, cols[:, None, None, :].expand(b, c, h, w))


def cutout(x: Tensor) -> Tensor:
    """A rectangle of half the side, partly outside perhaps, is 0."""
    b, _, h, w = x.shape
    high, wide = (h + 1) // 2, (w + 1) // 2
    top = streams.integers(0, h + 1, b, 1, device=x.device) - high // 2
    left = streams.integers(0, w + 1, b, 1, device=x.device) - wide // 2
    row, col = torch.arange(h, device=x.device) - top, torch.arange(w, device=x.device) - left
    hole = ((row >= 0) & (row < high))[:, :, None] & ((col >= 0) & (col < wide))[:, None]
    return x.masked_fill(hole[:, None], 0.0)


@dataclass(frozen=True)
class Augmentation(Entry):
    """apply: scaled examples -> examples of the same shape, linear in each
    specs: the types of spec that it is of
    """

    apply: Callable[[Tensor], Tensor]
    specs: tuple[type[DataSpec], ...] = (ImageSpec,)


AUGMENTATIONS: dict[str, Augmentation] = {
    "color": Augmentation(color, about="brightness, saturation and contrast"),
    "translation": Augmentation(translation, about="shifts by up to an eighth of the side"),
    "cutout": Augmentation(cutout, about="sets a rectangle of half the side to 0"),
}
