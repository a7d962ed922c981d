"""Pairs of sources: which is preferred, and by how much (Bradley & Terry 1952).

    P(a is preferred to b) = 1 / (1 + exp(s_b - s_a)),   sum of all s = 0.

The strengths s are log-odds: a difference of 1.1 is a preference of 3 to 1.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from ptheta.study.analysis.estimates import (
    Comparison,
    Estimate,
    compare,
    from_influence,
    mean,
)
from ptheta.study.analysis.table import Floats, Table
from ptheta.study.files import LEFT

STEPS = 100  # of Newton's method, at most
HALF_A_WIN = 0.5  # added to both sides of each pair where a strength has no bound


@dataclass(frozen=True)
class Strength:
    """A source. share: of the questions it is in, how many it won"""

    name: str
    strength: Estimate
    share: float
    questions: int


@dataclass(frozen=True)
class Preferences:
    """The strengths of all sources, strongest first.

    smoothed: whether half a win was added to each side of each pair, since some sources always won
        or always lost, and their strengths would be infinite
    misfit: the largest difference between the observed share of wins of a pair and that of the
        model, in standard errors; None with two sources, where there is none
    left: share of answers "left", whatever is shown there
    """

    strengths: tuple[Strength, ...]
    comparisons: tuple[Comparison, ...]
    smoothed: bool
    misfit: float | None
    left: Estimate


def preferences(table: Table) -> Preferences | None:
    """None where fewer than two sources are compared."""
    names = sorted({str(s) for s in table.source} | {str(s) for s in table.source_b})
    first = np.array([names.index(s) for s in table.source], dtype=np.int64)
    second = np.array([names.index(s) for s in table.source_b], dtype=np.int64)
    won = (table.answer == LEFT).astype(np.float64)
    counted = first != second
    if len(names) < 2 or not counted.any():
        return None
    wins = np.zeros((len(names), len(names)))
    np.add.at(wins, (first[counted], second[counted]), won[counted])
    np.add.at(wins, (second[counted], first[counted]), 1 - won[counted])
    smoothed = not bounded(wins)
    fitted = wins + HALF_A_WIN * ((wins + wins.T) > 0) if smoothed else wins
    s, inverse = fit(fitted)
    scores = won - _logistic(s[first] - s[second])
    estimates = []
    for k, name in enumerate(names):
        influence = (inverse[k, first] - inverse[k, second]) * scores * counted
        n = int(np.sum(counted & ((first == k) | (second == k))))
        estimates.append((name, from_influence(table, float(s[k]), influence, n)))
    played = wins.sum(1) + wins.sum(0)
    found = [
        Strength(name, one, float(wins[k].sum() / played[k]) if played[k] else math.nan, one.n)
        for k, (name, one) in enumerate(estimates)
    ]
    return Preferences(
        tuple(sorted(found, key=lambda one: -one.strength.value)),
        tuple(compare(estimates)),
        smoothed,
        _misfit(wins, s) if len(names) > 2 else None,
        mean(table, np.ones(len(table), dtype=bool), won),
    )


def fit(wins: Floats) -> tuple[Floats, Floats]:
    """The most likely strengths (K,) of wins (K, K), row over column, and the pseudo-inverse of the
    information (K, K). Newton's method, with steps halved where the likelihood falls."""
    k = len(wins)
    s: Floats = np.zeros(k)
    games = wins + wins.T
    best = _likelihood(wins, s)
    for _ in range(STEPS):
        p = _logistic(s[:, None] - s[None, :])
        gradient = (wins - games * p).sum(1)
        weight = games * p * (1 - p)
        information = np.diag(weight.sum(1)) - weight
        step = np.linalg.solve(information + np.ones((k, k)) / k, gradient)
        while (new := _likelihood(wins, s + step)) < best - 1e-12 * abs(best):
            step = step / 2
        s, best = s + step, new
        if np.abs(step).max() < 1e-12:
            break
    p = _logistic(s[:, None] - s[None, :])
    weight = games * p * (1 - p)
    information = np.diag(weight.sum(1)) - weight
    return np.asarray(s - s.mean()), np.asarray(np.linalg.pinv(information))


def bounded(wins: Floats) -> bool:
    """Whether the most likely strengths are finite: from every source a chain of wins leads to
    every other one (Ford 1957)."""
    reach = (wins > 0) | np.eye(len(wins), dtype=bool)
    for _ in range(len(wins)):
        reach = (reach.astype(int) @ reach.astype(int)) > 0
    return bool(reach.all())


def _likelihood(wins: Floats, s: Floats) -> float:
    return float(-np.sum(wins * np.logaddexp(0.0, s[None, :] - s[:, None])))


def _misfit(wins: Floats, s: Floats) -> float:
    """Of all pairs, the largest |observed - expected| wins in binomial standard errors."""
    games = wins + wins.T
    p = _logistic(s[:, None] - s[None, :])
    spread = np.sqrt(np.maximum(games * p * (1 - p), 1e-12))
    return float(np.max(np.where(games > 0, np.abs(wins - games * p) / spread, 0.0)))


def _logistic(x: Floats) -> Floats:
    return np.asarray(1 / (1 + np.exp(-x)))
