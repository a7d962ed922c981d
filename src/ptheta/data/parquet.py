"""Parquet files, as on the hub, and folders saved by `datasets` (`save_to_disk`): Arrow files with
JSON metadata.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from pydantic import BaseModel, Field, ValidationError

from ptheta.data.columns.source import read_rows
from ptheta.data.dataset import Dataset
from ptheta.data.extras import need_pyarrow
from ptheta.data.reader import SourceReader
from ptheta.data.request import Request
from ptheta.data.splits import Part, by_split, named
from ptheta.data.tabular import STORED, Table, read_table
from ptheta.data.tree import Folder, holds
from ptheta.errors import PthetaError
from ptheta.files.atomic import read_json

if TYPE_CHECKING:
    from ptheta.data.arrow import RowFile

M = TypeVar("M", bound=BaseModel)

STATE, INFO, PARTS = "state.json", "dataset_info.json", "dataset_dict.json"


class _DataFile(BaseModel):
    filename: str


class _State(BaseModel):
    """state.json. indices_files: a selection of rows apart from these, as old versions saved it"""

    data_files: list[_DataFile] = Field([], alias="_data_files")
    indices_files: list[object] | None = Field(None, alias="_indices_files")


class _Parts(BaseModel):
    """dataset_dict.json."""

    splits: list[str] = []


def open_parquet(path: Path) -> SourceReader:
    kind = "folder of parquet files" if path.is_dir() else "parquet file"
    read = partial(read_parquet, path)
    return SourceReader(kind, read, has_columns=_always, readable_whole=True, pairs=STORED)


def open_saved(path: Path) -> SourceReader:
    read = partial(read_saved, path)
    kind = "folder saved by datasets"
    return SourceReader(kind, read, has_columns=_always, readable_whole=True, pairs=STORED)


def has_parquet(path: Path) -> bool:
    """Whether a folder holds parquet files. Deeper levels are searched only if there are no
    pictures, which may be very many.
    """
    if not path.is_dir():
        return False
    near = any(next(path.glob(pattern), None) for pattern in ("*.parquet", "*/*.parquet"))
    return near or (not Folder(path).holds_pictures() and holds(path, _is_parquet))


def _is_parquet(entry: os.DirEntry[str]) -> bool:
    return entry.name.lower().endswith(".parquet") and not entry.name.startswith(".")


def is_saved(folder: Path) -> bool:
    """Whether a path is a folder that `datasets` saved."""
    return (folder / PARTS).is_file() or all((folder / n).is_file() for n in (STATE, INFO))


def read_parquet(path: Path, request: Request) -> tuple[Dataset, Part]:
    """The part of a parquet file or folder that answers to a split.

    Raises PthetaError without pyarrow, without an image column, or where a file is damaged.
    """
    need_pyarrow(path)
    from ptheta.data.arrow import Parquet

    files = {split: [Parquet(file) for file in paths] for split, paths in files_of(path).items()}
    return _read(path, files, request)


def read_saved(path: Path, request: Request) -> tuple[Dataset, Part]:
    """The part of a saved Dataset or DatasetDict that answers to a split.

    Raises PthetaError without pyarrow, without an image column, or where a file is damaged.
    """
    need_pyarrow(path)
    from ptheta.data.arrow import Stream

    folders = {"train": path}
    if (path / PARTS).is_file():
        names = _parsed(_Parts, path / PARTS).splits
        folders = by_split([(named(name), _beside(path / PARTS, name)) for name in names])
    files = {split: list(map(Stream, _data_files(folder))) for split, folder in folders.items()}
    return _read(path, files, request)


def _read(
    path: Path, files: Mapping[str, Sequence[RowFile]], request: Request
) -> tuple[Dataset, Part]:
    from ptheta.data.arrow import FileRows

    if request.whole:
        files = {request.split: [file for part in files.values() for file in part]}
    place = path.resolve()
    splits = {split: FileRows(part) for split, part in files.items()}
    if request.settings.image_column is None and not any(r.image_columns for r in splits.values()):
        return read_rows(place.stem, str(path), splits, request)
    return read_table(Table(place.stem, str(path), str(place), splits), request)


def files_of(path: Path) -> dict[str, list[Path]]:
    """The parquet files of each split, by their names; the files for train where none names a
    split."""
    if path.is_file():
        return {"train": [path]}
    files: dict[str | None, list[Path]] = {}
    for file in sorted(path.rglob("*.parquet")):
        inside = file.relative_to(path)
        if not any(part.startswith(".") for part in inside.parts) and file.is_file():
            files.setdefault(named(inside.as_posix()), []).append(file)
    return by_split(files.items())


def _data_files(folder: Path) -> list[Path]:
    """The Arrow files of one split, in order."""
    state = _parsed(_State, folder / STATE)
    if state.indices_files:
        raise PthetaError(
            f"{folder} was saved with a selection of rows apart: save it again with "
            "datasets.load_from_disk(...).flatten_indices().save_to_disk(...)"
        )
    if not state.data_files:
        raise PthetaError(f"{folder / STATE} names no data file: save the data set again")
    return [_beside(folder / STATE, file.filename) for file in state.data_files]


def _parsed(kind: type[M], file: Path) -> M:
    try:
        return kind.model_validate(read_json(file))
    except ValidationError as error:
        place = next(iter(error.errors()[0]["loc"]), "it")
        raise PthetaError(
            f"{file}: {place} is not a list of names; save the data set again"
        ) from None


def _beside(file: Path, name: str) -> Path:
    """The files that a JSON file names, only in its own folder."""
    target = file.parent / name
    if Path(name).name != name or not target.exists():
        raise PthetaError(
            f"{file} names {name!r}, which is not in the same folder; save the data set again"
        )
    return target


def _always() -> bool:
    return True
