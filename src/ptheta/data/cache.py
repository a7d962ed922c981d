"""Decoded data on disk: raw arrays that are written once and memory-mapped ever after."""

from __future__ import annotations

import hashlib
import json
import math
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Generic, TypeVar

import numpy as np
from pydantic import BaseModel, ConfigDict, TypeAdapter

from ptheta.data.maps import MappedFile, read_at_random
from ptheta.data.rows import Images, LazyImages
from ptheta.errors import PthetaError
from ptheta.files.atomic import remove, temporary, tidy, writing
from ptheta.files.paths import expand, user_cache

VERSION = 4  # of the decoding and of this format; part of every key
SUFFIX = ".bin"  # of a file that is one array
CURE = "free space there, or set PTHETA_CACHE to a folder that you can write"

A = TypeVar("A")


@dataclass(frozen=True)
class Stored(Generic[A]):
    """A cache entry: memory-mapped arrays by name, with metadata."""

    arrays: dict[str, np.ndarray]
    about: A


@dataclass(frozen=True)
class Nothing:
    """Empty metadata."""


class _Entry(BaseModel):
    """about.json. digest: of the rest of it"""

    model_config = ConfigDict(strict=True, extra="forbid")

    shapes: dict[str, list[int]]
    about: object
    digest: str

    @property
    def whole(self) -> bool:
        return self.digest == _sum(self.shapes, self.about)


class Writer:
    """Append rows to named arrays on disk, holding only the current rows in memory."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.files: dict[str, BinaryIO] = {}
        self.shapes: dict[str, list[int]] = {}

    def add(self, name: str, rows: np.ndarray) -> None:
        """rows: uint8 (n, ...); every call for a name has the same trailing shape."""
        with _writing(self.folder.parent):
            if name not in self.files:
                self.files[name] = (self.folder / f"{name}{SUFFIX}").open("wb")
                self.shapes[name] = [0, *rows.shape[1:]]
            self.shapes[name][0] += len(rows)
            self.files[name].write(np.ascontiguousarray(rows).data)

    def clear(self) -> None:
        """Forgets the rows that were added."""
        with _writing(self.folder.parent):
            for name, file in self.files.items():
                file.close()
                (self.folder / f"{name}{SUFFIX}").unlink()
        self.files.clear()
        self.shapes.clear()

    def finish(self, about: object) -> None:
        """Write the metadata as JSON and flush everything to disk."""
        with _writing(self.folder.parent):
            self.files["about"] = (self.folder / "about.json").open("wb")
            content = {"shapes": self.shapes, "about": about}
            text = json.dumps({**content, "digest": _sum(self.shapes, about)})
            self.files["about"].write(text.encode())
            for file in self.files.values():
                file.flush()
                os.fsync(file.fileno())

    def close(self) -> None:
        for file in self.files.values():
            file.close()


def cache_folder() -> Path:
    """$PTHETA_CACHE, or the user's own (`paths.user_cache`)."""
    if given := os.environ.get("PTHETA_CACHE"):
        return expand(given)
    return user_cache()


def cached(
    place: Path | None, identity: object, stamp: object, build: Callable[[Writer], A], kind: type[A]
) -> Stored[A]:
    """The cache entry of a source in its present state; `build` creates it if it is missing.

    An entry is created atomically, even if two processes build it; a damaged one is rebuilt.

    Args:
        place: the cache folder; None for the user's own.
        kind: type of the metadata, such as a dataclass: any type that pydantic serialises to JSON.
        identity: which source, and how it is read; any object with a stable repr.
        stamp: the state of the source; an entry of the same identity with another stamp is outdated
            and removed.

    Raises:
        PthetaError: if the cache folder cannot be written.
    """
    root, form = place or cache_folder(), TypeAdapter(kind)
    source = _digest((VERSION, identity))
    folder = root / f"{source}-{_digest(stamp)}"
    if (stored := _open(folder, form)) is not None:
        return stored
    with _writing(root):
        root.mkdir(parents=True, exist_ok=True)
        tidy(root)
        building = temporary(root)
        building.mkdir()
    writer = Writer(building)
    try:
        writer.finish(form.dump_python(build(writer), mode="json"))
        writer.close()
        with _writing(root):
            _publish(building, folder, form)
    finally:
        with suppress(OSError):
            writer.close()
        remove(building)
    _tidy(root, source, folder)
    stored = _open(folder, form)
    if stored is None:
        raise PthetaError(f"{folder} was damaged while it was written: try again")
    return stored


def origin(array: Images) -> tuple[object, object]:
    """(identity, stamp) of an array: those of the memory-mapped file, or a hash of its bytes."""
    if isinstance(array, LazyImages):
        return array.origin()
    mapped = MappedFile.of(array)
    if mapped is None:
        digest = hashlib.blake2b(np.ascontiguousarray(array).data, digest_size=16).hexdigest()
        return (array.shape, digest), None
    file, stat = mapped.path, mapped.path.stat()
    source, dash, _ = file.parent.name.rpartition("-")  # an entry of this cache: any stamp of it
    place = file.parent.with_name(source) if dash and file.suffix == SUFFIX else file
    state = (str(file), mapped.offset, mapped.shape, stat.st_size, stat.st_mtime_ns)
    return str(place), state


def _digest(key: object) -> str:
    return hashlib.sha256(repr(key).encode()).hexdigest()[:20]


@contextmanager
def _writing(root: Path) -> Iterator[None]:
    """Report a failure of the cache folder as such."""
    with writing(root, CURE):
        yield


def _publish(built: Path, folder: Path, form: TypeAdapter[A]) -> None:
    try:
        os.rename(built, folder)
    except OSError:
        if _open(folder, form) is not None:  # another process was quicker
            return
        remove(folder)
        os.rename(built, folder)


def _tidy(root: Path, source: str, current: Path) -> None:
    """Remove outdated entries. Processes that still have them mapped can continue to use them."""
    for entry in root.glob(f"{source}-*"):
        if entry != current:
            remove(entry)


def _open(folder: Path, form: TypeAdapter[A]) -> Stored[A] | None:
    """The entry, or None where it is missing or damaged."""
    arrays: dict[str, np.ndarray] = {}
    try:
        entry = _Entry.model_validate_json((folder / "about.json").read_bytes())
        about = form.validate_python(entry.about)
        if not entry.whole:
            return None
        for name, shape in entry.shapes.items():
            file = folder / f"{name}{SUFFIX}"
            if file.stat().st_size != math.prod(shape):
                return None
            array = MappedFile(file, 0, tuple(shape)).open()
            read_at_random(array)
            arrays[name] = array
    except (OSError, ValueError):  # pydantic's own is one
        return None
    return Stored(arrays, about)


def _sum(shapes: dict[str, list[int]], about: object) -> str:
    return _digest(json.dumps({"shapes": shapes, "about": about}, sort_keys=True))
