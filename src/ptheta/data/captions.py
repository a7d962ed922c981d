"""Captions of a source as text."""

from __future__ import annotations

from functools import singledispatch
from numbers import Real

from ptheta.config import brief
from ptheta.errors import PthetaError


@singledispatch
def caption(cell: object) -> str:
    """The caption in a cell: a text or a number; the first non-empty one of a list; "" for none.

    Raises:
        PthetaError: for a cell of another type.
    """
    kind = type(cell).__name__
    raise _no_text(f"of type {kind}")


@caption.register
def _(cell: None) -> str:
    return ""


@caption.register
def _(cell: str) -> str:
    try:
        cell.encode()
    except UnicodeEncodeError:
        raise _no_text(f"{brief(ascii(cell))}, which holds half a character") from None
    return cell


@caption.register
def _(cell: bytes) -> str:
    try:
        return cell.decode()
    except UnicodeDecodeError:
        raise _no_text(f"{brief(cell)}, bytes that are not in UTF-8") from None


@caption.register
def _(cell: Real) -> str:
    return "" if cell != cell else str(cell)  # NaN is a missing cell


@caption.register(list)
@caption.register(tuple)
def _(cell: list[object] | tuple[object, ...]) -> str:
    return next((text for text in map(caption, cell) if text.strip()), "")


def is_missing(cell: object) -> bool:
    """Whether a cell has no caption; a cell of the wrong type does not count as missing."""
    try:
        return not caption(cell).strip()
    except PthetaError:
        return False


def _no_text(what: str) -> PthetaError:
    return PthetaError(
        f"a caption is {what}, not a text: correct it, or name another column with --caption-column"
    )
