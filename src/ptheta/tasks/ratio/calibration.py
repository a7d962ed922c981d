"""Calibration of log-ratios to log-odds.

With equally many real and generated examples, r = log p_data / p_model is the logit of "real". For
an over- or underconfident score s the logit is modelled as a + b s (Platt 1999), fitted by logistic
regression of the side on s; the slope b is 1 for a calibrated score. A calibration that assumes
monotonicity only is isotonic regression (Zadrozny and Elkan 2002).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ptheta.config import Entry
from ptheta.errors import PthetaError, unknown
from ptheta.measures.results import NORMAL

FOLDS = 5
LEAST = 2 * FOLDS  # minimum number of examples of each side
STEPS = 60  # maximum steps of Newton's method
PRIOR = 1e-3  # prior precision of both coefficients, so that separable scores have a finite line
FLAT = 1e-12  # minimum standard deviation of a score


@dataclass(frozen=True)
class Line:
    """r = intercept + slope s, nats."""

    slope: float = 1.0
    intercept: float = 0.0

    def __call__(self, s: Tensor) -> Tensor:
        return self.intercept + self.slope * s


@dataclass(frozen=True)
class Slope:
    """The slope of a logistic regression with its standard error."""

    value: float
    error: float

    @property
    def interval(self) -> tuple[float, float]:
        """The 95 % interval."""
        return self.value - NORMAL * self.error, self.value + NORMAL * self.error


def check_sides(real: Tensor) -> None:
    """Raise PthetaError if there are too few examples of a side. real: bool (N,)"""
    count = int(real.sum())
    if min(count, len(real) - count) < LEAST:
        raise PthetaError(
            f"{count:,} held-out examples and {len(real) - count:,} samples: a calibration in "
            f"{FOLDS} folds needs {LEAST} of each or more"
        )


def fitted(s: Tensor, real: Tensor) -> Line:
    """Fit the line to scores s (N,). real: bool (N,), which are of real examples. The log-odds of
    the numbers of the two sides are subtracted from the intercept."""
    return _regression(s, real)[0]


def slope_of(s: Tensor, real: Tensor) -> Slope:
    """The slope only, with its standard error by the Fisher information."""
    line, error = _regression(s, real)
    return Slope(line.slope, error)


def folds_of(real: Tensor, seed: int = 0) -> Tensor:
    """The fold of each example, int64 (N,), stratified by side."""
    generator = torch.Generator().manual_seed(seed)
    fold = torch.empty(len(real), dtype=torch.int64)
    for side in (real, ~real):
        n = int(side.sum())
        fold[side] = torch.randperm(n, generator=generator) % FOLDS
    return fold


def cross_fitted(s: Tensor, real: Tensor, kind: str = "line", seed: int = 0) -> Tensor:
    """The log-ratio of each example by a calibration fitted to the other folds: (N,)."""
    fold, out = folds_of(real, seed), torch.empty_like(s)
    for k in range(FOLDS):
        mine = fold == k
        out[mine] = CALIBRATIONS[kind].fit(s[~mine], real[~mine])(s[mine]).to(s)
    return out


def _regression(s: Tensor, real: Tensor) -> tuple[Line, float]:
    """The line, and the standard error of its slope."""
    s, y = s.double(), real.double()
    mean, scale = s.mean(), s.std().clamp(min=FLAT)
    design = torch.stack([torch.ones_like(s), (s - mean) / scale], 1)
    w = torch.zeros(2, dtype=torch.float64)
    prior = PRIOR * torch.eye(2, dtype=torch.float64)
    for _ in range(STEPS):
        p = (design @ w).sigmoid()
        slope = design.T @ (y - p) - prior @ w
        information = design.T @ (design * (p * (1 - p))[:, None]) + prior
        step = torch.linalg.solve(information, slope)
        w = w + step * min(1.0, 4.0 / max(float(step.abs().max()), 1e-12))
        if float(step.abs().max()) < 1e-10:
            break
    error = float(torch.linalg.inv(information)[1, 1].sqrt() / scale)
    b = float(w[1] / scale)
    odds = float((real.sum() / (~real).sum()).log())
    return Line(b, float(w[0] - b * mean) - odds), error


@dataclass(frozen=True, eq=False)
class Steps:
    """Log-ratios at increasing scores, with straight lines between them and the ends beyond."""

    at: np.ndarray
    values: np.ndarray

    def __call__(self, s: Tensor) -> Tensor:
        return torch.from_numpy(np.interp(s.double().numpy(), self.at, self.values))

    @property
    def most(self) -> float:
        """The greatest possible log-ratio."""
        return float(self.values[-1])


def isotone(s: Tensor, real: Tensor) -> Steps:
    """Isotonic regression on scores s (N,). real: bool (N,), which are of real examples.

    Adjacent scores are pooled until the shares of real examples increase. Each block is placed at
    its mean score and smoothed with one more real and generated example, in the proportion of the
    sides, so that no ratio is infinite.
    """
    order = s.argsort(stable=True)
    scores, labels = s[order].double().numpy(), real[order].double().numpy()
    share = float(labels.mean())
    blocks: list[tuple[float, float, float]] = []  # (count, count of real, sum of scores)
    for score, label in zip(scores, labels, strict=True):
        block = (1.0, float(label), float(score))
        while blocks and blocks[-1][1] / blocks[-1][0] >= block[1] / block[0]:
            last = blocks.pop()
            block = (last[0] + block[0], last[1] + block[1], last[2] + block[2])
        blocks.append(block)
    count, hits, total = np.array(blocks).T
    p = (hits + 2 * share) / (count + 2)
    values = np.log(p) - np.log1p(-p) - (np.log(share) - np.log1p(-share))
    return Steps(total / count, np.maximum.accumulate(values))


@dataclass(frozen=True)
class Calibration(Entry):
    """A calibration method. fit: (scores (N,), which are real) -> a function from score to
    log-ratio"""

    fit: Callable[[Tensor, Tensor], Callable[[Tensor], Tensor]] = fitted


CALIBRATIONS: dict[str, Calibration] = {
    "line": Calibration(fit=fitted, about="a + b s, by logistic regression (Platt 1999)"),
    "isotonic": Calibration(fit=isotone, about="any increasing function of s"),
}


def check_kind(kind: str) -> None:
    """Raise PthetaError for an unknown calibration."""
    if kind not in CALIBRATIONS:
        raise unknown("calibration", kind, CALIBRATIONS)
