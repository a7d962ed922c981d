"""Errors of imputed cells: pure functions of values in network scale, with standardised numbers and
one-hot categories.

Draws are (M, B, W), the truth is (B, W), and the bool mask `hidden` (B, W) selects the cells to
evaluate.
"""

from __future__ import annotations

import torch
from torch import Tensor

PAIRED = 100  # maximum draws for pairwise distances
NARROW = 1e-9  # tolerance at the ends of an interval


def root_mean_square(guess: Tensor, truth: Tensor, hidden: Tensor) -> float:
    """Root mean square error over the hidden numbers: (B, W) each."""
    return float((guess - truth)[hidden].double().square().mean().sqrt())


def energy_score(draws: Tensor, truth: Tensor, hidden: Tensor) -> float:
    """E |X - x| - E |X - X'| / 2 of the hidden part of each row, averaged over the rows that have
    one (Gneiting & Raftery 2007, section 4.3). Its expectation is minimal for draws from the true
    distribution. Unbiased, by pairs of different draws; for a single draw only the first term.
    """
    rows = hidden.any(1)
    part = torch.where(hidden, draws.double(), 0.0)[:PAIRED, rows]
    real = torch.where(hidden, truth.double(), 0.0)[rows]
    away = (part - real).norm(dim=2).mean(0)
    m = len(part)
    if m < 2:
        return float(away.mean())
    apart = sum((part[i + 1 :] - part[i]).norm(dim=2).sum(0) for i in range(m - 1))
    return float((away - apart / (m * (m - 1))).mean())


def intervals(draws: Tensor, level: float) -> tuple[Tensor, Tensor]:
    """The ends of the central intervals of mass `level`, (B, W) each, by the quantiles of the
    draws.

    The k-th of M sorted draws is at the quantile k / (M + 1), so that the interval of draws from
    the true distribution has coverage `level` for any M of at least 2 / (1 - level) - 1; for fewer
    it is from the minimum to the maximum.
    """
    ordered, m = draws.double().sort(0).values, len(draws)
    ends = []
    for share in ((1 - level) / 2, (1 + level) / 2):
        at = min(max(share * (m + 1) - 1, 0.0), m - 1.0)
        below = int(at)
        above = min(below + 1, m - 1)
        ends.append(ordered[below] + (at - below) * (ordered[above] - ordered[below]))
    return ends[0], ends[1]


def coverage(draws: Tensor, truth: Tensor, hidden: Tensor, level: float) -> tuple[float, float]:
    """The fraction of hidden numbers within their interval, and the mean width of the intervals."""
    low, high = intervals(draws, level)
    within = (truth >= low - NARROW) & (truth <= high + NARROW)
    return float(within[hidden].double().mean()), float((high - low)[hidden].mean())


def accuracy(guess: Tensor, truth: Tensor, hidden: Tensor) -> float:
    """The fraction of hidden categories, (B, columns), that are correct."""
    return float((guess == truth)[hidden].double().mean())
