"""The images of a split, decoded from its shards when they are asked for."""

from __future__ import annotations

import os
import zlib
from abc import ABC, abstractmethod
from collections import OrderedDict
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from threading import Lock
from typing import overload

import numpy as np

from ptheta.compute.background import Background, background
from ptheta.data.cache import Nothing, Writer, cached
from ptheta.data.captions import caption
from ptheta.data.near import number64
from ptheta.data.picture import Shape, load, resize_and_crop
from ptheta.data.rows import LazyImages
from ptheta.data.shards.index import Entry, key_of, starts_of
from ptheta.data.shards.store import CURE, OpenFiles, Store
from ptheta.data.values import Levels
from ptheta.errors import PthetaError

MOST_THREADS = 8
AT_ONCE = 8  # pictures that a thread decodes in one go
MOST_AHEAD = 4  # batches that are decoded ahead
SMALL = 2**28  # bytes of a split up to which its decoded images stay in memory
CHUNK = 256  # images at a time, in a pass over all of them


@dataclass(frozen=True)
class Split:
    """Where the pictures of a split are.

    table: see `table_type`; identity: which set and split it is
    """

    store: Store
    shards: tuple[Entry, ...]
    table: np.ndarray
    suffixes: tuple[str, ...]
    identity: str

    @cached_property
    def starts(self) -> np.ndarray:
        return starts_of(self.shards)

    def __len__(self) -> int:
        return len(self.table)

    def name(self, row: int) -> str:
        """The file of a row: shard/picture."""
        shard = self.shards[self.shard_of(np.array([row]))[0]]
        number = int(self.table["suffix"][row])
        suffix = self.suffixes[number] if number < len(self.suffixes) else ""
        return f"{shard.name}/{key_of(row, len(self.table))}{suffix}"

    def shard_of(self, rows: np.ndarray) -> np.ndarray:
        """The number of the shard of each row: int64."""
        return np.searchsorted(self.starts, rows, side="right") - 1


@dataclass(frozen=True)
class Look:
    """How pictures are decoded. own: whether this is how the keys of the table were computed"""

    shape: Shape
    whites: Levels
    own: bool


class _Kept:
    """The images of a small split that were decoded before."""

    def __init__(self, shape: tuple[int, ...]) -> None:
        self.images = np.empty(shape, np.uint8)  # takes memory where it is filled
        self.there = np.zeros(shape[0], bool)

    def has(self, rows: np.ndarray) -> bool:
        return bool(self.there[rows].all())

    def add(self, rows: np.ndarray, images: np.ndarray) -> None:
        self.images[rows] = images
        self.there[rows] = True


@dataclass(frozen=True)
class _Batch:
    """Images that threads write into one array, each a part of them."""

    images: np.ndarray
    parts: list[Future[None]]

    def complete(self) -> np.ndarray:
        """Wait for all parts. Raises what one of them raised."""
        for part in self.parts:
            part.result()
        return self.images

    def cancel(self) -> None:
        """Leave out the parts that were not begun."""
        for part in self.parts:
            part.cancel()


@dataclass
class _Machinery:
    """What a process needs to read, made when it is first needed."""

    files: OpenFiles
    pool: Background
    kept: _Kept | None
    process: int = field(default_factory=os.getpid)
    ahead: OrderedDict[bytes, _Batch] = field(default_factory=OrderedDict)
    last: tuple[bytes, np.ndarray] | None = None


def workers() -> int:
    """Number of threads that decode."""
    return min(MOST_THREADS, os.cpu_count() or 1)


