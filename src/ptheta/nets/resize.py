"""Images and maps of half and of double the size."""

from __future__ import annotations

from torch import Tensor
from torch.nn.functional import avg_pool2d, interpolate

from ptheta.nets.convolutional import Size


def halved(x: Tensor) -> Tensor:
    """(B, C, H, W) -> (B, C, h, w), halved rounding up: means of 2x2 pixels, at the border of those
    that are there."""
    return avg_pool2d(x, 2, ceil_mode=True)


def doubled(x: Tensor, size: Size) -> Tensor:
    """(B, C, h, w) -> (B, C, H, W): each pixel four times, and cropped to `size`."""
    return interpolate(x, scale_factor=2)[..., : size[0], : size[1]]


def enlarged(x: Tensor, size: Size) -> Tensor:
    """(B, C, h, w) -> (B, C, H, W) of `size`, bilinear; means of 2x2 pixels lie where they were."""
    return x if x.shape[2:] == size else interpolate(x, size, mode="bilinear")
