"""The built-in data sets: generated ones, and digits and clothing, stored per split as one picture
of 100 columns and one byte per label.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image

from ptheta.data import day_night, shapes
from ptheta.data.dataset import Dataset
from ptheta.data.decode import resize
from ptheta.data.image_data import ImageDataset, images_of
from ptheta.data.reader import SourceReader
from ptheta.data.request import Request
from ptheta.data.splits import Part, with_repeats
from ptheta.errors import PthetaError

FOLDER = Path(__file__).parent
COLUMNS, SIDE = 100, 28
# images of train and of test
SIZES = {
    **dict.fromkeys(("digits", "fashion"), (10_000, 2000)),
    **dict.fromkeys(("shapes", "shapes-64"), (20_000, 2000)),
    "day-night": day_night.SIZES,
}
CLASSES = {
    "digits": tuple("0123456789"),
    "fashion": (
        "T-shirt/top",
        "trouser",
        "pullover",
        "dress",
        "coat",
        "sandal",
        "shirt",
        "sneaker",
        "bag",
        "ankle boot",
    ),
}


def load_embedded(name: str, split: str) -> ImageDataset:
    """`digits` or `fashion`, split train (10,000) or test (2,000)."""
    with Image.open(FOLDER / f"{name}-{split}.png", formats=["PNG"]) as picture:
        canvas = np.asarray(picture)
    rows = canvas.shape[0] // SIDE
    images = canvas.reshape(rows, SIDE, COLUMNS, SIDE).swapaxes(1, 2).reshape(-1, 1, SIDE, SIDE)
    labels = np.frombuffer((FOLDER / f"{name}-{split}.labels").read_bytes(), dtype=np.uint8)
    numbers = labels.astype(np.int64)
    return ImageDataset(name, split, images, labels=numbers, classes=CLASSES[name], resembles=name)


# a split of a data set; the path is the cache folder
LOADERS: dict[str, Callable[[str, Path | None], ImageDataset]] = {
    "digits": lambda split, _: load_embedded("digits", split),
    "fashion": lambda split, _: load_embedded("fashion", split),
    "shapes": lambda split, place: shapes.load_shapes(32, split, place=place),
    "shapes-64": lambda split, place: shapes.load_shapes(64, split, place=place),
    "day-night": lambda split, place: day_night.load_day_night(split, place=place),
}


def open_embedded(name: str) -> SourceReader:
    return SourceReader("embedded", partial(read_embedded, name), splits=tuple(shapes.RANGES))


def read_embedded(name: str, request: Request) -> tuple[Dataset, Part]:
    """A split of an embedded set, with the near-duplicates that are known in it."""
    if request.split not in shapes.RANGES:
        raise PthetaError(
            f"{name} has the splits train and test, not {request.split}: "
            "hold out training images with Dataset.hold_out"
        )
    data = LOADERS[name](request.split, request.cache_dir)
    of_train, of_test = groups(name, SIZES[name])
    if request.split == "train":
        data = replace(data, groups=of_train)
    else:
        data = images_of(with_repeats(data, np.isin(of_test, of_train), of_test))
    images = resize(data.images, (name, request.split), shapes.VERSION, request)
    if images.shape[2:] != data.images.shape[2:]:
        data = replace(data, masks=None)  # of the size that was drawn
    return replace(data, images=images), Part(request.split)


def groups(name: str, sizes: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """Stored result of `ptheta.data.near.find_groups` on a built-in set: int64 (N,) for the
    training and the test part. A test compares it with a new computation.

    sizes: number of images of both parts
    """
    first = np.arange(sum(sizes))
    for group in json.loads((FOLDER / "near.json").read_text(encoding="utf-8"))[name]:
        first[group] = group[0]
    return first[: sizes[0]], first[sizes[0] :]
