"""Pixels: the one place where an image batch becomes what a network sees, and back.

An *image batch* is a `uint8` tensor `(B, C, H, W)` with values 0..255. Data with fewer `levels`
uses equally spaced values: level k of L is the pixel value `round(255 k / (L - 1))`, so binary
images hold 0 and 255.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from ptheta.errors import PthetaError


@dataclass(frozen=True)
class ImageSpec:
    """What the images of a model are.

    channels: 1 (grey) or 3 (R, G, B); any positive number works where the model allows it
    height, width: pixels
    levels: number of values a pixel takes, 2..256
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

    def __str__(self) -> str:
        return f"{self.channels}x{self.height}x{self.width} with {self.levels} levels"

    def check(self, x: Tensor) -> Tensor:
        """`x` itself if it is an image batch of this size; raises PthetaError otherwise."""
        if x.dtype != torch.uint8 or x.ndim != 4 or tuple(x.shape[1:]) != self.shape:
            raise PthetaError(
                f"got a {x.dtype} tensor of shape {tuple(x.shape)}; this model takes uint8 "
                f"(B, {self.channels}, {self.height}, {self.width}): resize or convert the images"
            )
        return x


@dataclass
class Batch:
    """What a loss sees: an image batch and its condition.

    x: uint8 (B, C, H, W)
    y: the condition: int64 (B,) class labels, or float (B, A) attributes, or None
    logs: scalars to write beside the losses, detached by the trainer
    """

    x: Tensor
    y: Tensor | None = None
    logs: dict[str, Tensor] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.x)

    def __repr__(self) -> str:
        y = "" if self.y is None else f", y: {_kind(self.y)}"
        logs = f", {len(self.logs)} logged" if self.logs else ""
        return f"Batch(x: {_kind(self.x)}{y}{logs})"

    def to(self, device: torch.device) -> Batch:
        """The same images and conditions on a device; nothing is logged there yet."""
        y = None if self.y is None else self.y.to(device, non_blocking=True)
        return Batch(self.x.to(device, non_blocking=True), y)


def _kind(x: Tensor) -> str:
    """The type and shape of a tensor, and where it lies if that is not the CPU."""
    where = "" if x.device.type == "cpu" else f" on {x.device}"
    return f"{str(x.dtype).removeprefix('torch.')} {tuple(x.shape)}{where}"


def to_unit(x: Tensor) -> Tensor:
    """uint8 image batch -> floats (torch's default type) in [0, 1]."""
    return x.to(torch.get_default_dtype()).mul_(1 / 255)


def to_symmetric(x: Tensor) -> Tensor:
    """uint8 image batch -> floats (torch's default type) in [-1, 1]."""
    return x.to(torch.get_default_dtype()).mul_(2 / 255).sub_(1)


def full(x: Tensor) -> Tensor:
    """What was computed in half, or a mask, as float32; float64 stays what it is."""
    return x if x.dtype == torch.float64 else x.float()


def to_levels(x: Tensor, levels: int) -> Tensor:
    """uint8 image batch -> int64 level numbers 0..levels-1, rounding to the nearest level."""
    if levels == 256:
        return x.long()
    return x.float().mul_((levels - 1) / 255).round_().long()


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


def dequantise(x: Tensor, levels: int = 256) -> Tensor:
    """uint8 image batch -> float32 in [0, 1): uniform noise of one level's width is added.

    A density on the result lower-bounds the discrete likelihood (Theis et al. 2016,
    arXiv:1511.01844).
    """
    k = to_levels(x, levels).float()
    return (k + torch.rand_like(k)) / levels


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Inside, torch draws from `seed`; outside, its stream goes on as if nothing had happened."""
    with torch.random.fork_rng(_devices()):
        torch.manual_seed(seed)
        yield


@contextmanager
def undisturbed() -> Iterator[None]:
    """Inside, noise is drawn as ever; outside, the caller's random streams (torch's, NumPy's and
    Python's) go on as if nothing had happened. A decorator, too: `@undisturbed()`.
    """
    numpy_state, python_state = np.random.get_state(), random.getstate()  # noqa: NPY002
    try:
        with torch.random.fork_rng(_devices()):
            yield
    finally:
        np.random.set_state(numpy_state)  # noqa: NPY002
        random.setstate(python_state)


def _devices() -> range:
    """The GPUs that have a random stream by now."""
    return range(torch.cuda.device_count() if torch.cuda.is_initialized() else 0)