class ShardImages(LazyImages):
    """The images of a split.

    A batch is decoded by several threads (Pillow decodes without holding the interpreter); the next
    batches are decoded in the background, at most `MOST_AHEAD` of them. A split of up to 256 MB of
    decoded images is decoded once.

    window: shards that are read at the same time; place: the cache folder, None for the user's own
    """

    def __init__(self, split: Split, look: Look, window: int, place: Path | None = None) -> None:
        shape, self.place = look.shape, place
        self.split, self.look, self.window = split, look, window
        self.shape = (len(split), shape.channels, shape.height, shape.width)
        self._made: _Machinery | None = None
        self._lock = Lock()

    def __getstate__(self) -> dict[str, object]:
        """For another process, which opens the files anew."""
        return {**self.__dict__, "_made": None, "_lock": None}

    def __setstate__(self, state: dict[str, object]) -> None:
        self.__dict__.update(state | {"_lock": Lock()})

    def __repr__(self) -> str:
        return f"ShardImages(uint8 {self.shape} in {self.split.store.place})"

    def take(self, rows: np.ndarray) -> np.ndarray:
        rows = rows.astype(np.int64)
        made, key = self._machinery(), rows.tobytes()
        if made.kept is not None and made.kept.has(rows):
            found: np.ndarray = made.kept.images[rows]
            return found
        if made.last is not None and made.last[0] == key:  # as for the inputs of pairs
            return made.last[1].copy()
        images = (made.ahead.pop(key, None) or self._begin(rows, made)).complete()
        if made.kept is not None:
            made.kept.add(rows, images)
            return images
        made.last = key, images
        return images.copy()

    def expect(self, rows: np.ndarray) -> None:
        made, rows = self._machinery(), rows.astype(np.int64)
        key = rows.tobytes()
        if key in made.ahead or (made.kept is not None and made.kept.has(rows)):
            return
        while len(made.ahead) >= MOST_AHEAD:
            made.ahead.popitem(last=False)[1].cancel()
        made.ahead[key] = self._begin(rows, made)

    def approach(self, rows: np.ndarray) -> None:
        for number in np.unique(self.split.shard_of(rows)):
            self.split.store.fetch(self.split.shards[number])

    def origin(self) -> tuple[object, object]:
        return self._identity(), None

    def hashes(self) -> np.ndarray:
        if self.look.own:
            keys: np.ndarray = self.split.table["key"]
            return keys

        def build(writer: Writer) -> Nothing:
            """A pass over all of it, once."""
            for start in range(0, len(self), CHUNK):
                images = self[start : start + CHUNK]
                found = np.array([number64(image.tobytes()) for image in images], "<u8")
                writer.add("keys", found.view(np.uint8).reshape(-1, 8))
            return Nothing()

        stored = cached(self.place, ("keys of shards", self._identity()), None, build, Nothing)
        return np.asarray(stored.arrays["keys"]).view("<u8").reshape(len(self))

    def _identity(self) -> tuple[object, ...]:
        look = self.look
        return ("shards", self.split.identity, look.shape, sorted(look.whites.items()))

    # -- reading

    def _machinery(self) -> _Machinery:
        with self._lock:
            made = self._made
            if made is None or made.process != os.getpid():  # threads do not survive a fork
                threads = workers()
                files = OpenFiles(self.split.store, 2 * self.window + threads)
                kept = _Kept(self.shape) if self.nbytes <= SMALL else None
                made = self._made = _Machinery(files, background("decode", threads), kept)
        return made

    def _begin(self, rows: np.ndarray, made: _Machinery) -> _Batch:
        images = np.empty((len(rows), *self.shape[1:]), np.uint8)
        parts = [slice(at, at + AT_ONCE) for at in range(0, len(rows), AT_ONCE)]
        return _Batch(
            images,
            [made.pool.submit(self._decode, rows[p], made.files, images[p]) for p in parts],
        )

    def _decode(self, rows: np.ndarray, files: OpenFiles, into: np.ndarray) -> None:
        table = self.split.table[rows]
        columns = (table[name].tolist() for name in ("size", "offset", "crc"))
        shards = self.split.shard_of(rows).tolist()
        for image, row, shard, size, offset, crc in zip(
            into, rows.tolist(), shards, *columns, strict=True
        ):
            content = files.read(self.split.shards[shard], size, offset)
            if zlib.crc32(content) != crc:
                raise PthetaError(
                    f"{self.split.store.place}/{self.split.name(row)} is damaged (its "
                    f"checksum differs): {CURE}"
                )
            image[:] = self._picture(content, row)

    def _picture(self, content: bytes, row: int) -> np.ndarray:
        shape = self.look.shape
        try:
            image = load(content, max(shape.height, shape.width), self.look.whites).image
            return resize_and_crop(image, shape)
        except Exception as error:  # what a decoder raises
            text = str(error).splitlines()[0] if str(error) else type(error).__name__
            where = f"{self.split.store.place}/{self.split.name(row)}"
            raise PthetaError(f"cannot decode {where}: {text}; pack the data again") from None


@dataclass(frozen=True)
class ShardTexts(Sequence[str], ABC):
    """A text for each row of a split, found when it is asked for."""

    split: Split

    @abstractmethod
    def text(self, row: int) -> str:
        """That of a row, 0 to len - 1."""

    def __len__(self) -> int:
        return len(self.split)

    @overload
    def __getitem__(self, at: int) -> str: ...
    @overload
    def __getitem__(self, at: slice) -> Sequence[str]: ...
    def __getitem__(self, at: int | slice) -> str | Sequence[str]:
        rows = range(len(self))[at]
        return self.text(rows) if isinstance(rows, int) else [self.text(row) for row in rows]


@dataclass(frozen=True)
class ShardNames(ShardTexts):
    """The files of the rows of a split."""

    def text(self, row: int) -> str:
        return self.split.name(row)


@dataclass(frozen=True)
class ShardCaptions(ShardTexts):
    """The captions of a split."""

    entry: Entry

    def __getstate__(self) -> dict[str, object]:
        """For another process, which opens the file anew."""
        return {"split": self.split, "entry": self.entry}

    def __setstate__(self, state: dict[str, object]) -> None:
        self.__dict__.update(state)

    @cached_property
    def _file(self) -> OpenFiles:
        return OpenFiles(self.split.store, 1)

    def text(self, row: int) -> str:
        record = self.split.table[row]
        return caption(self._file.read(self.entry, int(record["length"]), int(record["text"])))
