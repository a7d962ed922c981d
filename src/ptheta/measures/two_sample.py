"""The classifier two-sample test: whether a classifier tells samples from real points (Lopez-Paz
and Oquab 2017, arXiv:1610.06545), here by nearest neighbours.

All points are divided into folds, each with samples and real points in their proportions. A point
is rated by its k nearest neighbours in the other folds: the share of them that are samples, with k
the root of their number, as in the paper. The area under the curve is taken over pairs of one fold,
neither of which has rated the other, so that it is 1/2 in expectation where both are of one
distribution; its p-value is that of permutations within the folds.

The error is that of the jackknife, without a group among the raters as well: on Gaussians it was
1.5 to 1.9 times the true one, so that intervals are wide and "different" is seldom wrong.
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
LEAST = 2 * FOLDS  # points of either side
PERMUTATIONS = 200
PAIRS = 4_000_000  # distances held at a time
SPARE = 1.2  # times the neighbours that are counted, for where a group is left out


class ClassifierScores(NamedTuple):
    """auc: probability that a random sample is rated higher than a random real point (ties count
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
    """Samples first, then real points. fold: int64 (N,); near: int64 (N, k + some), the nearest
    points of the other folds, nearest first; n: samples; k: neighbours that are counted"""

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
    """Of samples (N, D) and real points (M, D), in units in which distances mean something.

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
    left = len(z) - int(torch.bincount(fold).max())  # points of the other folds, at least
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
    """Labels, bool (N,): as many samples in each fold as there are, anywhere in it."""
    labels = pool.is_sample
    for fold in range(FOLDS):
        rows = (pool.fold == fold).nonzero()[:, 0]
        labels[rows] = labels[rows[torch.randperm(len(rows), generator=generator)]]
    return labels


def _scores(pool: _Pool, labels: Tensor, there: Tensor) -> ClassifierScores:
    """labels: bool (N,), samples; there: bool (N,), the points that are not left out"""
    held = there[pool.near]
    counted = held & (held.cumsum(1) <= pool.k)
    share = (counted & labels[pool.near]).sum(1) / counted.sum(1).clamp(min=1).double()
    prior = (labels & there).double().sum() / there.sum()
    side = 0.5 + 0.5 * (share - prior).sign()  # 1 says sample, 0 says real
    right = side[labels & there].mean() + (1 - side[~labels & there]).mean()
    return ClassifierScores(_auc(pool, share, labels, there), right.item() / 2)


def _auc(pool: _Pool, share: Tensor, labels: Tensor, there: Tensor | None = None) -> float:
    """Of the pairs of one fold, the folds counted alike."""
    areas = []
    for fold in range(FOLDS):
        rows = pool.fold == fold if there is None else (pool.fold == fold) & there
        if (labels & rows).any() and (~labels & rows).any():
            areas.append(area(share[labels & rows], share[~labels & rows]))
    return sum(areas) / len(areas)


def area(a: Tensor, b: Tensor) -> float:
    """How often one of a (n,) is larger than one of b (m,), a tie counting half."""
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
