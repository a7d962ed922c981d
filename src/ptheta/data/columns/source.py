"""Files and folders of tables: .csv and .tsv, and files of rows without pictures."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from ptheta.data.columns.raw import RawColumn
from ptheta.data.columns.separated import read_names, read_separated
from ptheta.data.columns.tables import ColumnFile, Table, read_vectors
from ptheta.data.dataset import Dataset
from ptheta.data.reader import SourceReader
from ptheta.data.request import Request
from ptheta.data.splits import Part, named
from ptheta.data.tree import TABLES, Folder
from ptheta.errors import PthetaError

if TYPE_CHECKING:
    from ptheta.data.arrow import FileRows

SUFFIXES = (".csv", ".tsv")


@dataclass(frozen=True)
class SeparatedFile:
    """A .csv or .tsv file: see `ColumnFile`."""

    path: Path

    def names(self) -> list[str]:
        return read_names(self.path)

    def read(self, wanted: Collection[str], words: Collection[str]) -> list[RawColumn]:
        return read_separated(self.path, wanted, words)


@dataclass(frozen=True)
class RowFiles:
    """Files of rows that Arrow reads: see `ColumnFile`."""

    rows: FileRows

    def names(self) -> list[str]:
        return self.rows.columns

    def read(self, wanted: Collection[str], words: Collection[str]) -> list[RawColumn]:
        from ptheta.data.columns.arrow import read_arrow  # pyarrow is an extra

        return read_arrow(self.rows, wanted)


def open_separated(path: Path) -> SourceReader:
    kind = "folder of tables" if path.is_dir() else f"{path.suffix.lower()} table"
    return SourceReader(kind, partial(read_separated_parts, path), has_columns=_always)


def read_separated_parts(path: Path, request: Request) -> tuple[Dataset, Part]:
    """The part of a .csv or .tsv file, or of a folder of these, that answers to a split."""
    files: dict[str, ColumnFile] = {
        split: SeparatedFile(file) for split, file in _files_of(path).items()
    }
    return read_vectors(Table(path.resolve().stem, str(path), files), request)


def read_rows(
    name: str, place: str, splits: dict[str, FileRows], request: Request
) -> tuple[Dataset, Part]:
    """The part of files of rows without pictures that answers to a split."""
    training = splits["train"] if "train" in splits else next(iter(splits.values()))
    classes: dict[str, Sequence[str]] = {
        column: feature.names
        for column, feature in training.features.items()
        if feature.names is not None
    }
    files: dict[str, ColumnFile] = {split: RowFiles(rows) for split, rows in splits.items()}
    return read_vectors(Table(name, place, files, classes), request)


def has_tables(path: Path) -> bool:
    """Whether a folder is one of tables: a single one, or one for training among others, and there
    are no pictures."""
    tables = _tables_in(path) if path.is_dir() else []
    parts = len(tables) == 1 or any(named(file.stem) == "train" for file in tables)
    return parts and not Folder(path).holds_pictures()


def _tables_in(folder: Path) -> list[Path]:
    """The tables of a folder, without metadata tables of pictures."""
    try:
        files = sorted(folder.iterdir())
    except OSError:  # reported when the folder is read
        return []
    return [
        file
        for file in files
        if file.suffix.lower() in SUFFIXES
        and not file.name.startswith(".")
        and file.name not in TABLES
        and file.is_file()
    ]


def _files_of(path: Path) -> dict[str, Path]:
    """The file of each split. Raises PthetaError where there are two for one."""
    if path.is_file():
        return {"train": path}
    found: dict[str, Path] = {}
    tables = _tables_in(path)
    if len(tables) == 1:
        return {"train": tables[0]}
    for file in tables:
        split = named(file.stem)
        if split in found:
            raise PthetaError(
                f"{path} has two tables for {split}, {found[split].name} and {file.name}: "
                "join them into one"
            )
        if split is not None:
            found[split] = file
    return found


def _always() -> bool:
    return True
