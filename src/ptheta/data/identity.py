"""Which images a data set holds, whatever they are called and wherever they lie."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np

from ptheta.data.dataset import Dataset


def keys(data: Dataset) -> np.ndarray:
    """A 64-bit hash of the pixels of each image at its working size, uint64 (N,).

    Neither names, order, labels, levels nor binarisation enter, so that a copy of an image has the
    key of the image, in any data set of the same size and channels.
    """
    return data.keys()


def groups(data: Dataset, place: Path | None = None) -> np.ndarray:
    """For each image the position of the first of its near-duplicates, its own where it has none:
    int64 (N,). place: the cache folder, None for the user's own
    """
    rows = data.rows(slice(None))
    if data.groups is None:
        return data.find_groups(place=place).groups
    _, first, number = np.unique(data.groups[rows], return_index=True, return_inverse=True)
    return first[number].astype(np.int64)


def fingerprint(of: np.ndarray) -> str:
    """Sixteen hex digits that change with the images, not with their order.

    of: the images' keys, uint64 (N,)
    """
    return hashlib.sha256(np.sort(of).astype("<u8").tobytes()).hexdigest()[:16]
