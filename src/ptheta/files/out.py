"""Whether a place can be written to, asked before the work whose result is to lie there."""

from __future__ import annotations

import os
import stat
from collections.abc import Collection
from pathlib import Path

from ptheta.config import brief
from ptheta.errors import PthetaError
from ptheta.files.paths import EXAMPLE, expand

NAME_BYTES = 255  # the longest name of the usual file systems


def check_file(path: str | Path, suffixes: Collection[str] = (), *, flag: str = "--out") -> Path:
    """`path`, with ~ expanded, as a file that can be written (or replaced) there.

    suffixes: those it may have, such as (".png", ".npy"), in small letters; capitals are as good;
        none given: any
    flag: what the caller calls the path, for the message
    Folders above it that are missing may be made by who writes. Nothing is created here. Raises
    PthetaError for another suffix, a folder or device of that name, a name that is too long, or a
    folder above that is none or cannot be written into.
    """
    place = _expanded(path, flag)
    if suffixes and place.suffix.lower() not in suffixes:
        given = repr(place.suffix) if place.suffix else "a name without a suffix"
        raise PthetaError(f"{flag} {place}: want {listed(suffixes)}, not {given}")
    kind = _kind(place, flag)
    if kind is not None and stat.S_ISDIR(kind):
        raise PthetaError(f"{flag} {place}: this is a folder, and a file is written: name a file")
    if kind is not None and not stat.S_ISREG(kind):
        raise PthetaError(f"{flag} {place}: this is no ordinary file: choose another name")
    _check_above(place, flag)
    return place


def check_new(
    path: str | Path | None, suffixes: Collection[str], flag: str, force: bool
) -> Path | None:
    """As `check_file`, None for no path. Raises PthetaError where it is there, but for `force`."""
    if path is None:
        return None
    place = check_file(path, suffixes, flag=flag)
    if place.exists() and not force:
        raise PthetaError(f"{flag} {place} already exists: give another name, or --force")
    return place


def check_folder(path: str | Path, *, flag: str = "--out") -> Path:
    """`path`, with ~ expanded, as a folder that can be made there or written into.

    What lies in the folder is the caller's to judge. Nothing is created here. Raises PthetaError
    for a file of that name, a name that is too long or not UTF-8, or a folder, itself or above,
    that cannot be written into.
    """
    place = _expanded(path, flag)
    if not _is_utf8(place):  # safetensors, which reads weights, takes no other path
        raise PthetaError(
            f"{flag} {place}: the path is not UTF-8, and weights in it cannot be read again: "
            "choose another"
        )
    kind = _kind(place, flag)
    if kind is None:
        _check_above(place, flag)
    elif not stat.S_ISDIR(kind):
        raise PthetaError(f"{flag} {place}: this is a file, and a folder is needed: choose another")
    elif not os.access(place, os.W_OK | os.X_OK):
        raise PthetaError(f"{flag} {place}: the folder cannot be written into: choose another")
    return place


def refuse_source(place: Path, source: object, what: str, *, flag: str = "--out") -> None:
    """Raises PthetaError where the file to write is the very one that is read.

    source: the input, which is a file only if it is a path; what: its name
    """
    if isinstance(source, str | Path) and place.exists() and place.resolve() == _real(source):
        raise PthetaError(f"{flag} {brief(str(place))}: this is the {what} itself; name another")


def _real(source: str | Path) -> Path:
    return expand(source).resolve()


def listed(suffixes: Collection[str]) -> str:
    """ ".a, .b or .c"."""
    *first, last = suffixes
    return f"{', '.join(first)} or {last}" if first else last


def _expanded(path: str | Path, flag: str) -> Path:
    try:
        expanded = expand(path)
    except PthetaError as error:
        raise PthetaError(f"{flag}: {error}") from None
    if str(expanded).startswith(EXAMPLE):  # what lay there could not be named
        raise PthetaError(
            f"{flag} {brief(str(expanded))}: names that begin with {EXAMPLE} are runs shipped "
            "with ptheta, which are read-only: choose another"
        )
    for part in expanded.parts:  # a missing folder would hide the length of what is to lie in it
        size = len(os.fsencode(part))
        if size > NAME_BYTES:
            raise PthetaError(
                f"{flag} ...{part[-40:]}: the name has {size} bytes, and {NAME_BYTES} are the "
                "most: choose a shorter one"
            )
    return expanded


def _is_utf8(path: Path) -> bool:
    try:
        str(path).encode()
    except UnicodeEncodeError:
        return False
    return True


def _kind(path: Path, flag: str) -> int | None:
    """What lies at `path` (st_mode), links followed; None where nothing does."""
    try:
        return path.stat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        if path.is_symlink():
            raise PthetaError(f"{flag} {path}: this is a link to nothing: remove it") from None
        return None
    except OSError as error:  # a path that is too long, a circle of links, no right to look
        text = str(path) if len(str(path)) < NAME_BYTES else f"...{str(path)[-40:]}"
        raise PthetaError(f"{flag} {text}: {error.strerror}: choose another") from None


def _check_above(path: Path, flag: str) -> None:
    """The nearest folder above that exists can be written into, so what is missing can be made."""
    above = next(folder for folder in path.absolute().parents if folder.exists())
    if not above.is_dir():
        raise PthetaError(
            f"{flag} {path}: {above} is a file where a folder is needed: choose another"
        )
    if not os.access(above, os.W_OK | os.X_OK):
        raise PthetaError(f"{flag} {path}: cannot write into {above}: choose another")
