"""Divergences in closed form."""

from __future__ import annotations

from torch import Tensor


def kl_standard_normal(mean: Tensor, log_var: Tensor) -> Tensor:
    """KL(N(mean, exp(log_var)) || N(0, I)) = 1/2 sum(mean^2 + var - log var - 1): (B,) nats.

    mean, log_var: (B, L). Kingma & Welling 2014, appendix B (arXiv:1312.6114).
    """
    return 0.5 * (mean.square() + log_var.exp() - log_var - 1).sum(-1)


def log_standard_normal(z: Tensor) -> Tensor:
    """log N(z; 0, I), summed over the last axis, in nats."""
    return -0.5 * (z.square() + LOG_2PI).sum(-1)


def log_normal(z: Tensor, mean: Tensor, log_var: Tensor) -> Tensor:
    """log N(z; mean, exp(log_var)), summed over the last axis, in nats."""
    return -0.5 * ((z - mean).square() * (-log_var).exp() + log_var + LOG_2PI).sum(-1)


LOG_2PI = 1.8378770664093453
