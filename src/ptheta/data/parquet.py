"""Parquet files with an image column, as the hub stores them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from ptheta.data.dataset import Dataset
from ptheta.data.decode import Raw, decode
from ptheta.errors import PthetaError

LABELS = ("label", "labels", "class", "fine_label")
CAPTIONS = ("caption", "captions", "text")
TEST = ("test", "val", "valid", "validation")


def files_of(path: Path) -> dict[str, list[Path]]:
    """The files of each split: by their names in a folder, or the one file for all."""
    if path.is_file():
        return {"all": [path]}
    found: dict[str, list[Path]] = {}
    for file in sorted(path.rglob("*.parquet")):
        words = file.relative_to(path).as_posix().lower()
        name = "train" if "train" in words else "test" if any(w in words for w in TEST) else "all"
        found.setdefault(name, []).append(file)
    return found


def read(
    path: Path, split: str, size: int | None, channels: int | None, max_broken: float
) -> tuple[Dataset, bool]:
    """A split of a parquet file or folder, and whether it is all there is."""
    try:
        import pyarrow.parquet as pq
    except ImportError:
        raise PthetaError("parquet needs the extra: pip install 'ptheta[parquet]'") from None
    splits = files_of(path)
    files = splits.get(split) or splits.get("all") or splits.get("train")
    if not files:
        raise PthetaError(f"{path} holds no parquet file for training: give one")
    try:
        schema = pq.read_schema(files[0])
    except (OSError, ValueError) as error:
        raise PthetaError(f"cannot read {files[0]}: {error}") from None
    column, nested = _image_column(schema, files[0])

    def items() -> Iterator[tuple[str, Raw]]:
        for file in files:
            number = 0
            for batch in pq.ParquetFile(file).iter_batches(256, columns=[column]):
                for value in batch.column(0).to_pylist():
                    data = value.get("bytes") if nested and value else value
                    yield f"{file.name} row {number}", data or b""
                    number += 1

    key = tuple((str(f.resolve()), f.stat().st_size, f.stat().st_mtime_ns) for f in files)
    stored = decode(str(path), key, items, size, channels, max_broken)
    rows = np.array(stored.about["rows"], dtype=np.int64)
    label_key = next((name for name in LABELS if name in schema.names), None)
    caption_key = next((name for name in CAPTIONS if name in schema.names), None)
    wanted = [name for name in (label_key, caption_key) if name is not None]
    table: Any = pq.read_table(files, columns=wanted) if wanted else None
    labels: np.ndarray | None = None
    classes: tuple[str, ...] = ()
    if label_key is not None:
        labels, classes = to_labels(
            table.column(label_key).to_pylist(), class_names(schema, label_key)
        )
        labels = labels[rows]
    captions = None
    if caption_key is not None:
        texts = table.column(caption_key).to_pylist()
        captions = tuple(str(texts[i]) for i in rows)
    data = Dataset(
        name=path.resolve().stem,
        split=split,
        images=stored.arrays["images"],
        labels=labels,
        classes=classes,
        captions=captions,
        skipped=tuple(stored.about["skipped"]),
    )
    return data, split not in splits


def _image_column(schema: Any, file: Path) -> tuple[str, bool]:
    """The first column of {bytes, path} structs, else of raw bytes; whether it is nested."""
    import pyarrow as pa

    for field in schema:
        if pa.types.is_struct(field.type) and field.type.get_field_index("bytes") >= 0:
            return field.name, True
    for field in schema:
        if pa.types.is_binary(field.type) or pa.types.is_large_binary(field.type):
            return field.name, False
    raise PthetaError(
        f"{file} has the columns {', '.join(schema.names)}: none holds images "
        "(a struct with `bytes`, or binary)"
    )


def class_names(schema: Any, column: str) -> tuple[str, ...]:
    """The names of a ClassLabel column, from the hub's metadata in the file."""
    meta = (schema.metadata or {}).get(b"huggingface")
    if meta is None:
        return ()
    feature = json.loads(meta).get("info", {}).get("features", {}).get(column, {})
    return tuple(feature.get("names", ())) if isinstance(feature, dict) else ()


def to_labels(values: list[Any], names: tuple[str, ...]) -> tuple[np.ndarray, tuple[str, ...]]:
    """Label values as numbers 0, 1, ... and the name of each."""
    if all(isinstance(v, int) and v >= 0 for v in values):
        numbers = np.array(values, dtype=np.int64)
        most = int(numbers.max(initial=0)) + 1
        return numbers, names if len(names) >= most else tuple(str(i) for i in range(most))
    words, inverse = np.unique([str(v) for v in values], return_inverse=True)
    return inverse.astype(np.int64), tuple(map(str, words))
