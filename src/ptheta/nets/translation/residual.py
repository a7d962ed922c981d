"""A generator from image to image of residual blocks (Johnson et al. 2016, arXiv:1603.08155), as
CycleGAN has it (Zhu et al. 2017, arXiv:1703.10593, appendix 7.2)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from torch import Tensor, nn

from ptheta.nets.modules import Layer, Stack
from ptheta.nets.norms import needs_bias, normalisation
from ptheta.nets.translation.padding import cropped, reflected, to_least, to_multiple
from ptheta.nets.translation.unet import with_code

HALVINGS = 2
LEAST_SIDE = 8  # pixels: of its smallest map 2 are left, which can be mirrored


@dataclass(frozen=True)
class ResidualOptions:
    """features: channels of the largest map, doubled at each of the two halvings
    blocks: residual blocks, on the smallest map
    norm: a name of `NORMS`
    latent: dimensions of a code, concatenated as planes with the image
    resize: maps are enlarged by copying pixels, then convolved; else by transposed convolutions
    kernel: odd side of the first convolution and of the last, pixels
    """

    features: int = 64
    blocks: int = 9
    norm: str = "instance"
    latent: int = 0
    resize: bool = False
    kernel: int = 7


class ResidualBlock(Layer):
    """x + f(x), with two convolutions that see mirror images at the border: (B, C, H, W)."""

    def __init__(self, channels: int, norm: str) -> None:
        super().__init__()
        self.body = nn.Sequential(
            *same(channels, channels, 3, norm), *same(channels, channels, 3, norm)[:-1]
        )

    def forward(self, x: Tensor) -> Tensor:
        h: Tensor = self.body(x)
        return x + h


class ResidualGenerator(nn.Module):
    """Images (B, C, H, W) of any height and width, and codes (B, L) -> (B, out, H, W), no end.

    channels, out: of the input and of the output
    """

    if TYPE_CHECKING:

        def __call__(self, x: Tensor, z: Tensor | None = None) -> Tensor: ...

    def __init__(self, channels: int, out: int, options: ResidualOptions) -> None:
        super().__init__()
        norm, f = options.norm, options.features
        widths = [f * 2**i for i in range(HALVINGS + 1)]
        layers = same(channels + options.latent, f, options.kernel, norm)
        for a in widths[:-1]:
            layers += halved(a, 2 * a, norm)
        layers += [ResidualBlock(widths[-1], norm) for _ in range(options.blocks)]
        for a in reversed(widths[:-1]):
            layers += doubled(2 * a, a, norm, options.resize)
        self.layers = Stack(*layers, mirrored(f, out, options.kernel, bias=True))

    def forward(self, x: Tensor, z: Tensor | None = None) -> Tensor:
        small = to_least(x.shape[2:], LEAST_SIDE)
        x = reflected(x, small)
        margins = to_multiple(x.shape[2:], 2**HALVINGS)
        h = self.layers(with_code(reflected(x, margins), z))
        return cropped(cropped(h, margins), small)


def mirrored(c_in: int, c_out: int, kernel: int, bias: bool) -> nn.Conv2d:
    """A convolution that keeps the size, with mirror images at the border."""
    return nn.Conv2d(c_in, c_out, kernel, padding=kernel // 2, padding_mode="reflect", bias=bias)


def normed(make: Callable[[bool], nn.Module], channels: int, norm: str) -> list[nn.Module]:
    """A convolution to so many channels, its norm and a ReLU. make: makes it, with a bias or not"""
    made = normalisation(norm, channels, 4)
    return [make(needs_bias(made)), *([] if made is None else [made]), nn.ReLU(inplace=True)]


def same(c_in: int, c_out: int, kernel: int, norm: str) -> list[nn.Module]:
    """A convolution that keeps the size, its norm and a ReLU."""
    return normed(partial(mirrored, c_in, c_out, kernel), c_out, norm)


def halved(c_in: int, c_out: int, norm: str) -> list[nn.Module]:
    """A convolution to a map of half the size, its norm and a ReLU."""
    return normed(lambda bias: nn.Conv2d(c_in, c_out, 3, 2, 1, bias=bias), c_out, norm)


def doubled(c_in: int, c_out: int, norm: str, resize: bool) -> list[nn.Module]:
    """A convolution to a map of twice the size, its norm and a ReLU."""
    if resize:
        layers = normed(lambda bias: nn.Conv2d(c_in, c_out, 3, padding=1, bias=bias), c_out, norm)
        return [nn.Upsample(scale_factor=2), *layers]
    return normed(lambda bias: nn.ConvTranspose2d(c_in, c_out, 3, 2, 1, 1, bias=bias), c_out, norm)
