"""Read images or vectors for metrics, from a path, array, tensor or data set."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TypedDict

import numpy as np
import torch
from torch import Tensor

from ptheta.data.dataset import Dataset
from ptheta.data.image_data import ImageDataset
from ptheta.data.names import called
from ptheta.data.request import DataSettings
from ptheta.data.sources import open_image_set
from ptheta.data.vector_data import VectorDataset
from ptheta.errors import PthetaError

Examples = str | Path | np.ndarray | Tensor | Dataset


class Read(TypedDict, total=False):
    """Settings for reading images and extracting features.

    size: resize images to this side in pixels, antialiased and cropped; channels: convert to 1 or 3
    image_column: the column of images, for tabular sources
    processes: that share the extraction of features
    """

    size: int | None
    channels: int | None
    image_column: str | None
    processes: int


def points_of(given: Examples) -> Tensor | None:
    """Features or vectors, float (N, D); None for images.

    Rows of a data set of vectors are converted to network scale: standardised, categories one-hot.
    """
    if isinstance(given, VectorDataset):
        return given.spec.scaled(given.batch(slice(None)).x)
    if isinstance(given, np.ndarray) and given.ndim == 2 and given.dtype.kind == "f":
        return torch.from_numpy(np.ascontiguousarray(given))
    if isinstance(given, Tensor) and given.ndim == 2 and given.is_floating_point():
        return given.detach().cpu()
    return None


def images_in(given: Examples, how: Read) -> Tensor:
    """uint8 (N, C, H, W). Raises PthetaError for features, and as `ptheta.open_data` does."""
    if points_of(given) is not None:
        raise PthetaError(
            "floats (N, D) are features or vectors, and images are needed: give those"
        )
    settings = DataSettings(
        size=how.get("size"), channels=how.get("channels"), image_column=how.get("image_column")
    )
    return open_image_set(given, settings).images


def mixed(x: Tensor) -> Tensor:
    """The examples in a fixed random order, since they may be sorted by class and some metrics use
    consecutive parts."""
    return x[torch.randperm(len(x), generator=torch.Generator().manual_seed(0))]


def same_images(sets: Sequence[Examples], how: Read) -> list[Tensor]:
    """Image batches of equal size and channels, uint8 (N, C, H, W) each. Raises PthetaError if they
    differ."""
    found = [images_in(given, how) for given in sets]
    first = found[0]
    for given, x in zip(sets, found, strict=True):
        if x.shape[1:] != first.shape[1:]:
            a, b = ("x".join(map(str, s.shape[1:])) for s in (first, x))
            raise PthetaError(
                f"images of {a} (channels, height, width) and of {b} in {called(given)}: give "
                "size and channels to convert all"
            )
    return found


def dataset(x: Tensor, split: str) -> ImageDataset:
    """Wrap images uint8 (N, C, H, W) in a data set."""
    return ImageDataset("images at hand", split, x.numpy())
