"""Kernel distance: unbiased squared MMD with a cubic kernel (KID, arXiv:1801.01401), float64."""

from __future__ import annotations

from torch import Tensor

from ptheta.errors import PthetaError


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
    x, y = x.double(), y.double()
    within_x = _row_sums(x, x, chunk) - kernel_diagonal(x)
    within_y = _row_sums(y, y, chunk) - kernel_diagonal(y)
    across_x, across_y = _row_sums(x, y, chunk), _row_sums(y, x, chunk)
    a = within_x / (n - 1) - across_x / m  # what x_i alone contributes
    b = within_y / (m - 1) - across_y / n
    # the cross term is in both halves, once each
    value = a.mean() + b.mean()
    error = 2 * (a.var() / n + b.var() / m).sqrt()
    return value.item(), error.item()


def kernel_diagonal(x: Tensor) -> Tensor:
    """k(x_i, x_i): (n,)"""
    return (x.square().sum(1) / x.shape[1] + 1) ** 3


def _row_sums(x: Tensor, y: Tensor, chunk: int) -> Tensor:
    """sum_j k(x_i, y_j): (n,), with n * chunk kernels in memory."""
    total = x.new_zeros(len(x))
    for part in y.split(chunk):
        total += kernel(x, part).sum(1)
    return total
