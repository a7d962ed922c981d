"""Generators of images from a code and a caption's sentence, for any size of image."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate, leaky_relu

from ptheta.compute.layout import PlaneByPlane
from ptheta.nets.convolutional import Size, pyramid, widths_for
from ptheta.nets.modules import Modules
from ptheta.nets.resize import enlarged
from ptheta.nets.text_to_image.fusion import FUSIONS, SLOPE
from ptheta.specs import full

BLOCKS = 2  # of a refiner, at its smallest maps


@dataclass(frozen=True)
class MapOptions:
    """features: channels of the largest map; fusion, norm: names of `FUSIONS` and `NORMS`"""

    features: int
    fusion: str
    norm: str


class FusedBlock(nn.Module):
    """Maps (B, a, h, w), numbers (B, K) -> (B, b, H, W): a fusion, a convolution, and a short cut
    around both.

    size: (H, W), the maps doubled and cropped; None for maps of the same size
    """

    if TYPE_CHECKING:

        def __call__(self, maps: Tensor, numbers: Tensor) -> Tensor: ...

    def __init__(
        self, a: int, b: int, numbers: int, options: MapOptions, size: Size | None
    ) -> None:
        super().__init__()
        self.size = size
        self.fused = FUSIONS[options.fusion].build(a, numbers, options.norm)
        self.convolution: nn.Module
        if size is None:
            self.convolution = nn.Conv2d(a, b, 3, padding=1)
        else:
            self.convolution = nn.ConvTranspose2d(a, b, 4, 2, 1)
        self.skip = nn.Conv2d(a, b, 1)

    def forward(self, maps: Tensor, numbers: Tensor) -> Tensor:
        made: Tensor = self.convolution(self.fused(maps, numbers))
        around: Tensor = self.skip(maps)
        if self.size is None:
            return made + around
        height, width = self.size
        return (made + interpolate(around, scale_factor=2))[..., :height, :width]


class Blocks(PlaneByPlane):
    """Blocks one after the other, then a fusion and a convolution to an image, unbounded."""

    if TYPE_CHECKING:

        def __call__(self, maps: Tensor, numbers: Tensor) -> Tensor: ...

    def __init__(
        self,
        counts: list[int],
        sizes: list[Size | None],
        numbers: int,
        out: int,
        options: MapOptions,
    ) -> None:
        """counts: channels of the first map and of each block's; sizes: of each block"""
        super().__init__()
        steps = zip(pairwise(counts), sizes, strict=True)
        self.blocks = Modules(FusedBlock(a, b, numbers, options, size) for (a, b), size in steps)
        self.fused = FUSIONS[options.fusion].build(counts[-1], numbers, options.norm)
        self.last = nn.Conv2d(counts[-1], out, 3, padding=1)

    def forward(self, maps: Tensor, numbers: Tensor) -> Tensor:
        for block in self.blocks:
            maps = block(maps, numbers)
        return full(self.last(self.fused(maps, numbers)))


class TextGenerator(nn.Module):
    """Numbers (B, K), a code and a sentence side by side, -> images (B, C, H, W) in [-1, 1]."""

    if TYPE_CHECKING:

        def __call__(self, numbers: Tensor) -> Tensor: ...

    def __init__(self, shape: tuple[int, int, int], numbers: int, options: MapOptions) -> None:
        super().__init__()
        channels, height, width = shape
        sizes = pyramid(height, width)[::-1]
        counts = widths_for(len(sizes), options.features)[::-1]
        self.start = (counts[0], *sizes[0])
        self.project = nn.Linear(numbers, counts[0] * sizes[0][0] * sizes[0][1])
        self.body = Blocks(counts, list(sizes[1:]), numbers, channels, options)

    def forward(self, numbers: Tensor) -> Tensor:
        return self.body(self.project(numbers).unflatten(1, self.start), numbers).tanh()


@dataclass(frozen=True)
class Coarse:
    """Images that are refined. size: theirs; residual: whether what is made is added to them"""

    size: Size
    residual: bool = False


class Refiner(nn.Module):
    """Numbers (B, K), coarse images (B, C, h, w) -> images (B, C, H, W) of about twice the size:
    the second stage of StackGAN (Zhang et al. 2017, section 3.3, arXiv:1612.03242).

    A residual one adds to the enlarged coarse image, as in a Laplacian pyramid (Denton et al. 2015,
    arXiv:1506.05751), and is nothing but that before it learns. What is added has no bounds.
    """

    if TYPE_CHECKING:

        def __call__(self, numbers: Tensor, coarse: Tensor) -> Tensor: ...

    def __init__(
        self, shape: tuple[int, int, int], coarse: Coarse, numbers: int, options: MapOptions
    ) -> None:
        """shape: of the images that it makes; coarse: those that it is given"""
        super().__init__()
        self.residual, self.size = coarse.residual, shape[1:]
        channels, height, width = shape
        f = options.features
        self.first = nn.Conv2d(channels, f, 3, padding=1)
        self.down = nn.Conv2d(f, 2 * f, 3, stride=2, padding=1)
        self.join = nn.Conv2d(2 * f + numbers, 2 * f, 3, padding=1)
        counts = [2 * f, *[2 * f] * BLOCKS, 2 * f, f]
        sizes = [*[None] * BLOCKS, coarse.size, (height, width)]
        self.body = Blocks(counts, sizes, numbers, channels, options)
        if self.residual:
            for learned in self.body.last.parameters():
                nn.init.zeros_(learned)

    def forward(self, numbers: Tensor, coarse: Tensor) -> Tensor:
        maps = self.down(leaky_relu(self.first(coarse), SLOPE))
        maps = leaky_relu(self.join(concatenated(leaky_relu(maps, SLOPE), numbers)), SLOPE)
        made = self.body(maps, numbers)
        return enlarged(coarse, self.size) + made if self.residual else made.tanh()


def concatenated(maps: Tensor, numbers: Tensor) -> Tensor:
    """Maps (B, C, h, w) with numbers (B, K) as K more, alike at every place."""
    return torch.cat([maps, numbers[:, :, None, None].expand(-1, -1, *maps.shape[2:])], 1)
