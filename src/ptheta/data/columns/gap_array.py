"""Arrays of rows, and .parquet files, whose gaps are filled: every other value stays."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ptheta.data.columns.gap_file import ROWS, GapFile, Part, Put, cell_of
from ptheta.errors import PthetaError
from ptheta.specs import Column


@dataclass(frozen=True)
class ArrayPart:
    """rows: as they stand, (B, D)"""

    rows: np.ndarray
    cells: Tensor


class ArrayGaps(GapFile):
    """A .npy file of rows."""

    def _array(self) -> np.ndarray:
        found: np.ndarray = np.load(self.path, mmap_mode="r", allow_pickle=False)
        if found.ndim != 2 or found.shape[1] != self.spec.dims or found.dtype.kind != "f":
            raise PthetaError(
                f"{self.path} holds {found.dtype} of shape {found.shape}: give rows of floats "
                f"(N, {self.spec.dims})"
            )
        return found

    def parts(self) -> Iterator[ArrayPart]:
        array = self._array()
        for at in range(0, len(array), ROWS):
            rows = np.array(array[at : at + ROWS])
            yield ArrayPart(rows, torch.from_numpy(rows.astype(np.float32)))

    @contextmanager
    def writing(self, out: Path) -> Iterator[Put]:
        array, at = self._array(), 0
        made = np.lib.format.open_memmap(out, "w+", array.dtype, array.shape)

        def put(part: Part, filled: Tensor) -> None:
            nonlocal at
            assert isinstance(part, ArrayPart)
            rows = np.where(np.isnan(part.rows), filled.numpy().astype(array.dtype), part.rows)
            made[at : at + len(rows)] = rows
            at += len(rows)

        yield put
        made.flush()


@dataclass(frozen=True)
class ArrowPart:
    """rows: a record batch of pyarrow"""

    rows: Any
    cells: Tensor


class ArrowGaps(GapFile):
    """A .parquet file. Needs pyarrow."""

    def parts(self) -> Iterator[ArrowPart]:
        import pyarrow.parquet as pq  # an extra

        file = pq.ParquetFile(self.path)
        self._refuse_others(file.schema_arrow.names)
        for rows in file.iter_batches(ROWS):
            columns = [self._cells(rows.column(c.name).to_pylist(), c) for c in self.spec.columns]
            yield ArrowPart(rows, torch.tensor(columns).t().contiguous())

    def _cells(self, cells: list[object], column: Column) -> list[float]:
        try:
            return [math.nan if c is None else cell_of(str(c), column) for c in cells]
        except PthetaError as error:
            raise PthetaError(f"{self.path}, {error}") from None

    @contextmanager
    def writing(self, out: Path) -> Iterator[Put]:
        import pyarrow.parquet as pq

        schema = pq.ParquetFile(self.path).schema_arrow
        with pq.ParquetWriter(out, schema) as writer:

            def put(part: Part, filled: Tensor) -> None:
                assert isinstance(part, ArrowPart)
                writer.write_batch(self._filled(part, filled))

            yield put

    def _filled(self, part: ArrowPart, filled: Tensor) -> Any:
        import pyarrow as pa

        rows = part.rows
        for i, column in enumerate(self.spec.columns):
            gaps = part.cells[:, i].isnan().tolist()
            if not any(gaps):
                continue
            at = rows.schema.get_field_index(column.name)
            kind = rows.schema.field(at)
            new = [column.values[int(v)] if column.values else v for v in filled[:, i].tolist()]
            old = rows.column(at).to_pylist()
            cells = pa.array([n if gap else o for n, o, gap in zip(new, old, gaps, strict=True)])
            rows = rows.set_column(at, kind, cells.cast(kind.type, safe=not column.whole))
        return rows
