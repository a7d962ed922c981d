"""A generator that fills holes: residual blocks of dilated convolutions on a small map, which is
enlarged by interpolation, not by transposed convolutions (Demir & Unal 2018, arXiv:1803.07422)."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate, pad, relu

from ptheta.nets.modules import Layer, Modules, Stack
from ptheta.nets.norms import needs_bias, normalisation

NEAR_ZERO = 0.01  # of the weights that the last convolution would begin with
KERNEL = 5  # side of the first convolution and of the last, pixels


@dataclass(frozen=True)
class DilatedOptions:
    """features: channels of the largest map, doubled at each halving
    halvings: how often a map is halved
    dilations: of the residual blocks, in turn; norm: a name of `NORMS`
    skips: whether the maps of each size on the way down are added on the way up
    """

    features: int = 16
    halvings: int = 2
    dilations: tuple[int, ...] = (1, 2, 4, 8)
    norm: str = "none"
    skips: bool = True

    @property
    def reach(self) -> int:
        """How far an output pixel sees at most, pixels: without norms of whole maps."""
        small = 1 << self.halvings
        # the ends; convolutions on the way down and up, and what interpolation looks beside;
        # blocks of one dilated and one plain convolution
        ends = 2 * (KERNEL // 2)
        between = sum(4 << i for i in range(self.halvings + 1))
        return ends + between + small * sum(d + 1 for d in self.dilations)


def convolved(c_in: int, c_out: int, norm: str, *, stride: int = 1, dilation: int = 1) -> Stack:
    """A 3x3 convolution and its norm; what is beyond the border is 0."""
    made = normalisation(norm, c_out, 4)
    layer = nn.Conv2d(c_in, c_out, 3, stride, dilation, dilation, bias=needs_bias(made))
    return Stack(layer, *([] if made is None else [made]))


class DilatedBlock(Layer):
    """x + f(x), f of a dilated and of a plain convolution: (B, C, H, W)."""

    def __init__(self, channels: int, dilation: int, norm: str) -> None:
        super().__init__()
        self.wide = convolved(channels, channels, norm, dilation=dilation)
        self.narrow = convolved(channels, channels, norm)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.narrow(relu(self.wide(relu(x))))


class DilatedGenerator(Layer):
    """Planes (B, C, H, W) of any height and width -> (B, out, H, W), no end.

    Around an image all planes are 0, which a plane of known pixels reads as unknown ones. What is
    missing to a multiple is added below and to the right, so that parts of an image that begin at a
    multiple give what the image gives.
    """

    def __init__(self, channels: int, out: int, options: DilatedOptions) -> None:
        super().__init__()
        widths = [options.features * 2**i for i in range(options.halvings + 1)]
        down, norm = list(pairwise(widths)), options.norm
        self.multiple, self.skips = 2**options.halvings, options.skips
        self.first = nn.Conv2d(channels, widths[0], KERNEL, padding=KERNEL // 2)
        self.down = Modules(convolved(a, b, norm, stride=2) for a, b in down)
        self.blocks = Stack(*(DilatedBlock(widths[-1], d, norm) for d in options.dilations))
        self.up = Modules(convolved(b, a, norm) for a, b in reversed(down))
        self.last = nn.Conv2d(widths[0], out, KERNEL, padding=KERNEL // 2)
        with torch.no_grad():  # it begins with about what stands in the hole
            self.last.weight.mul_(NEAR_ZERO)

    def forward(self, x: Tensor) -> Tensor:
        height, width = x.shape[2:]
        h: Tensor = self.first(pad(x, (0, -width % self.multiple, 0, -height % self.multiple)))
        maps = []
        for layer in self.down:
            maps.append(h)
            h = layer(relu(h))
        h = self.blocks(h)
        for layer, skip in zip(self.up, reversed(maps), strict=True):
            h = layer(relu(interpolate(h, scale_factor=2, mode="bilinear", align_corners=False)))
            h = h + skip if self.skips else h
        out: Tensor = self.last(relu(h))
        return out[..., :height, :width]
