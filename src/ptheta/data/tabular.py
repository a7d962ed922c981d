"""Files of rows with an image column: what parquet files and those of `datasets` have in common."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any, Protocol

from ptheta.data.dataset import Dataset
from ptheta.data.decode import PEEK, Pictures, Source, decode
from ptheta.data.labels import Labels, number
from ptheta.data.names import shown
from ptheta.data.picture import Raw
from ptheta.data.request import Request
from ptheta.data.splits import Part, choose
from ptheta.data.table import (
    CAPTIONS,
    LABELS,
    choose_column,
    image_column,
    no_labels,
    notes_on,
    picture,
    texts,
)
from ptheta.errors import PthetaError

ROWS = 256  # rows in memory at a time
GROUPS = 16  # groups of rows that a sample is taken from
FILE_NAME = "file_name"  # a column of paths, as metadata beside pictures has


class Rows(Protocol):
    """A file of rows. Every method raises OSError, ValueError or Arrow's own errors where it is
    damaged."""

    @property
    def path(self) -> Path: ...

    def schema(self) -> Any:
        """The Arrow schema, with the hub's description of the columns where there is one."""

    def groups(self) -> int:
        """How many groups of rows it has."""

    def batches(self, column: str, groups: Sequence[int] | None = None) -> Iterator[Any]:
        """Arrays of at most `ROWS` cells of a column, of all groups or of these. Raises PthetaError
        where it has no such column (`lacks`)."""


def read(
    path: Path, splits: Mapping[str, Sequence[Rows]], request: Request
) -> tuple[Dataset, Part]:
    """The part that answers to a split, of a source with these files for each split."""
    if request.whole:
        splits = {request.split: [file for files in splits.values() for file in files]}
    part = choose(request.split, splits, path)
    files, training = splits[part.name], splits["train"]
    schema = _schema(files[0])
    images = image_columns(schema)
    column = image_column(request.image_column, images, schema.names, str(path))

    def items() -> Iterator[tuple[str, Raw]]:
        for file in files:
            for row, raw in enumerate(_pictures(file, column)):
                yield f"{shown(file.path.name)} row {row}", raw

    def sample() -> Iterator[Raw]:
        groups = [(f, g) for f in training for g in range(_groups(f))]
        some = groups[:: -(-len(groups) // GROUPS) or 1]
        for file, group in some:
            yield from islice(_pictures(file, column, [group]), -(-PEEK // len(some)))

    state = [(str(f.path), *_state(f.path)) for f in (*files, *training)]
    identity = (str(path.resolve()), part.name, column)
    decoded = decode(Source(str(path), identity, state, items, sample), request)
    key = None if request.whole else label_column(request, schema, str(path))
    labels, classes = _labels(splits, part.name, key, schema)
    said = None
    if not request.whole:
        said = choose_column("caption", request.caption_column, CAPTIONS, schema.names, str(path))
    captions = None if said is None else texts(_column(files, said), decoded.kept)
    told = (*notes_on(column, images), *no_labels(key, labels))
    data = as_dataset(
        path.resolve().stem, request.split, decoded, (labels, classes), captions, told
    )
    return data, part


def as_dataset(
    name: str,
    split: str,
    decoded: Pictures,
    labels: Labels,
    captions: tuple[str, ...] | None,
    notes: Sequence[str],
    kin: str = "",
) -> Dataset:
    """What was read of a source with columns.

    labels: of every row, also of those whose pictures could not be decoded; captions: of the others
    """
    numbers, classes = labels
    return Dataset(
        name=name,
        split=split,
        images=decoded.images,
        labels=None if numbers is None else numbers[decoded.kept],
        classes=classes,
        captions=captions,
        skipped=decoded.skipped,
        notes=(*decoded.notes, *notes),
        advice=decoded.advice,
        resized=decoded.resized,
        values=decoded.values,
        kin=kin,
    )


def _state(file: Path) -> tuple[int, int]:
    stat = file.stat()
    return stat.st_size, stat.st_mtime_ns


@contextmanager
def _reading(file: Rows) -> Iterator[None]:
    """Raises PthetaError where the file is damaged, or of a kind that Arrow does not read."""
    import pyarrow as pa

    try:
        yield
    except (OSError, ValueError, pa.ArrowException) as error:
        raise damaged(file.path, error) from None


def _schema(file: Rows) -> Any:
    with _reading(file):
        return file.schema()


def _groups(file: Rows) -> int:
    with _reading(file):
        return file.groups()


def _pictures(file: Rows, column: str, groups: list[int] | None = None) -> Iterator[Raw]:
    """The pictures of a file, or of some of its groups; a batch of rows is in memory."""
    with _reading(file):
        for cells in file.batches(column, groups):
            for cell in cells.to_pylist():
                yield picture(cell, file.path.parent)


def label_column(request: Request, schema: Any, name: str) -> str | None:
    """The column of labels: as asked for, of a usual name, or declared to be one."""
    declared = [c for c, f in _features(schema).items() if f.get("_type") == "ClassLabel"]
    return choose_column("label", request.label_column, (*LABELS, *declared), schema.names, name)


def _labels(
    splits: Mapping[str, Sequence[Rows]], name: str, key: str | None, schema: Any
) -> Labels:
    if key is None:
        return None, ()
    names = _features(schema).get(key, {}).get("names") or ()
    # the files of other splits are needed only where the numbers depend on them; some have none
    every = {
        split: _column([f for f in files if split == name or key in _schema(f).names], key)
        for split, files in splits.items()
    }
    return number(every[name], every.values(), names)


def _column(files: Sequence[Rows], name: str) -> list[Any]:
    """All cells of a column. Raises PthetaError where a file lacks it or is damaged."""
    cells: list[Any] = []
    for file in files:
        with _reading(file):
            cells += [v for batch in file.batches(name) for v in batch.to_pylist()]
    return cells


def image_columns(schema: Any) -> list[str]:
    """The columns that hold images: declared so, else {bytes, path} structs, raw bytes, nested
    lists, or the paths of files.
    """
    import pyarrow.types as of

    def with_type(test: Any) -> list[str]:
        return [field.name for field in schema if test(field.type)]

    declared = [c for c, f in _features(schema).items() if f.get("_type") == "Image"]
    return (
        [c for c in declared if c in schema.names]
        or with_type(lambda t: of.is_struct(t) and t.get_field_index("bytes") >= 0)
        or with_type(lambda t: of.is_binary(t) or of.is_large_binary(t))
        or with_type(lambda t: _is_list(t) and _is_list(t.value_type))
        or [name for name in schema.names if name == FILE_NAME]
    )


def _is_list(kind: Any) -> bool:
    import pyarrow.types as of

    return bool(of.is_list(kind) or of.is_large_list(kind) or of.is_fixed_size_list(kind))


def _features(schema: Any) -> dict[str, dict[str, Any]]:
    """The hub's description of the columns, from the metadata in the file."""
    try:
        meta = json.loads((schema.metadata or {}).get(b"huggingface", b"{}"))
        features = meta["info"]["features"]
        return {c: f for c, f in features.items() if isinstance(f, dict)}
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return {}


def lacks(file: Path, column: str) -> PthetaError:
    """The error for a file without a column that others of its split have."""
    return PthetaError(
        f"{file} has no column {column!r}, which other files of its split have: write it there, "
        "too, or take the file away"
    )


def damaged(file: Path, error: Exception) -> PthetaError:
    """The error for a file that cannot be read."""
    reason = str(error).splitlines()[0] if str(error) else type(error).__name__
    return PthetaError(f"cannot read {file}: {reason}; fetch the file again")
