"""Whether metrics order the sources as people do."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations, permutations

import numpy as np

from ptheta.study.analysis.estimates import Comparison

MOST_EXACT = 7  # sources whose orders are all tried
DRAWS = 20_000  # orders that are tried of more
FEWEST = 3  # sources


@dataclass(frozen=True)
class Agreement:
    """A metric against the number of the study, over the sources that have both.

    tau: Kendall's tau-b, 1 where the metric orders all sources as people do; rho: Spearman's
    p: share of all orders of the sources with a tau at least as far from 0
    told: pairs of sources that people tell apart; same: those that the metric orders alike
    values: source -> (number of the study, metric)
    """

    metric: str
    better: str
    tau: float
    rho: float
    p: float
    told: int
    same: int
    values: Mapping[str, tuple[float, float]]


def agreement(
    metric: str,
    better: str,
    measured: Mapping[str, float],
    human: Mapping[str, float],
    comparisons: Sequence[Comparison],
) -> Agreement | None:
    """None with fewer than three sources.

    Args:
        metric: Its name.
        better: Which of its values are better: lower or higher.
        measured: Value of the metric of each source.
        human: Number of each source in the study, higher for a better source.
        comparisons: Which pairs people tell apart.
    """
    names = [name for name in human if name in measured]
    if len(names) < FEWEST:
        return None
    sign = -1.0 if better == "lower" else 1.0
    x = np.array([human[name] for name in names])
    y = np.array([sign * measured[name] for name in names])
    told = [c for c in comparisons if c.apart and c.a in measured and c.b in measured]
    same = sum(c.difference.value * sign * (measured[c.a] - measured[c.b]) > 0 for c in told)
    values = {name: (human[name], measured[name]) for name in names}
    return Agreement(
        metric, better, kendall(x, y), _spearman(x, y), _chance(x, y), len(told), same, values
    )


def kendall(x: np.ndarray, y: np.ndarray) -> float:
    """Kendall's tau-b: concordant less discordant pairs, over the geometric mean of those that are
    tied in neither; NaN where all values of one are equal."""
    pairs = list(combinations(range(len(x)), 2))
    a = np.array([np.sign(x[i] - x[j]) for i, j in pairs])
    b = np.array([np.sign(y[i] - y[j]) for i, j in pairs])
    below = math.sqrt(float(np.sum(a != 0)) * float(np.sum(b != 0)))
    return float(a @ b) / below if below else math.nan


def _spearman(x: np.ndarray, y: np.ndarray) -> float:
    """The correlation of the ranks; ties have their mean rank."""
    a, b = _ranks(x), _ranks(y)
    a, b = a - a.mean(), b - b.mean()
    below = math.sqrt(float(a @ a) * float(b @ b))
    return float(a @ b) / below if below else math.nan


def _ranks(x: np.ndarray) -> np.ndarray:
    return np.array([np.mean(np.flatnonzero(np.sort(x) == value)) for value in x])


def _chance(x: np.ndarray, y: np.ndarray) -> float:
    """The permutation test of tau: exact for few sources, by random orders for more."""
    observed = abs(kendall(x, y))
    if math.isnan(observed):
        return 1.0
    a = np.sign(x[:, None] - x[None, :])
    b = np.sign(y[:, None] - y[None, :])
    limit = observed * math.sqrt(float(np.sum(a != 0)) * float(np.sum(b != 0))) - 1e-9
    n = len(x)
    if n <= MOST_EXACT:
        orders = [list(order) for order in permutations(range(n))]
    else:
        random = np.random.default_rng(0)
        orders = [list(range(n)), *(list(random.permutation(n)) for _ in range(DRAWS))]
    return sum(abs(float(np.sum(a * b[np.ix_(o, o)]))) >= limit for o in orders) / len(orders)
