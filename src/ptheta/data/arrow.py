"""Files of rows that Arrow reads: parquet files, and the streams of `datasets`. Needs pyarrow."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import Protocol

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pyarrow.types as of

from ptheta.data.decode import PEEK
from ptheta.data.names import shown
from ptheta.data.picture import Raw
from ptheta.data.table import picture
from ptheta.data.tabular import IMAGE, Features, features_of, of_type
from ptheta.errors import PthetaError

ROWS = 256  # rows in memory at a time
GROUPS = 16  # groups of rows that a sample is taken from
FILE_NAME = "file_name"  # a column of paths, as in metadata of picture folders


class ArrowType(Protocol):
    """The type of a column; those of structs and of lists have one of these."""

    value_type: ArrowType

    def get_field_index(self, name: str) -> int: ...


class Column(Protocol):
    """The description of a column in a schema."""

    name: str
    type: ArrowType


class Schema(Protocol):
    names: list[str]
    metadata: Mapping[bytes, bytes] | None

    def __iter__(self) -> Iterator[Column]: ...


class Cells(Protocol):
    """Some cells of a column."""

    def __len__(self) -> int: ...

    def to_pylist(self) -> list[object]: ...

    def cast(self, target: object, safe: bool = True) -> Cells:
        """Cast to another type. safe: without changing a value. Raises Arrow's errors for a cell
        that cannot be cast."""

    def to_numpy(self, zero_copy_only: bool) -> np.ndarray:
        """Numbers, NaN where there is none."""


class RowFile(Protocol):
    """A file of rows. Every method raises OSError, ValueError or Arrow's own errors where it is
    damaged."""

    @property
    def path(self) -> Path: ...

    def schema(self) -> Schema:
        """With the hub's description of the columns where there is one."""

    def groups(self) -> int:
        """How many groups of rows it has."""

    def batches(self, column: str, groups: Sequence[int] | None = None) -> Iterator[Cells]:
        """At most `ROWS` cells of a column at a time, of all groups or of these. Raises PthetaError
        where it has no such column (`lacks`)."""


@dataclass(frozen=True)
class Parquet:
    """A parquet file."""

    path: Path

    def schema(self) -> Schema:
        schema: Schema = pq.read_schema(self.path)
        return schema

    def groups(self) -> int:
        return int(pq.read_metadata(self.path).num_row_groups)

    def batches(self, column: str, groups: Sequence[int] | None = None) -> Iterator[Cells]:
        with pq.ParquetFile(self.path) as opened:
            if column not in opened.schema_arrow.names:
                raise lacks(self.path, column)
            for batch in opened.iter_batches(ROWS, groups, columns=[column]):
                yield batch.column(0)


@dataclass(frozen=True)
class Stream:
    """A file of Arrow record batches."""

    path: Path

    def schema(self) -> Schema:
        with pa.memory_map(str(self.path)) as file, pa.ipc.open_stream(file) as stream:
            schema: Schema = stream.schema
        return schema

    def groups(self) -> int:
        with pa.memory_map(str(self.path)) as file, pa.ipc.open_stream(file) as stream:
            return sum(1 for _ in stream)

    def batches(self, column: str, groups: Sequence[int] | None = None) -> Iterator[Cells]:
        with pa.memory_map(str(self.path)) as file, pa.ipc.open_stream(file) as stream:
            at = stream.schema.get_field_index(column)
            if at < 0:
                raise lacks(self.path, column)
            for number, batch in enumerate(stream):
                if groups is None or number in groups:
                    cells = batch.column(at)
                    yield from (cells.slice(i, ROWS) for i in range(0, len(cells), ROWS))


