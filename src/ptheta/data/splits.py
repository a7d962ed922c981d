"""Splits: what the parts of a source are called, and which part answers to which split.

The images of `train` are never in `val` or `test`. A source with one held-out part uses it for both
of these; one with none has a tenth held out, always the same tenth.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Collection
from dataclasses import dataclass

import numpy as np

from ptheta.data.dataset import Dataset
from ptheta.errors import PthetaError

SPLITS = ("train", "val", "test")
WORDS = {
    "train": ("train", "training"),
    "val": ("val", "valid", "validation", "dev"),
    "test": ("test", "testing"),
}
HELD_OUT = 10  # one image in ten
SEED = 0  # fixed, so that training and evaluation agree on which


@dataclass(frozen=True)
class Part:
    """The part of a source that answers to a split.

    name: of the part, in SPLITS
    divide: it is all there is, so that a tenth of it is held out
    note: a line for the user where the part has another name than the split; or empty
    """

    name: str
    divide: bool = False
    note: str = ""


def named(name: str) -> str | None:
    """The split that the name of a file, folder or key speaks of, or None.

    The last such word counts: `data/train-00001.parquet`, `x_train` and `test/train.npz` are train.
    """
    for word in reversed(re.split(r"[^a-z]+", name.lower())):
        for split, words in WORDS.items():
            if word in words:
                return split
    return None


def choose(split: str, present: Collection[str], source: object) -> Part:
    """The part for a split, of a source with the parts `present` (names in SPLITS).

    Raises PthetaError where there is nothing to train on.
    """
    if "train" not in present:
        raise PthetaError(
            f"{source} has only a {' and a '.join(present)} part: "
            "give training images beside it, or give that part itself as the data"
        )
    if split in present:
        # of a source that is nothing but train, some of train must be kept from training
        return Part(split, divide=len(present) == 1)
    other = {"val": "test", "test": "val"}.get(split, "train")
    if other in present:
        return Part(other, note=f"no {split} split: these are the images of {other}")
    return Part("train", divide=True)


def divide(data: Dataset, part: Part, split: str) -> Dataset:
    """`data`, which holds a part, cut down to the split."""
    notes = (*data.notes, part.note) if part.note else data.notes
    n = len(data)
    if part.divide and n > 1:  # one image cannot be divided; training says that it is too few
        order = np.random.default_rng(SEED).permutation(n)
        held = max(1, n // HELD_OUT)
        data = data.subset(np.sort(order[held:] if split == "train" else order[:held]))
        notes = (*notes, f"no splits: {held} of {n} images are held out, for val and test alike")
    return dataclasses.replace(data, split=split, notes=notes)
