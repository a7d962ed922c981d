"""Decoded data on disk: raw arrays that are written once and memory-mapped ever after."""

from __future__ import annotations

import hashlib
import json
import mmap
import os
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from ptheta.errors import PthetaError

VERSION = 1  # of the decoding and of this format; part of every key


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
        if name not in self.files:
            self.files[name] = (self.folder / f"{name}.bin").open("wb")
            self.shapes[name] = [0, *rows.shape[1:]]
        self.shapes[name][0] += len(rows)
        self.files[name].write(np.ascontiguousarray(rows).data)

    def close(self, about: dict[str, Any]) -> None:
        for file in self.files.values():
            file.flush()
            os.fsync(file.fileno())
            file.close()
        text = json.dumps({"shapes": self.shapes, "about": about})
        (self.folder / "about.json").write_text(text)


def cache_folder() -> Path:
    """$PTHETA_CACHE, or ptheta/ in the user's cache folder."""
    if given := os.environ.get("PTHETA_CACHE"):
        return Path(given).expanduser()
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "ptheta"


def cached(key: Any, build: Callable[[Writer], dict[str, Any]]) -> Stored:
    """The entry of `key` (anything with a stable repr); `build` writes it where it is missing.

    An entry appears whole or not at all, also when two processes build it at once.
    Raises PthetaError where the cache folder cannot be written.
    """
    digest = hashlib.sha256(repr((VERSION, key)).encode()).hexdigest()[:24]
    folder = cache_folder() / digest
    if not (folder / "about.json").exists():
        try:
            folder.parent.mkdir(parents=True, exist_ok=True)
            beside = Path(tempfile.mkdtemp(prefix=f".{digest}.", dir=folder.parent))
        except OSError as error:
            raise PthetaError(
                f"cannot write the cache {folder.parent}: {error.strerror}; "
                "set PTHETA_CACHE to a folder that you can write"
            ) from None
        try:
            writer = Writer(beside)
            writer.close(build(writer))
            _publish(beside, folder)
        except OSError as error:
            raise PthetaError(
                f"cannot write the cache {folder.parent}: {error.strerror}; "
                "free space there, or set PTHETA_CACHE to another folder"
            ) from None
        finally:
            shutil.rmtree(beside, ignore_errors=True)
    return _open(folder)


def _publish(beside: Path, folder: Path) -> None:
    try:
        os.rename(beside, folder)
    except OSError:
        if not (folder / "about.json").exists():  # not another process that was quicker
            raise


def _open(folder: Path) -> Stored:
    meta = json.loads((folder / "about.json").read_text())
    arrays: dict[str, np.ndarray] = {}
    for name, shape in meta["shapes"].items():
        array = np.memmap(folder / f"{name}.bin", dtype=np.uint8, mode="r", shape=tuple(shape))
        if hasattr(mmap, "MADV_RANDOM"):  # batches are drawn at random: do not read ahead
            array._mmap.madvise(mmap.MADV_RANDOM)  # type: ignore[attr-defined]
        arrays[name] = array
    return Stored(arrays, meta["about"])
