"""The `neighbours` function: nearest training examples of samples, to detect copies."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Unpack

import numpy as np
import torch

from ptheta.api.grid import Output
from ptheta.api.limits import check_numbers
from ptheta.api.nearby import Nearby
from ptheta.api.on_device import device_of_run, on_device
from ptheta.api.origin import Origin, ReadOptions, Weights, origin_of
from ptheta.data.dataset import Dataset
from ptheta.data.memory import Source
from ptheta.errors import PthetaError, unknown
from ptheta.extractors.base import Extractor
from ptheta.extractors.placed import placed
from ptheta.extractors.table import choose_extractor
from ptheta.files.images import PICTURES
from ptheta.files.out import check_new
from ptheta.runs.folder import Run
from ptheta.specs import DataSpec, ImageSpec, VectorSpec, images_only
from ptheta.tasks.neighbours import Directions, Moves, Numbers, Space
from ptheta.tasks.neighbours import neighbours as searched

DRAWN, HELD_OUT = 1000, 1000
SHOWN, NEAR = 8, 3  # samples in an image, and neighbours of each
TABLE = ".csv"
PIXELS, FEATURES, COLUMNS = "pixels", "features", "columns"


class Searching(ReadOptions, total=False):
    """How neighbours are searched; the inherited fields say how images of any origin are read.

    Attributes:
        drawn: number of samples
        held_out: maximum number of unseen examples, and of training examples to compare
        k: neighbours of each sample
        space: "pixels" and "features" for images, "columns" for rows; default: all that apply
        extractor: feature extractor, a name or an object; default: chosen by the data
        shifts: also recognise copies shifted by up to this many pixels
        mirror: also recognise mirrored copies
        weights, prior: as for `Run.model`
        device: where the model and features are computed, as for `ptheta.sample`
    """

    drawn: int
    held_out: int
    k: int
    space: Sequence[str]
    extractor: str | Extractor | None
    shifts: int
    mirror: bool
    weights: str
    prior: str
    seed: int
    device: str | None


@on_device
def neighbours(
    run: str | Path | Run,
    data: Source | None = None,
    *,
    n: int = SHOWN,
    out: str | Path | None = None,
    table: str | Path | None = None,
    force: bool = False,
    **how: Unpack[Searching],
) -> Nearby:
    """Find the training examples nearest to samples, and test whether samples are copies.

    Distances are compared with those of unseen examples, of training examples to each other, and of
    artificial copies.

    Args:
        run: run folder or `Run`; or a folder (or file) of images of any origin
        data: new location of the run's data; for images of any origin, the real images
        n: samples in an image
        out: image of the first n samples, uncurated, each followed by its neighbours; a second
            image, with -closest in its name, shows the n samples nearest to a training image. Or a
            .csv, as `table`
        table: .csv to write a row for each neighbour to
        force: overwrite existing files
        how: the fields of `Searching`

    Raises:
        PthetaError: if the model cannot sample, or if its training data is not available
    """
    k, seed = how.get("k", NEAR), how.get("seed", 0)
    drawn, held_out = how.get("drawn", DRAWN), how.get("held_out", HELD_OUT)
    moves = Moves(how.get("shifts", 0), how.get("mirror", False))
    check_numbers(n=n, k=k, seed=seed, drawn=drawn, held_out=held_out, shifts=moves.shifts)
    places = Places.at(out, table, force)
    given = _origin(run, data, how)
    places.check(given.train.spec, n, k)
    if moves != Moves():
        images_only(given.train.spec, "--shifts and --mirror", "leave them out")
    where = device_of_run(run, how.get("device"))
    spaces = _spaces(given.train, how.get("space", ()), how.get("extractor"), where)
    train, unseen = given.train.with_fixed_binarisation(), _unseen(given, held_out)
    samples = given.draw(drawn, seed)
    found = searched(samples, train, unseen, spaces, k=k, moves=moves, seed=seed)
    counts = f"{len(train):,} training and {len(unseen):,} unseen {train.examples}"
    return places.written(Nearby(samples, train, found, k, remarks=(counts, *given.remarks)), n)


def _origin(run: str | Path | Run, data: Source | None, how: Searching) -> Origin:
    reading = ReadOptions(
        size=how.get("size"), channels=how.get("channels"), image_column=how.get("image_column")
    )
    weights = Weights(how.get("weights", "best"), how.get("prior", "auto"))
    return origin_of(run, data, weights, **reading)


def _unseen(given: Origin, most: int) -> Dataset:
    """At most `most` held-out examples, without duplicates of training examples, except for
    discrete tables, where duplicates are natural."""
    test, spec = given.test, given.train.spec
    if not (isinstance(spec, VectorSpec) and spec.discrete):
        test = test.subset(np.flatnonzero(~test.repeated()))
    return test.shuffled(0).subset(slice(0, most))


def _spaces(
    train: Dataset, asked: Sequence[str], extractor: str | Extractor | None, place: torch.device
) -> dict[str, Space]:
    """The spaces of the distances, in the given order."""
    images = isinstance(train.spec, ImageSpec)
    known = (PIXELS, FEATURES) if images else (COLUMNS,)
    names = tuple(dict.fromkeys(asked)) or known
    for name in names:
        if name not in known:
            raise unknown(f"space of {train.examples}", name, known)
    if extractor is not None and FEATURES not in names:
        where = "leave it out" if not images else "add --space features, or leave it out"
        raise PthetaError(f"--extractor needs the features space: {where}")
    spaces: dict[str, Space] = {name: Numbers(train) for name in names if name != FEATURES}
    if FEATURES in names:
        chosen = placed(choose_extractor(train, extractor)[0], place)
        spaces[FEATURES] = Directions(train, chosen)
    return {name: spaces[name] for name in names}


@dataclass(frozen=True)
class Places:
    """Output files of images and table; None if not written."""

    picture: Output | None
    closest: Output | None
    table: Path | None

    @classmethod
    def at(cls, out: str | Path | None, table: str | Path | None, force: bool) -> Places:
        """Raises PthetaError for a path that cannot be written, or exists."""
        flag = "--table"
        if out is not None and Path(out).suffix.lower() == TABLE:
            if table is not None:
                raise PthetaError(f"--out {out} and --table {table} are both tables: give one")
            out, table, flag = None, out, "--out"
        rows = check_new(table, (TABLE,), flag, force)
        first = check_new(out, (*PICTURES, TABLE), "--out", force)
        if first is None:
            return cls(None, None, rows)
        second = first.with_name(f"{first.stem}-closest{first.suffix}")
        check_new(second, tuple(PICTURES), "--out", force)
        return cls(Output.at(first, None), Output.at(second, None), rows)

    def check(self, spec: DataSpec, n: int, k: int) -> None:
        """Raises PthetaError for an image of non-images, or of too many."""
        if self.picture is not None and self.closest is not None:
            images_only(spec, "--out, an image of samples,", "name a .csv")
            self.picture.check(n * (1 + 2 * k), spec, 1 + 2 * k)
            self.closest.check(2 * n * (1 + k), spec, 1 + k)

    def written(self, done: Nearby, n: int) -> Nearby:
        """Writes the outputs and returns the result with their paths."""
        if self.table is not None:
            done.write(self.table)
        if self.picture is None or self.closest is None:
            return replace(done, path=self.table)
        for output, images in ((self.picture, done.random(n)), (self.closest, done.nearest(n))):
            output.write(images, "samples and their nearest training images", images.columns)
        return replace(done, path=self.table, picture=self.picture.path, closest=self.closest.path)
