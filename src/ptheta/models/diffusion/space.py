"""Examples as the real numbers that noise is added to, and back."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from ptheta.models.numbers import Levels, numbers_of
from ptheta.specs import DataSpec, ImageSpec, VectorSpec


class Space:
    """Levels lie in [-1, 1], numbers are standardised, words one-hot. A column of real numbers with
    one value alone is left out.

    shape: of the numbers w of an example; bounds: of the range of w, none of vectors
    spread: whether the bins of levels fill [-1, 1], as of a density of w drawn in them; else the
        least level is -1 and the greatest 1, as of a probability of the levels
    """

    def __init__(self, spec: DataSpec, *, spread: bool) -> None:
        self.spec, self.spread = spec, spread
        self.shape: tuple[int, ...]
        with torch.device("cpu"):
            self.numbers = numbers_of(spec)
            if isinstance(spec, ImageSpec):
                self.kept = list(range(0))
                self.shape = spec.shape
            else:
                assert isinstance(spec, VectorSpec)
                varies = [
                    not (column.continuous and column.low == column.high)
                    for column in spec.columns
                    for _ in range(column.width)
                ]
                self.kept = [d for d, told in enumerate(varies) if told]
                self.shape = (len(self.kept),)
        self.dims = math.prod(self.shape)
        self.bounded = isinstance(spec, ImageSpec)

    @property
    def levels(self) -> int:
        assert isinstance(self.spec, ImageSpec)
        return self.spec.levels

    def middle(self, x: Tensor) -> Tensor:
        """w of the middle of each bin: (B, *shape), of torch's default type."""
        if self.bounded and not self.spread:
            return self.spec.scaled(x)
        return self._inside(self.numbers.of(x))

    def drawn(self, x: Tensor) -> Tensor:
        """w drawn within each bin; the level itself where bins do not fill the range."""
        if self.bounded and not self.spread:
            return self.spec.scaled(x)
        return self._inside(self.numbers.drawn(x))

    def _inside(self, v: Tensor) -> Tensor:
        if self.bounded:
            half = self.levels / 2
            v = (v - half) / half
        elif len(self.kept) < v.shape[1]:
            v = v[:, self.kept]
        return v.to(torch.get_default_dtype()).view(len(v), *self.shape)

    def examples(self, w: Tensor) -> Tensor:
        """The examples in whose bins w lie, or that are nearest."""
        if self.bounded and not self.spread:
            return self.spec.unscaled(w)
        v = w.flatten(1)
        if isinstance(self.numbers, Levels):
            return self.numbers.examples((v + 1) * (self.levels / 2))
        if len(self.kept) < self.numbers.dims:
            every = v.new_full((len(v), self.numbers.dims), self.numbers.middle)
            every[:, self.kept] = v
            v = every
        return self.numbers.examples(v)

    def scaled(self, w: Tensor) -> Tensor:
        """As a network sees examples, before anything is rounded: (B, *scaled_shape)."""
        if self.bounded:
            edge = (self.levels - 1) / self.levels
            return w / edge if self.spread else w
        if len(self.kept) == self.numbers.dims:
            return w
        every = w.new_full((len(w), self.numbers.dims), self.numbers.middle)
        return every.index_copy(1, torch.tensor(self.kept, device=w.device), w)

    def log_unit(self, x: Tensor) -> Tensor:
        """What the log-density of w is short of that of the example: (B,) nats; float64 where there
        is such a type."""
        v = self.numbers.of(x)
        if self.bounded:
            return v.new_full((len(v),), self.dims * math.log(self.levels / 2))
        return self.numbers.log_unit(v)

    def mask(self, known: Tensor) -> Tensor:
        """bool, as examples -> of each number of w"""
        if self.bounded:
            return known
        return self.numbers.elements(known)[:, self.kept]
