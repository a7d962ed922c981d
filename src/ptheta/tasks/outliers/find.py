"""Outlier scores of examples, their flags, and the detection of known outliers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TypedDict, Unpack

import numpy as np
import torch
from torch import Tensor, nn

from ptheta.compute.streams import undisturbed
from ptheta.data.dataset import Dataset
from ptheta.errors import PthetaError
from ptheta.extractors.base import Extractor
from ptheta.measures.detection import (
    MEASURES,
    Threshold,
    exceeding,
    measured,
    p_values,
    threshold,
)
from ptheta.measures.results import Estimate
from ptheta.tasks.outliers.known import Known, Scorer, lacks_conditions, scored
from ptheta.tasks.outliers.table import DEFAULT, entry, lacks

FALSE_ALARMS = 0.05


@dataclass(frozen=True)
class Outliers:
    """Outlier scores of examples.

    scores: every requested score, float64 (N,), by name; the first one decides
    p_values: of the first score, in 0 to 1 (N,); threshold: examples with a higher score are
        flagged; both None without held-out examples
    normal: the same scores of known inliers, (M,) by name; empty without inliers
    """

    scores: dict[str, Tensor] = field(repr=False)
    p_values: Tensor | None = field(default=None, repr=False)
    threshold: Threshold | None = None
    normal: dict[str, Tensor] = field(default_factory=dict, repr=False)

    @property
    def chosen(self) -> str:
        """The name of the first score, which decides."""
        return next(iter(self.scores))

    @property
    def rank(self) -> Tensor:
        """The rank of each example, 1 for the highest score: int64 (N,)."""
        order = self.scores[self.chosen].argsort(descending=True, stable=True)
        ranks = torch.empty_like(order)
        ranks[order] = torch.arange(1, len(order) + 1)
        return ranks

    @property
    def flagged(self) -> Tensor:
        """Whether each example is flagged, bool (N,); all False without a threshold."""
        own = self.scores[self.chosen]
        if self.threshold is None:
            return torch.zeros(len(own), dtype=torch.bool)
        return self.threshold.flags(own)

    def worst(self, n: int) -> np.ndarray:
        """Indices of the n highest scores, highest first."""
        return self.rank.argsort()[:n].numpy()

    def detection(self, outlier: Tensor | None = None) -> dict[str, dict[str, Estimate]]:
        """How well each score detects known outliers: score -> measure -> its value and error.

        outlier: bool (N,), the known outliers; None if all examples are outliers, to be compared
            with the `normal` ones
        Raises PthetaError unless there are both outliers and inliers.
        """
        found = {}
        for name, score in self.scores.items():
            if outlier is None:
                mine, others = score, self.normal.get(name, score[:0])
            else:
                mine, others = score[outlier], score[~outlier]
            both_kinds(len(mine), len(others))
            found[name] = {key: measured(of, mine, others) for key, of in MEASURES.items()}
        return found


def both_kinds(outliers: int, others: int) -> None:
    """Raise PthetaError unless there are both outliers and others."""
    if not outliers or not others:
        raise PthetaError(
            f"{outliers:,} outliers and {others:,} others: there is nothing to compare; give "
            "both kinds"
        )


class How(TypedDict, total=False):
    """Settings of the scores and the threshold.

    background: a model of the features common to all such examples, for the score of that name
    extractor: of the features of `neighbours`, `relative-neighbours` and `mahalanobis`; default:
        pixels, or standardised columns
    false_alarms: the accepted fraction of flagged examples among inliers; default: 0.05
    samples: importance samples of a bound; default: 16
    """

    background: nn.Module | None
    extractor: Extractor | None
    false_alarms: float
    samples: int
    seed: int


@undisturbed()
def outliers(
    model: nn.Module,
    data: Dataset,
    bank: Dataset,
    held_out: Dataset | None = None,
    *,
    normal: Dataset | None = None,
    scores: Sequence[str] = (DEFAULT,),
    **how: Unpack[How],
) -> Outliers:
    """Score the examples of `data`; a higher score means less like the training data.

    bank: training examples of the model; held_out: inliers that are neither in the bank nor used in
        training, which set the threshold
    normal: known inliers, to measure how well outliers in `data` are detected
    scores: names of `ptheta.tasks.outliers.SCORES`; the first one decides
    how: the fields of `How`
    Raises PthetaError for an unknown score, one that is not defined for this model or these
    examples, and if there are too few held-out examples for the threshold.
    """
    if not scores:
        raise PthetaError("scores is empty: give at least one, or leave it out")
    seed, rate = how.get("seed", 0), how.get("false_alarms", FALSE_ALARMS)
    if held_out is not None:
        exceeding(len(held_out), rate)  # check before the work
    _check_conditions(scores, model, [data] if normal is None else [data, normal])
    made = _scorers(scores, _known(model, bank, how))
    found = {name: _scored(of, model, data, seed, name) for name, of in made.items()}
    first, start, inliers = next(iter(made)), seed + len(data), {}
    if normal is not None:
        for name, of in made.items():
            inliers[name] = _scored(of, model, normal, start, name, ", normal")
        start += len(normal)
    if held_out is None:
        return Outliers(found, normal=inliers)
    likes = _scored(made[first], model, held_out, start, first, ", held out")
    return Outliers(found, p_values(found[first], likes), threshold(likes, rate), inliers)


def _scored(
    scorer: Scorer, model: nn.Module, data: Dataset, seed: int, name: str, of: str = ""
) -> Tensor:
    """Compute the score of this name. of: name of the data, for the progress bar"""
    return scored(scorer, model, data, seed, f"{name}{of}", conditions=bool(entry(name).needs))


def _check_conditions(names: Sequence[str], model: nn.Module, parts: Sequence[Dataset]) -> None:
    """Raise PthetaError if a score uses a conditional model on data without conditions."""
    for name in names:
        if not entry(name).needs:
            continue
        for data in parts:
            if lacking := lacks_conditions(model, data):
                raise PthetaError(f"score {name}: {lacking}, or choose a score without a model")


def _known(model: nn.Module, bank: Dataset, how: How) -> Known:
    return Known(
        model,
        bank.with_fixed_binarisation(),
        how.get("background"),
        how.get("extractor"),
        samples=how.get("samples", Known.samples),
        seed=how.get("seed", 0),
    )


@torch.no_grad()
def _scorers(names: Sequence[str], known: Known) -> dict[str, Scorer]:
    """The scorers by name. Raises PthetaError for a score that is not defined here."""
    chosen = {name: entry(name) for name in names}
    for name, score in chosen.items():
        if not isinstance(known.spec, score.of):
            raise PthetaError(f"score {name}: {lacks(score, known)}; choose another")
    return {name: score.make(known) for name, score in chosen.items()}
