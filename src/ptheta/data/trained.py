"""The record of a run's training images, and finding them in the present data.

A run stores the key of each image (see `ptheta.data.identity`), so that its images are recognised
at any path and under any file name.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np
from safetensors.numpy import load_file, save_file

from ptheta.config import brief
from ptheta.data.dataset import Dataset
from ptheta.data.identity import fingerprint, keys
from ptheta.errors import PthetaError
from ptheta.files.atomic import check_file, write_apart

Kind = Literal["same", "more", "other", "unknown"]
LARGEST = 2**62  # of the numbers of images, with room to number more


@dataclass(frozen=True)
class Record:
    """The training images of a run, in the order in which training counts them.

    images, numbers: their keys, uint64 (N,), and the numbers that their fixed binarisation is drawn
        by, int64 (N,) (see `Dataset.numbers`)
    reserve, reserve_numbers: the same of the images that chose the best checkpoint, (M,); never
        trained on, and a part of the training split
    """

    images: np.ndarray
    numbers: np.ndarray
    reserve: np.ndarray
    reserve_numbers: np.ndarray

    @classmethod
    def of(cls, data: Dataset, reserve: Dataset | None) -> Record:
        """data: training examples; reserve: validation examples for the best checkpoint, or None"""
        none = np.empty(0, np.uint64), np.empty(0, np.int64)
        return cls(*_known(data), *(none if reserve is None else _known(reserve)))

    def __repr__(self) -> str:
        n, m = len(self.images), len(self.reserve)
        return f"Record({n:,} images and {m:,} in reserve, fingerprint {self.fingerprint})"

    @property
    def every(self) -> np.ndarray:
        """The keys of all of them, the reserve last: uint64 (N + M,)."""
        return np.concatenate([self.images, self.reserve])

    @property
    def every_number(self) -> np.ndarray:
        return np.concatenate([self.numbers, self.reserve_numbers])

    @property
    def fingerprint(self) -> str:
        """Fingerprint of the training split, including the reserve, independent of order."""
        return fingerprint(self.every)

    def write(self, path: Path) -> None:
        """Write as safetensors, atomically."""
        arrays = {name: np.ascontiguousarray(array) for name, array in vars(self).items()}
        write_apart(path, lambda temp: save_file(arrays, temp))

    @classmethod
    def read(cls, path: Path) -> Record:
        """Read a record; raises PthetaError if the file is damaged."""
        check_file(path)
        try:
            arrays = load_file(path)
            fault = _fault(arrays)
        except Exception as error:  # safetensors raises its own, OSError, or of types NumPy lacks
            fault = brief(error, 200)
        if fault:
            raise PthetaError(
                f"cannot read {path}: {fault}; restore the file, or remove it: the run then no "
                "longer knows what it was trained on"
            )
        return cls(**arrays)


def _fault(arrays: Mapping[str, np.ndarray]) -> str:
    """Why these are no keys and numbers of images; empty where they are."""
    types = {"images": np.uint64, "numbers": np.int64}
    types |= {"reserve": np.uint64, "reserve_numbers": np.int64}
    if arrays.keys() != types.keys():
        odd = sorted(arrays.keys() ^ types.keys())[0]
        return f"it has {brief(odd)}" if odd in arrays else f"it has no {odd}"
    for name, array in arrays.items():
        if array.dtype != types[name] or array.ndim != 1:
            return (
                f"{name} is {array.dtype} of shape {array.shape}, want {types[name].__name__} (N,)"
            )
    for name, numbers in (("images", "numbers"), ("reserve", "reserve_numbers")):
        if len(arrays[name]) != len(arrays[numbers]):
            return f"{len(arrays[numbers]):,} {numbers} for {len(arrays[name]):,} {name}"
        if len(arrays[name]) and not 0 <= arrays[numbers].min() <= arrays[numbers].max() < LARGEST:
            return f"{numbers} are not valid image numbers"
    return "" if len(arrays["images"]) else "it names no image"


@dataclass(frozen=True)
class DataMatch:
    """The images of a data set that belong to a run.

    kind: "same": the training images are those of the run; "more": all of these are there, and
        others; "other": some of them are missing; "unknown": the run does not remember them
    images, reserve: what the run was trained on and what chose its checkpoint, in the run's order;
        None where kind is "other", and for a run without a reserve. The training images of the
        source where kind is "unknown"
    held_out: held-out images without those that the run was trained on; None where none is left
    new: training images that the run was not trained on, or None
    missing: how many of the run's images are not there; known_test: held-out images left out
    """

    kind: Kind
    images: Dataset | None
    reserve: Dataset | None
    held_out: Dataset | None
    new: Dataset | None = None
    missing: int = 0
    known_test: int = 0

    def __repr__(self) -> str:
        parts = {"images": self.images, "reserve": self.reserve, "held out": self.held_out}
        parts["new"] = self.new
        counts = [f"{len(data):,} {name}" for name, data in parts.items() if data is not None]
        return f"DataMatch({', '.join([self.kind, *counts, f'{self.missing:,} missing'])})"

    @property
    def foreign(self) -> bool:
        """Whether the data differ from those of the run."""
        return self.kind == "other"

    @property
    def remembered(self) -> bool:
        """Whether the run remembers its images."""
        return self.kind != "unknown"

    @property
    def train(self) -> Dataset | None:
        """The training split as the run knew it: images and reserve, in the order of then."""
        if self.images is None or self.reserve is None:
            return self.images
        both = joined(self.images, self.reserve)
        return both.subset(np.argsort(both.number(both.rows(slice(None))), kind="stable"))

    @property
    def test(self) -> Dataset:
        """The unseen held-out images; raises PthetaError if the run was trained on all of them."""
        if self.held_out is None:
            raise PthetaError(
                "the run was trained on all held-out images that exist: give images that it "
                "has not seen with --data"
            )
        return self.held_out

    def named(self, name: str) -> DataMatch:
        """The same under the name that the data had in training."""

        def called(data: Dataset | None) -> Dataset | None:
            return None if data is None else replace(data, name=name)

        return replace(
            self,
            images=called(self.images),
            reserve=called(self.reserve),
            held_out=called(self.held_out),
            new=called(self.new),
        )


def match_data(record: Record, train: Dataset, test: Dataset, *, apart: bool = True) -> DataMatch:
    """Find the images of a run in the training and held-out images of a source.

    apart: whether the source separates them; otherwise both are the same images, and those that
        the run was not trained on are held out
    """
    split = keys(train)
    same = fingerprint(split) == record.fingerprint
    # a tenth of a collection without splits may be another tenth since it grew
    whole, held = (train, split) if same else _whole(train, split)
    places = locate(record.every, held, record.every_number)
    present = whole.subset(places[places >= 0]) if (places >= 0).any() else None
    held_out, known_test = (test, 0) if same and apart else _unseen(test, record, present)
    missing = int((places < 0).sum())
    if missing:
        return DataMatch("other", None, None, held_out, missing=missing, known_test=known_test)
    whole, n = _numbered(whole, places, record.every_number), len(record.images)
    images = whole.subset(places[:n])
    reserve = whole.subset(places[n:]) if len(record.reserve) else None
    if same:
        return DataMatch("same", images, reserve, held_out)
    fresh = np.setdiff1d(train.rows(slice(None)), whole.rows(places))
    if reserve is not None:  # a copy of an image that chooses the checkpoint is not trained on
        fresh = fresh[~alike(replace(whole, index=fresh), reserve)] if len(fresh) else fresh
    new = replace(whole, index=fresh) if len(fresh) else None
    return DataMatch("more", images, reserve, held_out, new=new, known_test=known_test)


def locate(wanted: np.ndarray, held: np.ndarray, order: np.ndarray) -> np.ndarray:
    """For each wanted key its place in `held`, or -1: int64 (N,). No place is given twice.

    order: of two equal wanted keys, the one with the lower number has the earlier place
    """
    mine = np.lexsort((order, wanted))
    theirs = np.argsort(held, kind="stable")
    ranked, theirs_ranked = wanted[mine], held[theirs]
    nth = np.arange(len(mine)) - np.searchsorted(ranked, ranked)  # among its equals
    at = np.searchsorted(theirs_ranked, ranked) + nth
    there = at < len(held)
    there[there] = theirs_ranked[at[there]] == ranked[there]
    places = np.full(len(wanted), -1, dtype=np.int64)
    places[mine[there]] = theirs[at[there]]
    return places


def joined(a: Dataset, b: Dataset) -> Dataset:
    """Both of two parts of one set of images."""
    return replace(a, index=np.concatenate([a.rows(slice(None)), b.rows(slice(None))]))


def alike(data: Dataset, others: Dataset) -> np.ndarray:
    """Which images have a near-duplicate (or a copy) among the others: bool (len(some),)."""
    groups = data.find_groups(others).groups
    return np.isin(groups[: len(data)], groups[len(data) :])


def _unseen(test: Dataset, record: Record, trained: Dataset | None) -> tuple[Dataset | None, int]:
    """The held-out images that a run was not trained on, as they are or encoded anew, and how many
    it was. trained: those of its images that are there
    """
    trained_on = np.isin(keys(test), record.every)
    if trained is not None:
        trained_on |= alike(test, trained)
    if not trained_on.any():
        return test, 0
    left = None if trained_on.all() else test.subset(np.flatnonzero(~trained_on))
    return left, int(trained_on.sum())


def _known(data: Dataset) -> tuple[np.ndarray, np.ndarray]:
    return keys(data), data.number(data.rows(slice(None))).astype(np.int64)


def _whole(train: Dataset, split: np.ndarray) -> tuple[Dataset, np.ndarray]:
    """All images that are not in the training split, and their keys."""
    whole = replace(train, index=None)
    return (train, split) if train.index is None else (whole, keys(whole))


def _numbered(whole: Dataset, places: np.ndarray, numbers: np.ndarray) -> Dataset:
    """`whole`, where the images at `places` have these numbers and no other image has."""
    rows = whole.rows(places)
    before = whole.number(np.arange(len(whole.stored)))
    if np.array_equal(before[rows], numbers):
        return whole
    others = np.ones(len(before), dtype=bool)
    others[rows] = False
    given = np.empty(len(before), dtype=np.int64)
    given[rows] = numbers
    given[others] = numbers.max() + 1 + np.arange(others.sum())
    return whole.with_numbers(given)
