"""Names of data and paths of data, which never stand for one another once a run has kept them."""

from __future__ import annotations

from pathlib import Path

from ptheta.data import EMBEDDED


class Name(str):
    """The name of a data set, whatever files there are: never a path."""

    __slots__ = ()


def is_name(source: str | Path) -> bool:
    """Whether a source is a name even where a file or folder is called so. A `Path` never is."""
    return isinstance(source, Name) or (isinstance(source, str) and source in EMBEDDED)


def record(source: str | Path) -> str:
    """What a run keeps of its source: a name as it is, a path as an absolute one."""
    path = Path(source).expanduser()
    if not is_name(source) and (isinstance(source, Path) or path.exists()):
        return str(path.resolve())
    return str(source)


def recorded(text: str) -> Name | Path:
    """The source that `record` made this text of."""
    return Path(text) if Path(text).is_absolute() else Name(text)