@dataclass(frozen=True)
class FileRows:
    """The rows of several files, one after the other: see `ptheta.data.tabular.Rows`."""

    files: Sequence[RowFile]

    @cached_property
    def _schema(self) -> Schema:
        return _schema(self.files[0])

    @property
    def columns(self) -> list[str]:
        return list(self._schema.names)

    @cached_property
    def features(self) -> Features:
        return described(self._schema)

    @property
    def image_columns(self) -> list[str]:
        return image_columns(self._schema)

    @property
    def types(self) -> dict[str, ArrowType]:
        """The kinds of the columns' cells."""
        return {column.name: column.type for column in self._schema}

    def state(self) -> list[object]:
        stats = ((file.path, file.path.stat()) for file in self.files)
        return [(str(path), stat.st_size, stat.st_mtime_ns) for path, stat in stats]

    def items(self, column: str) -> Iterator[tuple[str, Raw]]:
        for file in self.files:
            for row, raw in enumerate(_pictures(file, column)):
                yield f"{shown(file.path.name)} row {row}", raw

    def sample(self, column: str) -> Iterator[Raw]:
        groups = [(file, group) for file in self.files for group in range(_groups(file))]
        chosen = groups[:: -(-len(groups) // GROUPS) or 1]
        for file, group in chosen:
            yield from islice(_pictures(file, column, [group]), -(-PEEK // len(chosen)))

    def cells(self, column: str, *, needed: bool = True) -> list[object]:
        files = [f for f in self.files if needed or column in _schema(f).names]
        return [cell for file in files for cell in _cells(file, column)]

    def parts(self, column: str) -> list[Cells]:
        """A column as Arrow has it, some cells at a time."""
        found = []
        for file in self.files:
            with reading(file.path):
                found += list(file.batches(column))
        return found


def described(schema: Schema) -> Features:
    """The hub's description of the columns, from the metadata in the file."""
    try:
        metadata = json.loads((schema.metadata or {}).get(b"huggingface", b"{}"))
        return features_of(metadata["info"]["features"])
    except (ValueError, KeyError, TypeError, RecursionError):
        return {}


def image_columns(schema: Schema) -> list[str]:
    """The columns that hold images: declared so, else {bytes, path} structs, raw bytes, nested
    lists, or the paths of files.
    """

    def with_type(test: Callable[[ArrowType], bool]) -> list[str]:
        return [column.name for column in schema if test(column.type)]

    return (
        [name for name in of_type(described(schema), IMAGE) if name in schema.names]
        or with_type(lambda t: of.is_struct(t) and t.get_field_index("bytes") >= 0)
        or with_type(lambda t: of.is_binary(t) or of.is_large_binary(t))
        or with_type(lambda t: _is_list(t) and _is_list(t.value_type))
        or [name for name in schema.names if name == FILE_NAME]
    )


def _is_list(kind: ArrowType) -> bool:
    return bool(of.is_list(kind) or of.is_large_list(kind) or of.is_fixed_size_list(kind))


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Open a file; raises PthetaError if it is damaged or not supported by Arrow."""
    try:
        yield
    except (OSError, ValueError, pa.ArrowException) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise PthetaError(f"cannot read {path}: {reason}; download the file again") from None


def _schema(file: RowFile) -> Schema:
    with reading(file.path):
        return file.schema()


def _groups(file: RowFile) -> int:
    with reading(file.path):
        return file.groups()


def _pictures(file: RowFile, column: str, groups: list[int] | None = None) -> Iterator[Raw]:
    """The pictures of a file, or of some of its groups; a batch of rows is in memory."""
    with reading(file.path):
        for cells in file.batches(column, groups):
            for cell in cells.to_pylist():
                yield picture(cell, file.path.parent)


def _cells(file: RowFile, column: str) -> Iterator[object]:
    with reading(file.path):
        for cells in file.batches(column):
            yield from cells.to_pylist()


def lacks(file: Path, column: str) -> PthetaError:
    """The error for a file without a column that others of its split have."""
    return PthetaError(
        f"{file} has no column {column!r}, which other files of its split have: add it there "
        "as well, or remove the file"
    )
