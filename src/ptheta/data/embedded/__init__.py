"""The data sets in the package: one picture of 100 columns a split, and a byte a label."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from PIL import Image

from ptheta.data.dataset import Dataset

FOLDER = Path(__file__).parent
COLUMNS, SIDE = 100, 28
# images of train and of test
SIZES = dict.fromkeys(("digits", "fashion"), (10_000, 2000)) | dict.fromkeys(
    ("shapes", "shapes-64"), (20_000, 2000)
)
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


def read(name: str, split: str) -> Dataset:
    """`digits` or `fashion`, split train (10,000) or test (2,000)."""
    with Image.open(FOLDER / f"{name}-{split}.png", formats=["PNG"]) as picture:
        canvas = np.asarray(picture)
    rows = canvas.shape[0] // SIDE
    images = canvas.reshape(rows, SIDE, COLUMNS, SIDE).swapaxes(1, 2).reshape(-1, 1, SIDE, SIDE)
    labels = np.frombuffer((FOLDER / f"{name}-{split}.labels").read_bytes(), dtype=np.uint8)
    return Dataset(name, split, images, labels.astype(np.int64), CLASSES[name], kin=name)


def groups(name: str, sizes: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """What `ptheta.data.near.look` finds among all images of an embedded set, for the training and
    the test part: int64 (N,) each. A test compares it with what is found anew.

    sizes: images of both parts
    """
    found = np.arange(sum(sizes))
    for group in json.loads((FOLDER / "near.json").read_text(encoding="utf-8"))[name]:
        found[group] = group[0]
    return found[: sizes[0]], found[sizes[0] :]
