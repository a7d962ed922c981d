"""Specs of images, and the conversion of image batches to network scale and back.

An *image batch* is a `uint8` tensor `(B, C, H, W)` with values 0..255. Data with fewer `levels`
uses equally spaced values: level k of L is the pixel value `round(255 k / (L - 1))`, so binary
images hold 0 and 255.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass

import torch
from torch import Tensor

from ptheta.errors import PthetaError
from ptheta.specs.base import DataSpec


@dataclass(frozen=True)
class ImageSpec:
    """Description of images.

    Attributes:
        channels: 1 (grey) or 3 (R, G, B); other positive numbers if the model supports them.
        height: pixels.
        width: pixels.
        levels: number of grey levels, 2..256.
    """

    channels: int
    height: int
    width: int
    levels: int = 256

    def __post_init__(self) -> None:
        if min(self.channels, self.height, self.width) < 1:
            raise PthetaError(f"{self}: channels, height and width must be at least 1")
        if not 2 <= self.levels <= 256:
            raise PthetaError(f"{self}: levels must lie in 2..256")

    @property
    def shape(self) -> tuple[int, int, int]:
        """(C, H, W)"""
        return (self.channels, self.height, self.width)

    @property
    def dims(self) -> int:
        """Number of sub-pixels, C * H * W: the D of bits/dim."""
        return self.channels * self.height * self.width

    @property
    def one(self) -> str:
        return f"image {self}"

    @property
    def several(self) -> str:
        return "images"

    @property
    def usual_file(self) -> str:
        return "grid.png"

    def to_json(self) -> dict[str, object]:
        return asdict(self)

    def new_gaps(self, x: Tensor) -> tuple[str, ...]:
        """Empty: images have no missing elements."""
        return ()

    def compared(self, x: Tensor) -> Tensor:
        """The pixel values, 0 to 255."""
        return x.flatten(1).float()

    def rounded(self, x: Tensor) -> Tensor:
        return quantise(x, self.levels)

    def check_drawn(self, x: Tensor) -> Tensor:
        """`x` itself if it is an image batch of this size with only the values of its levels.

        Raises PthetaError otherwise, such as for means instead of sampled pixels.
        """
        wrong = int((quantise(self.check(x), self.levels) != x).sum())
        if wrong:
            raise PthetaError(
                f"{wrong:,} of {x.numel():,} sampled values are not among the {self.levels} "
                "levels: sample pixels instead of means, or round with ptheta.specs.quantise"
            )
        return x

    @property
    def missing(self) -> tuple[str, ...]:
        return ()

    @property
    def discrete(self) -> bool:
        return True

    @property
    def scaled_shape(self) -> tuple[int, int, int]:
        return self.shape

    def scaled(self, x: Tensor) -> Tensor:
        """Convert to floats in [-1, 1]."""
        return to_symmetric(x)

    def unscaled(self, s: Tensor) -> Tensor:
        return from_symmetric(s, self.levels)

    def __str__(self) -> str:
        return f"{self.channels}x{self.height}x{self.width} with {self.levels} levels"

    def check(self, x: Tensor) -> Tensor:
        """`x` itself if it is an image batch of this size, or `relaxed`; raises PthetaError
        otherwise."""
        typed = x.dtype == torch.uint8 or (x.is_floating_point() and x.requires_grad)
        if not typed or x.ndim != 4 or tuple(x.shape[1:]) != self.shape:
            raise PthetaError(
                f"got a {x.dtype} tensor of shape {tuple(x.shape)}; this model takes uint8 "
                f"(B, {self.channels}, {self.height}, {self.width}): resize or convert the images"
            )
        return x


def images_only(spec: DataSpec, what: str, cure: str = "use a model of images") -> ImageSpec:
    """The spec itself if it is an image spec; raises PthetaError otherwise.

    what: the purpose, such as "inpainting"; cure: a suggestion for the message
    """
    if not isinstance(spec, ImageSpec):
        raise PthetaError(f"{what} is for images, and this model learned {spec}: {cure}")
    return spec


def relaxed(x: Tensor) -> Tensor:
    """uint8 image batch -> floats (torch's default type), 0..255, that collect gradients: to
    differentiate a model in its input."""
    return x.to(torch.get_default_dtype()).requires_grad_()


def to_unit(x: Tensor) -> Tensor:
    """uint8 image batch -> floats (torch's default type) in [0, 1]."""
    floats = x.to(torch.get_default_dtype())
    return floats * (1 / 255) if x.requires_grad else floats.mul_(1 / 255)


def to_symmetric(x: Tensor) -> Tensor:
    """uint8 image batch -> floats (torch's default type) in [-1, 1]."""
    floats = x.to(torch.get_default_dtype())
    return floats * (2 / 255) - 1 if x.requires_grad else floats.mul_(2 / 255).sub_(1)


def full(x: Tensor) -> Tensor:
    """Convert half precision and masks to float32; float64 is unchanged."""
    return x if x.dtype == torch.float64 else x.float()


def to_levels(x: Tensor, levels: int) -> Tensor:
    """uint8 image batch -> int64 level numbers 0..levels-1, rounding to the nearest level."""
    if levels == 256:
        return x.long()
    return x.detach().float().mul((levels - 1) / 255).round_().long()


def from_levels(k: Tensor, levels: int) -> Tensor:
    """Level numbers 0..levels-1 -> uint8 image batch."""
    if levels == 256:
        return k.to(torch.uint8)
    return k.float().mul_(255 / (levels - 1)).round_().to(torch.uint8)


def from_unit(u: Tensor, levels: int = 256) -> Tensor:
    """Floats in [0, 1] (clamped) -> uint8 image batch, rounded to the nearest level."""
    return from_levels(u.float().clamp(0, 1).mul(levels - 1).round_(), levels)


def from_symmetric(s: Tensor, levels: int = 256) -> Tensor:
    """Floats in [-1, 1] (clamped) -> uint8 image batch, rounded to the nearest level."""
    return from_unit(s.float().add(1).mul_(0.5), levels)


def quantise(x: Tensor, levels: int) -> Tensor:
    """uint8 image batch -> uint8 image batch that holds only the values of `levels`."""
    return x if levels == 256 else from_levels(to_levels(x, levels), levels)
