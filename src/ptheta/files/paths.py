"""User paths: expansion, existence, and the cache folder."""

from __future__ import annotations

import os
import tempfile
import warnings
from pathlib import Path

from ptheta.errors import PthetaError

EXAMPLE = "example:"  # prefix of the name of a bundled run
HUB = "hf://"  # prefix of the name of a run on the Hugging Face hub


def expand(path: str | Path) -> Path:
    """The path with `~` in place of a home folder.

    Raises PthetaError for an empty path (which would be the current folder), one with a null
    character, and for the home folder of an unknown user.
    """
    text = os.fspath(path)
    if not text.strip():
        raise PthetaError(f"{text!r} is an empty path: give a file or a folder (. is this one)")
    if "\0" in text:
        raise PthetaError(
            f"{text!r} contains a null character, which paths cannot have: leave it out"
        )
    try:
        return Path(path).expanduser()
    except RuntimeError:  # no such user, or one without a home
        user = Path(path).parts[0]
        raise PthetaError(
            f"{text}: there is no home folder {user}; write the full path, or ./{text} for a "
            "folder of that name"
        ) from None


def exists(path: Path) -> bool:
    """Whether a path exists; False for invalid names and broken links."""
    try:
        return path.exists()
    except (OSError, ValueError):
        return False


def user_cache() -> Path:
    """ptheta/ in the user's cache folder; if the user has no home folder, in the folder for
    temporary files, with a warning.
    """
    base = os.environ.get("XDG_CACHE_HOME")
    if base and os.path.isabs(base):  # the XDG specification: ignore a relative path
        return Path(base) / "ptheta"
    try:
        return Path.home() / ".cache" / "ptheta"
    except RuntimeError:
        return _own_temporary()


def _own_temporary() -> Path:
    """A folder among the temporary files that only this user can write into."""
    number = _user()
    folder = Path(tempfile.gettempdir()) / f"ptheta-{number or 0}"
    why = "the user has no home folder; set PTHETA_CACHE to a folder that you can write"
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        about = folder.lstat()
    except OSError as error:
        raise PthetaError(f"cannot create the cache {folder} ({error.strerror}): {why}") from None
    if number is not None and (about.st_uid != number or about.st_mode & 0o022):
        raise PthetaError(f"the cache {folder} could be written by another user: {why}")
    warnings.warn(f"decoded images are kept in {folder}, since {why}", stacklevel=2)
    return folder


def _user() -> int | None:
    """The user id of this process; None on a system without user ids."""
    try:
        return os.getuid()
    except AttributeError:
        return None
