"""Code files: one row per example, with its name, label, and z0, z1, ..."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ptheta.config import brief
from ptheta.data.columns.raw import RawColumn
from ptheta.data.columns.separated import read_separated
from ptheta.data.columns.write import write_vectors
from ptheta.data.extras import need_pyarrow
from ptheta.data.table import LABELS
from ptheta.errors import PthetaError
from ptheta.files.atomic import make_folder
from ptheta.files.out import listed
from ptheta.files.paths import expand
from ptheta.specs import Column, VectorSpec

FILE, ROW, LABEL = "file", "row", LABELS[0]


@dataclass(frozen=True)
class CodeRows:
    """Codes with the names and labels of their examples.

    z: float32 (N, L)
    files: file names; labels: label names; None if unknown
    rows: row numbers in the source; std: standard deviations of q(z | x), (N, L)
    """

    z: Tensor = field(repr=False)
    files: Sequence[str] | None = field(default=None, repr=False)
    labels: Sequence[str] | None = field(default=None, repr=False)
    rows: Sequence[int] | None = field(default=None, repr=False)
    std: Tensor | None = field(default=None, repr=False)


def write_codes(codes: Tensor | CodeRows, place: Path) -> None:
    """Writes codes (N, L) to a .npy, or to a table with columns z0, z1, ...; in a table preceded by
    names and labels, followed by std0, std1, ..."""
    known = codes if isinstance(codes, CodeRows) else CodeRows(codes)
    make_folder(place.parent)
    if place.suffix.lower() == ".npy":
        known = CodeRows(known.z)
    columns, cells = list[Column](), list[Tensor]()
    if known.files is not None:
        _add_words(columns, cells, FILE, known.files)
    elif known.rows is not None:
        columns.append(Column(ROW, "integer"))
        cells.append(torch.tensor(known.rows).float()[:, None])
    if known.labels is not None:
        _add_words(columns, cells, LABEL, known.labels)
    for name, numbers in (("z", known.z), ("std", known.std)):
        if numbers is not None:
            columns += [Column(f"{name}{i}") for i in range(numbers.shape[1])]
            cells.append(numbers.float())
    write_vectors(place, torch.cat(cells, 1), VectorSpec(tuple(columns)))


def _add_words(columns: list[Column], cells: list[Tensor], name: str, of: Sequence[str]) -> None:
    numbers = {word: i for i, word in enumerate(dict.fromkeys(of))}
    columns.append(Column(name, "category", tuple(numbers)))
    cells.append(torch.tensor([[float(numbers[word])] for word in of]))


def read_codes(place: str | Path) -> CodeRows:
    """Reads a file written by `write_codes`.

    Raises PthetaError for another suffix, an array that is not of floats, or a table without a
    column z0.
    """
    path = expand(place)
    read = READERS.get(path.suffix.lower())
    if read is None:
        given = repr(path.suffix) if path.suffix else "a name without a suffix"
        raise PthetaError(f"codes {brief(str(path))}: want {listed(tuple(READERS))}, not {given}")
    if not path.is_file():
        raise PthetaError(f"codes {brief(str(path))}: no such file")
    return read(path)


def _read_array(path: Path) -> CodeRows:
    try:
        z = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise PthetaError(f"codes {path}: not an array of numbers ({brief(str(error))})") from None
    return CodeRows(tensor_of(z, f"codes {path}"))


def tensor_of(z: object, what: str) -> Tensor:
    """Converts codes to float32 (N, L). Raises PthetaError if it is not possible. what: their name
    in messages."""
    array = z.detach().cpu().numpy() if isinstance(z, Tensor) else z
    if not isinstance(array, np.ndarray):
        raise PthetaError(f"{what} of type {type(z).__name__}: want an array, or a file of them")
    if array.dtype.kind != "f":
        raise PthetaError(f"{what} of type {array.dtype}: codes are floats; give float32 (N, L)")
    if array.ndim != 2 or 0 in array.shape:
        raise PthetaError(f"{what} of shape {array.shape}: want (N, L), one row per code")
    return torch.from_numpy(np.ascontiguousarray(array, np.float32))


def _read_text(path: Path) -> CodeRows:
    return _of_columns(read_separated(path, words=(FILE, LABEL)), path)


def _read_parquet(path: Path) -> CodeRows:
    need_pyarrow(path)
    from ptheta.data.arrow import FileRows, Parquet
    from ptheta.data.columns.arrow import read_arrow

    return _of_columns(read_arrow(FileRows((Parquet(path),))), path)


# readers by suffix
READERS: dict[str, Callable[[Path], CodeRows]] = {
    ".npy": _read_array,
    ".csv": _read_text,
    ".parquet": _read_parquet,
}


def _of_columns(columns: Sequence[RawColumn], path: Path) -> CodeRows:
    """Codes from columns. Raises PthetaError if z0, z1, ... are missing or not numbers."""
    by_name = {column.name: column for column in columns}
    names = [f"z{i}" for i in range(sum(_is_code(name) for name in by_name))]
    missing = next((name for name in names or ["z0"] if name not in by_name), None)
    if missing is not None:
        raise PthetaError(
            f"codes {path}: no column {missing}: want columns z0, z1, ..., as written by ptheta "
            "encode"
        )
    words = next((name for name in names if by_name[name].words or by_name[name].fault), None)
    if words is not None:
        raise PthetaError(f"codes {path}: the column {words} is not numeric")
    if not len(by_name["z0"]):
        raise PthetaError(f"codes {path}: the table has no rows")
    z = np.stack([by_name[name].cells for name in names], 1).astype(np.float32)
    return CodeRows(torch.from_numpy(z), _words(by_name.get(FILE)), _words(by_name.get(LABEL)))


def _is_code(name: str) -> bool:
    return name[:1] == "z" and name[1:].isdecimal() and name[1:].isascii()


def _words(column: RawColumn | None) -> tuple[str, ...] | None:
    """The cells of a column as strings; None if there is no column, or a cell is missing."""
    if column is None or not column.there.all():
        return None
    named = column.as_words()
    return tuple(named.words[int(cell)] for cell in named.cells)
