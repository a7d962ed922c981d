"""Distributions of codes z: posteriors q(z | x) and priors p(z), or p(z | y)."""

from __future__ import annotations

import math
from abc import abstractmethod
from dataclasses import dataclass, replace
from typing import Protocol, Self

import torch
from torch import Tensor

from ptheta.compute import streams
from ptheta.distributions.base import Distribution
from ptheta.distributions.gaussian import LOG_2PI, log_normal, log_standard_normal


class LatentDistribution(Distribution):
    """log_prob: (B, L) -> (B,); sample: (B, L), differentiable in the parameters."""

    @abstractmethod
    def expand(self, n: int) -> Self:
        """n rows, the i-th as row i modulo the rows there are."""


@dataclass(frozen=True, eq=False)
class Normal(LatentDistribution):
    """N(mean, exp(log_var)) with independent dimensions; both (B, L)."""

    mean: Tensor
    log_var: Tensor

    def sample(self) -> Tensor:
        """Reparameterised (Kingma & Welling 2014, arXiv:1312.6114): mean + sigma e."""
        return self.mean + torch.exp(0.5 * self.log_var) * streams.normal_like(self.mean)

    def log_prob(self, z: Tensor) -> Tensor:
        return log_normal(z, self.mean, self.log_var)

    def expand(self, n: int) -> Self:
        k = n // len(self.mean)
        return replace(self, mean=self.mean.repeat(k, 1), log_var=self.log_var.repeat(k, 1))

    def detach(self) -> Self:
        return replace(self, mean=self.mean.detach(), log_var=self.log_var.detach())


@dataclass(frozen=True, eq=False)
class StandardNormal(LatentDistribution):
    """N(0, I) in `latent` dimensions, the same for all `rows`."""

    latent: int
    device: torch.device
    rows: int = 1

    def log_prob(self, z: Tensor) -> Tensor:
        return log_standard_normal(z)

    def sample(self) -> Tensor:
        return streams.normal(self.rows, self.latent, device=self.device)

    def expand(self, n: int) -> Self:
        return replace(self, rows=n)


@dataclass(frozen=True, eq=False)
class Mixture(LatentDistribution):
    """1/K sum_k N(mean_k, exp(log_var_k)), the same for all `rows`; components: the K Gaussians."""

    components: Normal
    rows: int = 1

    def log_prob(self, z: Tensor) -> Tensor:
        each = log_normal(z[:, None], self.components.mean, self.components.log_var)  # (B, K)
        return each.logsumexp(1) - math.log(each.shape[1])

    def sample(self) -> Tensor:
        mean, log_var = self.components.mean, self.components.log_var
        k = streams.integers(0, len(mean), self.rows, device=mean.device)
        return Normal(mean[k], log_var[k]).sample()

    def expand(self, n: int) -> Self:
        return replace(self, rows=n)


@dataclass(frozen=True, eq=False)
class GaussianMixture(LatentDistribution):
    """sum_k weight_k N(mean_k, factor_k factor_k^T), the same for all `rows`.

    weights: (K,); means: (K, L); factors: lower Cholesky factors of the covariances, (K, L, L)
    """

    weights: Tensor
    means: Tensor
    factors: Tensor
    rows: int = 1

    def log_prob(self, z: Tensor) -> Tensor:
        centred = (z[:, None] - self.means)[..., None]  # (B, K, L, 1)
        unit = torch.linalg.solve_triangular(self.factors, centred, upper=False)[..., 0]
        log_det = self.factors.diagonal(dim1=1, dim2=2).log().sum(1)
        each = -0.5 * (unit.square() + LOG_2PI).sum(2) - log_det
        return torch.logsumexp(each + self.weights.log(), 1)

    def sample(self) -> Tensor:
        k = torch.multinomial(self.weights, self.rows, replacement=True)
        means = self.means[k]
        return means + (self.factors[k] @ streams.normal_like(means)[..., None])[..., 0]

    def expand(self, n: int) -> Self:
        return replace(self, rows=n)


class FlowDistribution(Protocol):
    """The distribution returned by a flow of zuko."""

    def log_prob(self, x: Tensor) -> Tensor:
        """(B, L) -> (B,) nats."""
        ...

    def rsample(self, shape: torch.Size) -> Tensor:
        """(*shape, L), differentiable."""
        ...


@dataclass(frozen=True, eq=False)
class Flow(LatentDistribution):
    """What a zuko flow gives (pip install 'ptheta[flows]'), the same for all `rows`."""

    distribution: FlowDistribution
    rows: int = 1

    def log_prob(self, z: Tensor) -> Tensor:
        return self.distribution.log_prob(z)

    def sample(self) -> Tensor:
        return self.distribution.rsample(torch.Size((self.rows,)))

    def expand(self, n: int) -> Self:
        return replace(self, rows=n)
