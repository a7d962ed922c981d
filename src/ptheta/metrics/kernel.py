"""Kernel distance: unbiased squared MMD with a cubic kernel (KID, arXiv:1801.01401), float64."""

from __future__ import annotations

import torch
from torch import Tensor

from ptheta.errors import PthetaError
from ptheta.metrics.bootstrap import Bootstrap


def kernel(x: Tensor, y: Tensor) -> Tensor:
    """k(x, y) = (x . y / d + 1)^3 of features (n, d) and (m, d): (n, m)."""
    return (x @ y.T / x.shape[1] + 1) ** 3


def kernel_distance(x: Tensor, y: Tensor, chunk: int = 1024) -> tuple[float, float]:
    """(MMD^2, its standard error) of features (n, d) and (m, d); all pairs, a chunk at a time.

    MMD^2 = sum_{i != j} k(x_i, x_j) / n(n-1) + the same of y - 2 mean k(x_i, y_j): its expectation
    is the same for any n and m, so it may be negative. The error is that of the first-order terms
    of the U-statistic; between equal distributions, where these vanish, the noise of their
    estimates remains and the error is too large rather than too small.
    """
    value, error, _ = _distance(x, y, None, chunk)
    return value, error


def kernel_draws(x: Tensor, y: Tensor, boot: Bootstrap, chunk: int = 1024) -> tuple[float, Tensor]:
    """MMD^2 of x (fakes) and y (real), and that of each resample: (REPEATS,).

    Pairs of one image with itself, which resamples have and samples have not, are left out.
    """
    value, _, draws = _distance(x, y, boot, chunk)
    return value, draws


def kernel_diagonal(x: Tensor) -> Tensor:
    """k(x_i, x_i): (n,)"""
    return (x.double().square().sum(1) / x.shape[1] + 1) ** 3


def _distance(
    x: Tensor, y: Tensor, boot: Bootstrap | None, chunk: int
) -> tuple[float, float, Tensor]:
    """Value, standard error, and resamples (none without a bootstrap), each pair met once."""
    n, m = len(x), len(y)
    if min(n, m) < 2:
        raise PthetaError(f"{min(n, m)} image is too few for a kernel distance: give at least two")
    v, w = (torch.zeros(0, k, dtype=torch.float64) for k in (n, m))
    if boot is not None:
        v, w = boot.counts("fake"), boot.counts("real")
    sums_x, draws_x = _within(x, v, chunk)
    sums_y, draws_y = _within(y, w, chunk)
    across_x, across_y, draws = _across(x, y, v, w, chunk)
    a = sums_x / (n - 1) - across_x / m  # what x_i alone contributes
    b = sums_y / (m - 1) - across_y / n
    # the cross term is in both halves, once each
    value = a.mean() + b.mean()
    error = 2 * (a.var() / n + b.var() / m).sqrt()
    return value.item(), error.item(), draws_x + draws_y - 2 * draws


def _within(x: Tensor, weights: Tensor, chunk: int) -> tuple[Tensor, Tensor]:
    """sum_{j != i} k(x_i, x_j): (n,); and sum_{i != j} w_i w_j k(x_i, x_j) / n(n-1) for each row w
    of weights (R, n): (R,). The kernel is symmetric: half of its blocks are computed."""
    n = len(x)
    own = kernel_diagonal(x)
    sums, total = -own, -(weights.square() @ own)
    starts = range(0, n, chunk)
    for i in starts:
        a = x[i : i + chunk].double()
        rows = slice(i, i + len(a))
        for j in starts:
            if j < i:
                continue
            b = x[j : j + chunk].double()
            columns = slice(j, j + len(b))
            k = kernel(a, b)
            sums[rows] += k.sum(1)
            met = ((weights[:, rows] @ k) * weights[:, columns]).sum(1)
            if j > i:
                sums[columns] += k.sum(0)
                met = 2 * met
            total += met
    return sums, total / (n * (n - 1))


def _across(
    x: Tensor, y: Tensor, v: Tensor, w: Tensor, chunk: int
) -> tuple[Tensor, Tensor, Tensor]:
    """sum_j k(x_i, y_j): (n,), sum_i k(x_i, y_j): (m,), and the mean of v_i w_j k(x_i, y_j) over
    all pairs for each row of v (R, n) and w (R, m): (R,)."""
    n, m = len(x), len(y)
    of_x, of_y = v.new_zeros(n), v.new_zeros(m)
    total = v.new_zeros(len(v))
    for i in range(0, n, chunk):
        a = x[i : i + chunk].double()
        rows = slice(i, i + len(a))
        for j in range(0, m, chunk):
            b = y[j : j + chunk].double()
            columns = slice(j, j + len(b))
            k = kernel(a, b)
            of_x[rows] += k.sum(1)
            of_y[columns] += k.sum(0)
            total += ((v[:, rows] @ k) * w[:, columns]).sum(1)
    return of_x, of_y, total / (n * m)
