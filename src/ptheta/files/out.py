"""Checks that an output path can be written, made before the work starts."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Collection
from pathlib import Path

from ptheta.config import brief
from ptheta.errors import PthetaError
from ptheta.files.paths import EXAMPLE, HUB, expand

ADDRESS = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+):/")  # a Path has no double slash
NAME_BYTES = 255  # maximum length of a name in common file systems


def check_file(path: str | Path, suffixes: Collection[str] = (), *, flag: str = "--out") -> Path:
    """Check that `path` can be written (or replaced) as a file; returns it with ~ expanded.

    suffixes: allowed suffixes, such as (".png", ".npy"), in lower case; compared
        case-insensitively; empty for any
    flag: name of the option, for the message
    Missing parent folders are allowed, and nothing is created here. Raises PthetaError for another
    suffix, a folder or device of that name, a name that is too long, or a parent that is not a
    writable folder.
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
    """As `check_file`; None for no path. Raises PthetaError if the file exists, unless `force`."""
    if path is None:
        return None
    place = check_file(path, suffixes, flag=flag)
    if place.exists() and not force:
        raise PthetaError(f"{flag} {place} already exists: give another name, or --force")
    return place


def check_folder(path: str | Path, *, flag: str = "--out") -> Path:
    """Check that `path` can be created as a folder or written into; returns it with ~ expanded.

    The content of an existing folder is not checked, and nothing is created here. Raises
    PthetaError for a file of that name, a name that is too long or not UTF-8, or a folder, itself
    or a parent, that is not writable.
    """
    place = _expanded(path, flag)
    if not _is_utf8(place):  # safetensors, which reads weights, only supports UTF-8 paths
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
    """Raise PthetaError if the output file is the input file.

    source: the input, possibly not a path; what: name of the input for the message
    """
    if isinstance(source, str | Path) and place.exists() and place.resolve() == _real(source):
        raise PthetaError(f"{flag} {brief(str(place))}: this is the {what} itself; name another")


def _real(source: str | Path) -> Path:
    return expand(source).resolve()


def listed(suffixes: Collection[str]) -> str:
    """Format a list of alternatives: ".a, .b or .c"."""
    *first, last = suffixes
    return f"{', '.join(first)} or {last}" if first else last


def _expanded(path: str | Path, flag: str) -> Path:
    try:
        expanded = expand(path)
    except PthetaError as error:
        raise PthetaError(f"{flag}: {error}") from None
    # such a path could not be referred to; a Path has no double slash
    if str(expanded).startswith((EXAMPLE, str(Path(HUB)) + os.sep)):
        raise PthetaError(
            f"{flag} {brief(str(path))}: names that begin with {EXAMPLE} or {HUB} are runs of "
            "ptheta or of the hub, which are read-only: choose another"
        )
    if address := ADDRESS.match(str(expanded)):
        raise PthetaError(
            f"{flag} {brief(address[1])}://...: this is an address, and files of this machine are "
            "written: choose a folder here, and copy it there afterwards"
        )
    # the system does not report a name that is too long if its parent folder is missing
    for part in expanded.parts:
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
    """The st_mode of `path`, following links; None if it does not exist."""
    try:
        return path.stat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        if path.is_symlink():
            raise PthetaError(f"{flag} {path}: this is a link to nothing: remove it") from None
        return None
    except OSError as error:  # a path that is too long, a loop of links, no permission
        text = str(path) if len(str(path)) < NAME_BYTES else f"...{str(path)[-40:]}"
        raise PthetaError(f"{flag} {text}: {error.strerror}: choose another") from None


def _check_above(path: Path, flag: str) -> None:
    """Check that the nearest existing parent is a writable folder, so that missing ones can be
    created."""
    above = next(folder for folder in path.absolute().parents if folder.exists())
    if not above.is_dir():
        raise PthetaError(
            f"{flag} {path}: {above} is a file where a folder is needed: choose another"
        )
    if not os.access(above, os.W_OK | os.X_OK):
        raise PthetaError(f"{flag} {path}: cannot write into {above}: choose another")
