"""Evaluation of class probabilities: accuracy, log loss, and calibration.

Pure functions of log P(y | x), float64 (N, K), and labels y, int64 (N,).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import torch
from scipy.optimize import brentq
from scipy.special import stdtrit
from torch import Tensor

from ptheta.measures.results import LEVEL, NORMAL

BINS = 10  # bins of a reliability diagram
SIMULATED = 200  # number of simulated label sets for calibrated probabilities
LEAST_LOG = -1e5  # log-probability in nats used for impossible classes in products
STEEPEST = 1e3  # maximum slope in the search; the minimum is its inverse


class IntervalEstimate(NamedTuple):
    """A number with its 95 % interval."""

    value: float
    low: float
    high: float

    def to_json(self) -> dict[str, float | None]:
        """As JSON; None for an infinite end."""
        return {k: v if math.isfinite(v) else None for k, v in self._asdict().items()}

    def text(self, places: int = 3, times: float = 1.0) -> str:
        value, low, high = (f"{times * one:.{places}f}" for one in self)
        return f"{value} ({low}-{high})"


class Bin(NamedTuple):
    """A bin of a reliability diagram: the number of examples whose highest probability is in a
    range, the mean of that probability (confidence), and their accuracy."""

    examples: int
    confidence: float
    accuracy: IntervalEstimate


def wilson(hits: int, n: int) -> IntervalEstimate:
    """A fraction with the Wilson score interval (1927, JASA 22:209), which is also valid near 0 and
    1.
    n: 1 or more"""
    p, z2 = hits / n, NORMAL**2 / n
    middle = (p + z2 / 2) / (1 + z2)
    half = NORMAL / (1 + z2) * math.sqrt(p * (1 - p) / n + z2 / (4 * n))
    return IntervalEstimate(p, min(p, max(0.0, middle - half)), max(p, min(1.0, middle + half)))


def accuracy(log_p: Tensor, y: Tensor) -> IntervalEstimate:
    """The fraction of examples whose most probable class is correct."""
    return wilson(int((log_p.argmax(1) == y).sum()), len(y))


def log_loss(log_p: Tensor, y: Tensor) -> IntervalEstimate | None:
    """The mean of -log P(y | x), nats, with the interval of Student's t; None if it is infinite."""
    each = -log_p.gather(1, y[:, None])[:, 0]
    if not bool(each.isfinite().all()):
        return None
    mean = each.mean().item()
    half = math.inf  # no interval for a single example
    if len(each) > 1:
        t = float(stdtrit(len(each) - 1, (1 + LEVEL) / 2))
        half = t * each.std().item() / math.sqrt(len(each))
    return IntervalEstimate(mean, max(0.0, mean - half), mean + half)


def reliability(log_p: Tensor, y: Tensor, bins: int = BINS) -> list[Bin]:
    """Examples grouped by their highest probability in `bins` equal ranges; empty ones are
    omitted."""
    top, found = log_p.exp().max(1)
    place, right = _place(top, bins), found == y
    each = [(top[place == b], right[place == b]) for b in range(bins)]
    return [
        Bin(len(p), p.mean().item(), wilson(int(hit.sum()), len(hit))) for p, hit in each if len(p)
    ]


def _place(top: Tensor, bins: int) -> Tensor:
    return (top * bins).long().clamp(0, bins - 1)


def calibration_error(log_p: Tensor, y: Tensor, bins: int = BINS) -> float:
    """sum over bins of n_b / N |accuracy_b - confidence_b| (Guo et al. 2017, arXiv:1706.04599)."""
    top, found = log_p.exp().max(1)
    return _error(top, (found == y)[None].double(), bins).item()


def _error(top: Tensor, right: Tensor, bins: int) -> Tensor:
    """Calibration error. top: highest probabilities (N,); right: float64 (S, N), for S label sets
    -> (S,)"""
    place = _place(top, bins).expand(len(right), -1)
    gap = torch.zeros(len(right), bins, dtype=torch.float64).scatter_add_(1, place, right - top)
    return gap.abs().sum(1) / len(top)


def by_chance(log_p: Tensor, seed: int = 0, bins: int = BINS) -> tuple[float, float]:
    """The calibration error of perfectly calibrated probabilities for as many examples: (mean, 95 %
    quantile), by simulation of labels from the probabilities."""
    top = log_p.exp().max(1).values
    draw = torch.Generator().manual_seed(seed)
    u = torch.rand(SIMULATED, len(top), generator=draw, dtype=torch.float64)
    found = _error(top, (u < top).double(), bins)
    return found.mean().item(), found.quantile(0.95).item()


def slope(log_p: Tensor, y: Tensor) -> IntervalEstimate | None:
    """The a for which softmax(a log P) has the least log loss: 1 for calibrated probabilities,
    below 1 for overconfident ones (its inverse is the temperature of arXiv:1706.04599).

    The log-likelihood is concave in a, so its derivative has at most one zero. None if it has none,
    as for a classifier that is always right, and if a is not distinguishable from 0.
    """
    logs = log_p.clamp(min=LEAST_LOG)
    own = logs.gather(1, y[:, None])[:, 0]

    def weights(a: float) -> Tensor:
        return (a * logs).softmax(1)

    def rise(log_a: float) -> float:
        return (own - (weights(math.exp(log_a)) * logs).sum(1)).sum().item()

    ends = -math.log(STEEPEST), math.log(STEEPEST)
    if not rise(ends[0]) > 0 > rise(ends[1]):
        return None
    a = math.exp(brentq(rise, *ends))
    w = weights(a)
    information = ((w * logs.square()).sum(1) - (w * logs).sum(1).square()).sum().item()
    half = NORMAL / math.sqrt(information) if information > 0 else math.inf
    return IntervalEstimate(a, a - half, a + half) if half < a else None


def confusion(log_p: Tensor, y: Tensor) -> Tensor:
    """The confusion matrix: true class (row), predicted class (column): int64 (K, K)."""
    k = log_p.shape[1]
    return torch.bincount(y * k + log_p.argmax(1), minlength=k * k).view(k, k)


@dataclass(frozen=True)
class Classified:
    """Evaluation results of class probabilities.

    log_loss, slope: None if not finite or not defined
    calibration_error, by_chance: None for a classifier without probabilities
    by_chance: the calibration error of perfectly calibrated probabilities: mean and 95 % quantile
    """

    accuracy: IntervalEstimate
    log_loss: IntervalEstimate | None = None
    calibration_error: float | None = None
    by_chance: tuple[float, float] | None = None
    slope: IntervalEstimate | None = None

    def to_json(self) -> dict[str, object]:
        return {
            "accuracy": self.accuracy.to_json(),
            "log_loss": None if self.log_loss is None else self.log_loss.to_json(),
            "calibration_error": self.calibration_error,
            "calibration_error_by_chance": self.by_chance and list(self.by_chance),
            "calibration_slope": None if self.slope is None else self.slope.to_json(),
        }


def measured(log_p: Tensor, y: Tensor, *, sure: bool = False, seed: int = 0) -> Classified:
    """Evaluate class probabilities. sure: whether the classifier predicts only a class"""
    if sure:
        return Classified(accuracy(log_p, y))
    return Classified(
        accuracy(log_p, y),
        log_loss(log_p, y),
        calibration_error(log_p, y),
        by_chance(log_p, seed),
        slope(log_p, y),
    )
