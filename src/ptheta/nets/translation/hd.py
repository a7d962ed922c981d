"""A coarse-to-fine generator: a global network at half the size, and an enhancer around it that
adds what is fine (Wang et al. 2018, section 3.2, arXiv:1711.11585)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate

from ptheta.compute.layout import PlaneByPlane
from ptheta.nets.adversarial.layers import Dropout
from ptheta.nets.modules import Layer, Modules, Stack
from ptheta.nets.norms import normalisation
from ptheta.nets.translation.padding import cropped, reflected, to_multiple
from ptheta.nets.translation.patch import halved
from ptheta.nets.translation.unet import CODE_PLACES, UNetOptions, with_code

GLOBAL_BLOCKS, LOCAL_BLOCKS = 9, 3
MOST_HALVINGS = 4  # of the global network


def global_halvings(height: int, width: int) -> int:
    """How often the global network halves its map, of half the image, down to 4 pixels at least."""
    return max(1, min(MOST_HALVINGS, min(height, width).bit_length() - 4))


def normed(convolution: nn.Conv2d | nn.ConvTranspose2d, norm: str) -> list[nn.Module]:
    """A convolution, its norm where there is one, and a ReLU."""
    layer = normalisation(norm, convolution.out_channels, 4)
    return [convolution, *([] if layer is None else [layer]), nn.ReLU(inplace=True)]


def same(c_in: int, c_out: int, kernel: int) -> nn.Conv2d:
    """Keeps the size of a map, whose border is repeated beyond it."""
    return nn.Conv2d(c_in, c_out, kernel, padding=kernel // 2, padding_mode="replicate")


def down(c_in: int, c_out: int, norm: str) -> Stack:
    return Stack(*normed(nn.Conv2d(c_in, c_out, 3, 2, 1), norm))


def up(c_in: int, c_out: int, norm: str) -> Stack:
    return Stack(*normed(nn.ConvTranspose2d(c_in, c_out, 3, 2, 1, 1), norm))


class Residual(Layer):
    """x + f(x), with two convolutions: (B, C, H, W)."""

    def __init__(self, channels: int, options: UNetOptions) -> None:
        super().__init__()
        noise = [Dropout(options.dropout, options.noise_in_sampling)] if options.dropout else []
        first = normed(same(channels, channels, 3), options.norm)
        self.body = Stack(*first, *noise, *normed(same(channels, channels, 3), options.norm)[:-1])

    def forward(self, x: Tensor) -> Tensor:
        return x + self.body(x)


class GlobalNetwork(nn.Module):
    """Images (B, C, H, W), and codes, -> maps of the same size, (B, features, H, W)."""

    if TYPE_CHECKING:

        def __call__(self, x: Tensor, z: Tensor | None = None) -> Tensor: ...

    def __init__(self, channels: int, halvings: int, options: UNetOptions) -> None:
        super().__init__()
        f, norm = options.features, options.norm
        widths = [f * 2**i for i in range(halvings + 1)]
        places = CODE_PLACES[options.code_place].levels(halvings + 1)
        self.coded = places if options.latent else range(0)
        extra = [options.latent * (i in self.coded) for i in range(halvings + 1)]
        self.downs = Modules(
            [
                Stack(*normed(same(channels + extra[0], f, 7), norm)),
                *(down(w + b, 2 * w, norm) for w, b in zip(widths, extra[1:], strict=False)),
            ]
        )
        blocks = [Residual(widths[-1], options) for _ in range(GLOBAL_BLOCKS)]
        self.rest = Stack(*blocks, *(up(2 * w, w, norm) for w in reversed(widths[:-1])))

    def forward(self, x: Tensor, z: Tensor | None = None) -> Tensor:
        for level, layer in enumerate(self.downs):
            x = layer(with_code(x, z) if level in self.coded else x)
        return self.rest(x)


class CoarseToFine(PlaneByPlane):
    """Images (B, C, H, W) of any height and width, and codes (B, L) -> (B, out, H, W), no end.

    fine: whether the enhancer has begun to learn; before that images are those of the global
        network, enlarged
    """

    fine: Tensor

    if TYPE_CHECKING:

        def __call__(self, x: Tensor, z: Tensor | None = None) -> Tensor: ...

    def __init__(
        self, channels: int, out: int, size: tuple[int, int], options: UNetOptions
    ) -> None:
        super().__init__()
        halvings, norm = global_halvings(*size), options.norm
        self.multiple = 2**halvings  # of the sides that the global network takes
        self.whole = GlobalNetwork(channels, halvings, options)
        self.coarse_image = same(options.features, out, 7)
        f = options.features
        half = max(1, f // 2)
        self.coded = options.latent > 0
        self.first = Stack(
            *normed(same(channels + options.latent, half, 7), norm), down(half, f, norm)
        )
        blocks = [Residual(f, options) for _ in range(LOCAL_BLOCKS)]
        self.last = Stack(*blocks, up(f, half, norm), same(half, out, 7))
        self.register_buffer("fine", torch.zeros((), dtype=torch.bool))

    def coarse(self, x: Tensor, z: Tensor | None = None) -> Tensor:
        """What the global network makes of images of half the size."""
        margins = to_multiple(x.shape[2:], self.multiple)
        image: Tensor = self.coarse_image(self.whole(reflected(x, margins), z))
        return cropped(image, margins)

    def forward(self, x: Tensor, z: Tensor | None = None) -> Tensor:
        if self.fine:
            return self.refined(x, z)
        return interpolate(self.coarse(halved(x), z), x.shape[2:], mode="bilinear")

    def refined(self, x: Tensor, z: Tensor | None = None) -> Tensor:
        """What both networks make."""
        margins = to_multiple(x.shape[2:], 2 * self.multiple)
        x = reflected(x, margins)
        around = self.first(with_code(x, z) if self.coded else x)
        return cropped(self.last(around + self.whole(halved(x), z)), margins)
