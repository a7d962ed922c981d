"""Examples as a row of elements, for networks that treat them one after the other: sub-pixels in
raster order, R, G, B inside, or the columns of a vector."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate

import torch
from torch import Tensor

from ptheta.compute.constants import on
from ptheta.distributions.base import ElementDistribution
from ptheta.nets import flat
from ptheta.nets.column_heads import ColumnsHead
from ptheta.nets.heads import Head, HeadOptions, Likelihood, columns_head, head
from ptheta.specs import DataSpec, ImageSpec, filled

MIXED = 10  # components of a column of numbers


@dataclass(frozen=True)
class Span:
    """Where the numbers of each element lie in a row of all. counts: of each element, in order"""

    counts: tuple[int, ...]

    @cached_property
    def total(self) -> int:
        return sum(self.counts)

    @property
    def even(self) -> bool:
        """Whether all have as many."""
        return len(set(self.counts)) == 1

    @cached_property
    def _ends(self) -> list[int]:
        return list(accumulate(self.counts))

    def of(self, d: int) -> slice:
        """Those of element d."""
        return slice(self._ends[d] - self.counts[d], self._ends[d])

    def each(self, per_element: Tensor) -> Tensor:
        """(D, ...) -> (total, ...): what is said of each element, for each of its numbers."""
        if self.total == len(self.counts):
            return per_element
        return per_element[on(self.elements, per_element.device)]

    @cached_property
    def elements(self) -> Tensor:
        """The element of each number: int64 (total,)."""
        owners = [d for d, count in enumerate(self.counts) for _ in range(count)]
        return torch.tensor(owners, device="cpu")


class Elements(ABC):
    """The layout of a spec for an autoregressive network on flat inputs.

    inputs: network inputs per element; outputs: network outputs per element
    places, colours: D = places * colours elements; the colours of a place follow one another
    """

    inputs: Span
    outputs: Span
    places: int
    colours: int

    @abstractmethod
    def row(self, x: Tensor) -> Tensor:
        """Examples as the network sees them: (B, inputs)"""

    @abstractmethod
    def part(self, d: int, cells: Tensor) -> Tensor:
        """The same of elements d, d + 1, ...: (n, k) cells -> (n, inputs of the k)"""

    @abstractmethod
    def distribution(self, out: Tensor) -> ElementDistribution:
        """(B, outputs) -> of all elements, shaped as x"""

    @abstractmethod
    def one(self, d: int, out: Tensor) -> ElementDistribution:
        """(n, outputs of element d) -> of this element, of n numbers"""


class SubPixels(Elements):
    """The layout of images. head: head of their pixels"""

    def __init__(self, spec: ImageSpec, head: Head) -> None:
        self.spec, self.head = spec, head
        self.places, self.colours = spec.height * spec.width, spec.channels
        self.inputs = Span((1,) * spec.dims)
        self.outputs = Span((head.per_pixel,) * spec.dims)

    def row(self, x: Tensor) -> Tensor:
        return flat.scaled(flat.flatten(x), self.spec.levels)

    def part(self, d: int, cells: Tensor) -> Tensor:
        return flat.scaled(cells, self.spec.levels)

    def distribution(self, out: Tensor) -> ElementDistribution:
        return self.head(flat.unflatten(out, self.spec.shape))

    def one(self, d: int, out: Tensor) -> ElementDistribution:
        return self.head(out[:, :, None, None])


class Cells(Elements):
    """The layout of vectors. head: head of their columns

    with_mask: whether the network gets a mask of observed cells, with zeros for missing values
    """

    colours = 1

    def __init__(self, head: ColumnsHead, with_mask: bool = False) -> None:
        spec = head.spec
        self.spec, self.head, self.places, self.with_mask = spec, head, spec.dims, with_mask
        self.inputs = Span(tuple(column.width + with_mask for column in spec.columns))
        self.outputs = Span(head.per_column)
        self.heads = [head.of_column(d) for d in range(spec.dims)]

    def row(self, x: Tensor) -> Tensor:
        if not self.with_mask:
            return self.spec.scaled(x)
        return torch.cat([self.part(d, x[:, d : d + 1]) for d in range(self.places)], 1)

    def part(self, d: int, cells: Tensor) -> Tensor:
        seen = self.spec.columns[d].scaled(cells[:, 0])
        if not self.with_mask:
            return seen
        there = (~cells.isnan()).to(seen)
        return torch.cat([filled(seen), there], 1)

    def distribution(self, out: Tensor) -> ElementDistribution:
        return self.head(out)

    def one(self, d: int, out: Tensor) -> ElementDistribution:
        return self.heads[d](out)


def elements(
    spec: DataSpec, likelihood: Likelihood, components: int | None, *, with_mask: bool = False
) -> Elements:
    """Those of a spec with this likelihood.

    components: mixed in each; None: one of a pixel, `MIXED` of a column of numbers
    with_mask: see `Cells`
    Raises PthetaError for a likelihood that the spec cannot have.
    """
    if isinstance(spec, ImageSpec):
        return SubPixels(spec, head(spec, likelihood, HeadOptions(components or 1)))
    return Cells(columns_head(spec, likelihood, HeadOptions(components or MIXED)), with_mask)
