"""Folders that the `datasets` library saved (`save_to_disk`): Arrow files beside JSON."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ptheta.data import tabular
from ptheta.data.dataset import Dataset
from ptheta.data.parquet import need_pyarrow
from ptheta.data.request import Request
from ptheta.data.splits import Part, named
from ptheta.data.tabular import ROWS, lacks
from ptheta.errors import PthetaError
from ptheta.files.atomic import read_json

STATE, INFO, PARTS = "state.json", "dataset_info.json", "dataset_dict.json"


@dataclass(frozen=True)
class Stream:
    """A file of Arrow record batches."""

    path: Path

    def schema(self) -> Any:
        import pyarrow as pa

        with pa.memory_map(str(self.path)) as file, pa.ipc.open_stream(file) as stream:
            return stream.schema

    def groups(self) -> int:
        import pyarrow as pa

        with pa.memory_map(str(self.path)) as file, pa.ipc.open_stream(file) as stream:
            return sum(1 for _ in stream)

    def batches(self, column: str, groups: Sequence[int] | None = None) -> Iterator[Any]:
        import pyarrow as pa

        with pa.memory_map(str(self.path)) as file, pa.ipc.open_stream(file) as stream:
            at = stream.schema.get_field_index(column)
            if at < 0:
                raise lacks(self.path, column)
            for number, batch in enumerate(stream):
                if groups is None or number in groups:
                    cells = batch.column(at)
                    yield from (cells.slice(i, ROWS) for i in range(0, len(cells), ROWS))


def is_saved(folder: Path) -> bool:
    """Whether a folder is one that `datasets` saved."""
    return (folder / PARTS).is_file() or all((folder / n).is_file() for n in (STATE, INFO))


def read(path: Path, request: Request) -> tuple[Dataset, Part]:
    """The part of a saved Dataset or DatasetDict that answers to a split.

    Raises PthetaError without pyarrow, without an image column, or where a file is damaged.
    """
    need_pyarrow(path)
    if not (path / PARTS).is_file():
        return tabular.read(path, {"train": _files(path)}, request)
    splits: dict[str, list[Stream]] = {}
    for name in _words(path / PARTS, "splits"):
        splits.setdefault(named(name) or "", _files(_beside(path / PARTS, name)))
    rest = splits.pop("", None)
    if "train" not in splits and rest is not None:
        splits["train"] = rest
    return tabular.read(path, splits, request)


def _files(folder: Path) -> list[Stream]:
    """The Arrow files of one split, in order."""
    state = folder / STATE
    if _values(state, "_indices_files"):  # as old versions saved a selection of rows
        raise PthetaError(
            f"{folder} was saved with a selection of rows apart: save it again with "
            "datasets.load_from_disk(...).flatten_indices().save_to_disk(...)"
        )
    files = [Stream(_beside(state, name)) for name in _words(state, "_data_files", "filename")]
    if not files:
        raise PthetaError(f"{state} names no file of data: save the data set again")
    return files


def _values(file: Path, key: str) -> list[Any]:
    values = read_json(file)
    found = values.get(key) if isinstance(values, dict) else None
    return found if isinstance(found, list) else []


def _words(file: Path, key: str, inner: str | None = None) -> list[str]:
    """The words of a list in a JSON file, or of one key of each of its objects."""
    found = [v.get(inner) if inner and isinstance(v, dict) else v for v in _values(file, key)]
    words = [word for word in found if isinstance(word, str)]
    if len(words) < len(found):
        raise PthetaError(f"{file}: {key} is not a list of names; save the data set again")
    return words


def _beside(file: Path, name: str) -> Path:
    """What a JSON file names beside itself, and nowhere else."""
    target = file.parent / name
    if Path(name).name != name or not target.exists():
        raise PthetaError(f"{file} names {name!r}, which is not beside it; save the data set again")
    return target
