"""Imputation in Arrow files: all other values stay unchanged. Needs pyarrow."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pyarrow.types as of
import torch
from torch import Tensor

from ptheta.config import brief
from ptheta.data.arrow import reading
from ptheta.data.columns.arrow import text_of
from ptheta.data.columns.gap_file import ROWS, GapFile, Part, Put, cell_of
from ptheta.errors import PthetaError
from ptheta.specs import Column


@dataclass(frozen=True)
class ArrowPart:
    """rows: as stored, including other columns"""

    rows: pa.RecordBatch
    cells: Tensor


class ArrowGaps(GapFile):
    """A .parquet file."""

    def parts(self) -> Iterator[ArrowPart]:
        batches = self._batches()
        while (rows := self._next(batches)) is not None:
            columns = [self._cells(rows.column(c.name).to_pylist(), c) for c in self.spec.columns]
            yield ArrowPart(rows, torch.tensor(columns).t().contiguous())

    def _batches(self) -> Iterator[pa.RecordBatch]:
        with pq.ParquetFile(self.path) as file:
            self._refuse_others(file.schema_arrow.names)
            yield from file.iter_batches(ROWS)

    def _next(self, batches: Iterator[pa.RecordBatch]) -> pa.RecordBatch | None:
        with reading(self.path):
            return next(batches, None)

    def _cells(self, cells: list[object], column: Column) -> list[float]:
        try:
            return [math.nan if c is None else cell_of(text_of(c), column) for c in cells]
        except PthetaError as error:
            raise PthetaError(f"{self.path}, {error}") from None

    @contextmanager
    def writing(self, out: Path) -> Iterator[Put]:
        with reading(self.path):
            schema = pq.read_schema(self.path)
        with pq.ParquetWriter(out, schema) as writer:

            def put(part: Part, filled: Tensor) -> None:
                assert isinstance(part, ArrowPart)
                writer.write_batch(self._filled(part, filled))

            yield put

    def _filled(self, part: ArrowPart, filled: Tensor) -> pa.RecordBatch:
        rows = part.rows
        for i, column in enumerate(self.spec.columns):
            gaps = part.cells[:, i].isnan()
            if not gaps.any():
                continue
            at = rows.schema.get_field_index(column.name)
            field = rows.schema.field(at)
            try:
                cells = _put(rows.column(at), gaps, filled[gaps, i], column)
            except pa.ArrowException as error:
                raise PthetaError(
                    f"{self.path}, column {column.name!r} of the type {field.type}: it cannot "
                    f"store the imputed values ({brief(error)}): use another column type"
                ) from None
            rows = rows.set_column(at, field, cells)
        return rows


def _put(old: pa.Array, gaps: Tensor, new: Tensor, column: Column) -> pa.Array:
    """A column with these cells in its gaps; the others stay as they are stored."""
    coded = of.is_dictionary(old.type)
    kind = old.type.value_type if coded else old.type
    found = [column.values[int(v)] if column.values else v for v in new.tolist()]
    cells = pa.array(found)
    if of.is_integer(kind) and not column.values:  # of numbers too large to be whole in float32
        cells = pc.round(cells)
    made = pc.replace_with_mask(old.cast(kind), pa.array(gaps.numpy()), cells.cast(kind))
    return made.dictionary_encode().cast(old.type) if coded else made
