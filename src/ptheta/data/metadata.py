"""Metadata of picture folders: tables (as in the hub's image folders) and caption files."""

from __future__ import annotations

import codecs
import csv
import io
import json
import os
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import PurePath
from typing import overload

from ptheta.data.names import shortened, shown
from ptheta.data.request import Request
from ptheta.data.table import CAPTIONS, LABELS, choose_column
from ptheta.data.tree import TABLES, TEXT, Tree
from ptheta.errors import PthetaError

FILE_NAME = "file_name"
MOST_TEXT = 2**16  # bytes of a caption


@dataclass
class Metadata:
    """Metadata tables: their column names, and one row per picture path.

    label, caption: the label and caption columns; None if there are none
    """

    columns: list[str] = field(default_factory=list)
    rows: dict[str, dict[str, object]] = field(default_factory=dict)
    files: list[str] = field(default_factory=list)
    names: set[str] = field(default_factory=set)
    label: str | None = None
    caption: str | None = None
    again: int = 0  # rows that repeat a picture with other values

    def add(self, tree: Tree, table: str, before: str, request: Request) -> None:
        """A table of a folder. before: prefix of the folder for the paths"""
        place = f"{tree.place}{os.sep}{table}"
        data = tree.read(table)
        if data is None:
            raise PthetaError(f"cannot read {place}: repair or remove it")
        rows = list(READERS[PurePath(table).suffix](decoded(data, place), place))
        columns = list(dict.fromkeys(name for row in rows for name in row))
        asked = request.settings.image_column
        column = _file_column(columns, place, asked) if rows else FILE_NAME
        folder = os.path.join(before, os.path.dirname(table))
        for row in rows:
            if isinstance(name := row.get(column), str):
                path = os.path.normpath(os.path.join(folder, name))
                self.again += self.rows.get(path, row) != row
                self.rows[path] = row
        self.columns += [name for name in columns if name not in self.columns]
        self.files.append(os.path.normpath(os.path.join(before, table)))
        self.names.add(column)

    def choose(self, request: Request) -> None:
        """Check the columns. Raises PthetaError for a missing column or table."""
        if not self.files:
            if asked := request.settings.of_tables:
                option, name = next(iter(asked.items()))
                raise PthetaError(
                    f"{option} {shortened(name)}: there is no metadata table next to the pictures "
                    f"({', '.join(TABLES)}); give one, or leave the option out"
                )
            return
        where = ", ".join(self.files)
        self.label = choose_column(
            "label", request.settings.label_column, LABELS, self.columns, where
        )
        asked_caption = request.settings.caption_column
        self.caption = choose_column("caption", asked_caption, CAPTIONS, self.columns, where)

    def notes(self, pictures: Collection[str], folders: Sequence[str]) -> tuple[str, ...]:
        """Notes on how the tables are used. folders: the picture folders"""
        if not self.files:
            return ()
        used = {self.label, self.caption, *self.names}
        rest = [name for name in self.columns if name not in used]
        taken = [
            f"{kind} from the column {name!r}"
            for kind, name in (("labels", self.label), ("captions", self.caption))
            if name is not None
        ]
        what = " and ".join(taken) or "no column of labels or captions"
        lines = [f"{', '.join(map(shown, self.files))}: {what}"]
        tops = {PurePath(name).parts[0] for name in pictures if len(PurePath(name).parts) > 1}
        if self.label is not None and len(tops) > 1:
            lines[0] += ", not from the folders"
        if rest:
            lines[0] += f"; other columns: {', '.join(rest)}"
        if rest and self.caption is None:
            lines[0] += "; choose the caption column with --caption-column NAME"
        rows = [n for n in self.rows if any(PurePath(n).is_relative_to(f) for f in folders)]
        if strange := [name for name in rows if name not in pictures]:
            lines.append(
                f"{len(strange)} of {len(rows)} rows name a picture that does not exist; "
                f"the first names {shown(strange[0])}"
            )
        if self.again:
            lines.append(
                f"{self.again} rows repeat a picture with different values: the last row is used"
            )
        return tuple(lines)


def has_tables(tree: Tree) -> bool:
    """Whether there is a table of metadata in a folder or below it."""
    return bool(tree.listing().tables)


def ancestors_tables(tree: Tree, within: Tree) -> Iterator[str]:
    """The tables that lie in a folder itself, not below it, where pictures of a part lie below."""
    if tree.place != within.place:
        yield from (name for name in TABLES if within.read(name, 1) is not None)


@dataclass(frozen=True)
class Texts(Sequence[str]):
    """Captions in files next to the pictures, read lazily. files: "" for none"""

    tree: Tree
    files: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.files)

    @overload
    def __getitem__(self, at: int) -> str: ...

    @overload
    def __getitem__(self, at: slice) -> Texts: ...

    def __getitem__(self, at: int | slice) -> str | Texts:
        if isinstance(at, slice):
            return Texts(self.tree, self.files[at])
        name = self.files[at]
        data = self.tree.read(name, MOST_TEXT) if name else b""
        return decoded(data or b"", f"{self.tree.place}{os.sep}{name}", whole=False).strip()


def text_of(picture: str) -> str:
    """The caption file of a picture."""
    return str(PurePath(picture).with_suffix(TEXT))


def captions_of(rows: Sequence[dict[str, object]], column: str) -> tuple[object, ...]:
    return tuple(row.get(column) for row in rows)


def _file_column(columns: Sequence[str], place: str, asked: str | None) -> str:
    """The column with the names of the pictures."""
    usual = [FILE_NAME, *(name for name in columns if name.endswith(f"_{FILE_NAME}"))]
    column = choose_column("image", asked, usual, columns, place)
    marks = {*";\t|"} & {*"".join(columns)} if len(columns) == 1 else set()
    if column is None and marks:
        raise PthetaError(
            f"{place} is separated by {marks.pop()!r}: separate the columns by commas"
        )
    if column is None:
        raise PthetaError(
            f"{place} has the columns {', '.join(columns)}: none is {FILE_NAME}, the path of a "
            "picture; name it by --image-column"
        )
    return column


def decoded(data: bytes, place: str, *, whole: bool = True) -> str:
    """The text of a file in UTF-8, or marked as UTF-16.

    whole: whether these are all its bytes; else the last letter may be cut off
    place: for the message of the PthetaError where it is in neither"""
    wide = data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    decoder = codecs.getincrementaldecoder("utf-16" if wide else "utf-8-sig")()
    try:
        return decoder.decode(data, final=whole or len(data) < MOST_TEXT)
    except UnicodeDecodeError as error:
        raise PthetaError(f"{place} is not UTF-8 ({error.reason}): save it as UTF-8") from None


def _csv_rows(table: str, place: str) -> Iterator[dict[str, object]]:
    try:
        for cells in csv.DictReader(io.StringIO(table, newline="")):
            yield {name: cells[name] for name in cells if name is not None}
    except csv.Error as error:
        raise PthetaError(f"{place} is not a valid CSV table ({error}): correct it") from None


def _json_rows(table: str, place: str) -> Iterator[dict[str, object]]:
    for number, line in enumerate(table.split("\n"), start=1):
        if not line.strip():
            continue
        row: object = None
        with suppress(ValueError, RecursionError):
            row = json.loads(line)
        if not isinstance(row, dict):
            raise PthetaError(f"{place} line {number} is not a JSON object: correct it")
        yield row


# how a table is read, by its suffix
READERS: dict[str, Callable[[str, str], Iterator[dict[str, object]]]] = {
    ".csv": _csv_rows,
    ".jsonl": _json_rows,
}
