"""Arrays in .npy and .npz files."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ptheta.data.dataset import Dataset
from ptheta.errors import PthetaError

IMAGES = ("images", "x", "data", "arr_0")
LABELS = ("labels", "y", "targets", "arr_1")
WORDS = {"train": ("train",), "test": ("test", "val", "valid")}


def read(path: Path, split: str) -> tuple[Dataset, bool]:
    """A split of an array file, or all of it (then to be divided).

    Images are uint8 (N, H, W), (N, H, W, C) or (N, C, H, W), or floats in [0, 1]. In .npz, keys
    such as `images` and `labels`; `x_train`, `y_train`, `x_test`, ... for splits.
    """
    try:
        # allow_pickle stays off: a pickle runs code
        loaded = np.load(path, mmap_mode="r" if path.suffix == ".npy" else None, allow_pickle=False)
    except (OSError, ValueError) as error:
        raise PthetaError(f"cannot read {path}: {error}") from None
    if isinstance(loaded, np.ndarray):
        return Dataset(path.stem, split, to_images(loaded, path)), True
    with loaded:
        keys = list(loaded)
        image_key, label_key, whole = _keys(keys, split, path)
        try:
            images = to_images(loaded[image_key], path)
            labels = None if label_key is None else np.asarray(loaded[label_key]).reshape(-1)
        except ValueError as error:
            raise PthetaError(f"cannot read {path}: {error}") from None
    if labels is None:
        return Dataset(path.stem, split, images), whole
    if len(labels) != len(images):
        raise PthetaError(f"{path}: {len(labels)} labels for {len(images)} images")
    names, numbers = np.unique(labels, return_inverse=True)
    if np.issubdtype(labels.dtype, np.integer) and labels.min() >= 0:
        numbers, names = labels, np.arange(labels.max() + 1)
    classes = tuple(str(name) for name in names)
    return Dataset(path.stem, split, images, numbers.astype(np.int64), classes), whole


def _keys(keys: list[str], split: str, path: Path) -> tuple[str, str | None, bool]:
    """The keys of images and labels, and whether they are all there is."""

    def pick(bases: tuple[str, ...], words: tuple[str, ...]) -> str | None:
        names = {f"{b}_{w}" for b in bases for w in words}
        names |= {f"{w}_{b}" for b in bases for w in words} | set(words if bases == IMAGES else ())
        return next((key for key in keys if key.lower() in names), None)

    for part in (split, "train"):
        image = pick(IMAGES, WORDS[part])
        if image is not None:
            return image, pick(LABELS, WORDS[part]), part != split
    image = next((key for key in IMAGES if key in keys), keys[0] if len(keys) == 1 else None)
    if image is None:
        raise PthetaError(
            f"{path} has the keys {', '.join(keys)}: name the images 'images' (or 'x_train')"
        )
    return image, next((key for key in LABELS if key in keys), None), True


def to_images(array: np.ndarray, path: Path) -> np.ndarray:
    """uint8 (N, C, H, W), without a copy where it is that already."""
    if np.issubdtype(array.dtype, np.floating):
        low, high = float(array.min()), float(array.max())
        if not (low >= 0 and high <= 1):  # also where NaN
            raise PthetaError(
                f"{path} holds floats from {low:g} to {high:g}: scale them to [0, 1], "
                "or store uint8"
            )
        array = np.rint(array * 255).astype(np.uint8)
    elif array.dtype == bool:
        array = array.astype(np.uint8) * 255
    elif array.dtype != np.uint8:
        raise PthetaError(f"{path} holds {array.dtype}: store uint8, or floats in [0, 1]")
    if array.ndim == 3:
        return array[:, None]
    if array.ndim == 4 and array.shape[1] in (1, 3):
        return array
    if array.ndim == 4 and array.shape[3] in (1, 3):
        return array.transpose(0, 3, 1, 2)
    raise PthetaError(
        f"{path} has shape {array.shape}: want (N, H, W), (N, H, W, C) or (N, C, H, W) "
        "with 1 or 3 channels"
    )
