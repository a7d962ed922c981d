"""The first examples of a data set, as one picture."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
from torch import Tensor

from ptheta.files.images import grid, to_picture

if TYPE_CHECKING:
    from ptheta.data.image_data import ImageDataset

MOST = 64  # images that are shown
BESIDE = 4  # pairs in a row


class Preview(NamedTuple):
    """picture: uint8 (H, W) or (H, W, 3); about: a one-line caption"""

    picture: np.ndarray
    about: str

    def encoded(self, suffix: str, side: int) -> bytes:
        """Encode in the format of a suffix, enlarged to about so many pixels on the longer side."""
        scale = max(1, side // max(self.picture.shape[:2]))
        return to_picture(self.picture, suffix, scale)


def places(n: int) -> np.ndarray:
    """Which of n images are shown: evenly spaced, since sorted ones would all be of one class."""
    return np.linspace(0, n - 1, min(n, MOST)).round().astype(np.int64)


def preview(data: ImageDataset, rows: np.ndarray, seen: Tensor) -> Preview:
    """Images; of pairs the input to the left of each target; of domains the partner to the right.

    rows: the stored rows that are shown, `MOST` or fewer
    seen: the images of these as they are to be shown, uint8 (N, C, H, W)
    """
    if data.inputs is not None:
        n = min(len(seen), MOST // 2)
        given = data.inputs.take(data, rows[:n])
        return Preview(_beside(given, seen[:n]), f"{n} pairs, inputs left of targets")
    if data.partners is not None:
        rows = rows[data.partners[rows] >= 0][: MOST // 2]
        partners = data.partners[rows]
        if len(rows):
            left, right = (_stored(data, of) for of in (rows, partners))
            about = f"{len(rows)} images, and right of each its partner"
            return Preview(_beside(left, right), about)
    return Preview(grid(seen), f"{len(seen)} images")


def _stored(data: ImageDataset, rows: np.ndarray) -> Tensor:
    return data.spec.rounded(torch.from_numpy(np.ascontiguousarray(data.images[rows])))


def _beside(left: Tensor, right: Tensor) -> np.ndarray:
    """Pairs of images, `BESIDE` of them in a row, grey as colour where the other has some."""
    channels = max(left.shape[1], right.shape[1])
    both = [x.expand(-1, channels, -1, -1) for x in (left, right)]
    return grid(torch.stack(both, 1).flatten(0, 1), 2 * min(BESIDE, len(left)))
