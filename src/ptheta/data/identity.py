"""Which images a data set holds, whatever they are called and wherever they lie."""

from __future__ import annotations

import hashlib

import numpy as np

from ptheta.data.dataset import Dataset

CHUNK = 512  # images in memory at a time


def keys(data: Dataset) -> np.ndarray:
    """A 64-bit hash of the pixels of each image at its working size, uint64 (N,).

    Neither names, order, labels, levels nor binarisation enter, so that a copy of an image has the
    key of the image, in any data set of the same size and channels.
    """
    rows = data.rows(slice(None))
    found = np.empty(len(rows), dtype=np.uint64)
    for start in range(0, len(rows), CHUNK):
        part = np.ascontiguousarray(data.images[rows[start : start + CHUNK]])
        for i, image in enumerate(part, start):
            digest = hashlib.blake2b(image.data, digest_size=8).digest()
            found[i] = int.from_bytes(digest, "little")
    return found


def fingerprint(of: np.ndarray) -> str:
    """Sixteen hex digits that change with the images, not with their order.

    of: the images' keys, uint64 (N,)
    """
    return hashlib.sha256(np.sort(of).astype("<u8").tobytes()).hexdigest()[:16]
