"""Arrays in .npy and .npz files."""

from __future__ import annotations

import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np

from ptheta.data.cache import Writer, cached
from ptheta.data.dataset import Dataset
from ptheta.data.decode import resize
from ptheta.data.labels import number
from ptheta.data.request import Request
from ptheta.data.splits import Part, choose, named
from ptheta.errors import PthetaError

IMAGES = ("images", "image", "x", "data", "arr")
LABELS = ("labels", "label", "y", "targets", "target")
CHUNK = 1024  # images converted at a time
DAMAGE = (OSError, ValueError, EOFError, KeyError, zipfile.BadZipFile, zlib.error)


def read(path: Path, request: Request) -> tuple[Dataset, Part]:
    """The part of an array file that answers to a split.

    Images are uint8 (N, H, W), (N, H, W, C) or (N, C, H, W), or floats in [0, 1]. In .npz, keys
    such as `images` and `labels`; `x_train`, `y_train`, `x_test`, ... for splits.
    """
    stat = path.stat()
    identity, stamp = str(path.resolve()), (stat.st_size, stat.st_mtime_ns)
    every: dict[str, np.ndarray] = {}  # labels by their key
    label_key: str | None = None
    try:
        # allow_pickle stays off: a pickle runs code
        loaded = np.load(path, mmap_mode="r" if path.suffix == ".npy" else None, allow_pickle=False)
        if isinstance(loaded, np.ndarray):
            part = choose(request.split, ["train"], path)
            images = _from_map(loaded, path, identity, stamp, request)
        else:
            with loaded:
                keys = _keys(list(loaded), path)
                part = choose(request.split, keys, path)
                image_key, label_key = keys[part.name]
                images = to_images(loaded[image_key], path)
                every = {k: loaded[k].reshape(-1) for _, k in keys.values() if k is not None}
                identity = f"{identity}:{image_key}"
    except DAMAGE as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise PthetaError(f"cannot read {path}: {reason}; write the file again") from None
    labels: np.ndarray | None = None
    classes: tuple[str, ...] = ()
    if label_key is not None:
        own = every[label_key]
        if len(own) != len(images):
            raise PthetaError(
                f"{path}: {len(own)} labels for {len(images)} images: store one for each image"
            )
        labels, classes = number(own, every.values())
    images = resize(images, identity, stamp, request)
    return Dataset(path.stem, request.split, images, labels, classes), part


def _keys(keys: list[str], path: Path) -> dict[str, tuple[str, str | None]]:
    """The keys of images and labels of each split; train where no key names a split."""
    found: dict[str, dict[str, str]] = {}
    for key in keys:
        words = key.lower().replace("-", "_").split("_")
        split = named(key)
        if any(word in LABELS for word in words) or words == ["arr", "1"]:
            kind = "labels"
        elif any(word in IMAGES for word in words) or (split is not None and len(words) == 1):
            kind = "images"
        else:
            continue
        found.setdefault(split or "train", {}).setdefault(kind, key)
    if len(keys) == 1:
        found = {"train": {"images": keys[0]}}
    pairs = {
        split: (some["images"], some.get("labels"))
        for split, some in found.items()
        if "images" in some
    }
    if not pairs:
        raise PthetaError(
            f"{path} has the keys {', '.join(keys) or 'none'}: name the images 'images' "
            "(or 'x_train' and 'x_test')"
        )
    return pairs


def _from_map(
    array: np.ndarray, path: Path, identity: Any, stamp: Any, request: Request
) -> np.ndarray:
    """The images of a memory-mapped array, never all of them in memory."""
    if array.dtype == np.uint8:
        return to_images(array, path)

    def build(writer: Writer) -> dict[str, Any]:
        for at in range(0, len(array), CHUNK):
            writer.add("images", to_images(np.asarray(array[at : at + CHUNK]), path))
        return {}

    to_images(array[:1], path)  # a wrong type or shape is reported before anything is written
    return cached(request.cache_dir, ("floats", identity), stamp, build).arrays["images"]


def to_images(array: np.ndarray, path: Path) -> np.ndarray:
    """uint8 (N, C, H, W), without a copy where it is that already."""
    if array.size == 0:
        raise PthetaError(f"{path} has shape {array.shape} and holds no image: give at least two")
    if np.issubdtype(array.dtype, np.floating):
        low, high = float(array.min()), float(array.max())
        if not (low >= 0 and high <= 1):  # also where NaN
            cure = "store (x + 1) / 2" if low >= -1 and high <= 1 else "scale them to [0, 1]"
            raise PthetaError(
                f"{path} holds floats from {low:g} to {high:g}, not in [0, 1]: "
                f"{cure}, or store uint8"
            )
        array = np.rint(array.astype(np.float32) * 255).astype(np.uint8)
    elif array.dtype == bool:
        array = array.astype(np.uint8) * 255
    elif array.dtype != np.uint8:
        raise PthetaError(f"{path} holds {array.dtype}: store uint8, or floats in [0, 1]")
    if array.ndim == 3 and array.shape[2] > 4:
        return array[:, None]
    if array.ndim == 4 and array.shape[1] in (1, 3):
        return array
    if array.ndim == 4 and array.shape[3] in (1, 3):
        return array.transpose(0, 3, 1, 2)
    raise PthetaError(
        f"{path} has shape {array.shape}: want (N, H, W), (N, H, W, C) or (N, C, H, W) "
        "with 1 or 3 channels"
    )
