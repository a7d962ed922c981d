"""Names of data and paths of data, which never stand for one another once a run has kept them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ptheta.data import EMBEDDED
from ptheta.files.paths import exists, expand

MOST_NAMED = 5  # files, in a message
MEMORY = "images in memory"  # what a run keeps of a source that was no place


class Name(str):
    """The name of a data set, whatever files there are: never a path."""

    __slots__ = ()


def is_name(source: str | Path) -> bool:
    """Whether a source is a name even where a file or folder is called so. A `Path` never is."""
    return isinstance(source, str) and (source in EMBEDDED or isinstance(source, Name))


def shown(name: str) -> str:
    """The name of a file as text that can be printed on one line: bytes that are not UTF-8, line
    breaks and other control characters as escapes.
    """
    text = name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def shortened(text: object, most: int = 80) -> str:
    """A text of at most so many letters, the middle of a longer one left out."""
    whole = shown(str(text))
    half = most // 2
    return whole if len(whole) <= most else f"{whole[: half - 2]}...{whole[1 - half :]}"


def called(source: object) -> str:
    """A source in a message: its name or path, or that it was in memory."""
    return str(source) if isinstance(source, str | Path) else MEMORY


def record(source: object) -> str:
    """What a run keeps of its source: a name as it is, a path as an absolute one."""
    if isinstance(source, Path):
        return str(expand(source).resolve())
    if not isinstance(source, str):
        return MEMORY
    path = expand(source)
    return str(path.resolve()) if not is_name(source) and exists(path) else source


def recorded(text: str) -> Name | Path:
    """The source that `record` made this text of."""
    return Path(text) if Path(text).is_absolute() else Name(text)


def left_out(broken: Sequence[str], total: int, what: str = "pictures") -> str:
    """A line on files that cannot be read. broken: one of each, with the reason; total: of all"""
    rest = len(broken) - MOST_NAMED
    more = f"; and {rest:,} more" if rest > 0 else ""
    named = "; ".join(broken[:MOST_NAMED])
    return f"{len(broken):,} of {total:,} {what} cannot be read and are left out: {named}{more}"
