"""Common code for tables (parquet files, the hub, metadata of pictures): the roles of columns."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import singledispatch
from pathlib import Path

import numpy as np

from ptheta.data.arrays import laid_out
from ptheta.data.captions import is_missing
from ptheta.data.names import shown
from ptheta.data.picture import Raw
from ptheta.errors import PthetaError, nearest

LABELS = ("label", "labels", "class", "fine_label")
CAPTIONS = ("caption", "captions", "text")
FEW = 3  # that are named of many

SEVERAL = ("domain",)  # options that name several columns


def choose_column(
    kind: str, asked: str | None, usual: Sequence[str], columns: Iterable[str], name: str
) -> str | None:
    """The column of a kind (label, caption): the requested one, else the first with a usual name.

    Raises PthetaError if the requested column does not exist.
    """
    columns = list(columns)
    if asked is None:
        return next((column for column in usual if column in columns), None)
    if asked not in columns:
        raise no_column(kind, asked, columns, name)
    return asked


def no_column(kind: str, asked: str, columns: Iterable[str], name: str) -> PthetaError:
    """The error for a column that is not there."""
    columns = list(columns)
    near = nearest(asked, columns)
    hint = f" (did you mean {near!r}?)" if near else ""
    flag = f"--{kind}-columns" if kind in SEVERAL else f"--{kind}-column"
    return PthetaError(
        f"{name} has no column {asked!r} for {flag}{hint}: it has {', '.join(columns)}"
    )


def image_column(
    asked: str | None, images: Sequence[str], columns: Iterable[str], name: str
) -> str:
    """The image column: the requested one, else the first that holds images.

    Raises PthetaError if there is none, or if the requested column does not exist.
    """
    column = choose_column("image", asked, images, columns, name)
    if column is None:
        raise PthetaError(
            f"{name} has the columns {', '.join(columns)}: none holds images; "
            "give data with pictures as files or bytes, or name the column with --image-column"
        )
    return column


def notes_on(columns: tuple[str, str], images: Sequence[str]) -> tuple[str, ...]:
    """A line where there was a choice. columns: of the images, and of the inputs of pairs"""
    column, inputs = columns
    others = [name for name in images if name not in columns]
    also = f"; also there: {', '.join(others)}" if others else ""
    if inputs != column:
        return (f"inputs of the column {inputs!r}, images of the column {column!r}{also}",)
    return (f"images of the column {column!r}{also}",) if others else ()


def no_labels(column: str | None, labels: np.ndarray | None) -> tuple[str, ...]:
    """A line where a column of labels is there and not every image has one."""
    if column is None or labels is not None:
        return ()
    return (f"no labels are read: the column {column!r} is missing for some images",)


def no_captions(captions: Sequence[object], names: Sequence[str]) -> tuple[str, ...]:
    """A line where some images have no caption: how many, and the names of the first.

    captions: cells of a column
    """
    without = [name for cell, name in zip(captions, names, strict=True) if is_missing(cell)]
    if not without:
        return ()
    more = ", ..." if len(without) > FEW else ""
    which = ", ".join(map(shown, without[:FEW])) + more
    return (f"{len(without):,} of {len(captions):,} images have no caption ({which})",)


@singledispatch
def picture(cell: object, *folders: Path) -> Raw:
    """The picture in a cell: bytes, {bytes, path}, the path of a file below one of the folders
    (relative to the first), or numbers (H, W) or (H, W, C).

    Raises PthetaError for a path outside the folders, and for other types of cells.
    """
    kind = type(cell).__name__
    raise PthetaError(
        f"a cell of the image column is of type {kind}, not a picture: name another column with "
        "--image-column"
    )


@picture.register
def _(cell: None, *folders: Path) -> Raw:
    return b""


@picture.register
def _(cell: bytes, *folders: Path) -> Raw:
    return cell


@picture.register(dict)
def _(cell: dict[str, object], *folders: Path) -> Raw:
    held = cell.get("bytes")
    return picture(held if held is not None else cell.get("path"), *folders)


@picture.register
def _(name: str, *folders: Path) -> Raw:
    """The file of a name below one of the folders, whichever way links lead."""
    try:
        homes = [folder.resolve() for folder in folders]
        file = (homes[0] / name).resolve()
    except (OSError, ValueError, RuntimeError):  # too long, a zero in it, links in a circle
        return folders[0] / "no such file"
    if ".." in Path(name).parts or not any(file.is_relative_to(home) for home in homes):
        raise PthetaError(
            f"the table names the file {name!r}, which is not below {folders[0]}: only files "
            "in the folder of the data are read"
        )
    return file


@picture.register(list)
def _(cell: list[object], *folders: Path) -> Raw:
    """The array (C, H, W) of nested lists; anything else counts as a broken picture."""
    try:
        array = np.asarray(cell)
    except ValueError:  # rows of several lengths
        return b""
    side = round(array.size**0.5)
    if array.ndim == 1 and side * side == array.size:
        array = array.reshape(side, side)
    image: np.ndarray = laid_out(array[None], "a cell of numbers")[0]
    return image


def some_cells(cells: Sequence[object], positions: Iterable[int]) -> tuple[object, ...]:
    """The cells at some positions of a column."""
    return tuple(cells[i] for i in positions)
