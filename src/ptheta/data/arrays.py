"""Arrays in .npy and .npz files."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ptheta.data.cache import Writer, cached
from ptheta.data.columns.arrays import notes_on, rows_of
from ptheta.data.dataset import Dataset
from ptheta.data.decode import resize
from ptheta.data.image_data import ImageDataset
from ptheta.data.labels import Labels, number
from ptheta.data.members import DAMAGE, Members, memory_error
from ptheta.data.reader import SourceReader
from ptheta.data.request import Request
from ptheta.data.splits import Part, choose, named
from ptheta.data.values import DARK, USUAL, Kind, Levels, Values, kind_of, to_bytes
from ptheta.data.vector_data import VectorDataset
from ptheta.errors import PthetaError

IMAGES = ("images", "image", "x", "data", "arr")
LABELS = ("labels", "label", "y", "targets", "target", "arr_1")
LABEL_TYPES = frozenset("biufUS")  # of NumPy: truth values, numbers and texts
CHUNK = 1024  # images converted at a time
PACKED = b"PK"  # how a .npz begins


def open_array_file(path: Path) -> SourceReader:
    return SourceReader(
        f"{path.suffix.lower()} file", partial(read_array_file, path), readable_whole=True
    )


def read_array_file(path: Path, request: Request) -> tuple[Dataset, Part]:
    """Read the part of an array file for a split.

    Images have shape (N, H, W), (N, H, W, C) or (N, C, H, W), as integers of 8 or more bits or
    floats; `ptheta.data.values` determines white. Arrays (N, D) are rows of vectors. In .npz, keys
    are `images` and `labels`, or `x_train`, `y_train`, `x_test`, ... for splits.
    """
    stat = path.stat()
    identity, stamp = str(path.resolve()), (stat.st_size, stat.st_mtime_ns)
    try:
        loaded = _load(path, request)
        if loaded.key is not None:
            identity = f"{identity}:{loaded.key}"
        if loaded.images.ndim == 2:
            return _vectors(path, loaded, request), loaded.part
        images, values = bytes_of(loaded.images, str(path), identity, stamp, request)
    except MemoryError:
        raise memory_error(path) from None
    numbers, classes = _numbered(path, loaded)
    images = resize(images, identity, (stamp, values), request)
    data = ImageDataset(
        path.stem, request.split, images, labels=numbers, classes=classes, values=values
    )
    return data, loaded.part


def _vectors(path: Path, loaded: _Loaded, request: Request) -> VectorDataset:
    """The rows of a part, with the columns of the training part."""
    request.refuse_pictures(str(path))
    cells, spec = rows_of(loaded.images, str(path))
    labels, classes = _numbered(path, loaded)
    data = VectorDataset(
        *(path.stem, request.split, cells, spec),
        labels=labels,
        classes=classes,
        notes=notes_on(loaded.images),
    )
    if loaded.part.name == "train":
        return data
    training = _load(path, replace(request, split="train"))
    return data.with_columns(rows_of(training.images, str(path))[1])


def _numbered(path: Path, loaded: _Loaded) -> Labels:
    """Raise PthetaError if the numbers of labels and examples differ."""
    if loaded.labels is None:
        return None, ()
    if len(loaded.labels) != len(loaded.images):
        raise PthetaError(
            f"{path}: {len(loaded.labels)} labels for {len(loaded.images)} images: "
            "store one for each image"
        )
    return number(loaded.labels, loaded.labels_of_all)


class _Loaded(NamedTuple):
    """The arrays of a part. key: of its images, None in a .npy; labels_of_all: of all parts"""

    part: Part
    images: np.ndarray
    key: str | None = None
    labels: np.ndarray | None = None
    labels_of_all: tuple[np.ndarray, ...] = ()


def _load(path: Path, request: Request) -> _Loaded:
    """Read an array; raises PthetaError if the file is damaged."""
    try:
        with path.open("rb") as file:
            packed = file.read(len(PACKED)) == PACKED
        if not packed:
            # allow_pickle stays off: a pickle runs code
            images = np.load(path, mmap_mode="r", allow_pickle=False)
            return _Loaded(choose(request.split, ["train"], path), images)
        with Members(path) as members:
            keys = _keys(list(members.infos), path)
            if request.whole:
                images = np.concatenate([members.read(key.images) for key in keys.values()])
                return _Loaded(Part(request.split), images, "every")
            part = choose(request.split, keys, path)
            key = keys[part.name]
            used = sorted({k.labels for k in keys.values() if k.labels is not None})
            labels = {k: _labels(members.read(k), f"{path}: {k}") for k in used}
            own_labels = None if key.labels is None else labels[key.labels]
            images = members.read(key.images)
            return _Loaded(part, images, key.images, own_labels, tuple(labels.values()))
    except DAMAGE as error:
        raise unreadable(path, error) from None


def unreadable(path: Path, error: Exception) -> PthetaError:
    """The error for a file of arrays that is damaged, or holds what only a pickle can. error: one
    of `DAMAGE`"""
    reason = str(error).splitlines()[0] if str(error) else type(error).__name__
    return PthetaError(f"cannot read {path}: {reason}; write the file again")


def _labels(values: np.ndarray, what: str) -> np.ndarray:
    """Labels (N,). Raises PthetaError for values that are none."""
    if values.dtype.kind not in LABEL_TYPES:
        raise PthetaError(f"{what} holds {values.dtype}: give whole numbers or names as labels")
    if np.issubdtype(values.dtype, np.floating) and not np.isfinite(values).all():
        raise PthetaError(f"{what} contains inf or NaN: give whole numbers or names as labels")
    return values.reshape(-1)


class _Keys(NamedTuple):
    """The keys of the arrays of a split."""

    images: str
    labels: str | None = None


def _keys(keys: list[str], path: Path) -> dict[str, _Keys]:
    """The keys of each split; train where no key names a split."""
    if len(keys) == 1:
        return {"train": _Keys(keys[0])}
    images: dict[str, str] = {}
    labels: dict[str, str] = {}
    for key in keys:
        words = key.lower().replace("-", "_").split("_")
        split = named(key)
        if any(word in LABELS for word in (*words, "_".join(words))):
            labels.setdefault(split or "train", key)
        elif any(word in IMAGES for word in words) or (split is not None and len(words) == 1):
            images.setdefault(split or "train", key)
    if not images:
        raise PthetaError(
            f"{path} has the keys {', '.join(keys) or 'none'}: name the images 'images' "
            "(or 'x_train' and 'x_test')"
        )
    return {split: _Keys(key, labels.get(split)) for split, key in images.items()}


def bytes_of(
    array: np.ndarray, name: str, identity: object, stamp: object, request: Request
) -> tuple[np.ndarray, Values | None]:
    """The images of an array as uint8 (N, C, H, W), and what its values were.

    The array may be a memory map: it is never in memory as another type whole.
    """
    array = laid_out(array, name)
    kind = kind_of(array.dtype)
    if array.dtype == np.uint8:
        tops: Levels = {"8-bit": reaches(array)}
        whites = request.whites_for(tops)
        if whites == {"8-bit": USUAL["8-bit"]}:
            return array, Values(tops, whites)

    def build(writer: Writer) -> Scaled:
        tops: Levels = {} if kind is None else {kind: extreme(array, name)}
        whites = request.whites_for(tops)
        for at in range(0, len(array), CHUNK):
            writer.add("images", to_images(array[at : at + CHUNK], name, whites))
        return Scaled(dict(tops), dict(whites))

    key = ("array", identity)
    stored = cached(request.cache_dir, key, stamp, build, Scaled)
    whites = request.whites_for(stored.about.tops)
    if whites != stored.about.whites:
        stored = cached(request.cache_dir, (*key, sorted(whites.items())), stamp, build, Scaled)
    values = None if kind is None else Values(stored.about.tops, stored.about.whites)
    return stored.arrays["images"], values


@dataclass(frozen=True)
class Scaled:
    """The values of images as stored in the cache (see `Values`)."""

    tops: dict[Kind, float]
    whites: dict[Kind, float]


def reaches(array: np.ndarray) -> float:
    """The largest of these 8-bit values, or as much of it as shows that they are not few or dark:
    an image or two are read where they are neither.
    """
    top = 0
    for at in range(0, len(array), CHUNK):
        top = max(top, int(array[at : at + CHUNK].max(initial=0)))
        if top >= DARK * USUAL["8-bit"]:
            break
    return float(top)


def extreme(array: np.ndarray, name: str) -> float:
    """The largest value. Raises PthetaError where a value is below 0, or no number."""
    lows, tops = [], []
    for at in range(0, len(array), CHUNK):
        chunk = array[at : at + CHUNK]
        lows.append(float(chunk.min()))
        tops.append(float(chunk.max()))
    low, top = float(np.min(lows)), float(np.max(tops))  # NaN where one of them is
    if not (low >= 0 and math.isfinite(top)):
        what = "floats" if np.issubdtype(array.dtype, np.floating) else str(array.dtype)
        cure = "store (x + 1) / 2" if low >= -1 and top <= 1 else "scale them to [0, 1]"
        raise PthetaError(
            f"{name} holds {what} from {low:g} to {top:g}, not in [0, 1]: {cure}, or store uint8"
        )
    return top


def to_images(array: np.ndarray, name: str, whites: Levels) -> np.ndarray:
    """uint8 (N, C, H, W), without a copy where it is that already. whites: see `Values`"""
    kind = kind_of(array.dtype)
    if array.dtype == bool:
        return laid_out(array.astype(np.uint8) * np.uint8(255), name)
    assert kind is not None
    if array.dtype == np.uint8 and whites[kind] == USUAL[kind]:
        return laid_out(array, name)
    return laid_out(to_bytes(np.asarray(array), whites[kind]), name)


def laid_out(array: np.ndarray, name: str) -> np.ndarray:
    """The images of an array of any type as (N, C, H, W), a view of it.

    Raises PthetaError where it holds no images.
    """
    if array.size == 0:
        raise PthetaError(f"{name} has shape {array.shape} and holds no image: give at least two")
    if kind_of(array.dtype) is None and array.dtype != bool:
        raise PthetaError(f"{name} holds {array.dtype}: store uint8, or floats in [0, 1]")
    if array.ndim == 3 and array.shape[2] > 4:
        return array[:, None]
    if array.ndim == 4 and array.shape[1] in (1, 3):
        return array
    if array.ndim == 4 and array.shape[3] in (1, 3):
        return array.transpose(0, 3, 1, 2)
    raise PthetaError(
        f"{name} has shape {array.shape}: want (N, H, W), (N, H, W, C) or (N, C, H, W) "
        "with 1 or 3 channels, or (N, D) for rows of numbers"
    )
