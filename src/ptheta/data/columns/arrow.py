"""The columns of files of rows that Arrow reads and writes. Needs pyarrow."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pyarrow.types as of

from ptheta.data.arrow import ArrowType, Cells, FileRows
from ptheta.data.columns.raw import DATES, RawColumn, of_texts
from ptheta.specs import Column, VectorSpec

Reader = Callable[[str, Sequence[Cells]], RawColumn]


def read_arrow(rows: FileRows, wanted: Collection[str] | None = None) -> list[RawColumn]:
    """The columns of these files, in their order. wanted: see `read_separated`

    Raises PthetaError where a file is damaged.
    """
    types = rows.types
    return [
        _read(name, kind, rows.parts(name))
        for name, kind in types.items()
        if wanted is None or name in wanted
    ]


def _read(name: str, kind: ArrowType, parts: Sequence[Cells]) -> RawColumn:
    read = next((read for test, read in KINDS if test(kind)), None)
    if read is None:
        fault = DATES if of.is_temporal(kind) else f"cells of the type {kind}, not numbers or words"
        return RawColumn(name, np.full(sum(map(len, parts)), np.nan), fault=fault)
    return read(name, parts)


def _numbers(name: str, parts: Sequence[Cells]) -> RawColumn:
    # whole numbers beyond 2^53 and decimals are rounded, as in text files
    cells = [part.cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False) for part in parts]
    return RawColumn(name, np.concatenate([np.empty(0), *cells]))


def _words(name: str, parts: Sequence[Cells]) -> RawColumn:
    codes: dict[str, int] = {}
    numbers = [
        [-1 if cell is None else codes.setdefault(text_of(cell), len(codes)) for cell in cells]
        for cells in (part.to_pylist() for part in parts)
    ]
    coded = np.concatenate([np.empty(0, np.int64), *(np.array(n, np.int64) for n in numbers)])
    return of_texts(name, coded, codes)


def text_of(cell: object) -> str:
    """A cell as a table of text has it."""
    return str(cell).lower() if isinstance(cell, bool) else str(cell)


def _is_number(kind: ArrowType) -> bool:
    tests = (of.is_integer, of.is_floating, of.is_decimal, of.is_null)
    return any(test(kind) for test in tests)


def _is_word(kind: ArrowType) -> bool:
    plain = kind.value_type if of.is_dictionary(kind) else kind
    return bool(of.is_string(plain) or of.is_large_string(plain) or of.is_boolean(plain))


KINDS: list[tuple[Callable[[ArrowType], bool], Reader]] = [
    (_is_number, _numbers),
    (_is_word, _words),
]


def write_arrow(path: Path, cells: np.ndarray, spec: VectorSpec) -> None:
    """A .parquet file of cells (N, D)."""
    types = {"real": pa.float32(), "integer": pa.int64(), "category": pa.string()}
    arrays = [
        pa.array(_cells(cells[:, i], column), types[column.kind])
        for i, column in enumerate(spec.columns)
    ]
    pq.write_table(pa.table(arrays, names=[column.name for column in spec.columns]), path)


def _cells(cells: np.ndarray, column: Column) -> list[object]:
    """Cells (N,) as Arrow takes them, None for NaN."""
    if column.values:
        return [None if cell != cell else column.values[int(cell)] for cell in cells]
    kind = int if column.whole else float
    return [None if cell != cell else kind(cell) for cell in cells]
