"""The `usefulness` function: evaluate samples as training data."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ptheta.api.limits import check_numbers
from ptheta.api.on_device import on_device
from ptheta.data.memory import Source
from ptheta.errors import PthetaError
from ptheta.files import html
from ptheta.files.out import check_new
from ptheta.files.rows import write_csv
from ptheta.runs.folder import Run
from ptheta.tasks.sample import check_sampling

if TYPE_CHECKING:
    from ptheta.tasks.usefulness import Usefulness

REPEATS = 5
LEAST = 10  # minimum number of test examples


@dataclass(frozen=True)
class Useful:
    """Result of `ptheta.usefulness`.

    found: the results; remarks: lines on how they were obtained; path: the written file
    """

    found: Usefulness = field(repr=False)
    remarks: tuple[str, ...] = ()
    path: Path | None = None

    def learned(self) -> list[list[str]]:
        """Test scores of classifiers by their training set, as a table with column heads; empty if
        labels are unknown."""
        every = self.found.learned
        if not every:
            return []
        learners = list(dict.fromkeys(one.learner for one in every))
        measures = list(every[0].values)
        rows = [
            [
                one.learner,
                one.source,
                *(_text(one.values[m].value, *one.interval(m)) for m in measures),
            ]
            for one in sorted(every, key=lambda one: learners.index(one.learner))
        ]
        return [["classifier", "trained on", *measures], *rows]

    def passed(self) -> list[list[str]]:
        """Two-sample test results of samples and baselines, as a table with column heads."""
        every = self.found.passed
        rows = [[one.source, *(_text(*v[:3]) for v in one.values.values())] for one in every]
        return [["compared with test", *every[0].values], *rows]

    def verdict(self) -> tuple[str, ...]:
        """Lines on baselines that are as good as samples, or that there are none."""
        return self.found.floors or ("no baseline is as good as the samples",)

    def _repr_html_(self) -> str:
        """Notebook display: both tables."""
        tables = [html.table(t[1:], t[0]) for t in (self.learned(), self.passed()) if t]
        return html.card(self, *tables)

    def __repr__(self) -> str:
        where = "" if self.path is None else f", in {str(self.path)!r}"
        return f"Useful({self.found.n:,} samples, {self.found.repeats} repeats{where})"

    def rows(self) -> list[dict[str, object]]:
        """One row per result: source, learner ("" for none), measure, value, low, high."""
        return [
            *(
                _row(one.source, one.learner, m, found.value, *one.interval(m))
                for one in self.found.learned
                for m, found in one.values.items()
            ),
            *(
                _row(one.source, "", test, *scores[:3])
                for one in self.found.passed
                for test, scores in one.values.items()
            ),
        ]

    def to_json(self) -> dict[str, object]:
        return {
            "samples": self.found.n,
            "repeats": self.found.repeats,
            "numbers": self.rows(),
            "floors": list(self.found.floors),
            "remarks": list(self.remarks),
        }


def _text(value: float | None, low: float, high: float) -> str:
    return f"{value:.3f} ({low:.2f}-{high:.2f})"


def _row(
    source: str, learner: str, measure: str, value: float | None, low: float, high: float
) -> dict[str, object]:
    return {
        "source": source,
        "learner": learner,
        "measure": measure,
        "value": value,
        "low": low,
        "high": high,
    }


@on_device
def usefulness(
    run: str | Path | Run,
    data: Source | None = None,
    *,
    n: int | None = None,
    target: str | None = None,
    repeats: int = REPEATS,
    weights: str = "best",
    prior: str = "auto",
    seed: int = 0,
    out: str | Path | None = None,
    force: bool = False,
    device: str | None = None,
) -> Useful:
    """Evaluate samples as training data, and test whether they differ from real examples.

    Classifiers trained on samples, on real examples, on both, and on baselines that need no model
    are tested on held-out real examples. Two-sample tests try to distinguish samples from held-out
    examples, and samples are searched for copies of training examples.

    Args:
        run: run folder, or a `Run`
        data: new location of the run's data
        n: number of samples to train classifiers on; default: the number of training examples
        target: column of a table to use as the label: words, or a number with two values. A run
            conditional on labels uses those. Without labels no classifiers are trained
        repeats: number of repetitions of all random steps
        weights, prior: as for `Run.model`
        seed: random seed
        out: .csv to write a row for each result to
        force: overwrite an existing file
        device: as for `ptheta.sample`

    Raises:
        PthetaError: if the model cannot sample, if the training data is not available, or for a
            column that is not a label
    """
    from ptheta.api.labelled import measured  # scikit-learn takes a second to import

    check_numbers(n=n, repeats=repeats, seed=seed)
    place = None if out is None else check_new(out, (".csv",), "--out", force)
    opened = Run.open(run)
    model = opened.model(weights, prior)
    check_sampling(model, 1)
    match = opened.own(data)
    assert match.train is not None  # it is available
    if (text := opened.remark(match, data, copies=False)) is not None:
        warnings.warn(text, stacklevel=3)
    test = match.test.subset(np.flatnonzero(~match.test.repeated()))
    if len(test) < LEAST:
        raise PthetaError(
            f"{len(test)} held-out {test.examples} that repeat no training {test.example}: give "
            f"{LEAST} or more, with --data or a test part of the data"
        )
    found, remarks = measured(model, match.train, test, target, n=n, repeats=repeats, seed=seed)
    done = Useful(found, remarks, place)
    if place is not None:
        rows = done.rows()
        write_csv(place, list(rows[0]), [list(row.values()) for row in rows])
    return done
