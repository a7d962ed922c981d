"""Heads that turn network outputs into a distribution of a vector's columns."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from itertools import accumulate

import torch
from torch import Tensor

from ptheta.compute.constants import on
from ptheta.distributions.columns import (
    Cells,
    Columns,
    Integers,
    Numbers,
    Parameters,
    Reals,
    Scaling,
    Words,
)
from ptheta.distributions.kernels import KERNELS, Kernel
from ptheta.nets.example_head import ExampleHead
from ptheta.specs import Column, VectorSpec

NARROWEST = 1e-3  # of a real column: a component's scale, in standard deviations of the column
WIDEST = 1e3  # and of any column, in the same
SPREAD = 1.5  # standard deviations: components start evenly from minus this to this


class Group(ABC):
    """Columns whose distributions are computed together.

    numbers: outputs of each of them
    """

    numbers: int

    @abstractmethod
    def distribution(self, out: Tensor) -> Cells:
        """out: (B, n, numbers), in 32 bits or more."""

    @abstractmethod
    def to(self, device: torch.device) -> Group:
        """The same, computing there."""


class NumberGroup(Group):
    """Of each component a weight, a location and a scale. Components start side by side, and their
    scales at the distance between them."""

    kind: type[Numbers]

    def __init__(self, scaling: Scaling, kernel: Kernel, components: int) -> None:
        self.scaling, self.kernel, self.components = scaling, kernel, components
        self.numbers = 3 * components
        self.start = torch.linspace(-SPREAD, SPREAD, components) if components > 1 else 0.0
        self.width = math.log(2 * SPREAD / (components - 1)) if components > 1 else 0.0

    @abstractmethod
    def narrowest(self) -> Tensor:
        """The least scale of a component, in standard deviations of the column: (n, 1) or ()."""

    def distribution(self, out: Tensor) -> Numbers:
        weights, loc, log_scale = out.chunk(3, 2)
        start = self.start if isinstance(self.start, float) else on(self.start, out.device)
        least, most = self.narrowest().log().to(out), out.new_full((), math.log(WIDEST))
        log_scale = (log_scale + self.width).clamp(least, most)
        return self.kind(Parameters(weights, loc + start, log_scale), self.scaling, self.kernel)

    def to(self, device: torch.device) -> NumberGroup:
        return type(self)(self.scaling.to(device), self.kernel, self.components)


class RealGroup(NumberGroup):
    kind = Reals

    def narrowest(self) -> Tensor:
        return torch.full((), NARROWEST, device=self.scaling.scale.device)


class IntegerGroup(NumberGroup):
    kind = Integers

    def narrowest(self) -> Tensor:
        """A tenth of a bin: narrower ones differ in nothing."""
        return 0.1 / self.scaling.scale[:, None]


class WordGroup(Group):
    """A logit for each word."""

    def __init__(self, words: int) -> None:
        self.numbers = words

    def distribution(self, out: Tensor) -> Words:
        return Words(out)

    def to(self, device: torch.device) -> WordGroup:
        return self


class ColumnsHead(ExampleHead):
    """Turn a network's output (B, numbers) into the distribution of a vector's columns.

    numbers: outputs in all; per_column: how many of them are of each column, in order
    kernel: a name of `KERNELS`; components: mixed in each column of numbers
    """

    def __init__(self, spec: VectorSpec, kernel: str = "gaussian", components: int = 1) -> None:
        super().__init__()
        self.spec, self.kernel, self.components = spec, kernel, components
        self.groups = [
            (places, self._group([spec.columns[i] for i in places]))
            for places in _alike(spec.columns)
        ]
        numbers = {i: group.numbers for places, group in self.groups for i in places}
        self.per_column = tuple(numbers[i] for i in range(spec.dims))
        self.numbers = sum(self.per_column)
        self.here: tuple[torch.device, Layout] | None = None

    def _group(self, columns: Sequence[Column]) -> Group:
        first = columns[0]
        if first.values:
            return WordGroup(first.width)
        kind = IntegerGroup if first.whole else RealGroup
        return kind(Scaling.of(columns), KERNELS[self.kernel], self.components)

    @property
    def out_shape(self) -> tuple[int]:
        return (self.numbers,)

    def forward(self, out: Tensor) -> Columns:
        """out: (B, numbers), column after column."""
        out = out.float() if out.dtype in (torch.float16, torch.bfloat16) else out
        layout = self._layout(out.device)
        parts = [
            (places, group.distribution(out[:, where])) for places, where, group in layout.parts
        ]
        return Columns(parts, layout.filler, out.dtype)

    def of_column(self, i: int) -> ColumnsHead:
        """The head of one column alone: (B, per_column[i]) -> the distribution of (B, 1)."""
        return ColumnsHead(VectorSpec((self.spec.columns[i],)), self.kernel, self.components)

    def _layout(self, device: torch.device) -> Layout:
        """Tensors on the device, made once: they are no weights and keep their type."""
        if self.here is None or self.here[0] != device:
            self.here = device, Layout(self, device)
        return self.here[1]


class Layout:
    """Where the outputs of a head go.

    parts: (places of the columns (n,), places of their outputs (n, numbers), the group)
    filler: (D,), what stands for a missing cell
    """

    def __init__(self, head: ColumnsHead, device: torch.device) -> None:
        starts = [0, *accumulate(head.per_column)]
        self.parts = []
        for places, group in head.groups:
            firsts = torch.tensor([starts[i] for i in places])
            where = firsts[:, None] + torch.arange(group.numbers)
            here = torch.tensor(places, device=device), where.to(device), group.to(device)
            self.parts.append(here)
        usual = [0.0 if column.values else column.center for column in head.spec.columns]
        self.filler = torch.tensor(usual, device=device)


def _alike(columns: Sequence[Column]) -> list[list[int]]:
    """The columns in groups that are computed together: of one kind and as many words."""
    groups: dict[tuple[str, int], list[int]] = {}
    for i, column in enumerate(columns):
        groups.setdefault((column.kind, column.width), []).append(i)
    return list(groups.values())
