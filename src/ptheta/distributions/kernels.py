"""Symmetric densities around 0 with scale 1, the kernels of mixtures; their mass between two
points, accurate in both tails."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.special import log_ndtr, ndtri

from ptheta.distributions.gaussian import LOG_2PI


@dataclass(frozen=True)
class Kernel:
    """log_density, log_cdf: nats; quantile: the inverse of the distribution function"""

    log_density: Callable[[Tensor], Tensor]
    log_cdf: Callable[[Tensor], Tensor]
    quantile: Callable[[Tensor], Tensor]


def _log_normal(t: Tensor) -> Tensor:
    return -0.5 * (t.square() + LOG_2PI)


def _log_logistic(t: Tensor) -> Tensor:
    return F.logsigmoid(t) + F.logsigmoid(-t)


KERNELS: dict[str, Kernel] = {
    "gaussian": Kernel(_log_normal, log_ndtr, ndtri),
    "logistic": Kernel(_log_logistic, F.logsigmoid, torch.logit),
}


def log_mass(kernel: Kernel, a: Tensor, b: Tensor) -> Tensor:
    """log of the probability of the numbers from a to b, a < b: nats.

    Mirrored into the lower half, where log_cdf keeps its precision: log F(b) - F(a) =
    log F(b) + log(1 - exp(log F(a) - log F(b))).
    """
    mirrored = a + b > 0
    low, high = torch.where(mirrored, -b, a), torch.where(mirrored, -a, b)
    log_low, log_high = kernel.log_cdf(low), kernel.log_cdf(high)
    least = 4 * torch.finfo(a.dtype).eps
    return log_high + _log1mexp((log_low - log_high).clamp(max=-least))


def _log1mexp(x: Tensor) -> Tensor:
    """log(1 - exp(x)) of x < 0 (Maechler 2012, "Accurately computing log(1 - exp(-|a|))")."""
    return torch.where(x > -math.log(2), (-torch.expm1(x)).log(), torch.log1p(-x.exp()))
