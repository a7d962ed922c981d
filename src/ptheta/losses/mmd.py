"""Maximum mean discrepancy of two samples, to be minimised: pure functions of numbers.

    MMD^2 = E k(x, x') + E k(y, y') - 2 E k(x, y)

of independent x, x' of one distribution and y, y' of the other is the squared distance of their
mean embeddings (Gretton et al. 2012, JMLR 13:723): 0 for equal distributions alone, where the
kernel is characteristic. `measures/mmd.py` has it as a measure.

Kernels are functions of the squared distance in units of a length that the caller chooses, such as
the median distance of the data (`median_square`). Each is a sum of one kernel at several widths.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from ptheta.compute.precise import precise, wide

LEAST = 1e-12  # a squared distance below which two points are one


@dataclass(frozen=True)
class MMDKernel:
    """of(square, widths) -> k, of squared distances (n, m), summed over the widths: (n, m)

    about, traits, excludes: as of `config.Choice`
    """

    of: Callable[[Tensor, Sequence[float]], Tensor]
    about: str = ""
    traits: frozenset[str] = frozenset()
    excludes: Mapping[str, str] = field(default_factory=dict)


def gaussian(square: Tensor, widths: Sequence[float]) -> Tensor:
    """sum_w exp(-d^2 / (2 w^2)): Li et al. 2015, eq. 4 (arXiv:1502.02761)."""
    return _sum([torch.exp(square * (-0.5 / w**2)) for w in widths])


def rational_quadratic(square: Tensor, widths: Sequence[float]) -> Tensor:
    """sum_w (1 + d^2 / (2 w))^-w, a mixture of Gaussians over all bandwidths: Binkowski et al.
    2018, section 3 (arXiv:1801.01401), whose alpha is w."""
    return _sum([(1 + square / (2 * w)).pow(-w) for w in widths])


def inverse_multiquadric(square: Tensor, widths: Sequence[float]) -> Tensor:
    """sum_w w / (w + d^2): Tolstikhin et al. 2018, section 4 (arXiv:1711.01558). Its tails are
    heavy, so that points far from all others are still pulled."""
    return _sum([w / (w + square) for w in widths])


def energy(square: Tensor, widths: Sequence[float]) -> Tensor:
    """-d, of which MMD^2 is the energy distance 2 E|x - y| - E|x - x'| - E|y - y'| (Szekely & Rizzo
    2013). It has no width."""
    return -root(square)


def root(square: Tensor) -> Tensor:
    """The square root, whose gradient is 0 at 0."""
    apart = square > LEAST
    return torch.where(apart, torch.where(apart, square, 1.0).sqrt(), 0.0)


def _sum(parts: list[Tensor]) -> Tensor:
    found = parts[0]
    for part in parts[1:]:
        found = found + part
    return found


KERNELS: dict[str, MMDKernel] = {
    "gaussian": MMDKernel(gaussian, about="several bandwidths (1502.02761)"),
    "rational-quadratic": MMDKernel(
        rational_quadratic, about="several tail exponents (1801.01401)"
    ),
    "inverse-multiquadric": MMDKernel(
        inverse_multiquadric, about="several scales of squared distance (1711.01558)"
    ),
    "energy": MMDKernel(energy, about="minus the distance: the energy distance, without a width"),
}


def squares(x: Tensor, y: Tensor) -> Tensor:
    """|x_i - y_j|^2 of points (n, D) and (m, D): (n, m), by one matrix product. Both are moved to
    the middle of y first, since large numbers would cancel."""
    x, y = wide(x), wide(y)
    middle = y.detach().mean(0)
    x, y = x - middle, y - middle
    with precise(x.device):
        found = x.square().sum(1)[:, None] + y.square().sum(1) - 2 * x @ y.T
    return found.clamp_min(0.0)


@torch.no_grad()
def median_square(y: Tensor, most: int = 256) -> Tensor:
    """The median squared distance of two of the first points of y (M, D), the usual squared
    bandwidth: (). 1 where half of them are one point."""
    y = y[:most]
    pairs = torch.triu_indices(len(y), len(y), 1, device=y.device)
    found = squares(y, y)[pairs[0], pairs[1]]
    median = found.median() if len(found) else y.new_zeros(())
    return torch.where(median > LEAST, median, 1.0)


def mmd_terms(
    x: Tensor,
    y: Tensor,
    kernel: MMDKernel,
    widths: Sequence[float],
    unit: Tensor | float = 1.0,
    *,
    unbiased: bool = True,
) -> Tensor:
    """What each x_i contributes to MMD^2, of which the mean over i is MMD^2: (n,).

        1/(n-1) sum_{j != i} k(x_i, x_j) + 1/(m(m-1)) sum_{j != l} k(y_j, y_l)
            - 2/m sum_j k(x_i, y_j)

    Args:
        x, y: points (n, D) and (m, D), two or more of each where it is unbiased
        widths: of the kernel; unit: of squared distance that they are in
        unbiased: as above, so that it may be negative; else k(x_i, x_i) and k(y_j, y_j) are among
            the summands, which are divided by n and m^2, and it is a squared norm
    """
    n, m = len(x), len(y)
    xx, yy, xy = (kernel.of(squares(*pair) / unit, widths) for pair in ((x, x), (y, y), (x, y)))
    across = 2 * xy.mean(1)
    if not unbiased:
        return xx.mean(1) + yy.mean() - across
    of_x = (xx.sum(1) - xx.diagonal()) / (n - 1)
    of_y = (yy.sum() - yy.diagonal().sum()) / (m * (m - 1))
    return of_x + of_y - across


def root_of_mean(terms: Tensor) -> Tensor:
    """sqrt(MMD^2), whose gradient does not vanish with MMD: Li et al. 2015, section 3.2. Of each
    example the same, (n,); its gradient is finite at 0, where it is 0. terms: of a biased MMD^2"""
    return root(terms.mean()).expand(len(terms))
