"""Agreement of clusters with labels.

All measures are functions of the contingency table of clusters (rows) and labels (columns):
counts (K, C).
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from scipy.optimize import linear_sum_assignment
from torch import Tensor

from ptheta.measures.classification import IntervalEstimate

DRAWN = 200  # number of bootstrap tables
Measure = Callable[[np.ndarray], float]


def table(found: Tensor, labels: Tensor) -> np.ndarray:
    """found, labels: int64 (N,), from 0 -> counts, int64 (K, C)"""
    k, c = int(found.max()) + 1, int(labels.max()) + 1
    return torch.bincount(found * c + labels, minlength=k * c).view(k, c).numpy()


def matched_accuracy(found: Tensor, labels: Tensor) -> float:
    """Accuracy under the best one-to-one matching of clusters and labels.

    found, labels: int64 (N,). Kuhn 1955, by scipy.
    """
    return accuracy(table(found, labels))


def matching(counts: np.ndarray) -> dict[int, int]:
    """The label of each cluster under the best one-to-one matching; surplus clusters have none."""
    rows, columns = linear_sum_assignment(counts, maximize=True)
    return dict(zip(rows.tolist(), columns.tolist(), strict=True))


def accuracy(counts: np.ndarray) -> float:
    """See `matched_accuracy`."""
    return float(sum(counts[k, c] for k, c in matching(counts).items()) / counts.sum())


def nmi(counts: np.ndarray) -> float:
    """Normalised mutual information, relative to the mean of both entropies; 1 for a single cluster
    and a single label."""
    p = counts / counts.sum()
    rows, columns = p.sum(1), p.sum(0)
    together = _entropy(rows) + _entropy(columns)
    mutual = together - _entropy(p.ravel())
    return float(max(0.0, 2 * mutual / together)) if together > 0 else 1.0


def _entropy(p: np.ndarray) -> float:
    some = p[p > 0]
    return float(-(some * np.log(some)).sum())


def ari(counts: np.ndarray) -> float:
    """The adjusted Rand index (Hubert & Arabie 1985) of pairs of examples: 0 in expectation by
    chance, 1 if clusters equal labels."""
    pairs, rows, columns = (
        float((n * (n - 1) / 2).sum()) for n in (counts.astype(float), counts.sum(1), counts.sum(0))
    )
    n = counts.sum()
    by_chance = rows * columns / max(1.0, n * (n - 1) / 2)
    most = (rows + columns) / 2
    return float((pairs - by_chance) / (most - by_chance)) if most != by_chance else 1.0


MEASURES: dict[str, Measure] = {"accuracy": accuracy, "NMI": nmi, "ARI": ari}


def measured(tables: list[np.ndarray], seed: int = 0) -> dict[str, IntervalEstimate]:
    """The measures of the first table, with bootstrap intervals over examples and starts: each
    replicate resamples the table of a random start.

    Measures are biased upwards for few examples: resampling adds a bias b on average, as did the
    original sampling. The intervals are corrected for both, with b for each start.
    """
    rng = np.random.default_rng(seed)
    which = rng.integers(len(tables), size=DRAWN)
    drawn = [_again(tables[k], rng) for k in which]
    scores = {}
    for name, of in MEASURES.items():
        own = np.array([of(counts) for counts in tables])
        values = np.array([of(counts) for counts in drawn])
        for k in np.unique(which):
            values[which == k] -= 2 * (values[which == k].mean() - own[k])
        low, high = np.quantile(values, (0.025, 0.975)).tolist()
        scores[name] = IntervalEstimate(
            float(own[0]), min(float(own[0]), low), max(float(own[0]), high)
        )
    return scores


def _again(counts: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Resample a table with the same number of examples."""
    n = int(counts.sum())
    return rng.multinomial(n, counts.ravel() / n).reshape(counts.shape)


def by_chance(found: Tensor, labels: Tensor, seed: int = 0) -> dict[str, IntervalEstimate]:
    """Chance level for random clusters of the same sizes: the mean over permutations, and the 95 %
    interval."""
    rng = np.random.default_rng(seed)
    orders = (torch.from_numpy(rng.permutation(len(labels))) for _ in range(DRAWN))
    drawn = [table(found, labels[order]) for order in orders]
    scores = {}
    for name, of in MEASURES.items():
        values = [of(counts) for counts in drawn]
        scores[name] = IntervalEstimate(
            float(np.mean(values)), *np.quantile(values, (0.025, 0.975)).tolist()
        )
    return scores
