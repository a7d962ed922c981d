"""Kernel distance: unbiased squared MMD (arXiv:0805.2368), float64; with the cubic kernel it is KID
(arXiv:1801.01401)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from ptheta.errors import PthetaError
from ptheta.measures.intervals import Groups, draws
from ptheta.measures.results import Draws


@dataclass(frozen=True)
class Kernel:
    """A kernel. of: k(x, y) of points (n, d) and (m, d): (n, m); diagonal: k(x_i, x_i), (n,)"""

    of: Callable[[Tensor, Tensor], Tensor]
    diagonal: Callable[[Tensor], Tensor]


def cubic(x: Tensor, y: Tensor) -> Tensor:
    """k(x, y) = (x . y / d + 1)^3 of features (n, d) and (m, d): (n, m)."""
    return (x @ y.T / x.shape[1] + 1) ** 3


def cubic_diagonal(x: Tensor) -> Tensor:
    """k(x_i, x_i): (n,)"""
    return (x.double().square().sum(1) / x.shape[1] + 1) ** 3


CUBIC = Kernel(cubic, cubic_diagonal)


def gaussian(bandwidth: float) -> Kernel:
    """k(x, y) = exp(-|x - y|^2 / (2 bandwidth^2)): 1 for equal points, 0 far away."""

    def of(x: Tensor, y: Tensor) -> Tensor:
        return torch.exp(torch.cdist(x, y).square_().mul_(-0.5 / bandwidth**2))

    return Kernel(of, lambda x: torch.ones(len(x), dtype=torch.float64))


def kernel_distance(
    x: Tensor, y: Tensor, chunk: int = 1024, kernel: Kernel = CUBIC
) -> tuple[float, float]:
    """(MMD^2, its standard error) of features (n, d) and (m, d); all pairs, a chunk at a time.

    MMD^2 = sum_{i != j} k(x_i, x_j) / n(n-1) + the same of y - 2 mean k(x_i, y_j): unbiased for any
    n and m, so it may be negative. The error is that of the first-order terms of the U-statistic;
    for equal distributions, where these vanish, the noise of their estimates remains and the error
    is conservative.
    """
    n, m = len(x), len(y)
    ones = torch.ones(n, 1), torch.ones(m, 1)
    within_x, within_y, across = _sums(x, y, *ones, chunk, kernel)
    a = within_x[:, 0] / (n - 1) - across[:, 0] / m  # contribution of each x_i
    of_y = _across(y, x, torch.ones(n, 1), chunk, kernel)[:, 0]
    b = within_y[:, 0] / (m - 1) - of_y / n
    error = 2 * (a.var() / n + b.var() / m).sqrt()
    # half of the cross term is in each
    return (a.mean() + b.mean()).item(), error.item()


def kernel_draws(
    x: Tensor,
    y: Tensor,
    fakes: Groups,
    reals: Groups,
    chunk: int = 1024,
    kernel: Kernel = CUBIC,
) -> tuple[float, Draws | None]:
    """MMD^2 of x (fake) and y (real), and its leave-one-group-out values; None for too few images,
    or if fewer than two images remain without a group."""
    n, m = len(x), len(y)
    within_x, within_y, across = _sums(x, y, fakes.member, reals.member, chunk, kernel)
    # sums over the pairs of two groups
    xx, yy, xy = fakes.member.T @ within_x, reals.member.T @ within_y, fakes.member.T @ across
    of_x, of_y, mean = xx.sum() / (n * (n - 1)), yy.sum() / (m * (m - 1)), xy.sum() / (n * m)
    value = (of_x + of_y - 2 * mean).item()
    if not (fakes.count and reals.count and min(fakes.left.min(), reals.left.min()) >= 2):
        return value, None
    found = draws(
        _without(xx, fakes.left) + of_y - 2 * (xy.sum() - xy.sum(1)) / (fakes.left * m),
        of_x + _without(yy, reals.left) - 2 * (xy.sum() - xy.sum(0)) / (n * reals.left),
    )
    return value, found


def _without(blocks: Tensor, left: Tensor) -> Tensor:
    """Leave-one-group-out means over pairs of images, from sums over the pairs of two groups
    (G, G)."""
    rest = blocks.sum() - blocks.sum(0) - blocks.sum(1) + blocks.diagonal()
    return rest / (left * (left - 1))


def _sums(
    x: Tensor, y: Tensor, of_x: Tensor, of_y: Tensor, chunk: int, kernel: Kernel
) -> tuple[Tensor, Tensor, Tensor]:
    """Sums of kernels of each image with those of each group, without itself: of x and x, y and y,
    x and y, for group memberships of_x (n, G) and of_y (m, H)."""
    if min(len(x), len(y)) < 2:
        n = min(len(x), len(y))
        raise PthetaError(f"{n} image is too few for a kernel distance: give at least two")
    within = within_groups(x, of_x, kernel, chunk), within_groups(y, of_y, kernel, chunk)
    return *within, _across(x, y, of_y, chunk, kernel)


def within_groups(x: Tensor, member: Tensor, kernel: Kernel, chunk: int = 1024) -> Tensor:
    """sum of k(x_i, x_j) over the j != i of each group: (n, G). Only half of the blocks of the
    symmetric kernel matrix are computed."""
    member = member.double()
    found = -kernel.diagonal(x)[:, None] * member
    starts = range(0, len(x), chunk)
    for i in starts:
        a = x[i : i + chunk].double()
        rows = slice(i, i + len(a))
        for j in starts:
            if j < i:
                continue
            b = x[j : j + chunk].double()
            columns = slice(j, j + len(b))
            k = kernel.of(a, b)
            found[rows] += k @ member[columns]
            if j > i:
                found[columns] += k.T @ member[rows]
    return found


def _across(x: Tensor, y: Tensor, member: Tensor, chunk: int, kernel: Kernel) -> Tensor:
    """sum of k(x_i, y_j) over the j of each group: (n, H)."""
    member = member.double()
    found = member.new_zeros(len(x), member.shape[1])
    for i in range(0, len(x), chunk):
        a = x[i : i + chunk].double()
        for j in range(0, len(y), chunk):
            b = y[j : j + chunk].double()
            found[i : i + len(a)] += kernel.of(a, b) @ member[j : j + len(b)]
    return found
