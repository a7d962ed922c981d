"""The classifier two-sample test: whether a classifier can distinguish samples from real points
(Lopez-Paz and Oquab 2017, arXiv:1610.06545), here by nearest neighbours.

All points are divided into folds, stratified by side. The score of a point is the fraction of
samples among its k nearest neighbours in the other folds, with k the square root of their number,
as in the paper. The area under the curve is computed over pairs of the same fold, which are not
each other's neighbours, so that its expectation is 1/2 for equal distributions; the p-value is by
permutations within the folds.

The error is by the jackknife, which also removes a group from the neighbours: on Gaussians it was
1.5 to 1.9 times the true error, so that intervals are wide and "different" is seldom wrong.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from ptheta.errors import PthetaError
from ptheta.measures.intervals import Groups, draws
from ptheta.measures.points import check_pair
from ptheta.measures.results import Draws

FOLDS = 5
LEAST = 2 * FOLDS  # minimum points of either side
PERMUTATIONS = 200
PAIRS = 4_000_000  # distances in memory at a time
SPARE = 1.2  # factor of stored neighbours, for when a group is left out


class ClassifierScores(NamedTuple):
    """auc: probability that a random sample has a higher score than a random real point (ties count
    half); accuracy: balanced accuracy"""

    auc: float
    accuracy: float


@dataclass(frozen=True)
class TwoSample:
    """Result of the test. draws: replicates of each value, None if there are too few points;
    p_value: for auc = 1/2"""

    scores: ClassifierScores
    draws: tuple[Draws, Draws] | None
    p_value: float


@dataclass(frozen=True)
class _Pool:
    """All points, samples first. fold: int64 (N,); near: int64 (N, k + some), the nearest points of
    the other folds, nearest first; n: number of samples; k: number of neighbours for the score"""

    fold: Tensor
    near: Tensor
    n: int
    k: int

    @property
    def is_sample(self) -> Tensor:
        return torch.arange(len(self.fold)) < self.n


def two_sample(
    x: Tensor, y: Tensor, *, permutations: int = PERMUTATIONS, seed: int = 0
) -> TwoSample:
    """Run the test on samples (N, D) and real points (M, D), in units with meaningful distances.

    Raises PthetaError for fewer than `LEAST` points of a side, and for NaN.
    """
    x, y = check_pair(x, y)
    if min(len(x), len(y)) < LEAST:
        raise PthetaError(
            f"{len(x)} samples and {len(y)} real points: a test in {FOLDS} folds needs {LEAST} of "
            "each or more"
        )
    generator = torch.Generator().manual_seed(seed)
    pool = _pool(x, y, generator)
    scores = _scores(pool, pool.is_sample, torch.ones(len(pool.fold), dtype=torch.bool))
    beyond = 0
    for _ in range(permutations):
        labels = _permuted(pool, generator)
        share = labels[pool.near[:, : pool.k]].double().mean(1)
        beyond += _auc(pool, share, labels) >= scores.auc - 1e-12
    return TwoSample(scores, _draws(pool), (1 + beyond) / (1 + permutations))


def _pool(x: Tensor, y: Tensor, generator: torch.Generator) -> _Pool:
    z, n = torch.cat([x, y]), len(x)
    fold = torch.cat([torch.randperm(len(s), generator=generator) % FOLDS for s in (x, y)])
    left = len(z) - int(torch.bincount(fold).max())  # minimum number of points of the other folds
    k = max(1, math.isqrt(left))
    count = min(left, math.ceil(SPARE * k) + 8)
    near = torch.empty(len(z), count, dtype=torch.int64)
    rows = max(1, PAIRS // len(z))
    for part in torch.arange(len(z)).split(rows):
        d = torch.cdist(z[part], z)
        d[fold[part][:, None] == fold] = torch.inf
        near[part] = d.topk(count, 1, largest=False).indices
    return _Pool(fold, near, n, k)


def _permuted(pool: _Pool, generator: torch.Generator) -> Tensor:
    """Random labels, bool (N,), with the number of samples in each fold unchanged."""
    labels = pool.is_sample
    for fold in range(FOLDS):
        rows = (pool.fold == fold).nonzero()[:, 0]
        labels[rows] = labels[rows[torch.randperm(len(rows), generator=generator)]]
    return labels


def _scores(pool: _Pool, labels: Tensor, there: Tensor) -> ClassifierScores:
    """Both scores. labels: bool (N,), samples; there: bool (N,), the points that are not left
    out"""
    held = there[pool.near]
    counted = held & (held.cumsum(1) <= pool.k)
    share = (counted & labels[pool.near]).sum(1) / counted.sum(1).clamp(min=1).double()
    prior = (labels & there).double().sum() / there.sum()
    side = 0.5 + 0.5 * (share - prior).sign()  # 1 for sample, 0 for real
    right = side[labels & there].mean() + (1 - side[~labels & there]).mean()
    return ClassifierScores(_auc(pool, share, labels, there), right.item() / 2)


def _auc(pool: _Pool, share: Tensor, labels: Tensor, there: Tensor | None = None) -> float:
    """The AUC over pairs of the same fold, averaged over folds."""
    areas = []
    for fold in range(FOLDS):
        rows = pool.fold == fold if there is None else (pool.fold == fold) & there
        if (labels & rows).any() and (~labels & rows).any():
            areas.append(area(share[labels & rows], share[~labels & rows]))
    return sum(areas) / len(areas)


def area(a: Tensor, b: Tensor) -> float:
    """The probability that a random a (n,) is larger than a random b (m,); ties count half."""
    order = b.sort().values
    below = torch.searchsorted(order, a), torch.searchsorted(order, a, right=True)
    return ((below[0] + below[1]).double().mean() / 2 / len(b)).item()


def _draws(pool: _Pool) -> tuple[Draws, Draws] | None:
    """Leave-one-group-out values of both scores."""
    n, m = pool.n, len(pool.fold) - pool.n
    sides = Groups(n, "fake"), Groups(m, "real")
    found: list[list[ClassifierScores]] = []
    for groups, start in zip(sides, (0, n), strict=True):
        scores = []
        for g in range(groups.count):
            there = torch.ones(n + m, dtype=torch.bool)
            there[start : start + groups.n] = groups.of != g
            scores.append(_scores(pool, pool.is_sample, there))
        found.append(scores)
    if not (found[0] and found[1]):
        return None
    auc, accuracy = (
        draws(*(torch.tensor([t[i] for t in side], dtype=torch.float64) for side in found))
        for i in range(2)
    )
    return auc, accuracy
