"""Atomic file writes: write a temporary file, flush, rename.

The name of a temporary file identifies the writing process, so that leftovers of a killed process
are removed by the next one that writes into the folder.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import platform
import re
import secrets
import shutil
import socket
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from functools import lru_cache, partial
from pathlib import Path

from filelock import FileLock, Timeout
from safetensors import SafetensorError

from ptheta.errors import CannotWrite, InUse, PthetaError

# Marks of files written by ptheta, so that they are not read as data.
SOFTWARE = "ptheta"  # the text "Software" in a PNG
SAMPLES = ".ptheta-samples"  # a file in a folder of samples
LOCK = ".ptheta-lock"  # in a folder that a process works in
TEMPORARY = ".ptheta-tmp-"  # prefix of temporary names
ABANDONED = 86_400  # seconds after which leftovers of another machine are removed
CURES: dict[int | None, str] = {
    **dict.fromkeys((errno.ENOSPC, errno.EDQUOT, errno.EFBIG), "free space there and try again"),
    **dict.fromkeys((errno.EACCES, errno.EPERM, errno.EROFS), "choose a place that you can write"),
}
OS_ERROR = re.compile(r"\(os error (\d+)\)")  # error numbers in messages of safetensors


@contextmanager
def writing(path: Path, cure: str = "") -> Iterator[None]:
    """Context that converts file errors to a one-line CannotWrite with `path`.

    cure: what to do, if the error alone does not show it. Raises CannotWrite.
    """
    try:
        yield
    except OSError as error:
        raise _cannot_write(path, error.strerror or str(error), error.errno, cure) from error
    except SafetensorError as error:
        number = OS_ERROR.search(str(error))
        raise _cannot_write(path, str(error), int(number[1]) if number else None, cure) from error


def _cannot_write(path: Path, reason: str, number: int | None, cure: str) -> CannotWrite:
    """The error for a file that cannot be written. number: errno of the fault"""
    cure = cure or CURES.get(number, "")
    return CannotWrite(f"cannot write {path}: {reason}{'; ' * bool(cure)}{cure}")


def write_atomic(path: Path, write: Callable[[Path], object]) -> None:
    """Call write(temporary path) and move the result to `path` once it is on disk.

    The file has the default mode of the user's umask. Raises CannotWrite.
    """
    tidy(path.parent)
    with writing(path):
        _put(path, write)
        _flush(path.parent)


def write_apart(path: Path, write: Callable[[Path], object]) -> None:
    """As `write_atomic`, for a library that creates its own temporary files: in a temporary folder
    that identifies the process, so that the next process removes leftovers of a killed one."""

    def inside(temp: Path) -> None:
        folder = temporary(temp.parent)
        folder.mkdir()
        try:
            write(folder / path.name)
            os.replace(folder / path.name, temp)
        finally:
            remove(folder)

    write_atomic(path, inside)


def write_files(folder: Path, files: Iterable[tuple[str, bytes]]) -> None:
    """Write many small files, (name, bytes) each, into `folder`. Each file is written atomically,
    and all are on disk at the end; the folder's entries are flushed once. Raises CannotWrite.
    """
    tidy(folder)
    with writing(folder):
        for name, data in files:
            _put(folder / name, partial(Path.write_bytes, data=data))
        _flush(folder)


def _put(path: Path, write: Callable[[Path], object]) -> None:
    """As `write_atomic`, without flushing the folder."""
    temp = temporary(path.parent)
    if path.exists() and not path.is_file():
        raise CannotWrite(f"cannot write {path}: it exists and is not a file; choose another")
    try:
        mode = _create(temp)
        write(temp)
        os.chmod(temp, mode)  # a library may have replaced the file
        _flush(temp)
        os.replace(temp, path)
    finally:
        with suppress(OSError):
            temp.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Write `text` in UTF-8, atomically."""
    write_atomic(path, lambda temp: temp.write_text(text, encoding="utf-8"))


def write_json(path: Path, value: object) -> None:
    """Write `value` as indented JSON, atomically. NaN and infinity are refused (JSON has
    neither)."""
    write_text(path, json.dumps(value, indent=2, allow_nan=False) + "\n")


def read_json(path: Path) -> object:
    """Read JSON. Raises PthetaError if the file is missing, not a file, or not JSON in UTF-8."""
    check_file(path)
    try:
        return json.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise PthetaError(f"cannot read {path}: {error.strerror}") from None
    except (ValueError, RecursionError) as error:
        raise PthetaError(f"{path} is not valid JSON: {error}; put the file back") from None


def check_file(path: Path) -> None:
    """Raise PthetaError if `path` is not a regular file: reading a pipe could block forever."""
    if there(path) and not path.is_file():
        raise PthetaError(f"{path} is not a file: restore the file, or remove what is there")


def there(path: Path) -> bool:
    """Whether `path` exists, including as a broken link; False for a name that is too long."""
    try:
        return path.exists() or path.is_symlink()
    except (OSError, ValueError):
        return False


