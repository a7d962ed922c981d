"""The data that runs are compared on, and its relation to each run."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce

import numpy as np

from ptheta.data.dataset import Dataset
from ptheta.data.request import Learned
from ptheta.errors import PthetaError
from ptheta.runs.folder import Run
from ptheta.runs.from_plan import Openings


@dataclass(frozen=True)
class Seen:
    """The evaluation data for one run.

    test: the held-out images for all runs, with the conditions for this run's model
    train: the run's training data; None if not available, and no_copies gives the reason
    remark: how the run differs from runs trained on this data, or None
    """

    test: Dataset
    train: Dataset | None
    no_copies: str
    remark: str | None


@dataclass(frozen=True)
class Sight:
    """test: held-out images that no run was trained on; train: real images that the baselines copy
    or learn from; seen: the data for each run
    """

    test: Dataset
    train: Dataset
    seen: list[Seen]


def look(runs: Sequence[Run], data: str | None) -> Sight:
    """Finds the evaluation data. data: the data to use; default: that of the runs, which must be
    the same.

    Raises PthetaError if the runs' images differ in size or levels, if they are not the same and no
    data is given, or if no held-out image is left.
    """
    first = runs[0]
    for run in runs[1:]:
        if run.spec != first.spec:
            raise PthetaError(
                f"{run.path} was trained on images of {run.spec}, {first.path} on {first.spec}: "
                "compare runs with the same --size, --channels and --levels"
            )
        if data is None and not _alike(run, first):
            raise PthetaError(
                f"{run.path} was trained on {run.plan.source} ({run.spec}), {first.path} on "
                f"{first.plan.source} ({first.spec}), which are different images: compare runs "
                "of the same data, or give the data to evaluate on by --data"
            )
    # of equal data, those of a run from the hub are the last to be asked for
    where = data or min(runs, key=lambda run: run.downloaded).place()
    openings = Openings()
    found = [run.look(where, openings=openings) for run in runs]
    seen: list[Seen] = []
    trained: dict[str | None, Dataset | None] = {}
    tests = _common([f.test for f in found])
    for run, f, test in zip(runs, found, tests, strict=True):
        if (remark := run.remark(f, where)) is not None:
            warnings.warn(remark, stacklevel=3)
        why = run.no_copies(f, data)
        # a shared copy of equal data, so that all are evaluated on the same pixels
        train = None if why else trained.setdefault(run.fingerprint, f.train)
        seen.append(Seen(test, train, why, remark))
    real = next((s.train for s in seen if s.train is not None), None)
    if real is None:
        real = openings.data(first.plan, "train", where, learned=Learned(first.spec))
    return Sight(tests[0], real, seen)


def _common(tests: Sequence[Dataset]) -> list[Dataset]:
    """Restricts each of the test sets to the images that all of them contain."""
    every = [test.rows(slice(None)) for test in tests]
    common = reduce(np.intersect1d, every)
    if not len(common):
        raise PthetaError(
            "every held-out image was in the training data of some run: give other images by --data"
        )
    kept = [np.isin(rows, common) for rows in every]
    return [t if k.all() else t.subset(np.flatnonzero(k)) for t, k in zip(tests, kept, strict=True)]


def _alike(a: Run, b: Run) -> bool:
    """Whether two runs were trained on the same images, wherever they are stored."""
    if a.fingerprint is None or b.fingerprint is None:
        return a.plan.source == b.plan.source
    return a.fingerprint == b.fingerprint
