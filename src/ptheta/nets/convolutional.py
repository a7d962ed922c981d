"""Strided convolutional stacks for any image size: an encoder to a vector, a decoder from one.

The sizes of the feature maps are those of `pyramid`: halved, rounding up, until the smaller side is
at most 7 pixels (28 -> 14 -> 7, 64 -> ... -> 4). On the way up a map is doubled and cropped to the
size that it had on the way down, so any height and width work.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import torch
from torch import Tensor, nn

from ptheta.nets.norms import needs_bias

Size = tuple[int, int]
Norm = Callable[[int, int], nn.Module | None]  # channels, dimensions of the input -> layer


def batch_norm(channels: int, dims: int) -> nn.Module:
    """Normalisation and activation of DCGAN's networks."""
    return nn.BatchNorm2d(channels)


def no_norm(channels: int, dims: int) -> None:
    """Nothing."""


def activated(channels: int, norm: Norm) -> list[nn.Module]:
    """The layers after a decoder map: normalisation, if any, and a ReLU."""
    normed = norm(channels, 4)
    return [*([] if normed is None else [normed]), nn.ReLU(inplace=True)]


def pyramid(height: int, width: int) -> list[Size]:
    """The feature-map sizes from the image down to the smallest map."""
    sizes = [(height, width)]
    while min(sizes[-1]) > 7:
        h, w = sizes[-1]
        sizes.append(((h + 1) // 2, (w + 1) // 2))
    return sizes


class Cropped(nn.Module):
    """Drops the last row or column, where the way down had rounded up."""

    def __init__(self, size: Size) -> None:
        super().__init__()
        self.size = size

    def forward(self, x: Tensor) -> Tensor:
        return x[..., : self.size[0], : self.size[1]]


def down(c_in: int, c_out: int, size: Size, bias: bool) -> nn.Conv2d:
    """Halves a map of this size, rounding up: 4x4 kernels where even, 3x3 where odd."""
    kernel = (4 - size[0] % 2, 4 - size[1] % 2)
    return nn.Conv2d(c_in, c_out, kernel, stride=2, padding=1, bias=bias)


def up(c_in: int, c_out: int, bias: bool, resize: bool) -> list[nn.Module]:
    """Doubles a map."""
    if resize:
        return [nn.Upsample(scale_factor=2), nn.Conv2d(c_in, c_out, 3, padding=1, bias=bias)]
    return [nn.ConvTranspose2d(c_in, c_out, 4, 2, 1, bias=bias)]


def widths_for(levels: int, width: int, most: int = 512) -> list[int]:
    """Channels of each map: `width` at the finest, doubled at each halving up to `most`."""
    return [min(width * 2**i, max(most, width)) for i in range(levels)]


class ConvEncoder(nn.Module):
    """Image (B, C, H, W) -> (B, out). Convolutions of stride 2, each with a nonlinearity."""

    def __init__(
        self,
        channels: int,
        height: int,
        width: int,
        out: int,
        *,
        features: int,
        dcgan: bool,
        norm: Norm = batch_norm,
    ) -> None:
        """features: channels of the largest map. dcgan: leaky ReLU, and `norm` after all but
        the first convolution (Radford et al. 2016, arXiv:1511.06434); else ReLU alone.
        """
        super().__init__()
        sizes = pyramid(height, width)
        counts = [channels, *widths_for(len(sizes) - 1, features)]
        layers: list[nn.Module] = []
        for i, ((a, b), size) in enumerate(zip(pairwise(counts), sizes, strict=False)):
            normed = norm(b, 4) if dcgan and i > 0 else None
            layers.append(down(a, b, size, bias=needs_bias(normed)))
            if normed is not None:
                layers.append(normed)
            layers.append(nn.LeakyReLU(0.2, inplace=True) if dcgan else nn.ReLU(inplace=True))
        self.body = nn.Sequential(*layers)
        h, w = sizes[-1]
        self.width = counts[-1] * h * w  # numbers that the body gives
        self.head = nn.Linear(self.width, out)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.head(self.body(x).flatten(1))
        return out


class ConvDecoder(nn.Module):
    """Code (B, latent) -> map (B, out, H, W). A projection, then doubled maps."""

    def __init__(
        self,
        latent: int,
        height: int,
        width: int,
        out: int,
        *,
        features: int,
        dcgan: bool,
        resize: bool = False,
        norm: Norm = batch_norm,
    ) -> None:
        """features: channels of the last map but one. dcgan: `norm` before each ReLU
        (Radford et al. 2016, arXiv:1511.06434). resize: nearest-neighbour doubling and a 3x3
        convolution in the place of a transposed one, against checkerboards (Odena et al. 2016,
        distill.pub/2016/deconv-checkerboard).
        """
        super().__init__()
        sizes = pyramid(height, width)[::-1]
        counts = [*widths_for(max(1, len(sizes) - 1), features)[::-1], out]
        if len(sizes) == 1:  # too small to halve: one convolution at full size
            counts = [features, out]
        self.start = (counts[0], *sizes[0])
        norm = norm if dcgan else no_norm
        layers = activated(counts[0], norm)
        bias = len(layers) == 1 or needs_bias(layers[0])  # where the norm adds none
        self.project = nn.Linear(latent, counts[0] * sizes[0][0] * sizes[0][1], bias=bias)
        if len(sizes) == 1:
            layers.append(nn.Conv2d(counts[0], out, 3, padding=1))
        for i, (a, b) in enumerate(pairwise(counts[: len(sizes)])):
            last = i == len(sizes) - 2
            layers += up(a, b, last or bias, resize)
            doubled = (2 * sizes[i][0], 2 * sizes[i][1])
            if doubled != sizes[i + 1]:
                layers.append(Cropped(sizes[i + 1]))
            layers += [] if last else activated(b, norm)
        self.body = nn.Sequential(*layers)

    def forward(self, z: Tensor) -> Tensor:
        out: Tensor = self.body(self.project(z).unflatten(1, self.start))
        return out


@torch.no_grad()
def init_dcgan(module: nn.Module) -> None:
    """Weights N(0, 0.02), BatchNorm gains N(1, 0.02): Radford et al. 2016, section 4."""
    for layer in module.modules():
        if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
            nn.init.normal_(layer.weight, 0.0, 0.02)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
        elif isinstance(layer, nn.BatchNorm1d | nn.BatchNorm2d):
            nn.init.normal_(layer.weight, 1.0, 0.02)
            nn.init.zeros_(layer.bias)
