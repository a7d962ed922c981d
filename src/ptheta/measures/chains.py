"""Mixing of Markov chains: autocorrelation, effective sample size, split R-hat.

Values are (chains, steps), or (chains, steps, parts) for vectors, such as indicators of a class:
their covariances are summed over the parts.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Mixing:
    """Statistics of mixing.

    time: integrated autocorrelation time in steps; infinite or NaN if undefined, as for constant
        values
    effective: effective sample size
    r_hat: root of the total variance over the variance within half chains: near 1 if they agree
    autocorrelation: at lag 0, 1, ...
    """

    time: float
    effective: float
    r_hat: float
    autocorrelation: tuple[float, ...] = field(default=(), repr=False)

    def to_json(self) -> dict[str, object]:
        known = {"time": self.time, "effective": self.effective, "r_hat": self.r_hat}
        finite = {name: v if math.isfinite(v) else None for name, v in known.items()}
        return {**finite, "autocorrelation": list(self.autocorrelation)}


def _parts(values: ArrayLike) -> Array:
    x = np.asarray(values, dtype=np.float64)
    return x[..., None] if x.ndim == 2 else x


def autocovariance(values: ArrayLike) -> Array:
    """Autocovariance of each chain around its own mean, at every lag: (chains, steps), divided by
    the number of steps, so that it is positive semi-definite."""
    x = _parts(values)
    n = x.shape[1]
    x = x - x[:, :1]  # exactly 0 for constant values, despite rounding of the mean
    x = x - x.mean(1, keepdims=True)
    spectrum = np.abs(np.fft.rfft(x, 2 * n, axis=1)) ** 2
    each: Array = np.fft.irfft(spectrum, 2 * n, axis=1)[:, :n].sum(-1) / n
    return each


def _variances(values: ArrayLike) -> tuple[float, float]:
    """W, the mean variance within chains, and var+, which adds the variance between their means."""
    x = _parts(values)
    n = x.shape[1]
    moved = x - x[:, :1]  # exactly 0 for constant values
    within = float(moved.var(1, ddof=1).sum(-1).mean())
    means = moved.mean(1) + (x[:, 0] - x[:1, 0])
    between = float(means.var(0, ddof=1).sum()) if len(x) > 1 else 0.0
    return within, within * (n - 1) / n + between


def autocorrelation(values: ArrayLike) -> Array:
    """rho_t = 1 - (W - mean autocovariance_t) / var+ at every lag t: (steps,), NaN for constant
    values.

    Combines several chains (Vehtari et al. 2021, eq. 10, arXiv:1903.08008), so that chains that
    each remain in a different region have a high autocorrelation, which single chains would not
    show.
    """
    x = _parts(values)
    n = x.shape[1]
    within, total = _variances(x)
    if not total > 0:
        return np.full(n, np.nan)
    mean = autocovariance(x).mean(0) * n / (n - 1)
    rho: Array = 1 - (within - mean) / total
    return rho.clip(-1, 1)  # for few steps the estimate may be outside


def integrated_time(values: ArrayLike) -> float:
    """tau = 1 + 2 sum of rho_t, in steps, by Geyer's initial monotone sequence (1992): the sums
    rho_2k + rho_2k+1 are positive and decreasing for a reversible chain; the series is truncated
    where this fails. NaN for constant values."""
    rho = autocorrelation(values)
    if np.isnan(rho).any():
        return math.nan
    rho[0] = 1.0
    pairs = rho[: len(rho) // 2 * 2].reshape(-1, 2).sum(1)
    ends = np.flatnonzero(pairs <= 0)
    kept = np.minimum.accumulate(pairs[: ends[0]] if len(ends) else pairs)
    # below 1 for antithetic chains, but limit the effective sample size to n log n
    least = 1 / math.log10(max(10, rho.size * len(_parts(values))))
    return float(max(2 * kept.sum() - 1, least))


def split_r_hat(values: ArrayLike) -> float:
    """sqrt(var+ / W) over the halves of all chains (Gelman et al. 2013; arXiv:1903.08008): above 1
    for chains that drift or differ."""
    x = _parts(values)
    half = x.shape[1] // 2
    if half < 2:
        return math.nan
    within, total = _variances(np.concatenate([x[:, :half], x[:, -half:]]))
    if not within > 0:
        return math.nan if not total > 0 else math.inf
    return math.sqrt(total / within)


def mixing(values: ArrayLike, lags: int = 100) -> Mixing:
    """Compute all statistics. lags: number of lags of the autocorrelation to keep"""
    x = _parts(values)
    if not np.isfinite(x).all():  # such as an energy that overflowed
        return Mixing(math.nan, math.nan, math.nan)
    time = integrated_time(x)
    size = x.shape[0] * x.shape[1] / time
    kept = autocorrelation(x)[: lags + 1]
    lagged = () if np.isnan(kept).any() else tuple(float(v) for v in kept)
    return Mixing(time, size, split_r_hat(x), lagged)


def indicators(classes: ArrayLike, of: int) -> Array:
    """Classes (chains, steps), integers below `of` -> indicators 0 and 1, (chains, steps, of).
    Their autocorrelation measures the excess probability that a chain is in its previous class."""
    found: Array = np.eye(of)[np.asarray(classes)]
    return found


def changes(classes: ArrayLike) -> float:
    """The fraction of steps that change the class."""
    c = np.asarray(classes)
    return float((c[:, 1:] != c[:, :-1]).mean()) if c.shape[1] > 1 else math.nan


def thinned(values: Sequence[float], most: int) -> list[tuple[int, float]]:
    """Select some lags with their values: 0, 1, 2, 5, 10, 20, 50, ... below `most`."""
    lags = [0] + [m * 10**e for e in range(7) for m in (1, 2, 5)]
    return [(lag, values[lag]) for lag in lags if lag < min(most, len(values))]
