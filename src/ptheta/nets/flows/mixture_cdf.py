"""The CDF of a mixture of logistics on the scale of logits, a bijection of the real line.

With F(x) = sum_k pi_k sigmoid((x - m_k) / s_k) and f its density

    y = logit F(x),    dy/dx = f(x) / (F(x) (1 - F(x)))

(Ho et al. 2019, arXiv:1902.00275). All of it is computed from logarithms, so that it is exact in
both tails, where y grows as x / s of the widest component.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid

BISECTIONS = 30  # the bracket of a number shrinks by 2**-30: below the precision of 32 bits


class Mixture(NamedTuple):
    """Components along dimension 1, (B, K, ...), or (1, K, ...) for all examples.

    log_weight: log pi, normalised; mean: m; log_scale: log s
    """

    log_weight: Tensor
    mean: Tensor
    log_scale: Tensor


def forward(x: Tensor, of: Mixture) -> tuple[Tensor, Tensor]:
    """x (B, ...) -> y and log dy/dx of each number."""
    a = (x[:, None] - of.mean) * (-of.log_scale).exp()
    below = of.log_weight + logsigmoid(a)  # log pi_k F_k; that of 1 - F_k is less by a
    log_f = (2 * below - a - of.log_weight - of.log_scale).logsumexp(1)
    log_below, log_above = below.logsumexp(1), (below - a).logsumexp(1)
    return log_below - log_above, log_f - log_below - log_above


def value(x: Tensor, of: Mixture) -> Tensor:
    """y alone."""
    a = (x[:, None] - of.mean) * (-of.log_scale).exp()
    below = of.log_weight + logsigmoid(a)
    return below.logsumexp(1) - (below - a).logsumexp(1)


def inverse(y: Tensor, of: Mixture) -> Tensor:
    """x of y, by bisection: it lies between the places at which the components alone have F = y."""
    ends = of.mean + of.log_scale.exp() * y[:, None]
    low, high = ends.amin(1), ends.amax(1)
    for _ in range(BISECTIONS):
        middle = (low + high) / 2
        short = value(middle, of) < y
        low, high = torch.where(short, middle, low), torch.where(short, high, middle)
    return (low + high) / 2
