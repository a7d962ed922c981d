"""Binary pixels drawn from grey ones."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from ptheta.compute import streams
from ptheta.data.counter import below
from ptheta.data.rows import Images

CHUNK = 512  # images at a time


def drawn_afresh(x: Tensor) -> Tensor:
    """Values 0 and 255, P(255) = x / 255, by the stream of the step: uint8 of the same shape."""
    # uniform on 0..254, so P(noise < x) = x / 255 exactly
    noise = streams.integers(0, 255, *x.shape, dtype=torch.uint8)
    return (noise < x).to(torch.uint8).mul_(255)


def binarised(images: Images, rows: np.ndarray, numbers: np.ndarray, seed: int) -> np.ndarray:
    """These rows of images with values 0 and 255, P(255) = value / 255: uint8 (K, C, H, W), a
    function of their numbers and the seed alone.

    The noise needs no memory and gives a row the same pixels in any batch.

    images: uint8 (N, C, H, W); rows, numbers: int64 (K,)
    """
    out = np.empty((len(rows), *images.shape[1:]), dtype=np.uint8)
    dims = int(np.prod(images.shape[1:]))
    for start in range(0, len(rows), CHUNK):
        here = slice(start, start + CHUNK)
        counter = numbers[here].astype(np.uint64)[:, None] * np.uint64(dims)
        noise = below(seed, counter + np.arange(dims, dtype=np.uint64), 255)
        white = noise.reshape(-1, *images.shape[1:]) < images[rows[here]]  # noise is 0..254
        out[here] = white.astype(np.uint8) * np.uint8(255)
    return out
