"""The column specs of a table, inferred from its cells."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Collection, Iterable, Sequence

import numpy as np

from ptheta.data.columns.raw import RawColumn
from ptheta.data.names import shortened, some_of
from ptheta.errors import PthetaError, nearest
from ptheta.specs import Column

LEAST = 2  # rows
EXACT = 2**24  # largest whole number below which float32 is exact
FEW_WORDS = 20  # up to which words may all be different
MOST_WORDS = 10_000  # of a category
LISTED = 200  # letters of a list of names in a message


def columns_of(
    raw: Sequence[RawColumn], categories: Collection[str] = (), *, place: str, bounded: bool = True
) -> tuple[Column, ...]:
    """Infer the spec of each column: real numbers, whole numbers if all are, or categories.

    Args:
        categories: names of columns to treat as categories in any case.
        place: name of the source in messages.
        bounded: whether the smallest and the largest number are the bounds of the column.

    Raises:
        PthetaError: for a column that is none of these, with a suggestion.
    """
    if len(raw[0]) < LEAST:
        raise PthetaError(f"{place} has {len(raw[0])} rows below the header: give at least {LEAST}")
    for column in raw:
        if fault := _fault(column, column.name in categories):
            others = [c.name for c in raw if not _fault(c, c.name in categories)]
            raise PthetaError(f"{place}: column {column.name!r} {fault}{_leave_out(others)}")
    every = [column.as_words() if column.name in categories else column for column in raw]
    return tuple(_column(column, bounded) for column in every)


def cells_of(raw: Sequence[RawColumn], columns: Sequence[Column]) -> np.ndarray:
    """The cells as a data set stores them, float32 (N, D), of these columns, which were learned
    from them (`columns_of`)."""
    cells = np.empty((len(raw[0]), len(raw)), np.float32)
    for i, (one, column) in enumerate(zip(raw, columns, strict=True)):
        cells[:, i] = (one.as_words() if column.values else one).cells
    return cells


def learned(columns: Sequence[Column], cells: np.ndarray, *, bounded: bool) -> tuple[Column, ...]:
    """The same columns with the bounds, center and scale of these cells, float32 (N, D)."""
    return tuple(_learned(c, cells[:, i], bounded) for i, c in enumerate(columns))


def chosen(
    raw: Sequence[RawColumn], wanted: Sequence[str], option: str, place: str
) -> list[RawColumn]:
    """The columns with these names, in this order. Raises PthetaError for an unknown name.

    option: the option with which the user named them
    """
    by_name = {column.name: column for column in raw}
    for name in wanted:
        if name not in by_name:
            raise no_column(name, by_name, option, place)
    return [by_name[name] for name in wanted]


def no_column(name: str, known: Iterable[str], option: str, place: str) -> PthetaError:
    """The error for a column that is not there."""
    names = list(known)
    near = nearest(name, names)
    hint = f"did you mean {near!r}?" if near else f"it has {some_of(names, LISTED)}"
    return PthetaError(f"{place} has no column {shortened(name)!r} for {option}: {hint}")


def _fault(raw: RawColumn, asked: bool) -> str:
    """The reason why a column cannot be used, as the end of a sentence; "" if it can.

    asked: whether the user wants it as a category
    """
    n, words = int(raw.there.sum()), len(raw.words)
    if raw.fault and not (asked and words):
        return f"holds {raw.fault}"
    if not n:
        return "is empty: every cell is missing"
    if words > MOST_WORDS:
        return f"holds {words:,} different words; a category has {MOST_WORDS:,} at most"
    if words > max(FEW_WORDS, n // 2) and not asked:
        return (
            f"holds {words:,} different words in {n:,} rows, like names, codes or sentences "
            f"(to treat it as a category: --category-columns {raw.name})"
        )
    if raw.words:
        return ""
    return _fault_of_numbers(raw, asked)


def _fault_of_numbers(raw: RawColumn, asked: bool) -> str:
    if asked:
        different = len(np.unique(raw.cells[raw.there]))
        return f"holds {different:,} different numbers" if different > MOST_WORDS else ""
    with np.errstate(over="ignore"):
        large = np.isinf(raw.cells.astype(np.float32))
    if not large.any():
        return ""
    at = int(np.flatnonzero(large)[0])
    what = "infinite" if math.isinf(raw.cells[at]) else f"{raw.cells[at]:g}"
    return f"is {what} in row {at + 1}: give a number there, or nothing where it is missing"


def _leave_out(others: Sequence[str]) -> str:
    """The suggestion to leave a column out."""
    names = ",".join(others)
    if not others:
        return "; no other column is left"
    if len(names) > LISTED or any("," in name for name in others):
        return "; or choose the others with --columns"
    return f"; or leave it out: --columns {names}"


def _column(raw: RawColumn, bounded: bool) -> Column:
    """The spec of a valid column."""
    missing = bool((~raw.there).any())
    if raw.words:
        return Column(raw.name, "category", raw.words, missing=missing)
    numbers = raw.cells[raw.there]
    exact = bool(np.abs(numbers).max() <= EXACT)
    whole = raw.whole if raw.whole is not None else bool((numbers == np.round(numbers)).all())
    column = Column(raw.name, "integer" if whole and exact else "real", missing=missing)
    return _learned(column, raw.cells.astype(np.float32), bounded)


def _learned(column: Column, cells: np.ndarray, bounded: bool) -> Column:
    """A column with the bounds, center and scale of these cells, (N,); as it is where it holds
    words, or where all cells are missing."""
    there = cells[~np.isnan(cells)].astype(np.float64)
    missing = column.missing or len(there) < len(cells)
    if column.values or not len(there):
        return dataclasses.replace(column, missing=missing)
    low, high = float(there.min()), float(there.max())
    return dataclasses.replace(
        column,
        low=low if bounded else -math.inf,
        high=high if bounded else math.inf,
        center=float(there.mean()),
        scale=float(there.std()) if low < high else 1.0,
        missing=missing,
    )
