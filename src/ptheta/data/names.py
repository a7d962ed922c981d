"""Names and paths of data, stored unambiguously in runs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from ptheta.data import EMBEDDED
from ptheta.files.paths import exists, expand

MOST_NAMED = 5  # files that cannot be read, in a message
MEMORY = "images in memory"  # stored for a source that is not a path


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


def some_of(names: Iterable[str], most: int = 80) -> str:
    """The first names that fit into so many characters, and their total number; a single longer
    name is shortened."""
    every = [shortened(name, most) for name in names]
    whole = ", ".join(every)
    if len(whole) <= most:
        return whole
    many = f", ... ({len(every)} in all)"
    starts = (", ".join(every[:k]) + many for k in range(1, min(len(every), most)))
    n = max(1, sum(len(start) <= most for start in starts))
    return f"{', '.join(every[:n])}{many if n < len(every) else ''}"


def called(source: object) -> str:
    """A source in a message: its name or path, or that it was in memory."""
    return str(source) if isinstance(source, str | Path) else MEMORY


def record(source: object) -> str:
    """The form in which a run stores its source: a name unchanged, a path made absolute."""
    if isinstance(source, Path):
        return str(expand(source).resolve())
    if not isinstance(source, str):
        return MEMORY
    path = expand(source)
    return str(path.resolve()) if not is_name(source) and exists(path) else source


def recorded(text: str) -> Name | Path:
    """The source that `record` made this text of."""
    return Path(text) if Path(text).is_absolute() else Name(text)


def unread(skipped: Sequence[str], total: int, what: str) -> str:
    """A line on files that cannot be read, the first ones by name. total: of all files"""
    named = "; ".join(skipped[:MOST_NAMED])
    more = f"; and {rest:,} more" if (rest := len(skipped) - MOST_NAMED) > 0 else ""
    return f"{len(skipped):,} of {total:,} {what} cannot be read and are left out: {named}{more}"