def digest(path: Path) -> str:
    """SHA-256 of a file's bytes. Raises PthetaError if it cannot be read."""
    check_file(path)
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise PthetaError(f"cannot read {path}: {error.strerror}") from None


def commit_folder(temp: Path, folder: Path) -> None:
    """Rename the finished folder `temp` to `folder`, which must not exist, once its files are on
    disk. Raises CannotWrite."""
    with writing(folder):
        for file in temp.iterdir():
            _flush(file)
        _flush(temp)
        os.replace(temp, folder)
        _flush(folder.parent)


def make_folder(path: Path) -> Path:
    """Create `path` as a writable folder if needed. Raises PthetaError if that is not possible."""
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise CannotWrite(
            f"cannot create the folder {path}: {error.strerror}; choose another --out"
        ) from None
    if not os.access(path, os.W_OK):
        raise CannotWrite(f"cannot write into {path}: permission denied; choose another --out")
    return path


def temporary(folder: Path) -> Path:
    """A temporary name in `folder` that identifies the writer."""
    return folder / f"{TEMPORARY}{_host()}-{os.getpid()}-{secrets.token_hex(4)}"


def abandoned(path: Path) -> bool:
    """Whether a temporary file or folder belongs to a process that no longer exists."""
    host, _, rest = path.name.removeprefix(TEMPORARY).partition("-")
    pid = rest.partition("-")[0]
    if host == _host() and pid.isdecimal():
        return not _runs(int(pid))
    try:
        # by the clock of the file system, since those of machines differ
        return path.parent.stat().st_mtime - path.lstat().st_mtime > ABANDONED
    except OSError:  # already removed
        return False


@lru_cache(maxsize=256)
def tidy(folder: Path) -> None:
    """Remove leftovers of killed processes in `folder`; at most once per folder and process, since
    some folders are written very often."""
    with suppress(OSError):
        for path in folder.glob(f"{TEMPORARY}*"):
            if abandoned(path):
                remove(path)


def remove(path: Path) -> None:
    """Remove a file, a link or a whole folder, if possible."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        with suppress(OSError):
            path.unlink()


@contextmanager
def locked(
    folder: Path, what: str, cure: str = "wait for it, stop it, or choose another --out"
) -> Iterator[None]:
    """Context with an exclusive lock on `folder`, which is created if missing.

    what: the activity, for the message to another process, such as "training"; cure: what the other
    process can do. The lock ends with the process, even if it is killed. A created folder that is
    still empty is removed.
    Raises InUse if another process holds the lock, CannotWrite if the folder cannot be written.
    """
    new_folders = [path for path in (folder, *folder.parents) if not path.exists()]
    make_folder(folder)
    file = folder / LOCK
    lock = FileLock(file)
    with writing(file):
        try:
            lock.acquire(timeout=0)
        except Timeout:
            raise InUse(f"{folder} is in use: {_owner(file)}; {cure}") from None
    try:
        with writing(file):
            text = f"process {os.getpid()} on {socket.gethostname()} is {what} there"
            file.write_text(text, encoding="utf-8")
        tidy.cache_clear()  # leftovers of a process that died since the last check
        tidy(folder)
        yield
    finally:
        with suppress(OSError):
            file.unlink()
        lock.release()
        with suppress(OSError):  # not empty: keep it
            for path in new_folders:
                path.rmdir()


def leftover(path: Path) -> bool:
    """Whether an entry of a folder is a leftover of a killed process."""
    return path.name == LOCK or path.name.startswith(TEMPORARY)


def refuse_links(folder: Path) -> None:
    """Raise PthetaError if `folder` contains a link, through which files would be written
    elsewhere."""
    for where, folders, files in os.walk(folder):
        for name in (*folders, *files):
            path = Path(where, name)
            if path.is_symlink():
                raise PthetaError(
                    f"{path} is a link to {os.readlink(path)}, and links are not written "
                    "through: replace it by its target"
                )


def _owner(lock: Path) -> str:
    try:
        text = lock.read_text(encoding="utf-8", errors="replace")
    except OSError:
        text = ""
    return text.splitlines()[0][:200] if text.strip() else "another process is using it"


@lru_cache(maxsize=1)
def _host() -> str:
    return hashlib.sha256(platform.node().encode()).hexdigest()[:8]


def _runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except (OSError, OverflowError):  # owned by another user
        return True
    return True


def _create(path: Path) -> int:
    """Create an empty file, never through a link, and return its mode."""
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o666)
    try:
        return os.fstat(handle).st_mode & 0o777
    finally:
        os.close(handle)


def _flush(path: Path) -> None:
    """Flush a file or a folder's entries to disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno not in (
            errno.EINVAL,
            errno.ENOTSUP,
        ):  # some file systems cannot flush folders
            raise
    finally:
        os.close(handle)
