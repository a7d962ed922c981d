"""The scores of examples, which of them are flagged, and how well that tells known outliers."""

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
    """scores: of every score that was asked for, float64 (N,), by name: the first one decides
    p_values: of that one, in 0 to 1 (N,); threshold: above which it is flagged; None for both where
        there are no held-out examples
    normal: the same scores of examples that are known to be none, (M,) by name; empty where there
        are no such
    """

    scores: dict[str, Tensor] = field(repr=False)
    p_values: Tensor | None = field(default=None, repr=False)
    threshold: Threshold | None = None
    normal: dict[str, Tensor] = field(default_factory=dict, repr=False)

    @property
    def chosen(self) -> str:
        """The score that decides."""
        return next(iter(self.scores))

    @property
    def rank(self) -> Tensor:
        """Of each example, 1 for the highest score: int64 (N,)."""
        order = self.scores[self.chosen].argsort(descending=True, stable=True)
        ranks = torch.empty_like(order)
        ranks[order] = torch.arange(1, len(order) + 1)
        return ranks

    @property
    def flagged(self) -> Tensor:
        """bool (N,); nothing is where there is no threshold."""
        own = self.scores[self.chosen]
        if self.threshold is None:
            return torch.zeros(len(own), dtype=torch.bool)
        return self.threshold.flags(own)

    def worst(self, n: int) -> np.ndarray:
        """The places of the n highest scores, highest first."""
        return self.rank.argsort()[:n].numpy()

    def detection(self, outlier: Tensor | None = None) -> dict[str, dict[str, Estimate]]:
        """How well each score tells known outliers: score -> measure -> its value and error.

        outlier: bool (N,), which they are; None where all are, beside the normal ones
        Raises PthetaError where there are only outliers, or none.
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
    """Raises PthetaError where there are none of one kind."""
    if not outliers or not others:
        raise PthetaError(
            f"{outliers:,} outliers and {others:,} others: there is nothing to compare; give "
            "both kinds"
        )


class How(TypedDict, total=False):
    """How outliers are found.

    background: a model of what all such examples have in common, for the score of that name
    extractor: of the features of `neighbours`, `relative-neighbours` and `mahalanobis`; default:
        pixels, or standardised columns
    false_alarms: the share of examples like the training data that may be flagged; 0.05
    samples: importance samples of a bound; 16
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
    """Scores the examples of `data`, more for what is less like the training data.

    bank: training examples of the model; held_out: examples of their kind that neither the model
        nor the bank knows, which set the threshold
    normal: examples that are known to be no outliers, to tell those of `data` from
    scores: names of `ptheta.tasks.outliers.SCORES`; the first one decides
    how: the fields of `How`
    Raises PthetaError for an unknown score, one that cannot be taken of this model or these
    examples, and where the held-out examples are too few for the threshold.
    """
    if not scores:
        raise PthetaError("scores is empty: give at least one, or leave it out")
    seed, rate = how.get("seed", 0), how.get("false_alarms", FALSE_ALARMS)
    if held_out is not None:
        exceeding(len(held_out), rate)  # refused before the work
    _check_conditions(scores, model, [data] if normal is None else [data, normal])
    made = _scorers(scores, _known(model, bank, how))
    found = {name: _scored(of, model, data, seed, name) for name, of in made.items()}
    first, start, beside = next(iter(made)), seed + len(data), {}
    if normal is not None:
        for name, of in made.items():
            beside[name] = _scored(of, model, normal, start, name, ", normal")
        start += len(normal)
    if held_out is None:
        return Outliers(found, normal=beside)
    likes = _scored(made[first], model, held_out, start, first, ", held out")
    return Outliers(found, p_values(found[first], likes), threshold(likes, rate), beside)


def _scored(
    scorer: Scorer, model: nn.Module, data: Dataset, seed: int, name: str, of: str = ""
) -> Tensor:
    """The scores of this name. of: what is scored, for the progress"""
    return scored(scorer, model, data, seed, f"{name}{of}", conditions=bool(entry(name).needs))


def _check_conditions(names: Sequence[str], model: nn.Module, parts: Sequence[Dataset]) -> None:
    """Raises PthetaError if a score asks a conditional model about data without conditions."""
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
    """What computes each score. Raises PthetaError for one that cannot be taken."""
    chosen = {name: entry(name) for name in names}
    for name, score in chosen.items():
        if not isinstance(known.spec, score.of):
            raise PthetaError(f"score {name}: {lacks(score, known)}; choose another")
    return {name: score.make(known) for name, score in chosen.items()}
