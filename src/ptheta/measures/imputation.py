"""How near imputed cells are to those that were hidden: pure functions of what a network would see
of them, numbers standardised and words one-hot.

Draws are (M, B, W), the truth (B, W), `hidden` (B, W) bool says which numbers count.
"""

from __future__ import annotations

import torch
from torch import Tensor

PAIRED = 100  # draws of which distances of pairs are taken
NARROW = 1e-9  # beyond an interval that a number is still taken to lie in


def root_mean_square(guess: Tensor, truth: Tensor, hidden: Tensor) -> float:
    """Over the hidden numbers: (B, W)."""
    return float((guess - truth)[hidden].double().square().mean().sqrt())


def energy_score(draws: Tensor, truth: Tensor, hidden: Tensor) -> float:
    """E |X - x| - E |X - X'| / 2 of the hidden part of each row, averaged over the rows that have
    one (Gneiting & Raftery 2007, section 4.3). Its expectation is least for draws from the law of
    the truth. It is unbiased, of pairs of different draws; of one draw the distance alone.
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
    """The ends of the central intervals of this mass, (B, W) each, by the quantiles of the draws.

    Of M draws the k-th lies at the quantile k / (M + 1), so that the interval of draws of the
    truth's own law covers it with the probability `level` whatever M is, from 2 / (1 - level) - 1
    on; of fewer it is from the least to the greatest.
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
    """The share of hidden numbers within their interval, and its mean width."""
    low, high = intervals(draws, level)
    within = (truth >= low - NARROW) & (truth <= high + NARROW)
    return float(within[hidden].double().mean()), float((high - low)[hidden].mean())


def accuracy(guess: Tensor, truth: Tensor, hidden: Tensor) -> float:
    """The share of hidden words, (B, columns), that are right."""
    return float((guess == truth)[hidden].double().mean())
