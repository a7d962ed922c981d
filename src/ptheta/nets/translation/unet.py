"""U-Net: an image-to-image generator with skip connections from encoder to decoder (Isola et al.
2017, section 3.2.1, arXiv:1611.07004; Ronneberger et al. 2015, arXiv:1505.04597).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, TypeAlias

import torch
from torch import Tensor, nn

from ptheta.compute.layout import PlaneByPlane
from ptheta.config import Entry, OneOf
from ptheta.nets.adversarial.layers import Dropout
from ptheta.nets.convolutional import widths_for
from ptheta.nets.modules import Modules, Stack
from ptheta.nets.norms import needs_bias, normalisation
from ptheta.nets.translation.padding import cropped, reflected, to_multiple

MOST_HALVINGS = 8  # of the paper's network for 256 pixels
WITH_DROPOUT = 3  # layers of the decoder, from the smallest map on


@dataclass(frozen=True)
class CodePlace(Entry):
    """levels: number of layers of the encoder -> those that are given the code beside their map"""

    levels: Callable[[int], range]


CODE_PLACES: dict[str, CodePlace] = {
    "input": CodePlace(lambda depth: range(1), about="planes concatenated with the input image"),
    "all": CodePlace(range, about="planes concatenated with the map of every encoder layer"),
}

CodePlaceName: TypeAlias = Annotated[str, OneOf(CODE_PLACES)]


@dataclass(frozen=True)
class UNetOptions:
    """features: channels of the largest map, doubled at each halving up to eightfold
    norm: a name of `NORMS`
    dropout: share of the numbers of the decoder's first layers that become 0: the noise
    noise_in_sampling: whether at use, too
    latent: numbers of a code that the network is given; code_place: a name of `CODE_PLACES`
    """

    features: int = 64
    norm: str = "instance"
    dropout: float = 0.0
    noise_in_sampling: bool = False
    latent: int = 0
    code_place: str = "input"


def halvings(height: int, width: int) -> int:
    """How often a map is halved until its smaller side is 1, at most 8 and at least 1 times."""
    return max(1, min(MOST_HALVINGS, min(height, width).bit_length() - 1))


class UNet(PlaneByPlane):
    """Images (B, C, H, W) of any height and width, and codes (B, L) -> (B, out, H, W), no end.

    channels, out: of the input and of the output
    size: height and width of the images that it is made for: the number of halvings follows them
    """

    if TYPE_CHECKING:

        def __call__(self, x: Tensor, z: Tensor | None = None) -> Tensor: ...

    def __init__(self, channels: int, out: int, size: tuple[int, int], options: UNetOptions):
        super().__init__()
        self.options, self.depth = options, halvings(*size)
        widths = widths_for(self.depth, options.features, 8 * options.features)
        with_code = CODE_PLACES[options.code_place].levels(self.depth)
        self.coded = with_code if options.latent else range(0)
        counts = [channels, *widths]
        self.downs = Modules(
            self._down(i, counts[i] + options.latent * (i in self.coded), counts[i + 1])
            for i in range(self.depth)
        )
        ends = [out, *widths]
        self.ups = Modules(
            self._up(i, widths[i] * (1 if i == self.depth - 1 else 2), ends[i])
            for i in reversed(range(self.depth))
        )

    def _down(self, level: int, c_in: int, c_out: int) -> Stack:
        """The first map has no norm, as in the paper, nor the smallest: of a map of one place a
        norm would leave nothing."""
        plain = level in (0, self.depth - 1)
        normed = None if plain else normalisation(self.options.norm, c_out, 4)
        convolution = nn.Conv2d(c_in, c_out, 4, 2, 1, bias=needs_bias(normed))
        activation = nn.LeakyReLU(0.2, inplace=True)
        return Stack(convolution, *([] if normed is None else [normed]), activation)

    def _up(self, level: int, c_in: int, c_out: int) -> Stack:
        """From the map of this level to the one of twice its size."""
        if level == 0:
            return Stack(nn.ConvTranspose2d(c_in, c_out, 4, 2, 1))
        normed = normalisation(self.options.norm, c_out, 4)
        layers: list[nn.Module] = [
            nn.ConvTranspose2d(c_in, c_out, 4, 2, 1, bias=needs_bias(normed))
        ]
        layers += [] if normed is None else [normed]
        if self.options.dropout and level >= self.depth - WITH_DROPOUT:
            layers.append(Dropout(self.options.dropout, self.options.noise_in_sampling))
        return Stack(*layers, nn.ReLU(inplace=True))

    def forward(self, x: Tensor, z: Tensor | None = None) -> Tensor:
        margins = to_multiple(x.shape[2:], 2**self.depth)
        h, skips = reflected(x, margins), []
        for level, down in enumerate(self.downs):
            h = down(with_code(h, z) if level in self.coded else h)
            skips.append(h)
        skips.pop()
        for up in self.ups:
            h = up(h)
            if skips:
                h = torch.cat([h, skips.pop()], 1)
        return cropped(h, margins)


def with_code(h: Tensor, z: Tensor | None) -> Tensor:
    """Maps (B, F, H, W) and codes (B, L) -> (B, F + L, H, W), a plane for each number."""
    if z is None:
        return h
    planes = z[:, :, None, None].to(h.dtype).expand(-1, -1, *h.shape[-2:])
    return torch.cat([h, planes], 1)
