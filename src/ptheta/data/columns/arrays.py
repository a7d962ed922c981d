"""Arrays of numbers (N, D) as rows of vectors."""

from __future__ import annotations

import dataclasses
import math

import numpy as np

from ptheta.data.columns.learn import EXACT, LEAST, learned
from ptheta.errors import PthetaError
from ptheta.specs import VectorSpec

KINDS = "fiub"  # of NumPy: floats, whole numbers, and truth values
LEAST_SIDE = 8  # of images that rows may have been


def rows_of(array: np.ndarray, place: str) -> tuple[np.ndarray, VectorSpec]:
    """The cells of an array (N, D), float32, and what each column is: x0, x1, ..., of whole numbers
    where the array is, without bounds.

    Raises PthetaError where a cell is infinite, a column has no cell, and for other types.
    """
    if array.dtype.kind not in KINDS:
        raise PthetaError(f"{place} holds {array.dtype}: store numbers, such as float32")
    if not array.size or len(array) < LEAST:
        raise PthetaError(f"{place} has shape {array.shape}: give at least {LEAST} rows (N, D)")
    cells = cells_of(array, place)
    lost = np.isnan(cells).all(0)
    if lost.any():
        column = int(np.flatnonzero(lost)[0])
        raise PthetaError(f"{place}: column {column} (from 0) is NaN in every row: leave it out")
    whole = array.dtype.kind != "f" and np.abs(cells).max() <= EXACT
    columns = VectorSpec.of(cells.shape[1]).columns
    if whole:
        columns = tuple(dataclasses.replace(c, kind="integer") for c in columns)
    return cells, VectorSpec(learned(columns, cells, bounded=False))


def cells_of(array: np.ndarray, place: str, first: int = 0) -> np.ndarray:
    """Numbers (N, D) as float32, NaN where one is missing. first: the row that they begin with

    Raises PthetaError where one is infinite in float32.
    """
    with np.errstate(over="ignore"):
        cells = np.ascontiguousarray(array, np.float32)
    infinite = np.argwhere(np.isinf(cells))
    if len(infinite):
        row, column = infinite[0]
        raise PthetaError(
            f"{place}: the number in row {first + row}, column {column} (from 0) is infinite or "
            "beyond float32: give a number there, or NaN where it is missing"
        )
    return cells


def notes_on(array: np.ndarray) -> tuple[str, ...]:
    """A line where rows may be images that were made flat, or an array (N, D) one picture."""
    n, d = array.shape
    side, small = math.isqrt(d), array.dtype == np.uint8
    if small and n == d:
        shape: tuple[int, ...] = (1, n, d)
    elif side >= LEAST_SIDE and side * side == d:
        shape = (n, side, side)
    else:
        return ()
    return (f"{array.shape} is read as rows of numbers; images need the shape {shape}",)
