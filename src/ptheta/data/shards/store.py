"""The files of a set of shards, on this machine."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from weakref import finalize

from ptheta.data.shards.index import INDEX, Entry, Index
from ptheta.errors import PthetaError

CURE = "copy the folder again, or pack the data again (ptheta data pack)"


class Store(ABC):
    """Gives the files of a set by their entries in the index."""

    place: str

    @abstractmethod
    def index(self) -> Index:
        """Read the index. Raises PthetaError if it is missing or damaged."""

    @abstractmethod
    def path(self, entry: Entry) -> Path:
        """A file of the set, complete. Raises PthetaError if it cannot be had."""

    @abstractmethod
    def fetch(self, entry: Entry) -> None:
        """Make a file ready in the background, if it is not on this machine."""

    @abstractmethod
    def check_room(self, shards: int, entries: list[Entry]) -> None:
        """Raise PthetaError if so many shards cannot be at hand at the same time."""


@dataclass(frozen=True)
class LocalStore(Store):
    """A folder."""

    folder: Path

    @property
    def place(self) -> str:  # type: ignore[override]
        return str(self.folder)

    def index(self) -> Index:
        file = self.folder / INDEX
        try:
            return Index.parse(file.read_bytes(), file)
        except OSError as error:
            raise PthetaError(f"cannot read {file}: {error.strerror}; {CURE}") from None

    def path(self, entry: Entry) -> Path:
        file = self.folder / entry.name
        try:
            size = file.stat().st_size
        except OSError as error:
            raise PthetaError(f"cannot read {file}: {error.strerror}; {CURE}") from None
        if size != entry.bytes:
            raise PthetaError(f"{file} has {size:,} bytes instead of {entry.bytes:,}: {CURE}")
        return file

    def fetch(self, entry: Entry) -> None:
        """It is there."""

    def check_room(self, shards: int, entries: list[Entry]) -> None:
        """They are read in place."""


class OpenFiles:
    """Descriptors of the files that were read last, of at most `most` files. A file that is removed
    while it is open can still be read."""

    def __init__(self, store: Store, most: int) -> None:
        self.store, self.most = store, most
        self._files: OrderedDict[str, int] = OrderedDict()
        self._users: dict[int, int] = {}
        self._lock = Lock()
        self._closing = finalize(self, _close, self._files)
        self._closing.atexit = False  # the process ends

    def read(self, entry: Entry, size: int, offset: int) -> bytes:
        """Some bytes of a file, fewer at its end."""
        if offset > entry.bytes or size > entry.bytes:  # a damaged table
            return b""
        handle = self._borrow(entry)
        try:
            return os.pread(handle, size, offset)
        finally:
            self._give_back(handle)

    def _borrow(self, entry: Entry) -> int:
        with self._lock:
            handle = self._files.get(entry.name)
            if handle is not None:
                self._files.move_to_end(entry.name)
                self._users[handle] += 1
                return handle
        handle = self._open(entry)
        with self._lock:
            if entry.name in self._files:  # another thread was quicker
                os.close(handle)
                handle = self._files[entry.name]
            else:
                self._files[entry.name], self._users[handle] = handle, 0
            self._users[handle] += 1
            self._close_others()
        return handle

    def _open(self, entry: Entry) -> int:
        while True:
            path = self.store.path(entry)
            try:
                return os.open(path, os.O_RDONLY)
            except FileNotFoundError:  # another process made room in the cache just now
                continue
            except OSError as error:
                raise PthetaError(f"cannot read {path}: {error.strerror}; {CURE}") from None

    def _close_others(self) -> None:
        for name, handle in list(self._files.items())[: max(0, len(self._files) - self.most)]:
            if not self._users[handle]:
                del self._files[name], self._users[handle]
                os.close(handle)

    def _give_back(self, handle: int) -> None:
        with self._lock:
            self._users[handle] -= 1

    def close(self) -> None:
        """Close what is open; also done when this object is no longer used."""
        self._closing()


def _close(files: OrderedDict[str, int]) -> None:
    while files:
        os.close(files.popitem()[1])
