"""Divergences and log-densities of Gaussians in closed form, in nats."""

from __future__ import annotations

from torch import Tensor

LOG_2PI = 1.8378770664093453


def kl_standard_normal(mean: Tensor, log_var: Tensor) -> Tensor:
    """KL(N(mean, exp(log_var)) || N(0, 1)) = 1/2 (mean^2 + var - log var - 1) of each dimension.

    mean, log_var: (B, L). Returns (B, L). Kingma & Welling 2014, appendix B (arXiv:1312.6114).
    """
    return 0.5 * (mean.square() + log_var.exp() - log_var - 1)


def kl_normal(mean: Tensor, log_var: Tensor, mean_p: Tensor, log_var_p: Tensor) -> Tensor:
    """KL(N(mean, exp(log_var)) || N(mean_p, exp(log_var_p))) of each dimension.

    1/2 (log var_p - log var + (var + (mean - mean_p)^2) / var_p - 1). All (B, L), as the result.
    """
    square = (mean - mean_p).square() + log_var.exp()
    return 0.5 * (log_var_p - log_var + square * (-log_var_p).exp() - 1)


def log_standard_normal(z: Tensor) -> Tensor:
    """log N(z; 0, I), summed over the last axis."""
    return -0.5 * (z.square() + LOG_2PI).sum(-1)


def log_normal(z: Tensor, mean: Tensor, log_var: Tensor) -> Tensor:
    """log N(z; mean, exp(log_var)), summed over the last axis."""
    return -0.5 * ((z - mean).square() * (-log_var).exp() + log_var + LOG_2PI).sum(-1)
