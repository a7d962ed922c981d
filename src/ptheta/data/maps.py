"""Arrays that are memory maps of files: of which file, and what becomes of pages that were read."""

from __future__ import annotations

import mmap
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

PAGE = 4096  # bytes that are read at least
# what may be said of the pages of a map, on systems where something may
ADVICE = {name: value for name, value in vars(mmap).items() if name.startswith("MADV_")}


@dataclass(frozen=True)
class MappedFile:
    """What an array of unsigned bytes is a map of. offset: bytes in front of it"""

    path: Path
    offset: int
    shape: tuple[int, ...]

    @classmethod
    def of(cls, array: np.ndarray) -> MappedFile | None:
        """None for any other array, and for a part of a map: it does not know where it begins."""
        if isinstance(array, np.memmap) and isinstance(array.base, mmap.mmap):
            return cls(Path(str(array.filename)), array.offset, array.shape)
        return None

    def open(self) -> np.memmap:
        return np.memmap(self.path, np.uint8, "r", self.offset, self.shape)


def packed(state: Mapping[str, object], images: np.ndarray) -> dict[str, object]:
    """What an object that holds `images` is sent to another process as: a memory map goes as the
    name of its file, not as its bytes."""
    mapped = MappedFile.of(images)
    return dict(state) if mapped is None else dict(state) | {"images": mapped}


def unpacked(state: Mapping[str, object]) -> dict[str, object]:
    """What `packed` was given."""
    images = state["images"]
    opened = images.open() if isinstance(images, MappedFile) else images
    return dict(state) | {"images": opened}


def read_at_random(array: np.memmap) -> None:
    """Says that batches are drawn at random, so that nothing is read ahead."""
    _advise(array, "MADV_RANDOM")


class PageCounter:
    """Hands back the pages of a memory map now and then: what has been read would otherwise count
    as this process's memory until the whole file does.

    most: bytes that may stay resident
    """

    def __init__(self, most: int = 2**27) -> None:
        self.most = most
        self.bytes_read = 0

    def add(self, array: np.ndarray, bytes_read: int) -> None:
        """So many bytes of an array were read. An array that is no map keeps its memory."""
        if not isinstance(array, np.memmap):
            return
        self.bytes_read += bytes_read
        if self.bytes_read > self.most:
            self.bytes_read = 0
            _advise(array, "MADV_DONTNEED")


def _advise(array: np.memmap, advice: str) -> None:
    if advice in ADVICE:
        array._mmap.madvise(ADVICE[advice])  # type: ignore[attr-defined]
