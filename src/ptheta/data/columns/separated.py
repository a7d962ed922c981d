"""Tables as text: .csv and .tsv, in UTF-8, whose first line names the columns.

The separator (comma, semicolon, tab or bar) is the most frequent one of the first line. The file is
read in blocks of rows; cells are held in memory as numbers, and each word once.
"""

from __future__ import annotations

import codecs
import csv
import math
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Protocol, TextIO

import numpy as np

from ptheta.config import brief
from ptheta.data.columns.raw import RawColumn, is_missing, of_texts
from ptheta.data.names import shown
from ptheta.errors import PthetaError

SEPARATORS = ",;\t|"
ROWS = 10_000  # read at a time
WIDE = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


class Collector(Protocol):
    """Gathers the cells of a column."""

    def add(self, texts: Sequence[str]) -> bool:
        """Whether it could take them; if not, nothing has changed."""

    def column(self, name: str) -> RawColumn: ...


class Numbers:
    """A column that has held nothing but numbers so far."""

    def __init__(self) -> None:
        self.parts: list[np.ndarray] = []

    def add(self, texts: Sequence[str]) -> bool:
        try:
            part = [float(text) for text in texts]
        except ValueError:  # a cell that is missing, or a word
            try:
                part = [math.nan if is_missing(text) else float(text) for text in texts]
            except ValueError:
                return False
        if any("_" in text for text in texts):  # a number to Python, not to anybody else
            return False
        self.parts.append(np.array(part))
        return True

    def column(self, name: str) -> RawColumn:
        return RawColumn(name, np.concatenate([np.empty(0), *self.parts]))


class Words:
    """A column of words."""

    def __init__(self) -> None:
        self.parts: list[np.ndarray] = []
        self.codes: dict[str, int] = {}

    def add(self, texts: Sequence[str]) -> bool:
        codes = self.codes
        self.parts.append(np.array([codes.setdefault(t, len(codes)) for t in texts], np.int64))
        return True

    def column(self, name: str) -> RawColumn:
        return of_texts(name, np.concatenate([np.empty(0, np.int64), *self.parts]), self.codes)


def read_separated(
    path: Path, wanted: Collection[str] | None = None, words: Collection[str] = ()
) -> list[RawColumn]:
    """The columns of a table, in the file's order; without rows they are empty.

    wanted: the names of those to read; None for all. A name that is not there is let be
    words: the names of those that hold words, though they may look like numbers

    Raises PthetaError where the file is not such a table.
    """
    with _reading(path) as file:
        rows = _rows(file, path)
        names = _header(next(rows), path)
        taken = [i for i, name in enumerate(names) if wanted is None or name in wanted]
        found: dict[int, Collector] = {
            i: Words() if names[i] in words else Numbers() for i in taken
        }
        late: set[str] = set()
        for number, chunk in enumerate(_chunks(rows)):
            columns = list(zip(*chunk, strict=True))
            odd = [i for i in taken if not found[i].add(columns[i])]
            for i in odd:
                found[i] = Words()
                found[i].add(columns[i])
            late.update(names[i] for i in odd if number)
    if late:  # numbers at first, and words further down: what stood there is no longer known
        return read_separated(path, wanted, {*words, *late})
    return [column.column(names[i]) for i, column in found.items()]


def read_names(path: Path) -> list[str]:
    """The names of the columns of a table. Raises PthetaError as `read_separated` does."""
    with _reading(path) as file:
        return _header(next(_rows(file, path)), path)


def _header(cells: Sequence[str], path: Path) -> list[str]:
    """The names of the columns. Raises PthetaError where the line has none."""
    names = [shown(cell.strip()) or f"column {i}" for i, cell in enumerate(cells, start=1)]
    twice = next((name for i, name in enumerate(names) if name in names[:i]), None)
    number = next((name for name in names if _is_number(name)), None)
    if number is not None:
        raise PthetaError(
            f"{path}: the first line has to name the columns, but {brief(number)} is a number: add "
            "a header line"
        )
    if twice is not None:
        raise PthetaError(f"{path} has two columns {brief(twice)!r}: give each a different name")
    return names


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return not is_missing(text)


@contextmanager
def _reading(path: Path) -> Iterator[TextIO]:
    """The file as text. Raises PthetaError where it is none."""
    try:
        with path.open("rb") as file:
            wide = file.read(2) in WIDE
        encoding = "utf-16" if wide else "utf-8-sig"
        with path.open(encoding=encoding, newline="") as text:
            yield text
    except UnicodeError as error:
        reason = error.reason if isinstance(error, UnicodeDecodeError) else brief(error)
        raise PthetaError(f"{path} is not UTF-8 ({reason}): save it as UTF-8") from None
    except csv.Error as error:
        raise PthetaError(f"{path} is not a valid table ({error}): correct it") from None
    except OSError as error:
        raise PthetaError(f"cannot read {path}: {error.strerror}") from None


def _rows(file: TextIO, path: Path) -> Iterator[list[str]]:
    """The rows, the names first, each with as many cells; empty lines are left out."""
    first = next((line for line in file if line.strip()), "")
    if not first:
        raise PthetaError(f"{path} is empty: give a table whose first line names the columns")
    separator = max(SEPARATORS, key=first.count)
    file.seek(0)
    # strict: a quote that never ends would take in the rest of the file
    reader = csv.reader(file, delimiter=separator, skipinitialspace=True, strict=True)
    width = 0
    for row in reader:
        if not row:
            continue
        width = width or len(row)
        if len(row) != width:
            raise PthetaError(
                f"{path} line {reader.line_num} has {len(row)} cells, and the first line names "
                f"{width} columns: correct it (quote cells that contain {separator!r})"
            )
        yield row


def _chunks(rows: Iterator[list[str]]) -> Iterator[list[list[str]]]:
    while chunk := list(islice(rows, ROWS)):
        yield chunk
