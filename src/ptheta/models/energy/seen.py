"""Examples as the visible units of a Boltzmann machine have them, and back."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod

import torch
from torch import Tensor

from ptheta.compute.constants import on
from ptheta.models.numbers import numbers_of
from ptheta.specs import DataSpec, ImageSpec, VectorSpec, from_levels


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
        """The examples of visible units (B, D)."""

    @abstractmethod
    def elements(self, mask: Tensor) -> Tensor:
        """bool, as examples -> of each visible unit, (B, D)"""

    @abstractmethod
    def log_unit(self, x: Tensor) -> Tensor:
        """log p(v) - log p(x) of examples, (B,) nats, by the units that v is measured in."""


class Bits(Seen):
    """Visible units of binary images: 0 and 1."""

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
        self.middle_of_all = float(self.numbers.middle)
        self.unit = self.numbers.spread if isinstance(spec, ImageSpec) else 1.0
        self.places: Tensor | None = None  # of the numbers that are units; None: all
        self.dims, self.exact = self.numbers.dims, False
        if isinstance(spec, VectorSpec):
            columns = [column for column in spec.columns for _ in range(column.width)]
            varying = [not (c.continuous and c.low == c.high) for c in columns]
            places = [i for i, says in enumerate(varying) if says]
            self.places = torch.tensor(places, dtype=torch.int64, device="cpu")
            self.dims = len(places)
            self.exact = all(columns[i].continuous for i in places)

    def _kept(self, numbers: Tensor) -> Tensor:
        return numbers if self.places is None else numbers[:, on(self.places, numbers.device)]

    def _units(self, numbers: Tensor) -> Tensor:
        scaled = (self._kept(numbers) - self.middle_of_all) / self.unit
        return scaled.to(torch.get_default_dtype())

    def of(self, x: Tensor) -> Tensor:
        return self._units(self.numbers.drawn(x))

    def middle(self, x: Tensor) -> Tensor:
        return self._units(self.numbers.of(x))

    def examples(self, v: Tensor) -> Tensor:
        numbers = v * self.unit + self.middle_of_all
        if self.places is not None:
            full = v.new_full((len(v), self.numbers.dims), self.middle_of_all)
            full[:, on(self.places, full.device)] = numbers
            numbers = full
        return self.numbers.examples(numbers)

    def elements(self, mask: Tensor) -> Tensor:
        return self._kept(self.numbers.elements(mask))

    def log_unit(self, x: Tensor) -> Tensor:
        scale = self.dims * math.log(self.unit)
        return self.numbers.log_unit(self.numbers.of(x)).double() + scale


def seen_as(spec: DataSpec) -> Seen:
    """Bits of images of two levels, else real numbers."""
    return Bits(spec) if isinstance(spec, ImageSpec) and spec.levels == 2 else Reals(spec)
