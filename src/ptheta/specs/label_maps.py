"""Label maps: images with a few colours, each of which represents a label.

Outside of networks they are image batches in these colours, so that they are displayed, stored and
evaluated as images. Networks use one plane per colour.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from functools import cached_property

import torch
from torch import Tensor
from torch.nn import functional as F

from ptheta.errors import PthetaError
from ptheta.specs.images import ImageSpec

MOST_COLOURS = 256
ROWS = 2**22  # maximum distances of pixels to colours in memory

Colour = tuple[int, ...]


@dataclass(frozen=True)
class LabelMapSpec(ImageSpec):
    """Images in the colours of a palette: uint8 (B, C, H, W); label k has the k-th colour.

    palette: the distinct colours, (v,) for grey and (r, g, b) for colour images, values 0..255
    """

    palette: tuple[Colour, ...] = field(kw_only=True)

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 2 <= len(self.palette) <= MOST_COLOURS:
            raise PthetaError(f"{len(self.palette)} colours: want 2 to {MOST_COLOURS}")
        if len(set(self.palette)) < len(self.palette):
            raise PthetaError(f"the palette {self.palette} contains a colour twice: give each once")
        for colour in self.palette:
            if len(colour) != self.channels or not all(0 <= v <= 255 for v in colour):
                raise PthetaError(
                    f"colour {colour} of a palette: want {self.channels} values in 0..255"
                )
        if self.levels != 256:
            raise PthetaError(f"levels = {self.levels}: label maps need levels = 256")

    def to_json(self) -> dict[str, object]:
        return super().to_json() | {"palette": [list(colour) for colour in self.palette]}

    @property
    def labels(self) -> int:
        """Number of labels."""
        return len(self.palette)

    @property
    def scaled_shape(self) -> tuple[int, int, int]:
        """(K, H, W)"""
        return (self.labels, self.height, self.width)

    @cached_property
    def _colours(self) -> Tensor:
        """The palette, uint8 (K, C)."""
        return torch.tensor(self.palette, dtype=torch.uint8)

    def numbers(self, x: Tensor) -> Tensor:
        """The label of each pixel, by the nearest colour: uint8 (B, C, H, W) -> int64 (B, H, W).
        Any height and width."""
        colours = self._colours.to(x.device).float()
        pixels = x.permute(0, 2, 3, 1).reshape(-1, x.shape[1])
        each = max(1, ROWS // len(colours))
        near = [torch.cdist(part.float(), colours).argmin(1) for part in pixels.split(each)]
        b, _, h, w = x.shape
        return torch.cat(near).view(b, h, w)

    def coloured(self, numbers: Tensor) -> Tensor:
        """Labels, int64 (B, H, W) -> images in their colours, uint8 (B, C, H, W)."""
        return self._colours.to(numbers.device)[numbers].permute(0, 3, 1, 2).contiguous()

    def scaled(self, x: Tensor) -> Tensor:
        """One plane per label, 1 where it occurs and -1 elsewhere: (B, K, H, W)."""
        planes = F.one_hot(self.numbers(x), self.labels).permute(0, 3, 1, 2)
        return planes.to(torch.get_default_dtype()).mul_(2).sub_(1)

    def unscaled(self, s: Tensor) -> Tensor:
        """The colour of the largest plane at each pixel. Raises PthetaError for NaN."""
        if bool(s.isnan().any()):
            raise PthetaError(
                "the planes of a label map contain NaN: the model's weights are not finite"
            )
        return self.coloured(s.argmax(1))

    def rounded(self, x: Tensor) -> Tensor:
        return self.coloured(self.numbers(x))

    def check_drawn(self, x: Tensor) -> Tensor:
        wrong = int((self.rounded(self.check(x)) != x).any(1).sum())
        if wrong:
            raise PthetaError(
                f"{wrong:,} of {x.numel() // self.channels:,} pixels have a colour outside "
                f"the palette: sample labels, or round to the nearest colours by rounded()"
            )
        return x

    def distance(self, x: Tensor) -> Tensor:
        """Distance of each pixel to the nearest colour; 1 is that of black and white: (B, H, W)."""
        gap = x.float() - self.rounded(x).float()
        return gap.square().sum(1).sqrt() / (255 * math.sqrt(self.channels))

    def __str__(self) -> str:
        return f"{self.channels}x{self.height}x{self.width} in {self.labels} colours"
