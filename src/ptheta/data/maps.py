"""Memory-mapped arrays: pickling by file name, and releasing pages that were read."""

from __future__ import annotations

import mmap
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ptheta.data.rows import Images

PAGE = 4096  # bytes that are read at least
# the available hints on pages of a memory map, on systems that have them
ADVICE = {name: value for name, value in vars(mmap).items() if name.startswith("MADV_")}


@dataclass(frozen=True)
class MappedFile:
    """The file that an array of unsigned bytes maps. offset: bytes before it"""

    path: Path
    offset: int
    shape: tuple[int, ...]

    @classmethod
    def of(cls, array: Images) -> MappedFile | None:
        """None for any other array, and for a part of a map: it does not know where it begins."""
        if isinstance(array, np.memmap) and isinstance(array.base, mmap.mmap):
            return cls(Path(str(array.filename)), array.offset, array.shape)
        return None

    def open(self) -> np.memmap:
        return np.memmap(self.path, np.uint8, "r", self.offset, self.shape)


def packed(state: Mapping[str, object], images: Images) -> dict[str, object]:
    """The state of an object with `images` for pickling: a memory map is sent as its file name, not
    as its bytes."""
    mapped = MappedFile.of(images)
    return dict(state) if mapped is None else dict(state) | {"images": mapped}


def unpacked(state: Mapping[str, object]) -> dict[str, object]:
    """The inverse of `packed`."""
    images = state["images"]
    opened = images.open() if isinstance(images, MappedFile) else images
    return dict(state) | {"images": opened}


def read_at_random(array: np.memmap) -> None:
    """Advise random access, so that nothing is read ahead."""
    _advise(array, "MADV_RANDOM")


class PageCounter:
    """Release the pages of a memory map from time to time; otherwise all pages that were read count
    as memory of this process.

    most: bytes that may stay resident
    """

    def __init__(self, most: int = 2**27) -> None:
        self.most = most
        self.bytes_read = 0

    def add(self, array: Images, bytes_read: int) -> None:
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
