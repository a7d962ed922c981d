"""Perturbed training data for a background model."""

from __future__ import annotations

import numpy as np

from ptheta.data.dataset import Dataset
from ptheta.data.image_data import ImageDataset, images_of
from ptheta.errors import PthetaError

ROWS = 1000  # images perturbed at a time


def perturbed(data: Dataset, share: float = 0.2, seed: int = 0) -> Dataset:
    """The images with a share of their sub-pixels replaced by uniform random values, without
    labels or other annotations.

    A model of these learns general statistics, such as the amount of background, but not the
    content: Ren et al. 2019 (arXiv:1906.02845, section 4), with shares of 0.1 to 0.3.
    """
    if not 0 < share < 1:
        raise PthetaError(f"share = {share:g}: give a share of the pixels, such as 0.2")
    images, rng = images_of(data), np.random.default_rng(seed)
    rows = data.rows(slice(None))
    changed = np.empty((len(rows), *images.images.shape[1:]), np.uint8)
    for at in range(0, len(rows), ROWS):
        some = images.images[rows[at : at + ROWS]]
        hit = rng.random(some.shape) < share
        changed[at : at + ROWS] = np.where(hit, rng.integers(0, 256, some.shape, np.uint8), some)
    return ImageDataset(
        f"{data.name}-perturbed",
        data.split,
        changed,
        levels=images.levels,
        dynamic=images.dynamic,
        seed=images.seed,
        notes=data.notes,
        resembles=data.resembles,
        resized=data.resized,
    )
