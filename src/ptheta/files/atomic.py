"""Atomic file writes: write a temporary file, flush, rename.

A temporary file says in its name which process writes it, so that what a killed process leaves
behind is removed by the next one that writes into the folder.
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
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from functools import lru_cache, partial
from pathlib import Path

from filelock import FileLock, Timeout
from safetensors import SafetensorError

from ptheta.errors import CannotWrite, InUse, PthetaError

# Marks of what is written here, by which it is known not to be data.
SOFTWARE = "ptheta"  # the text "Software" in a PNG
SAMPLES = ".ptheta-samples"  # a file in a folder of samples
LOCK = ".ptheta-lock"  # in a folder that a process works in
TEMPORARY = ".ptheta-tmp-"  # how the name of what is being written begins
ABANDONED = 86_400  # seconds after which what a process of another machine left is removed
CURES: dict[int | None, str] = {
    **dict.fromkeys((errno.ENOSPC, errno.EDQUOT, errno.EFBIG), "free space there and try again"),
    **dict.fromkeys((errno.EACCES, errno.EPERM, errno.EROFS), "choose a place that you can write"),
}
OS_ERROR = re.compile(r"\(os error (\d+)\)")  # error numbers in messages of safetensors


@contextmanager
def writing(path: Path, cure: str = "") -> Iterator[None]:
    """Context that converts file errors to a one-line CannotWrite with `path`.

    cure: what to do, where it is not plain from the fault. Raises CannotWrite.
    """
    try:
        yield
    except OSError as error:
        raise _cannot_write(path, error.strerror or str(error), error.errno, cure) from error
    except SafetensorError as error:
        number = OS_ERROR.search(str(error))
        raise _cannot_write(path, str(error), int(number[1]) if number else None, cure) from error


def _cannot_write(path: Path, reason: str, number: int | None, cure: str) -> CannotWrite:
    """number: of the fault, as the system counts them"""
    cure = cure or CURES.get(number, "")
    return CannotWrite(f"cannot write {path}: {reason}{'; ' * bool(cure)}{cure}")


def write_atomic(path: Path, write: Callable[[Path], object]) -> None:
    """Calls write(temporary path) and moves the result to `path` once it is on disk.

    The file has the mode that the user's umask gives. Raises CannotWrite.
    """
    tidy(path.parent)
    with writing(path):
        _put(path, write)
        _flush(path.parent)


def write_apart(path: Path, write: Callable[[Path], object]) -> None:
    """As `write_atomic`, for a library that puts temporary files of its own beside what it writes:
    in a folder that says whose it is, so that the next process removes what a killed one leaves."""

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
    """Writes many small files, (name, bytes) each, into `folder`. Each is there whole or not at
    all, and all are on disk at the end; the folder's entries are flushed once. Raises CannotWrite.
    """
    tidy(folder)
    with writing(folder):
        for name, data in files:
            _put(folder / name, partial(Path.write_bytes, data=data))
        _flush(folder)


def _put(path: Path, write: Callable[[Path], object]) -> None:
    """As `write_atomic`, but for the flush of the folder."""
    temp = temporary(path.parent)
    if path.exists() and not path.is_file():
        raise CannotWrite(f"cannot write {path}: it exists and is not a file; choose another")
    try:
        mode = _create(temp)
        write(temp)
        os.chmod(temp, mode)  # a library may have put another file in its place
        _flush(temp)
        os.replace(temp, path)
    finally:
        with suppress(OSError):
            temp.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """`text` in UTF-8, atomically."""
    write_atomic(path, lambda temp: temp.write_text(text, encoding="utf-8"))


def write_json(path: Path, value: object) -> None:
    """`value` as indented JSON, atomically. NaN and infinity are refused (JSON has neither)."""
    write_text(path, json.dumps(value, indent=2, allow_nan=False) + "\n")


def read_json(path: Path) -> object:
    """Raises PthetaError where the file is missing, no file, or not JSON in UTF-8."""
    check_file(path)
    try:
        return json.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise PthetaError(f"cannot read {path}: {error.strerror}") from None
    except (ValueError, RecursionError) as error:
        raise PthetaError(f"{path} is not valid JSON: {error}; put the file back") from None


def check_file(path: Path) -> None:
    """Raises PthetaError where what is at `path` is no file: reading a pipe would never end."""
    if there(path) and not path.is_file():
        raise PthetaError(f"{path} is not a file: restore the file, or remove what is there")


def there(path: Path) -> bool:
    """Whether something is at `path`, be it a link to nothing. Nothing has too long a name."""
    try:
        return path.exists() or path.is_symlink()
    except (OSError, ValueError):
        return False


def digest(path: Path) -> str:
    """SHA-256 of a file's bytes. Raises PthetaError where it cannot be read."""
    check_file(path)
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise PthetaError(f"cannot read {path}: {error.strerror}") from None


def commit_folder(temp: Path, folder: Path) -> None:
    """Makes the finished folder `temp` appear as `folder`, which is not there yet, once its files
    are on disk. Raises CannotWrite."""
    with writing(folder):
        for file in temp.iterdir():
            _flush(file)
        _flush(temp)
        os.replace(temp, folder)
        _flush(folder.parent)


def make_folder(path: Path) -> Path:
    """`path` as an existing, writable folder; raises PthetaError where it cannot be one."""
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
    """Whether what has the name of a temporary file or folder belongs to no process any more."""
    host, _, rest = path.name.removeprefix(TEMPORARY).partition("-")
    pid = rest.partition("-")[0]
    if host == _host() and pid.isdecimal():
        return not _runs(int(pid))
    try:
        return time.time() - path.lstat().st_mtime > ABANDONED
    except OSError:  # gone already
        return False


@lru_cache(maxsize=256)
def tidy(folder: Path) -> None:
    """Removes what killed processes left in `folder`, once: some are written into very often."""
    with suppress(OSError):
        for path in folder.glob(f"{TEMPORARY}*"):
            if abandoned(path):
                remove(path)


def remove(path: Path) -> None:
    """Removes a file, a link or a whole folder, where that can be done."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        with suppress(OSError):
            path.unlink()


@contextmanager
def locked(
    folder: Path, what: str, cure: str = "wait for it, stop it, or choose another --out"
) -> Iterator[None]:
    """Inside, this process alone works in `folder`, which is made where it is missing.

    what: what is done there, for the message to another process, such as "training"; cure: what the
    other one can do. The lock ends with the process, however it dies. A folder that was made and is
    left empty is removed.
    Raises InUse where another process holds it, CannotWrite where the folder cannot be written.
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
        tidy.cache_clear()  # what is left here by a process that died since the last look
        tidy(folder)
        yield
    finally:
        with suppress(OSError):
            file.unlink()
        lock.release()
        with suppress(OSError):  # not empty: there is something to keep
            for path in new_folders:
                path.rmdir()


def leftover(path: Path) -> bool:
    """Whether an entry of a folder is only what a process that was killed left there."""
    return path.name == LOCK or path.name.startswith(TEMPORARY)


def refuse_links(folder: Path) -> None:
    """Raises PthetaError where something in `folder` is a link: what is written there would land
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
    except (OSError, OverflowError):  # somebody else's
        return True
    return True


def _create(path: Path) -> int:
    """Makes an empty file, never through a link, and gives its mode."""
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o666)
    try:
        return os.fstat(handle).st_mode & 0o777
    finally:
        os.close(handle)


def _flush(path: Path) -> None:
    """Forces a file or a folder's entries to disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):  # some file systems flush no folders
            raise
    finally:
        os.close(handle)
