"""Examples as the visible units of a Boltzmann machine have them, and back."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod

import torch
from torch import Tensor

from ptheta.models.numbers import Cells, numbers_of
from ptheta.specs import DataSpec, ImageSpec, from_levels


class Seen(ABC):
    """dims: visible units, D; exact: whether their density is that of the examples, and no bound"""

    dims: int
    exact: bool

    @abstractmethod
    def of(self, x: Tensor) -> Tensor:
        """Examples as visible units, (B, D); of what has a bin a number drawn in it."""

    @abstractmethod
    def middle(self, x: Tensor) -> Tensor:
        """The same without a draw: the middle of each bin, NaN of what is missing."""

    @abstractmethod
    def examples(self, v: Tensor) -> Tensor:
        """The examples that visible units (B, D) stand for."""

    @abstractmethod
    def elements(self, mask: Tensor) -> Tensor:
        """bool, as examples -> of each visible unit, (B, D)"""

    @abstractmethod
    def log_unit(self, x: Tensor) -> Tensor:
        """log p(v) - log p(x) of examples, (B,) nats, by the units that v is measured in."""


class Bits(Seen):
    """Of images of two levels: 0 and 1."""

    exact = True

    def __init__(self, spec: ImageSpec) -> None:
        self.spec, self.dims = spec, spec.dims

    def of(self, x: Tensor) -> Tensor:
        return (x > 127).flatten(1).to(torch.get_default_dtype())

    def middle(self, x: Tensor) -> Tensor:
        return self.of(x)

    def examples(self, v: Tensor) -> Tensor:
        return from_levels(v, 2).view(len(v), *self.spec.shape)

    def elements(self, mask: Tensor) -> Tensor:
        return mask.flatten(1)

    def log_unit(self, x: Tensor) -> Tensor:
        return torch.zeros(len(x), dtype=torch.float64, device=x.device)


class Reals(Seen):
    """Of images of more levels and of tables: dequantised numbers (`models.numbers`), centred and
    in units of about one standard deviation. A column with but one value is no unit."""

    def __init__(self, spec: DataSpec) -> None:
        self.numbers = numbers_of(spec)
        self.middle_of_all = self.numbers.middle
        self.unit = self.numbers.spread if isinstance(spec, ImageSpec) else 1.0
        constant = self.numbers.constant if isinstance(self.numbers, Cells) else None
        told = torch.ones(self.numbers.dims, dtype=torch.bool) if constant is None else ~constant
        self.places = told.nonzero()[:, 0]
        self.dims = len(self.places)
        self.exact = not bool(self.numbers.width[self.places].any())

    def _units(self, numbers: Tensor) -> Tensor:
        chosen = numbers[:, self.places.to(numbers.device)]
        return ((chosen - self.middle_of_all) / self.unit).to(torch.get_default_dtype())

    def of(self, x: Tensor) -> Tensor:
        return self._units(self.numbers.drawn(x))

    def middle(self, x: Tensor) -> Tensor:
        return self._units(self.numbers.of(x))

    def examples(self, v: Tensor) -> Tensor:
        full = v.new_full((len(v), self.numbers.dims), float(self.middle_of_all))
        full[:, self.places.to(v.device)] = v * self.unit + self.middle_of_all
        return self.numbers.examples(full)

    def elements(self, mask: Tensor) -> Tensor:
        return self.numbers.elements(mask)[:, self.places.to(mask.device)]

    def log_unit(self, x: Tensor) -> Tensor:
        scale = self.dims * math.log(self.unit)
        return self.numbers.log_unit(self.numbers.of(x)).double() + scale


def seen_as(spec: DataSpec) -> Seen:
    """Bits of images of two levels, else real numbers."""
    return Bits(spec) if isinstance(spec, ImageSpec) and spec.levels == 2 else Reals(spec)
