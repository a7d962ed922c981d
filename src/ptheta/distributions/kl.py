"""KL divergences, in nats: of each dimension in closed form where there is one, else by a draw."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor

from ptheta.distributions.base import Distribution
from ptheta.distributions.latents import Normal, StandardNormal


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


def _to_standard_normal(q: Normal, p: StandardNormal) -> Tensor:
    return kl_standard_normal(q.mean, q.log_var)


def _to_normal(q: Normal, p: Normal) -> Tensor:
    return kl_normal(q.mean, q.log_var, p.mean, p.log_var)


# (q, p) -> KL(q || p) of each dimension, (B, L)
CLOSED_FORMS: dict[tuple[type[Distribution], type[Distribution]], Callable[..., Tensor]] = {
    (Normal, StandardNormal): _to_standard_normal,
    (Normal, Normal): _to_normal,
}


def kl_divergence(q: Distribution, p: Distribution, z: Tensor) -> Tensor:
    """KL(q || p) of each row: (B, L), a part for each dimension, by `CLOSED_FORMS`; for any other
    pair the unbiased estimate log q(z) - log p(z) in one part, (B, 1).

    z: a draw of each row of q, (B, L)
    """
    closed_form = CLOSED_FORMS.get((type(q), type(p)))
    if closed_form is not None:
        return closed_form(q, p)
    return (q.log_prob(z) - p.log_prob(z))[:, None]
