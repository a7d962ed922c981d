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
    n, m = len(x), len(y)
    if min(n, m) < 2:
        raise PthetaError(f"{min(n, m)} image is too few for a kernel distance: give at least two")
    within_x = _sums(x, x, chunk) - kernel_diagonal(x)
    within_y = _sums(y, y, chunk) - kernel_diagonal(y)
    across_x, across_y = _sums(x, y, chunk), _sums(y, x, chunk)
    a = within_x / (n - 1) - across_x / m  # what x_i alone contributes
    b = within_y / (m - 1) - across_y / n
    # the cross term is in both halves, once each
    value = a.mean() + b.mean()
    error = 2 * (a.var() / n + b.var() / m).sqrt()
    return value.item(), error.item()


def kernel_diagonal(x: Tensor) -> Tensor:
    """k(x_i, x_i): (n,)"""
    return (x.double().square().sum(1) / x.shape[1] + 1) ** 3


def kernel_draws(x: Tensor, y: Tensor, boot: Bootstrap, chunk: int = 1024) -> Tensor:
    """The distance of each resample of x (fakes) and y (real): (REPEATS,).

    Pairs of one image with itself, which resamples have and samples have not, are left out.
    """
    n, m = len(x), len(y)
    v, w = boot.counts("fake"), boot.counts("real")

    def within(z: Tensor, u: Tensor) -> Tensor:
        own = u.square() @ kernel_diagonal(z)
        k = len(z)
        return ((_sums(z, z, chunk, u) * u).sum(1) - own) / (k * (k - 1))

    across = (_sums(y, x, chunk, v) * w).sum(1) / (n * m)
    return within(x, v) + within(y, w) - 2 * across


def _sums(x: Tensor, y: Tensor, chunk: int, weights: Tensor | None = None) -> Tensor:
    """sum_j k(x_i, y_j): (n,); with weights (R, m) each of R weighted sums: (R, n).

    chunk^2 kernels in memory.
    """
    rows = []
    for a in x.split(chunk):
        a = a.double()
        total = a.new_zeros(len(a) if weights is None else (len(weights), len(a)))
        for j, b in enumerate(y.split(chunk)):
            k = kernel(b.double(), a)
            part = slice(j * chunk, j * chunk + len(b))
            total += k.sum(0) if weights is None else weights[:, part] @ k
        rows.append(total)
    return torch.cat(rows, -1)
