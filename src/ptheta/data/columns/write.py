"""Rows of vectors as files: tables with the columns' words and types, or the bare array."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TextIO

import numpy as np
from torch import Tensor

from ptheta.data.extras import need_pyarrow
from ptheta.errors import PthetaError
from ptheta.files.atomic import write_atomic
from ptheta.files.out import listed
from ptheta.specs import Column, VectorSpec

ROWS = 10_000  # turned into texts at a time


def write_vectors(path: Path, x: Tensor | np.ndarray, spec: VectorSpec) -> None:
    """Writes float32 (N, D) as a file of the kind that the suffix names (of `WRITERS`), atomically.

    In a table a cell of a category is its word, whole numbers have no point, and a missing cell is
    empty. A .npy holds x as it is: of a category the position of the word.

    Raises PthetaError for another suffix, and for a batch that is none of `spec`.
    """
    writer = WRITERS.get(path.suffix.lower())
    if writer is None:
        raise PthetaError(f"{path}: want {listed(tuple(WRITERS))}, not {path.suffix!r}")
    cells = np.asarray(x)
    if cells.dtype != np.float32 or cells.ndim != 2 or cells.shape[1] != spec.dims:
        raise PthetaError(
            f"a {cells.dtype} array of shape {cells.shape}: give float32 (N, {spec.dims})"
        )
    write_atomic(path, lambda temp: writer(temp, cells, spec))


def _write_csv(path: Path, cells: np.ndarray, spec: VectorSpec) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        _write_lines(file, cells, spec)


def _write_lines(file: TextIO, cells: np.ndarray, spec: VectorSpec) -> None:
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow([column.name for column in spec.columns])
    for at in range(0, len(cells), ROWS):
        some = cells[at : at + ROWS]
        columns = [_texts(some[:, i], column) for i, column in enumerate(spec.columns)]
        writer.writerows(zip(*columns, strict=True))


def _texts(cells: np.ndarray, column: Column) -> Iterator[str]:
    """Cells (N,) as texts: numbers by the fewest digits that float32 reads back, "" for NaN."""
    say = _saying(column)
    return ("" if cell != cell else say(cell) for cell in cells)


def text_of(cell: np.float32, column: Column) -> str:
    """A cell that is not missing as a text of a table."""
    return _saying(column)(cell)


def _saying(column: Column) -> Callable[[np.float32], str]:
    if column.values:
        return lambda cell: column.values[int(cell)]
    if column.whole:
        return lambda cell: str(int(cell))
    return str


def _write_parquet(path: Path, cells: np.ndarray, spec: VectorSpec) -> None:
    need_pyarrow(path, "; or write .csv")
    from ptheta.data.columns.arrow import write_arrow

    write_arrow(path, cells, spec)


def _write_npy(path: Path, cells: np.ndarray, spec: VectorSpec) -> None:
    with path.open("wb") as file:  # by its name NumPy would write another file
        np.save(file, cells)


# how rows are written, by suffix
WRITERS: dict[str, Callable[[Path, np.ndarray, VectorSpec], None]] = {
    ".csv": _write_csv,
    ".parquet": _write_parquet,
    ".npy": _write_npy,
}
