"""Outlier detection by a score: measures of performance, and a threshold that is valid for any
sample size.

A score is higher for examples less like the training data. Pure functions of scores.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from scipy.special import betaincinv
from torch import Tensor

from ptheta.errors import PthetaError
from ptheta.measures.intervals import Groups, draws, estimate, spread
from ptheta.measures.results import LEVEL, Estimate

TPR = 0.95  # true positive rate at which false positives are counted


def auroc(outliers: Tensor, others: Tensor) -> float:
    """P(score of an outlier > score of another) + P(equal) / 2: scores (N,) and (M,)."""
    ranks = _mid_ranks(torch.cat([outliers, others]).double())
    n, m = len(outliers), len(others)
    return ((ranks[:n].sum() - n * (n + 1) / 2) / (n * m)).item()


def _mid_ranks(scores: Tensor) -> Tensor:
    """Ranks from 1; ties get their mean rank."""
    _, place, counts = scores.unique(return_inverse=True, return_counts=True)
    ends = counts.cumsum(0).double()
    ranks: Tensor = (ends - (counts - 1).double() / 2)[place]
    return ranks


def average_precision(outliers: Tensor, others: Tensor) -> float:
    """Average precision: the sum of precision times the increase of recall, from the highest score
    down; ties are one step. The chance level is the fraction of outliers."""
    scores = torch.cat([outliers, others]).double()
    is_outlier = torch.cat([torch.ones(len(outliers)), torch.zeros(len(others))]).double()
    values, place = scores.unique(return_inverse=True)
    found = torch.zeros(len(values)).double().index_add_(0, place, is_outlier).flip(0).cumsum(0)
    seen = torch.bincount(place, minlength=len(values)).double().flip(0).cumsum(0)
    growth = torch.diff(found, prepend=found.new_zeros(1)) / len(outliers)
    return (growth * found / seen).sum().item()


def fpr_at_tpr(outliers: Tensor, others: Tensor, tpr: float = TPR) -> float:
    """False positive rate at the threshold with the true positive rate `tpr`."""
    needed = max(1, math.ceil(tpr * len(outliers) - 1e-9))
    at = outliers.sort(descending=True).values[needed - 1]
    return (others >= at).double().mean().item()


Measure = Callable[[Tensor, Tensor], float]
MEASURES: dict[str, Measure] = {
    "auroc": auroc,
    "average_precision": average_precision,
    "fpr_at_95_tpr": fpr_at_tpr,
}


def measured(measure: Measure, outliers: Tensor, others: Tensor) -> Estimate:
    """A measure with the error of the jackknife over groups of outliers and of others."""
    sides = Groups(len(outliers), "fake"), Groups(len(others), "real")
    value = measure(outliers, others)
    if not all(side.count for side in sides):
        return estimate(value, None)
    mine, theirs = ([side.of != g for g in range(side.count)] for side in sides)
    found = draws(
        torch.tensor([measure(outliers[left], others) for left in mine]),
        torch.tensor([measure(outliers, others[left]) for left in theirs]),
    )
    return estimate(value, found)


def interval(found: Estimate) -> tuple[float, float]:
    """The 95 % interval of a fraction, within 0 to 1; (0, 1) without an error."""
    assert found.value is not None
    if found.draws is None:
        return 0.0, 1.0
    half = spread(found.draws).half
    return max(0.0, found.value - half), min(1.0, found.value + half)


# -- thresholds


def p_values(scores: Tensor, held_out: Tensor) -> Tensor:
    """(1 + number of held-out scores at least as high) / (n + 1), of each score: (N,) in 0 to 1.

    If a new example and the n held-out ones are exchangeable, P(p <= a) <= a for every a, whatever
    the score (the conformal p-value; Bates et al. 2023, arXiv:2104.08279).
    """
    ranked = held_out.double().sort().values
    below = torch.searchsorted(ranked, scores.double().contiguous())
    return (1 + len(ranked) - below).double() / (len(ranked) + 1)


@dataclass(frozen=True)
class Threshold:
    """A threshold: scores above `value` are flagged.

    rate: the requested rate of false alarms; held_out: number of scores used to set it
    low, high: 95 % interval of the actual rate of this threshold, which depends on the random
        held-out examples
    """

    value: float
    rate: float
    held_out: int
    low: float
    high: float

    def flags(self, scores: Tensor) -> Tensor:
        """Which scores are flagged: bool (N,)."""
        return scores.double() > self.value


def exceeding(n: int, rate: float) -> int:
    """The rank of the held-out score, of n, that is the threshold for a rate of false alarms.

    Raises PthetaError for an invalid rate, and if n is too small for it.
    """
    if not 0 < rate < 1:
        raise PthetaError(f"false alarms {rate:g}: ask for a share between 0 and 1, such as 0.05")
    k = math.floor(rate * (n + 1) + 1e-9)
    if k < 1:
        raise PthetaError(
            f"{rate:g} false alarms from {n} held-out examples: as few can be promised from "
            f"{math.ceil(1 / rate) - 1} on; ask for {1 / (n + 1):.3g} or more, or give more data"
        )
    return k


def threshold(held_out: Tensor, rate: float) -> Threshold:
    """The threshold whose rate of false alarms on new examples is at most `rate`, on average over
    the held-out examples: it flags examples whose `p_values` is at most `rate`.

    held_out: scores (n,). Without ties, the actual rate of a threshold has the distribution Beta(k,
    n + 1 - k), k = floor(rate (n + 1)).
    Raises PthetaError for an invalid rate, and if n is too small for it.
    """
    n = len(held_out)
    k = exceeding(n, rate)
    value = held_out.double().sort(descending=True).values[k - 1].item()
    low, high = (betaincinv(k, n + 1 - k, p) for p in ((1 - LEVEL) / 2, (1 + LEVEL) / 2))
    return Threshold(value, rate, n, float(low), float(high))
