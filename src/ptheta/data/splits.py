"""Splits: names of the parts of a source, and which part is used for which split.

The images of `train` are never in `val` or `test`. A source with one held-out part uses it for
both. A source with none is divided by the content of its images, not by their order: an image is
held out if its 64-bit key is in the lowest tenth. Near-duplicates are held out together or not at
all, and so are partners, by the key of the first. File names and added or removed files have no
influence on other images, except on their near-duplicates; and an added file never moves a training
image to the held-out part.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, TypeVar

import numpy as np

from ptheta.data import near
from ptheta.data.dataset import Dataset
from ptheta.data.held_out import partner_places
from ptheta.errors import PthetaError

T = TypeVar("T")
SPLITS = ("train", "val", "test")
WORDS = {
    "train": ("train", "training"),
    "val": ("val", "valid", "validation", "dev"),
    "test": ("test", "testing"),
}
OTHER = {"train": "train", "val": "test", "test": "val"}  # what may answer for a held-out split
HELD_OUT = 10  # one image in ten
FEW = 10  # different images up to which all are for training
LEAST = 2  # different images held out of more than these, where their groups allow


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


def by_split(parts: Iterable[tuple[str | None, T]]) -> dict[str, T]:
    """The first part of each split; one that names no split is for training, where no other is."""
    first: dict[str | None, T] = {}
    for split, part in parts:
        first.setdefault(split, part)
    rest = first.pop(None, None)
    splits = {split: part for split, part in first.items() if split is not None}
    return splits if "train" in splits or rest is None else {"train": rest} | splits


def choose(split: str, present: Collection[str], source: object) -> Part:
    """The part for a split, of a source with the parts `present` (names in SPLITS).

    Raises PthetaError where there is nothing to train on.
    """
    if "train" not in present:
        raise PthetaError(
            f"{source} has only a {' and a '.join(present)} part: "
            "add training images, or give that part itself as the data"
        )
    if split in present:
        # of a source that is nothing but train, some of train must be kept from training
        return Part(split, divide=len(present) == 1)
    other = OTHER[split]
    if other in present:
        return Part(other, note=f"no {split} split: the {other} data are used instead")
    return Part("train", divide=True)


def held_out(keys: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """Which images are held out: bool (N,).

    keys: of the images' pixels, uint64 (N,); groups: the same number for near-duplicates (N,)

    Adding images never moves one from training to the held-out part: the bound below can only fall,
    and a group can only grow. (Up to ten different images all are for training: the eleventh ends
    that. Were all of more than ten below the bound, one chance in 10^11, all are for training.)
    """
    different = np.unique(keys)
    if len(different) <= FEW:
        return np.zeros(len(keys), dtype=bool)
    low = (keys < np.uint64(2**64 // HELD_OUT)) | (keys <= different[LEAST - 1])
    _, number = np.unique(groups, return_inverse=True)
    whole = np.ones(len(keys), dtype=bool)  # by group: every member is low
    whole[number[~low]] = False
    held = whole[number]
    return held & ~held.all()


class Sides(NamedTuple):
    """data: all that a source holds, with its groups and notes on how it is divided
    held: which images are held out, bool (N,)
    why_none: why none is; empty where some are
    """

    data: Dataset
    held: np.ndarray
    why_none: str = ""


def sides(data: Dataset, place: Path | None = None) -> Sides:
    """Divides a data set that is all there is. place: the cache folder."""
    n, kind = len(data), data.examples
    looked, partners = data.find_groups(place=place), partner_places(data)
    # of partners one key decides for both
    keys = looked.hashes[np.minimum(partners, np.arange(n))]
    held, why_none = held_out(keys, near.joined(looked.groups, partners)), ""
    if not held.any() and len(np.unique(looked.hashes)) <= FEW:
        why_none = f"nothing is held out: too few {kind} ({n}), all are used for training"
    elif not held.any():
        why_none = f"nothing is held out: too many of the {n} {kind} are near-duplicates"
    notes = [
        why_none or f"no splits: {held.sum()} of {n} {kind} are held out, for both val and test"
    ]
    if data.partners is not None:
        notes.append("partners are on the same side")
    if more := n - len(np.unique(looked.groups)):
        notes.append(f"near-duplicates of other {kind}: {more} of {n}, on the same side")
    groups = looked.groups
    if data.index is not None:  # of the stored rows, of which others are not in use
        groups = np.full(len(data.stored), -1, dtype=np.int64)
        groups[data.index] = looked.groups
    data = dataclasses.replace(data, groups=groups, notes=(*data.notes, *notes))
    return Sides(data.learned_from(~held), held, why_none)


def side(of: Sides, split: str) -> Dataset:
    """The part of a source for the split.

    Raises PthetaError if nothing is held out and the split is not train.
    """
    data, held, why_none = of
    mine = ~held if split == "train" else held
    if not mine.any():
        raise PthetaError(
            f"{data.name} has no {split} {data.examples} ({why_none}): add some "
            "(such as train and test), or name other data to measure on"
        )
    return dataclasses.replace(data, split=split).subset(np.flatnonzero(mine))


def mark_repeats(data: Dataset, training: Dataset, place: Path | None = None) -> Dataset:
    """A held-out part that knows which of its images are in the training part as well."""
    if not data.joins(training):
        return data
    n = len(training)
    groups = training.find_groups(data, place=place).groups
    return with_repeats(data, np.isin(groups[n:], groups[:n]), groups[n:])


def with_repeats(data: Dataset, repeats: np.ndarray, groups: np.ndarray) -> Dataset:
    """repeats: bool (N,), for each row of a held-out part; groups: int64 (N,), likewise"""
    data = dataclasses.replace(data, groups=groups)
    if not repeats.any():
        return data
    note = (
        f"{repeats.sum()} of {len(data)} {data.split} {data.examples} repeat training "
        f"{data.examples} ({data.alike})"
    )
    return dataclasses.replace(data, repeats=repeats, notes=(*data.notes, note))
