"""What a Gaussian says of numbers that damage was done to: the best linear estimate of them.

Damage is known by its first two moments given what it is done to, and is independent from number to
number. Then the estimate with the smallest mean squared error among those that are linear in what
is seen needs no more than mean and covariance (Wiener 1949; Kay 1993, theorem 12.1). Where the
numbers are Gaussian and the damage is Gaussian noise, and nothing is clipped, it is the posterior
mean.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from ptheta.distributions.incomplete import Law

NODES = 64  # of the quadrature over what a number may be
LEAST = 1e-9  # variance of what is seen, beside that of the law: white - black = 1

Moments = Callable[[Tensor], tuple[Tensor, Tensor]]  # u in [0, 1] -> E y, E y^2 given u


class Seen(NamedTuple):
    """What damage makes of numbers v, to second order: y = mean + gain (v - E v) + e, where e has
    the variance `rest` and nothing to do with v. (D,) each"""

    mean: Tensor
    gain: Tensor
    rest: Tensor


def seen(mean: Tensor, variance: Tensor, moments: Moments) -> Seen:
    """Of numbers of these means and variances, (D,) each, which lie in [0, 1]: their law is taken
    for a Gaussian that is clipped there."""
    nodes, weights = (
        torch.from_numpy(a).to(mean) for a in np.polynomial.hermite_e.hermegauss(NODES)
    )
    weights = weights / weights.sum()
    u = (mean + variance.sqrt() * nodes[:, None]).clamp(0, 1)  # (NODES, D)
    first, second = moments(u)

    def expected(values: Tensor) -> Tensor:
        return weights @ values

    at, damaged = expected(u), expected(first)
    spread = expected((u - at).square())
    gain = expected((u - at) * (first - damaged)) / spread.clamp_min(LEAST)
    rest = expected(second) - damaged.square() - gain.square() * spread
    return Seen(damaged + gain * (mean - at), gain, rest.clamp_min(0.0) + LEAST)


def estimate(law: Law, y: Tensor, found: Seen) -> Tensor:
    """The numbers, of this law, of which y (B, D) is seen: (B, D)."""
    towards = law.covariance * found.gain  # Cov(v, y)
    within = towards * found.gain[:, None] + found.rest.diag()
    factor = torch.linalg.cholesky(within)
    weights = torch.cholesky_solve(towards.T, factor)  # (D, D), of y - E y
    return law.mean + (y - found.mean) @ weights
