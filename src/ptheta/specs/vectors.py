"""Vectors: points, and the rows of tables."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from itertools import accumulate
from typing import Literal, get_args

import torch
from torch import Tensor
from torch.nn.functional import one_hot

from ptheta.errors import PthetaError, unknown
from ptheta.specs.trust import is_trusted

ColumnKind = Literal["real", "integer", "category"]


@dataclass(frozen=True)
class Column:
    """Description of one column of a vector.

    Attributes:
        name: name in the source.
        kind: "real", "integer", or "category" (cells are indices of `values`).
        values: the names of the categories.
        low: smallest value in the source.
        high: largest value in the source.
        center: a number x is (x - center) / scale in network scale; not for categories.
        scale: see center.
        missing: whether cells may be missing.
    """

    name: str
    kind: ColumnKind = "real"
    values: tuple[str, ...] = ()
    low: float = -math.inf
    high: float = math.inf
    center: float = 0.0
    scale: float = 1.0
    missing: bool = False

    def __post_init__(self) -> None:
        if self.kind not in get_args(ColumnKind):
            raise unknown("kind of column", self.kind, get_args(ColumnKind))
        if (self.kind == "category") != bool(self.values):
            raise PthetaError(
                f"column {self.name!r} of kind {self.kind} with {len(self.values)} values: a "
                "category needs values, and other kinds have none"
            )
        if len(set(self.values)) < len(self.values) or not self.low <= self.high:
            raise PthetaError(f"{self}: give each value once, and low <= high")
        if not (self.scale > 0 and math.isfinite(self.scale) and math.isfinite(self.center)):
            raise PthetaError(f"{self}: give a finite scale above 0 and a finite center")

    @property
    def whole(self) -> bool:
        """Whether its cells are integers (counts)."""
        return self.kind == "integer"

    @property
    def continuous(self) -> bool:
        return self.kind == "real"

    @property
    def width(self) -> int:
        """Its width in network scale: 1, or the number of categories."""
        return len(self.values) or 1

    def scaled(self, x: Tensor) -> Tensor:
        """Convert cells (B,) to network scale, (B, width): standardised or one-hot; NaN is kept."""
        kind = torch.get_default_dtype()
        if not self.values:
            return ((x - self.center) / self.scale).to(kind)[:, None]
        gone = x.isnan()
        hot = one_hot(filled(x).long(), self.width).to(kind)
        return hot.masked_fill_(gone[:, None], math.nan)

    def unscaled(self, s: Tensor) -> Tensor:
        """Convert network outputs (B, width) to cells (B,) within the bounds."""
        if self.values:
            cells = s.argmax(1).to(torch.float32)
            return torch.where(s.isnan().any(1), math.nan, cells)
        x = s[:, 0].float() * self.scale + self.center
        return (x.round() if self.whole else x).clamp(self.low, self.high)

    def to_json(self) -> dict[str, object]:
        """Convert to JSON for config.json; a missing bound is null."""
        bounds = {"low": self.low, "high": self.high}
        open_ = {name: None for name, bound in bounds.items() if math.isinf(bound)}
        return asdict(self) | open_ | {"values": list(self.values)}

    def fault(self, x: Tensor, *, drawn: bool = False) -> str:
        """The reason why these cells, (B,), are invalid for this column; empty if they are valid.
        NaN is missing.

        drawn: whether they are samples of a model, which have to be within the bounds; other data
            may exceed those of the training data
        """
        there = x[~x.isnan()]
        if not self.continuous and bool((there != there.round()).any()):
            return "whole numbers"
        low, high = (0, len(self.values) - 1) if self.values else (-math.inf, math.inf)
        if drawn and not self.values:
            low, high = self.low, self.high
        return f"{low:g} to {high:g}" if bool(((there < low) | (there > high)).any()) else ""


@dataclass(frozen=True)
class VectorSpec:
    """Vectors of numbers: a batch is float32 (B, D), NaN where a cell is missing.

    columns: descriptions of the D columns
    """

    columns: tuple[Column, ...]

    def __post_init__(self) -> None:
        names = [column.name for column in self.columns]
        if not names or len(set(names)) < len(names):
            raise PthetaError(f"columns {', '.join(names) or '()'}: give at least one, each once")

    @classmethod
    def of(cls, dims: int) -> VectorSpec:
        """Spec of points with `dims` real columns."""
        return cls(tuple(Column(f"x{i}") for i in range(dims)))

    @property
    def shape(self) -> tuple[int]:
        """(D,)"""
        return (len(self.columns),)

    @property
    def dims(self) -> int:
        return len(self.columns)

    @property
    def one(self) -> str:
        return str(self).replace("vectors", "vector", 1)

    @property
    def several(self) -> str:
        return "rows"

    @property
    def usual_file(self) -> str:
        return "rows.csv"

    def to_json(self) -> dict[str, object]:
        return {"columns": [column.to_json() for column in self.columns]}

    def new_gaps(self, x: Tensor) -> tuple[str, ...]:
        if is_trusted():
            return ()
        lost = x.isnan().any(0).tolist()
        columns = zip(self.columns, lost, strict=True)
        return tuple(column.name for column, gone in columns if gone and not column.missing)

    def compared(self, x: Tensor) -> Tensor:
        """Vectors in network scale; a missing cell counts as the mean."""
        return filled(self.scaled(x)).float()

    def rounded(self, x: Tensor) -> Tensor:
        """x itself: `unscaled` already returns valid values."""
        return x

    def check_drawn(self, x: Tensor) -> Tensor:
        """`x` itself; raises PthetaError if it is not a batch of such vectors, or if a cell is NaN
        or outside the bounds of its column."""
        self._check_columns(self.check(x), drawn=True)
        lost = int(x.isnan().sum())
        if lost:
            raise PthetaError(
                f"{lost:,} of {x.numel():,} sampled cells are NaN: a model has to sample every cell"
            )
        return x

    @property
    def width(self) -> int:
        """The width of a vector in network scale."""
        return sum(column.width for column in self.columns)

    @property
    def scaled_shape(self) -> tuple[int]:
        """(width,)"""
        return (self.width,)

    @property
    def missing(self) -> tuple[str, ...]:
        """The names of the columns in which cells may be missing."""
        return tuple(column.name for column in self.columns if column.missing)

    @property
    def discrete(self) -> bool:
        """Whether no column is real: then p(x) is a probability, else a density in their units."""
        return not any(column.continuous for column in self.columns)

    @property
    def categories(self) -> tuple[str, ...]:
        """The names of the categorical columns."""
        return tuple(column.name for column in self.columns if column.values)

    def scaled(self, x: Tensor) -> Tensor:
        """Convert to network scale: numbers standardised, categories one-hot, in the order of the
        columns. NaN stays NaN."""
        parts = zip(self.columns, x.unbind(1), strict=True)
        return torch.cat([column.scaled(cells) for column, cells in parts], 1)

    def unscaled(self, s: Tensor) -> Tensor:
        """Convert to the units, bounds and types of the columns; the category with the largest
        value."""
        parts = zip(self.columns, self.split(s), strict=True)
        return torch.stack([column.unscaled(part) for column, part in parts], 1)

    def split(self, s: Tensor) -> list[Tensor]:
        """Split (B, width) by column: (B, width of the column) each."""
        ends = list(accumulate(column.width for column in self.columns))
        return list(s.tensor_split(ends[:-1], 1))

    def __str__(self) -> str:
        kinds = sorted({column.kind for column in self.columns})
        numbers = "1 number" if self.dims == 1 else f"{self.dims} numbers"
        return f"vectors of {numbers} ({', '.join(kinds)})"

    def check(self, x: Tensor) -> Tensor:
        """`x` itself if it is a batch of such vectors; raises PthetaError otherwise.

        Numbers may be outside the bounds of their columns, which are those of the training rows.
        """
        # inputs are cast to the dtype of the model
        known = x.dtype in (torch.float32, torch.get_default_dtype())
        if not known or x.ndim != 2 or x.shape[1] != self.dims:
            raise PthetaError(
                f"got a {x.dtype} tensor of shape {tuple(x.shape)}; this model takes float32 "
                f"(B, {self.dims})"
            )
        if not is_trusted():
            self._check_columns(x, drawn=False)
        return x

    def _check_columns(self, x: Tensor, *, drawn: bool) -> None:
        for column, cells in zip(self.columns, x.unbind(1), strict=True):
            fault = column.fault(cells, drawn=drawn)
            if fault:
                raise PthetaError(f"column {column.name!r} holds other values: want {fault}")


def columns_of(spec: object) -> VectorSpec | None:
    """The spec itself if it is a vector spec, to read other data by its columns; else None."""
    return spec if isinstance(spec, VectorSpec) else None


def filled(s: Tensor) -> Tensor:
    """Replace missing cells by 0, which in network scale is the mean of a number and no category.
    Infinite values are kept."""
    return s.masked_fill(s.isnan(), 0.0)
