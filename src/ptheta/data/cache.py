"""Decoded data on disk: raw arrays that are written once and memory-mapped ever after."""

from __future__ import annotations

import hashlib
import json
import math
import mmap
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from ptheta.errors import PthetaError

VERSION = 2  # of the decoding and of this format; part of every key
UNFINISHED = ".writing-"  # what a killed process may leave behind
ABANDONED = 86_400  # seconds after which that is removed


@dataclass(frozen=True)
class Stored:
    """What one cache entry holds: arrays by name, memory-mapped, and JSON about them."""

    arrays: dict[str, np.ndarray]
    about: dict[str, Any]


class Writer:
    """Appends rows to named arrays; only what is being written is in memory."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.files: dict[str, BinaryIO] = {}
        self.shapes: dict[str, list[int]] = {}

    def add(self, name: str, rows: np.ndarray) -> None:
        """rows: uint8 (n, ...); every call for a name has the same trailing shape."""
        with _writing(self.folder.parent):
            if name not in self.files:
                self.files[name] = (self.folder / f"{name}.bin").open("wb")
                self.shapes[name] = [0, *rows.shape[1:]]
            self.shapes[name][0] += len(rows)
            self.files[name].write(np.ascontiguousarray(rows).data)

    def finish(self, about: dict[str, Any]) -> None:
        """Writes what is known of the arrays; all of it is on disk afterwards."""
        with _writing(self.folder.parent):
            self.files["about"] = (self.folder / "about.json").open("wb")
            text = json.dumps({"shapes": self.shapes, "about": about})
            self.files["about"].write(text.encode())
            for file in self.files.values():
                file.flush()
                os.fsync(file.fileno())

    def close(self) -> None:
        for file in self.files.values():
            file.close()


def cache_folder() -> Path:
    """$PTHETA_CACHE, or ptheta/ in the user's cache folder."""
    if given := os.environ.get("PTHETA_CACHE"):
        return Path(given).expanduser()
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "ptheta"


def cached(
    place: Path | None, identity: Any, stamp: Any, build: Callable[[Writer], dict[str, Any]]
) -> Stored:
    """The entry of a source in its present state; `build` writes it where it is missing.

    place: the cache folder, None for the user's own
    identity: which source, read how; stamp: its state. Both are anything with a stable repr. An
        entry of the same identity and another stamp is out of date and removed

    An entry appears whole or not at all, also when two processes build it at once; a damaged one is
    built anew. Raises PthetaError where the cache folder cannot be written.
    """
    root = place or cache_folder()
    source = _digest((VERSION, identity))
    folder = root / f"{source}-{_digest(stamp)}"
    if (stored := _open(folder)) is not None:
        return stored
    with _writing(root):
        root.mkdir(parents=True, exist_ok=True)
        beside = Path(tempfile.mkdtemp(prefix=UNFINISHED, dir=root))
    writer = Writer(beside)
    try:
        writer.finish(build(writer))
        writer.close()
        with _writing(root):
            _publish(beside, folder)
    finally:
        writer.close()
        shutil.rmtree(beside, ignore_errors=True)
    _tidy(root, source, folder)
    stored = _open(folder)
    if stored is None:
        raise PthetaError(f"{folder} was damaged while it was written: try again")
    return stored


def origin(array: np.ndarray) -> tuple[Any, Any]:
    """(identity, stamp) of what is worked out from an array: of the file that it is a map of, or
    of its bytes.
    """
    if not isinstance(array, np.memmap) or not isinstance(array.base, mmap.mmap):
        digest = hashlib.blake2b(np.ascontiguousarray(array).data, digest_size=16).hexdigest()
        return (array.shape, digest), None
    file = Path(str(array.filename))
    stat = file.stat()
    source, dash, _ = file.parent.name.rpartition("-")  # an entry of this cache: any stamp of it
    place = file.parent.with_name(source) if dash and file.suffix == ".bin" else file
    state = (str(file), array.offset, array.shape, stat.st_size, stat.st_mtime_ns)
    return str(place), state


def _digest(key: Any) -> str:
    return hashlib.sha256(repr(key).encode()).hexdigest()[:20]


@contextmanager
def _writing(root: Path) -> Iterator[None]:
    """A fault of the cache folder is said to be one."""
    try:
        yield
    except OSError as error:
        raise PthetaError(
            f"cannot write the cache {root}: {error.strerror or error}; free space there, "
            "or set PTHETA_CACHE to a folder that you can write"
        ) from None


def _publish(beside: Path, folder: Path) -> None:
    try:
        os.rename(beside, folder)
    except OSError:
        if _open(folder) is not None:  # another process was quicker
            return
        shutil.rmtree(folder, ignore_errors=True)
        os.rename(beside, folder)


def _tidy(root: Path, source: str, current: Path) -> None:
    """Removes what is out of date. Who still has it mapped keeps it until they let go."""
    for entry in root.glob(f"{source}-*"):
        if entry != current:
            shutil.rmtree(entry, ignore_errors=True)
    for entry in root.glob(f"{UNFINISHED}*"):
        try:
            if time.time() - entry.stat().st_mtime > ABANDONED:
                shutil.rmtree(entry, ignore_errors=True)
        except OSError:  # gone already
            continue


def _open(folder: Path) -> Stored | None:
    """The entry, or None where it is missing or damaged."""
    arrays: dict[str, np.ndarray] = {}
    try:
        meta = json.loads((folder / "about.json").read_bytes())
        for name, shape in meta["shapes"].items():
            file = folder / f"{name}.bin"
            if file.stat().st_size != math.prod(shape):
                return None
            array = np.memmap(file, dtype=np.uint8, mode="r", shape=tuple(shape))
            if hasattr(mmap, "MADV_RANDOM"):  # batches are drawn at random: do not read ahead
                array._mmap.madvise(mmap.MADV_RANDOM)  # type: ignore[attr-defined]
            arrays[name] = array
        return Stored(arrays, meta["about"])
    except (OSError, ValueError, KeyError):
        return None
