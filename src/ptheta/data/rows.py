"""Images that are read when they are asked for: in place of an array of all of them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence

import numpy as np

Index = int | np.integer | slice | np.ndarray | Sequence[int]


class LazyImages(ABC):
    """uint8 (N, C, H, W), decoded row by row and never held as a whole."""

    shape: tuple[int, ...]
    dtype = np.dtype(np.uint8)
    ndim = 4

    @property
    def nbytes(self) -> int:
        """Bytes of all of them, decoded."""
        n, c, h, w = self.shape
        return n * c * h * w

    def __len__(self) -> int:
        return self.shape[0]

    @abstractmethod
    def take(self, rows: np.ndarray) -> np.ndarray:
        """These rows, int64 from 0: uint8 (K, C, H, W)."""

    def __getitem__(self, index: Index | tuple[Index, ...]) -> np.ndarray:
        """As of an array: the rows that the index needs are read."""
        first, *rest = index if isinstance(index, tuple) else (index,)
        if isinstance(first, int | np.integer):
            one: np.ndarray = self.take(np.array([range(len(self))[int(first)]]))[(0, *rest)]
            return one
        rows = np.arange(len(self))[first]
        found = self.take(rows)
        return found[(slice(None), *rest)] if rest else found

    def __iter__(self) -> Iterator[np.ndarray]:
        return (self[row] for row in range(len(self)))

    def __array__(self, dtype: np.dtype | None = None, copy: bool | None = None) -> np.ndarray:
        """All of them, for NumPy: they are decoded into memory."""
        every = self.take(np.arange(len(self)))
        return every if dtype is None else every.astype(dtype)

    @abstractmethod
    def hashes(self) -> np.ndarray:
        """A 64-bit hash of the pixels of each image, as `ptheta.data.near.hashes` computes it:
        uint64 (N,)."""

    @abstractmethod
    def origin(self) -> tuple[object, object]:
        """(identity, stamp), see `ptheta.data.cache.origin`."""

    @abstractmethod
    def expect(self, rows: np.ndarray) -> None:
        """Begin to read these rows in the background: they are asked for next, all at once."""

    @abstractmethod
    def approach(self, rows: np.ndarray) -> None:
        """Begin to fetch the files of these rows: they are asked for before long."""


Images = np.ndarray | LazyImages
