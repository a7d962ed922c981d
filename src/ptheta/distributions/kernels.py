"""Symmetric densities around 0, of scale 1, that mixtures are made of; what lies between two
points, exactly in both tails."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.special import log_ndtr, ndtri

from ptheta.distributions.gaussian import LOG_2PI

FAR_TAIL = -20.0  # nats
NEWTON = 5  # steps: the start is good to a few parts in a hundred


@dataclass(frozen=True)
class Kernel:
    """log_density, log_cdf: nats; quantile: the inverse of log_cdf, of nats"""

    log_density: Callable[[Tensor], Tensor]
    log_cdf: Callable[[Tensor], Tensor]
    quantile: Callable[[Tensor], Tensor]


def _log_normal(t: Tensor) -> Tensor:
    return -0.5 * (t.square() + LOG_2PI)


def _normal_quantile(log_p: Tensor) -> Tensor:
    """In the far tail, where p itself is next to nothing, by Newton's method on log p."""
    t = -(-2 * log_p).sqrt()
    for _ in range(NEWTON):
        t = t - (log_ndtr(t) - log_p) * (log_ndtr(t) - _log_normal(t)).exp()
    return torch.where(log_p > FAR_TAIL, ndtri(log_p.clamp(min=FAR_TAIL).exp()), t)


def _log_logistic(t: Tensor) -> Tensor:
    return F.logsigmoid(t) + F.logsigmoid(-t)


def _logistic_quantile(log_p: Tensor) -> Tensor:
    return log_p - _log1mexp(log_p)


KERNELS: dict[str, Kernel] = {
    "gaussian": Kernel(_log_normal, log_ndtr, _normal_quantile),
    "logistic": Kernel(_log_logistic, F.logsigmoid, _logistic_quantile),
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


def quantile_between(kernel: Kernel, u: Tensor, a: Tensor, b: Tensor) -> Tensor:
    """The number from a to b below which is the share u of the mass between them, 0 < u < 1."""
    mirrored = a + b > 0
    low, high = torch.where(mirrored, -b, a), torch.where(mirrored, -a, b)
    share = torch.where(mirrored, 1 - u, u)
    log_low, log_high = kernel.log_cdf(low), kernel.log_cdf(high)
    below = (share + (1 - share) * (log_low - log_high).exp()).log()
    t = kernel.quantile((log_high + below).clamp(max=-torch.finfo(a.dtype).tiny))
    t = torch.maximum(torch.minimum(t, high), low)
    return torch.where(mirrored, -t, t)
