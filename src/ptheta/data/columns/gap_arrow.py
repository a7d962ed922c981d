"""Files of Arrow rows whose gaps are filled: every other value stays. Needs pyarrow."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pyarrow.types as of
import torch
from torch import Tensor

from ptheta.config import brief
from ptheta.data.arrow import reading
from ptheta.data.columns.arrow import is_number, word_of
from ptheta.data.columns.gap_file import ROWS, GapFile, Part, Put, cell_of
from ptheta.data.columns.write import text_of
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
        with reading(self.path):
            file = pq.ParquetFile(self.path)
            self._refuse_others(file.schema_arrow.names)
            for rows in file.iter_batches(ROWS):
                yield ArrowPart(rows, self._cells(rows))

    def _cells(self, rows: pa.RecordBatch) -> Tensor:
        try:
            columns = [
                [math.nan if cell is None else cell_of(word_of(cell), column) for cell in cells]
                for column in self.spec.columns
                for cells in [rows.column(column.name).to_pylist()]
            ]
        except PthetaError as error:
            raise PthetaError(f"{self.path}, {error}") from None
        return torch.tensor(columns, dtype=torch.float32).t().contiguous()

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
            try:
                cells = _put(rows.column(at), gaps.numpy(), filled[gaps, i].numpy(), column)
            except pa.ArrowException as error:
                raise PthetaError(
                    f"{self.path}, column {column.name!r} of the type {rows.column(at).type} takes "
                    f"none of what is filled in ({brief(str(error))}): store it as another type"
                ) from None
            rows = rows.set_column(at, rows.schema.field(at), cells)
        return rows


def _put(cells: pa.Array, gaps: np.ndarray, new: np.ndarray, column: Column) -> pa.Array:
    """The cells with others in their gaps, in the type that they have.

    gaps: bool (N,); new: float32, of each gap, as a spec has them
    """
    kind = cells.type
    if of.is_dictionary(kind):
        made = _put(cells.dictionary_decode(), gaps, new, column).dictionary_encode()
        places = made.indices.cast(kind.index_type)
        return pa.DictionaryArray.from_arrays(places, made.dictionary, ordered=kind.ordered)
    if column.values or not is_number(kind):
        told = pa.array([text_of(cell, column) for cell in new])
    else:
        told = pa.array((new.round() if of.is_integer(kind) else new).astype(np.float64))
    return pc.replace_with_mask(cells, pa.array(gaps), told.cast(kind))
