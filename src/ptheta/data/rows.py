"""Images that are read when they are asked for: in place of an array of all of them."""

from __future__ import annotations

from abc import ABC, abstractmethod

import numpy as np


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
    def __getitem__(self, rows: np.ndarray | slice) -> np.ndarray:
        """These rows: uint8 (K, C, H, W)."""

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
