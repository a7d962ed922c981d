"""Vectors as a data set: points and the rows of tables, float32 in memory."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import KW_ONLY, dataclass, replace
from pathlib import Path
from typing import ClassVar, Protocol, Self

import numpy as np
import torch
from torch import Tensor

from ptheta.data import near
from ptheta.data.columns.learn import learned
from ptheta.data.dataset import Dataset
from ptheta.data.points.parts import Sides
from ptheta.errors import PthetaError
from ptheta.files import html
from ptheta.specs import Column, ColumnKind, VectorSpec

ALIKE: dict[ColumnKind, str] = {"real": "numbers", "integer": "whole numbers", "category": "words"}

PREVIEW_ROWS, PREVIEW_COLUMNS = 8, 12  # that a notebook shows


class Truth(Protocol):
    """The distribution that points were drawn from: a `ptheta.data.points.toys.Toy` is one."""

    @property
    def modes(self) -> np.ndarray | None:
        """float64 (K, D), peaks of the density that lie apart; None where there are none."""
        ...

    @property
    def deviations(self) -> np.ndarray | None:
        """float64 (K,), the standard deviation around each of the modes."""
        ...

    @property
    def weights(self) -> Sequence[float]:
        """Weights of the components, which sum to one; of the modes, in order, if there are any."""
        ...

    @property
    def sides(self) -> Sides:
        """The box that holds nearly all of the mass: (least, greatest) of each number."""
        ...

    @property
    def finest(self) -> float:
        """The length within which the density changes much: a grid needs steps of half of it."""
        ...

    def log_density(self, x: Tensor | np.ndarray) -> Tensor:
        """log p(x) of points (N, D): float64 (N,), nats."""
        ...

    def sample(self, n: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """Points, float64 (n, D), and the number of the part of each, int64 (n,)."""
        ...


@dataclass(frozen=True, eq=False, repr=False)
class VectorDataset(Dataset):
    """Vectors with their metadata. An example is float32 (D,), NaN for missing cells.

    Attributes:
        cells: float32 (N, D), in the units of the source; a category cell is the index of its word
            in the column's values.
        vectors: spec of the D columns.
        truth: the true distribution, if known.
    """

    cells: np.ndarray
    vectors: VectorSpec
    _: KW_ONLY
    truth: Truth | None = None

    example: ClassVar[str] = "row"
    examples: ClassVar[str] = "rows"
    alike: ClassVar[str] = "equal"

    def __post_init__(self) -> None:
        if self.cells.dtype != np.float32 or self.cells.ndim != 2:
            raise PthetaError(
                f"{self.name}: cells of type {self.cells.dtype} and shape {self.cells.shape}; "
                "want float32 (N, D)"
            )
        super().__post_init__()
        if self.cells.shape[1] != self.vectors.dims:
            raise PthetaError(
                f"{self.name}: {self.cells.shape[1]} numbers a row for {self.vectors.dims} columns"
            )

    @property
    def spec(self) -> VectorSpec:
        return self.vectors

    @property
    def stored(self) -> np.ndarray:
        return self.cells

    def _take(self, rows: np.ndarray) -> Tensor:
        return torch.from_numpy(np.ascontiguousarray(self.cells[rows]))

    def _preview(self) -> str:
        return first_rows(self.vectors, self.cells[self.rows(slice(0, PREVIEW_ROWS))])

    def keys(self) -> np.ndarray:
        return near.hashes((self._told(), self.rows(slice(None))))

    def find_groups(self, *others: Dataset, place: Path | None = None) -> near.Groups:
        """Equal rows: there is no saying when others would be nearly the same."""
        keys = np.concatenate([data.keys() for data in (self, *others)])
        _, first, number = np.unique(keys, return_index=True, return_inverse=True)
        return near.Groups(keys, first[number].astype(np.int64))

    def _told(self) -> np.ndarray:
        """The cells with hashes of words instead of indices, so that keys do not depend on the
        order of a category's words. float64 (N, D)"""
        hashed = self.cells.astype(np.float64) + 0.0  # -0 is 0
        hashed[np.isnan(hashed)] = np.nan  # of the many NaN the one
        for i, column in enumerate(self.vectors.columns):
            if column.values:
                there = ~np.isnan(hashed[:, i])
                words = np.array([near.number_of(word) for word in column.values])
                hashed[there, i] = words[hashed[there, i].astype(np.int64)]
        return hashed

    def learned_from(self, training: np.ndarray) -> Self:
        """The same, with the bounds, centers and scales of these rows."""
        cells = self.cells[self.rows(training)]
        bounded = any(math.isfinite(column.low) for column in self.vectors.columns)
        columns = learned(self.vectors.columns, cells, bounded=bounded)
        return replace(self, vectors=VectorSpec(columns))

    def with_levels(self, levels: int, dynamic: bool = False, seed: int = 0) -> Self:
        if levels != 256 or dynamic:
            raise PthetaError(
                f"{self.name} holds {self.examples} of numbers, which have no levels: leave out "
                f"{'--dynamic' if dynamic else f'--levels {levels}'}"
            )
        return self

    def with_columns(self, known: VectorSpec) -> Self:
        """The same rows with the columns of a run: their order, the numbers of their words, and how
        they are scaled.

        Raises PthetaError for a column that is missing or of another kind, and for a word that the
        run does not know.
        """
        if self.vectors == known:
            return self
        if self._is_bare and self.vectors.dims == known.dims:
            return replace(self, vectors=known)
        mine = {column.name: i for i, column in enumerate(self.vectors.columns)}
        cells = np.empty((len(self.cells), known.dims), np.float32)
        for k, column in enumerate(known.columns):
            i = mine.get(column.name)
            if i is None:
                raise PthetaError(
                    f"{self.name} has no column {column.name!r}, which the run learned: it has "
                    f"{', '.join(mine)}"
                )
            own = self.vectors.columns[i]
            if bool(own.values) != bool(column.values):
                raise PthetaError(
                    f"column {column.name!r} of {self.name} holds {ALIKE[own.kind]}, and the run "
                    f"learned {ALIKE[column.kind]}: give data of the same kind"
                )
            cells[:, k] = self.cells[:, i]
            if column.values and own.values != column.values:
                cells[:, k] = self._renumbered(i, column.values)
        return replace(self, cells=cells, vectors=known)

    @property
    def _is_bare(self) -> bool:
        """Whether the columns are those of an array, without names, and are matched by order."""
        names = [column.name for column in self.vectors.columns]
        return names == [column.name for column in VectorSpec.of(self.vectors.dims).columns]

    def _renumbered(self, i: int, values: tuple[str, ...]) -> np.ndarray:
        """A column of words, float32 (N,), numbered as in `values`."""
        own, position = self.vectors.columns[i], {word: k for k, word in enumerate(values)}
        cells = self.cells[:, i]
        there = ~np.isnan(cells)
        used = set(np.unique(cells[there]).astype(int))
        odd = next((own.values[k] for k in sorted(used) if own.values[k] not in position), None)
        if odd is not None:
            raise PthetaError(
                f"{odd!r} in column {own.name!r} of {self.name} is not among the values that the "
                f"run learned: {', '.join(values[:8])}; leave such rows out"
            )
        numbers = np.array([position.get(word, -1) for word in own.values], np.float32)
        found = cells.copy()
        found[there] = numbers[cells[there].astype(int)]
        return found

    def _told_apart_by(self) -> object:
        return self.cells.shape, self.vectors


def first_rows(spec: VectorSpec, cells: np.ndarray) -> str:
    """A table in HTML of the first of these rows, (N, D), and of their first columns."""
    columns = spec.columns[:PREVIEW_COLUMNS]
    rows = [
        [_word(column, cell) for column, cell in zip(columns, row, strict=False)]
        for row in cells[:PREVIEW_ROWS]
    ]
    return html.table(rows, [column.name for column in columns])


def _word(column: Column, cell: float) -> str:
    """A cell for a reader; nothing for a missing one."""
    if np.isnan(cell):
        return ""
    return column.values[int(cell)] if column.values else f"{cell:.6g}"


def vectors_of(data: Dataset) -> VectorDataset:
    """The data set itself if it holds vectors; raises PthetaError otherwise."""
    if not isinstance(data, VectorDataset):
        raise PthetaError(
            f"{data.name} holds {data.examples} of {data.spec}, and rows of numbers are needed "
            "here: give points or a table"
        )
    return data
