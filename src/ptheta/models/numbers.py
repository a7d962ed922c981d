"""Dequantisation of examples to real numbers, for densities, and back.

Each level, whole number or word has a bin, in which its dequantised value is uniform: level k is
[k, k + 1), whole number k is [k - 1/2, k + 1/2), word w of K is the cube of side 1 around its
one-hot vector, in which no other coordinate is larger. Bins are disjoint and have volume 1, so that
the mean log-density over a bin bounds the log-probability from below (arXiv:1511.01844); samples
are rounded to their bin. The variance within a bin is 1/12 (Sheppard 1898).
"""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
from torch import Tensor

from ptheta.compute import streams
from ptheta.compute.constants import on
from ptheta.models.mixtures.covariance import wide
from ptheta.specs import DataSpec, ImageSpec, VectorSpec, from_levels, to_levels

BIN = 1 / 12  # the variance of dequantisation, in the width of a bin
LEAST = 1e-6  # of the variance of a real number, in its standard deviations: none is known exactly


class Numbers(ABC):
    """The dequantised values of examples of a spec.

    dims: dimensions of an example, D; middle, spread: initial location and scale of a density
    width: bin width of each dimension, (D,), 0 for real numbers; least: variance added to it, (D,)
    """

    dims: int
    middle: float
    spread: float
    width: Tensor
    least: Tensor

    @abstractmethod
    def of(self, x: Tensor) -> Tensor:
        """The middle of the bin of each value, `wide` (B, D); NaN for missing or constant ones."""

    @abstractmethod
    def examples(self, v: Tensor) -> Tensor:
        """The examples of the bins that contain values (B, D)."""

    @abstractmethod
    def elements(self, mask: Tensor) -> Tensor:
        """bool, as examples -> of each number, (B, D)"""

    @abstractmethod
    def log_unit(self, v: Tensor) -> Tensor:
        """The difference of the log-density of values (B, D) to that of the example: (B,) nats."""

    @property
    def exact(self) -> bool:
        """Whether no number has a bin: a density of the numbers is then one of the examples."""
        return not bool(self.width.any())

    def centred(self, v: Tensor) -> Tensor:
        """Values (B, D) of complete examples, with `middle` for constant dimensions."""
        return v

    def variance(self, ridge: float) -> Tensor:
        """The variance added to each dimension: dequantisation and a ridge. (D,)"""
        return self.width.square() * BIN + self.least + ridge

    def drawn(self, x: Tensor) -> Tensor:
        """Numbers of x, each drawn within its bin: (B, D)"""
        v = self.of(x)
        noise = streams.uniform(*v.shape, device=v.device, dtype=v.dtype) - 0.5
        return v + noise * on(self.width, v.device, v.dtype)


class Levels(Numbers):
    """Images, in units of a level."""

    def __init__(self, spec: ImageSpec) -> None:
        self.spec, self.dims = spec, spec.dims
        self.middle, self.spread = spec.levels / 2, spec.levels / 4
        self.width, self.least = torch.ones(spec.dims), torch.zeros(spec.dims)

    def of(self, x: Tensor) -> Tensor:
        return wide(to_levels(x, self.spec.levels).flatten(1)) + 0.5

    def examples(self, v: Tensor) -> Tensor:
        k = v.floor().clamp(0, self.spec.levels - 1)
        return from_levels(k, self.spec.levels).view(len(v), *self.spec.shape)

    def elements(self, mask: Tensor) -> Tensor:
        return mask.flatten(1)

    def log_unit(self, v: Tensor) -> Tensor:
        return v.new_zeros(len(v))


class Cells(Numbers):
    """Vectors in network scale: standardised numbers, one-hot categories. A constant column of real
    numbers carries no information."""

    middle, spread = 0.0, 1.0

    def __init__(self, spec: VectorSpec) -> None:
        self.spec, self.dims = spec, spec.width
        columns = [column for column in spec.columns for _ in range(column.width)]
        self.of_column = torch.tensor(
            [i for i, column in enumerate(spec.columns) for _ in range(column.width)]
        )
        self.constant = torch.tensor([c.continuous and c.low == c.high for c in columns])
        widths = [0.0 if c.continuous else 1 / c.scale for c in columns]
        self.width = torch.tensor(widths)
        self.least = torch.where(self.constant, 1.0, LEAST * (self.width == 0))
        self.log_scale = torch.tensor([0.0 if c.values else c.scale for c in columns])
        self.log_scale = torch.where(self.log_scale > 0, self.log_scale.log(), 0.0)

    def of(self, x: Tensor) -> Tensor:
        s = wide(self.spec.scaled(x))
        return s.masked_fill(on(self.constant, s.device), torch.nan)

    def examples(self, v: Tensor) -> Tensor:
        return self.spec.unscaled(v)

    def centred(self, v: Tensor) -> Tensor:
        return v.masked_fill(on(self.constant, v.device), self.middle)

    def elements(self, mask: Tensor) -> Tensor:
        return mask[:, on(self.of_column, mask.device)]

    def log_unit(self, v: Tensor) -> Tensor:
        return torch.where(v.isnan(), 0.0, on(self.log_scale, v.device, v.dtype)).sum(1)


def numbers_of(spec: DataSpec) -> Numbers:
    """Those of images or of vectors."""
    if isinstance(spec, VectorSpec):
        return Cells(spec)
    assert isinstance(spec, ImageSpec)
    return Levels(spec)
