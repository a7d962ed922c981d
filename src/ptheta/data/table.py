"""What the tables of parquet files and of the hub have in common: which column is what."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from ptheta.data.decode import Raw
from ptheta.errors import PthetaError, unknown

LABELS = ("label", "labels", "class", "fine_label")
CAPTIONS = ("caption", "captions", "text")


def image_column(asked: str | None, images: Sequence[str], every: Iterable[str], name: str) -> str:
    """The column to read, of those that hold images.

    Raises PthetaError where none does or the one asked for does not.
    """
    if not images:
        raise PthetaError(
            f"{name} has the columns {', '.join(every)}: none holds images; "
            "give data with pictures as files or bytes"
        )
    if asked is None:
        return images[0]
    if asked not in images:
        raise unknown(f"image column of {name}", asked, images)
    return asked


def notes_on(column: str, images: Sequence[str]) -> tuple[str, ...]:
    """A line where there was a choice."""
    others = [name for name in images if name != column]
    return (f"images of the column {column!r}; also there: {', '.join(others)}",) if others else ()


def picture(cell: Any, folder: Path | None = None) -> Raw:
    """The picture in a cell: bytes, or {bytes, path} with a path relative to `folder`."""
    if isinstance(cell, dict):
        if cell.get("bytes") is None and cell.get("path"):
            return (folder or Path()) / str(cell["path"])
        cell = cell.get("bytes")
    return cell or b""


def text(cell: Any) -> str:
    """The caption in a cell: the first where there are several."""
    if isinstance(cell, list | tuple):
        cell = cell[0] if len(cell) else None
    return "" if cell is None else str(cell)
