"""Imputation in .csv or .tsv files: every byte outside the filled cells stays unchanged, including
quotes, spaces, line ends, digits, and columns that the model does not use."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import NamedTuple, TextIO

import torch
from torch import Tensor

from ptheta.config import brief
from ptheta.data.columns.gap_file import ROWS, GapFile, Part, Put, cell_of
from ptheta.data.columns.separated import SEPARATORS, WIDE, read_names
from ptheta.data.columns.write import text_of
from ptheta.data.names import shown
from ptheta.errors import PthetaError
from ptheta.specs import VectorSpec

LONGEST = 2**20  # characters of a row


class Head(NamedTuple):
    """The header of the file.

    width: number of columns; places: positions of the spec's columns
    """

    text: str
    separator: str
    width: int
    places: list[int]


@dataclass(frozen=True)
class TextPart:
    """texts: the rows as stored; spans: positions of the spec's cells in each row, empty for a line
    that is not a row"""

    texts: list[str]
    spans: list[list[tuple[int, int]]]
    cells: Tensor


class TextGaps(GapFile):
    """A .csv or .tsv file."""

    def parts(self) -> Iterator[TextPart]:
        with self._open() as file:
            head, number = self._head(file), 2
            for texts in _some(_rows(file, head.separator, self.path)):
                yield self._part(texts, head, number)
                number += len(texts)

    def _part(self, texts: list[str], head: Head, number: int) -> TextPart:
        """number: of the first of these rows"""
        spans, cells = [], []
        for at, text in enumerate(texts, start=number):
            found = _spans(text, head.separator) if text.strip("\r\n") else None
            own = self._own(found, head, at) if found else []
            if own:
                cells.append(self._cells(text, own, at))
            spans.append(own)
        return TextPart(texts, spans, _tensor(cells, self.spec))

    @contextmanager
    def writing(self, out: Path) -> Iterator[Put]:
        with self._open() as file:
            head = self._head(file)
        with out.open("w", encoding=self._encoding(), newline="") as written:
            written.write(head.text)

            def put(part: Part, filled: Tensor) -> None:
                assert isinstance(part, TextPart)
                written.writelines(self._filled(part, filled, head.separator))

            yield put

    def _filled(self, part: TextPart, filled: Tensor, separator: str) -> Iterator[str]:
        rows = zip(part.cells.isnan().tolist(), filled.numpy(), strict=True)
        for text, spans in zip(part.texts, part.spans, strict=True):
            if not spans:
                yield text
                continue
            gaps, cells = next(rows)
            for i in sorted((i for i, gap in enumerate(gaps) if gap), key=lambda i: -spans[i][0]):
                start, stop = spans[i]
                new = quoted(text_of(cells[i], self.spec.columns[i]), separator)
                text = text[:start] + new + text[stop:]
            yield text

    def _encoding(self) -> str:
        """Without a mark at the start of the file, which is then a part of the first line."""
        with self.path.open("rb") as file:
            mark = file.read(2)
        return ("utf-16-le", "utf-16-be")[WIDE.index(mark)] if mark in WIDE else "utf-8"

    @contextmanager
    def _open(self) -> Iterator[TextIO]:
        self._refuse_others(read_names(self.path))
        try:
            with self.path.open(encoding=self._encoding(), newline="") as file:
                yield file
        except UnicodeDecodeError as error:
            raise PthetaError(
                f"{self.path} is not UTF-8 ({error.reason}): save it as UTF-8"
            ) from None

    def _head(self, file: TextIO) -> Head:
        blank, line = "", file.readline()
        while line and not line.strip():
            blank, line = blank + line, file.readline()
        separator = max(SEPARATORS, key=line.count)
        head = next(_rows(chain([line], file), separator, self.path))
        found = _spans(head, separator) or []
        mark = "\ufeff" if head.startswith("\ufeff") else ""
        cells = [_text(head, span).removeprefix(mark) for span in found]
        names = [shown(cell.strip()) or f"column {i}" for i, cell in enumerate(cells, start=1)]
        places = [names.index(column.name) for column in self.spec.columns]
        return Head(blank + head, separator, len(names), places)

    def _own(self, spans: list[tuple[int, int]], head: Head, number: int) -> list[tuple[int, int]]:
        if len(spans) != head.width:
            raise PthetaError(
                f"{self.path} row {number} has {len(spans)} cells, and the first line names "
                f"{head.width} columns: correct it (quote cells that contain "
                "{head.separator!r})"
            )
        return [spans[i] for i in head.places]

    def _cells(self, text: str, spans: list[tuple[int, int]], number: int) -> list[float]:
        try:
            pairs = zip(spans, self.spec.columns, strict=True)
            return [cell_of(_text(text, span), column) for span, column in pairs]
        except PthetaError as error:
            raise PthetaError(f"{self.path} row {number}, {error}") from None


def quoted(text: str, separator: str) -> str:
    """A cell as a table has it."""
    if not any(odd in text for odd in (separator, '"', "\n", "\r")):
        return text
    line = io.StringIO()
    csv.writer(line, delimiter=separator, lineterminator="").writerow([text])
    return line.getvalue()


def _rows(lines: Iterable[str], separator: str, path: Path) -> Iterator[str]:
    """Lines, those of one row together: a cell in quotes may hold the end of one.

    Raises PthetaError where quotes do not end, in the file or in `LONGEST` characters.
    """
    row: list[str] = []
    size, opened = 0, False
    for line in lines:
        row.append(line)
        size += len(line)
        if '"' in line:  # quotes end, and begin, at one alone
            opened = _left_open(line, separator, opened)
        if not opened:
            yield "".join(row)
            row, size = [], 0
        elif size > LONGEST:
            raise PthetaError(f"{path} has a row of over {LONGEST:,} characters: check its quotes")
    if row:
        raise PthetaError(f"{path} ends within a quoted cell: close the quotes")


def _left_open(line: str, separator: str, opened: bool) -> bool:
    """Whether a quoted cell continues after a line. opened: whether one continues from before it"""
    end, at = len(line.rstrip("\r\n")), 0
    while True:
        stop = _closed(line, at) if opened else _end_of_quotes(line, at)
        if stop is None:
            return True
        opened, cut = False, line.find(separator, stop, end)
        if cut < 0:
            return False
        at = cut + 1


def _some(rows: Iterator[str]) -> Iterator[list[str]]:
    some: list[str] = []
    for row in rows:
        some.append(row)
        if len(some) == ROWS:
            yield some
            some = []
    if some:
        yield some


def _spans(row: str, separator: str) -> list[tuple[int, int]] | None:
    """Start and end of each cell of a row; None if a quote is still open."""
    end, at, found = len(row.rstrip("\r\n")), 0, []
    while True:
        stop = _end_of_quotes(row, at)
        if stop is None:
            return None
        cut = row.find(separator, stop, end)
        found.append((at, end if cut < 0 else cut))
        if cut < 0:
            return found
        at = cut + 1


def _end_of_quotes(row: str, at: int) -> int | None:
    """Where to search for the end of the cell that begins at `at`: after its closing quotes, if
    any; None if they are not closed."""
    start = at
    while row[start : start + 1] in (" ", "\ufeff"):
        start += 1
    if row[start : start + 1] != '"':
        return at
    return _closed(row, start + 1)


def _closed(row: str, at: int) -> int | None:
    """The position after the closing quote of the quoted text at `at`; None if there is none."""
    while (close := row.find('"', at)) >= 0:
        if row[close + 1 : close + 2] != '"':
            return close + 1
        at = close + 2
    return None


def _text(row: str, span: tuple[int, int]) -> str:
    """The content of a cell. Raises PthetaError for text after its closing quotes."""
    text = row[slice(*span)].lstrip(" ")
    bare = text.removeprefix("\ufeff")
    if not bare.startswith('"'):
        return text
    inner, _, behind = bare[1:].rpartition('"')
    if behind.strip() or '"' in inner.replace('""', ""):
        raise PthetaError(f"text after the closing quotes of a cell: {brief(text)}: correct it")
    return inner.replace('""', '"')


def _tensor(cells: list[list[float]], spec: VectorSpec) -> Tensor:
    return torch.tensor(cells, dtype=torch.float32).view(-1, spec.dims)
