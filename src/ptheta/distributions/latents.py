"""Distributions of codes z: posteriors q(z | x) and priors p(z) of latent-variable models."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from typing import Any, NamedTuple

import torch
from torch import Tensor

from ptheta.compute import streams
from ptheta.distributions.gaussian import (
    kl_normal,
    kl_standard_normal,
    log_normal,
    log_standard_normal,
)
from ptheta.errors import PthetaError

ACTIVE_VARIANCE = 0.01  # of a posterior mean over the data
ACTIVE_KL = 0.1  # nats, mean over the data


def active_by_variance(means: Tensor) -> Tensor:
    """Which dimensions move with the image: Var over x of the posterior mean above 0.01 (Burda et
    al. 2016, section 5.2, arXiv:1509.00519). means: (N, L) -> bool (L,)."""
    return means.var(0) > ACTIVE_VARIANCE


def active_by_kl(kl: Tensor) -> Tensor:
    """Which dimensions carry information: mean KL(q(z_j | x) || N(0, 1)), which bounds it, above
    0.1 nats; kl: (N, L) -> bool (L,).

    A mean with a variance of 0.01 may carry 0.005 nats, next to nothing, and counts by variance
    alone. A bound on the KL is how Lucas et al. 2019 define a collapsed dimension (section 5.2,
    arXiv:1911.02469).
    """
    return kl.mean(0) > ACTIVE_KL


class Posterior(NamedTuple):
    """q(z | x) = N(mean, exp(log_var)); both (B, L)."""

    mean: Tensor
    log_var: Tensor

    def active(self) -> dict[str, Tensor]:
        """How many dimensions are used, to be logged: by variance and KL, and by variance alone."""
        q = self.detach()
        moves, carries = active_by_variance(q.mean), active_by_kl(kl_standard_normal(*q))
        return {
            "active_units": (moves & carries).sum().float(),
            "active_by_variance": moves.sum().float(),
        }

    def sample(self) -> Tensor:
        """One z for each x, differentiable in the parameters: (B, L)."""
        return self.mean + torch.exp(0.5 * self.log_var) * streams.normal_like(self.mean)

    def log_prob(self, z: Tensor) -> Tensor:
        """(B, L) -> (B,) nats."""
        return log_normal(z, self.mean, self.log_var)

    def repeat(self, k: int) -> Posterior:
        """k copies, one after the other: (k B, L)."""
        return Posterior(self.mean.repeat(k, 1), self.log_var.repeat(k, 1))

    def detach(self) -> Posterior:
        return Posterior(self.mean.detach(), self.log_var.detach())


class Prior(ABC):
    """p(z), or p(z | y) with a row for each example."""

    @abstractmethod
    def log_prob(self, z: Tensor) -> Tensor:
        """(B, L) -> (B,) nats."""

    @abstractmethod
    def sample(self, n: int) -> Tensor:
        """(n, L)"""

    def kl(self, q: Posterior, z: Tensor) -> Tensor:
        """KL(q || p), (B, parts) nats: of each dimension in closed form where there is one; else
        the estimate log q(z) - log p(z) with the z given, in one part."""
        return (q.log_prob(z) - self.log_prob(z))[:, None]

    def repeat(self, k: int) -> Prior:
        """For k copies of the examples, one after the other."""
        return self


class StandardNormal(Prior):
    """N(0, I) in `latent` dimensions."""

    def __init__(self, latent: int, device: torch.device) -> None:
        self.latent, self.device = latent, device

    def log_prob(self, z: Tensor) -> Tensor:
        return log_standard_normal(z)

    def sample(self, n: int) -> Tensor:
        return streams.normal(n, self.latent, device=self.device)

    def kl(self, q: Posterior, z: Tensor) -> Tensor:
        return kl_standard_normal(q.mean, q.log_var)


class Normal(Prior):
    """N(mean, exp(log_var)) of each example; both (B, L)."""

    def __init__(self, mean: Tensor, log_var: Tensor) -> None:
        self.each = Posterior(mean, log_var)

    def log_prob(self, z: Tensor) -> Tensor:
        return self.each.log_prob(z)

    def sample(self, n: int) -> Tensor:
        return self.each.sample()

    def kl(self, q: Posterior, z: Tensor) -> Tensor:
        return kl_normal(q.mean, q.log_var, self.each.mean, self.each.log_var)

    def repeat(self, k: int) -> Prior:
        return Normal(*self.each.repeat(k))


class Mixture(Prior):
    """1/K sum_k N(mean_k, exp(log_var_k)); both (K, L)."""

    def __init__(self, mean: Tensor, log_var: Tensor) -> None:
        self.parts = Posterior(mean, log_var)

    def log_prob(self, z: Tensor) -> Tensor:
        each = log_normal(z[:, None], self.parts.mean, self.parts.log_var)  # (B, K)
        return each.logsumexp(1) - math.log(each.shape[1])

    def sample(self, n: int) -> Tensor:
        k = streams.integers(0, len(self.parts.mean), n, device=self.parts.mean.device)
        return Posterior(self.parts.mean[k], self.parts.log_var[k]).sample()


class Flow(Prior):
    """What a zuko flow gives (pip install 'ptheta[flows]')."""

    def __init__(self, distribution: Any) -> None:
        self.distribution = distribution

    def log_prob(self, z: Tensor) -> Tensor:
        return self.distribution.log_prob(z)

    def sample(self, n: int) -> Tensor:
        return self.distribution.rsample((n,))


def masked_flow(latent: int, transforms: int, hidden: int) -> Any:
    """A masked autoregressive flow over codes (Papamakarios et al. 2017, arXiv:1705.07057) as a
    module that returns its distribution. Raises PthetaError where zuko is not installed.
    """
    try:
        from zuko.flows import MAF
    except ImportError:
        raise PthetaError("a flow prior needs the extra: pip install 'ptheta[flows]'") from None
    return MAF(features=latent, transforms=transforms, hidden_features=(hidden, hidden))
