"""The data that runs are compared on, and what it is to each of them."""

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
    """The data, seen by one run.

    test: the held-out images that all are measured on, with what this run's model is asked for
    train: what the run was trained on; None where that is not there, and no_copies says why
    remark: what makes the run another thing than runs that were trained on this data, or None
    """

    test: Dataset
    train: Dataset | None
    no_copies: str
    remark: str | None


@dataclass(frozen=True)
class Sight:
    """test: held-out images that no run was trained on; train: real images beside them, which the
    baselines copy or learn from; seen: what the data is to each run
    """

    test: Dataset
    train: Dataset
    seen: list[Seen]


def look(runs: Sequence[Run], data: str | None) -> Sight:
    """data: where to measure; default: the data of the runs, which must then be the same images.

    Raises PthetaError where the runs' images differ in size or levels, or are not the same and no
    data is given, and where no held-out image is left.
    """
    first = runs[0]
    for run in runs[1:]:
        if run.spec != first.spec:
            raise PthetaError(
                f"{run.path} learned images of {run.spec}, and {first.path} of {first.spec}: "
                "compare runs that were trained with the same --size, --channels and --levels"
            )
        if data is None and not _alike(run, first):
            raise PthetaError(
                f"{run.path} learned {run.plan.source} ({run.spec}) and {first.path} "
                f"{first.plan.source} ({first.spec}), which are not the same images: compare runs "
                "of the same data, or say by --data what to measure them on"
            )
    where = data or first.place()
    openings = Openings()
    found = [run.look(where, openings=openings) for run in runs]
    seen: list[Seen] = []
    trained: dict[str | None, Dataset | None] = {}
    tests = _common([f.test for f in found])
    for run, f, test in zip(runs, found, tests, strict=True):
        if (remark := run.remark(f, where)) is not None:
            warnings.warn(remark, stacklevel=3)
        why = run.no_copies(f, data)
        # one copy of what is the same, so that all are measured on the same pixels
        train = None if why else trained.setdefault(run.fingerprint, f.train)
        seen.append(Seen(test, train, why, remark))
    real = next((s.train for s in seen if s.train is not None), None)
    if real is None:
        real = openings.data(first.plan, "train", where, learned=Learned(first.spec))
    return Sight(tests[0], real, seen)


def _common(tests: Sequence[Dataset]) -> list[Dataset]:
    """Each of several parts of the same held-out images, without what another one lacks."""
    every = [test.rows(slice(None)) for test in tests]
    common = reduce(np.intersect1d, every)
    if not len(common):
        raise PthetaError(
            "every held-out image was trained on by one of the runs: give images that none has "
            "seen with --data"
        )
    kept = [np.isin(rows, common) for rows in every]
    return [t if k.all() else t.subset(np.flatnonzero(k)) for t, k in zip(tests, kept, strict=True)]


def _alike(a: Run, b: Run) -> bool:
    """Whether two runs were trained on the same images, wherever these lie."""
    if a.fingerprint is None or b.fingerprint is None:
        return a.plan.source == b.plan.source
    return a.fingerprint == b.fingerprint
