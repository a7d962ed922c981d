"""Parquet files with an image column, as the hub stores them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

from ptheta.data.dataset import Dataset
from ptheta.data.decode import PEEK, Raw, Source, decode
from ptheta.data.labels import Labels, number
from ptheta.data.request import Request
from ptheta.data.splits import Part, choose, named
from ptheta.data.table import CAPTIONS, LABELS, image_column, notes_on, picture, text
from ptheta.errors import PthetaError

ROWS = 256  # rows in memory at a time
GROUPS = 16  # row groups that a sample is taken from


def files_of(path: Path) -> dict[str, list[Path]]:
    """The files of each split, by their names; the files for train where none names a split."""
    if path.is_file():
        return {"train": [path]}
    found: dict[str, list[Path]] = {}
    for file in sorted(path.rglob("*.parquet")):
        inside = file.relative_to(path)
        if not any(part.startswith(".") for part in inside.parts):
            found.setdefault(named(inside.as_posix()) or "", []).append(file)
    rest = found.pop("", [])
    return found if "train" in found or not rest else {"train": rest} | found


def read(path: Path, request: Request) -> tuple[Dataset, Part]:
    """The part of a parquet file or folder that answers to a split.

    Raises PthetaError without pyarrow, without an image column, or where a file is damaged.
    """
    try:
        import pyarrow.parquet as pq
    except ImportError:
        raise PthetaError(f"{path} needs the extra: pip install 'ptheta[parquet]'") from None
    splits = files_of(path)
    part = choose(request.split, splits, path)
    files, training = splits[part.name], splits["train"]
    try:
        schema = pq.read_schema(files[0])
    except (OSError, ValueError) as error:
        raise _damaged(files[0], error) from None
    images = image_columns(schema)
    column = image_column(request.column, images, schema.names, str(path))

    def items() -> Iterator[tuple[str, Raw]]:
        for file in files:
            for row, raw in enumerate(_pictures(file, column)):
                yield f"{file.name} row {row}", raw

    def sample() -> Iterator[Raw]:
        groups = [(f, g) for f in training for g in range(_groups(f))]
        some = groups[:: -(-len(groups) // GROUPS) or 1]
        for file, group in some:
            yield from islice(_pictures(file, column, [group]), -(-PEEK // len(some)))

    state = [(str(f), f.stat().st_size, f.stat().st_mtime_ns) for f in (*files, *training)]
    identity = (str(path.resolve()), part.name, column)
    decoded = decode(Source(str(path), identity, state, items, sample), request)
    labels, classes = _labels(splits, part.name, schema)
    captions = None
    caption_key = next((name for name in CAPTIONS if name in schema.names), None)
    if caption_key is not None:
        cells = _column(files, caption_key)
        captions = tuple(text(cells[i]) for i in decoded.kept)
    data = Dataset(
        name=path.resolve().stem,
        split=request.split,
        images=decoded.images,
        labels=None if labels is None else labels[decoded.kept],
        classes=classes,
        captions=captions,
        skipped=decoded.skipped,
        notes=(*decoded.notes, *notes_on(column, images)),
    )
    return data, part


def _groups(file: Path) -> int:
    import pyarrow.parquet as pq

    try:
        return pq.read_metadata(file).num_row_groups
    except (OSError, ValueError) as error:
        raise _damaged(file, error) from None


def _pictures(file: Path, column: str, groups: list[int] | None = None) -> Iterator[Raw]:
    """The pictures of a file, or of some of its row groups; a batch of rows is in memory."""
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(file) as opened:
            for batch in opened.iter_batches(ROWS, groups, columns=[column]):
                for cell in batch.column(0).to_pylist():
                    yield picture(cell, file.parent)
    except (OSError, ValueError) as error:
        raise _damaged(file, error) from None


def _labels(splits: dict[str, list[Path]], name: str, schema: Any) -> Labels:
    features = _features(schema)
    declared = [c for c, f in features.items() if f.get("_type") == "ClassLabel"]
    key = next((c for c in (*LABELS, *declared) if c in schema.names), None)
    if key is None:
        return None, ()
    names = features.get(key, {}).get("names", ())
    # the files of other splits are needed only where the numbers depend on them
    every = {split: _column(files, key) for split, files in splits.items()}
    return number(every[name], every.values(), names)


def _column(files: list[Path], name: str) -> list[Any]:
    import pyarrow.parquet as pq

    try:
        return [v for file in files for v in pq.read_table(file, columns=[name])[name].to_pylist()]
    except KeyError:  # a split without it
        return []
    except (OSError, ValueError) as error:
        raise _damaged(files[0], error) from None


def image_columns(schema: Any) -> list[str]:
    """The columns that hold images: declared so, else {bytes, path} structs, else raw bytes."""
    import pyarrow as pa

    declared = [c for c, f in _features(schema).items() if f.get("_type") == "Image"]
    structs = [
        field.name
        for field in schema
        if pa.types.is_struct(field.type) and field.type.get_field_index("bytes") >= 0
    ]
    raw = [
        field.name
        for field in schema
        if pa.types.is_binary(field.type) or pa.types.is_large_binary(field.type)
    ]
    return [c for c in declared if c in schema.names] or structs or raw


def _features(schema: Any) -> dict[str, dict[str, Any]]:
    """The hub's description of the columns, from the metadata in the file."""
    try:
        meta = json.loads((schema.metadata or {}).get(b"huggingface", b"{}"))
        features = meta["info"]["features"]
        return {c: f for c, f in features.items() if isinstance(f, dict)}
    except (ValueError, KeyError, TypeError, AttributeError):
        return {}


def _damaged(file: Path, error: Exception) -> PthetaError:
    reason = str(error).splitlines()[0] if str(error) else type(error).__name__
    return PthetaError(f"cannot read {file}: {reason}; fetch the file again")
