"""Log-densities of Gaussians, in nats."""

from __future__ import annotations

from torch import Tensor

LOG_2PI = 1.8378770664093453


def log_standard_normal(z: Tensor) -> Tensor:
    """log N(z; 0, I), summed over the last axis."""
    return -0.5 * (z.square() + LOG_2PI).sum(-1)


def log_normal(z: Tensor, mean: Tensor, log_var: Tensor) -> Tensor:
    """log N(z; mean, exp(log_var)), summed over the last axis."""
    return -0.5 * ((z - mean).square() * (-log_var).exp() + log_var + LOG_2PI).sum(-1)
