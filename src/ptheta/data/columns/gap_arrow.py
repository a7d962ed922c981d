"""Files of Arrow rows whose gaps are filled: every other value stays. Needs pyarrow."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import torch
from torch import Tensor

from ptheta.data.columns.gap_file import ROWS, GapFile, Part, Put, cell_of
from ptheta.errors import PthetaError
from ptheta.specs import Column


@dataclass(frozen=True)
class ArrowPart:
    """rows: as they stand, with other columns, too"""

    rows: pa.RecordBatch
    cells: Tensor


class ArrowGaps(GapFile):
    """A .parquet file."""

    def parts(self) -> Iterator[ArrowPart]:
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
        schema = pq.ParquetFile(self.path).schema_arrow
        with pq.ParquetWriter(out, schema) as writer:

            def put(part: Part, filled: Tensor) -> None:
                assert isinstance(part, ArrowPart)
                writer.write_batch(self._filled(part, filled))

            yield put

    def _filled(self, part: ArrowPart, filled: Tensor) -> pa.RecordBatch:
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
