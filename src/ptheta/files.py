"""Files that a reader never sees half written: write beside, flush, rename."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ptheta.errors import PthetaError

# Marks of what is written here, by which it is known not to be data.
SOFTWARE = "ptheta"  # the text "Software" in a PNG
SAMPLES = ".ptheta-samples"  # a file in a folder of samples


def write_atomic(path: Path, write: Callable[[Path], object]) -> None:
    """Calls write(temporary path) and moves the result to `path` once it is on disk."""
    beside = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        write(beside)
        _flush(beside)
        os.replace(beside, path)
    except OSError as error:
        raise PthetaError(f"cannot write {path}: {error.strerror or error}") from error
    finally:
        beside.unlink(missing_ok=True)
    _flush(path.parent)


def write_text(path: Path, text: str) -> None:
    """`text` in UTF-8, atomically."""
    write_atomic(path, lambda beside: beside.write_text(text, encoding="utf-8"))


def write_json(path: Path, value: Any) -> None:
    """`value` as indented JSON, atomically. NaN and infinity are refused (JSON has neither)."""
    text = json.dumps(value, indent=2, allow_nan=False) + "\n"
    write_text(path, text)


def read_json(path: Path) -> Any:
    """Raises PthetaError where the file is missing or not JSON."""
    try:
        return json.loads(path.read_text())
    except OSError as error:
        raise PthetaError(f"cannot read {path}: {error.strerror}") from None
    except ValueError as error:
        raise PthetaError(f"{path} is not valid JSON: {error}") from None


def digest(path: Path) -> str:
    """SHA-256 of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def commit_folder(beside: Path, folder: Path) -> None:
    """Makes the finished folder `beside` appear as `folder`, whole, once its files are on disk."""
    for file in beside.iterdir():
        _flush(file)
    _flush(beside)
    if folder.exists():
        shutil.rmtree(folder)
    os.replace(beside, folder)
    _flush(folder.parent)


def make_folder(path: Path) -> Path:
    """`path` as an existing, writable folder; raises PthetaError where it cannot be one."""
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise PthetaError(
            f"cannot create the folder {path}: {error.strerror}; choose another --out"
        ) from None
    if not os.access(path, os.W_OK):
        raise PthetaError(f"cannot write into {path}: permission denied; choose another --out")
    return path


def _flush(path: Path) -> None:
    """Forces a file or a folder's entries to disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
