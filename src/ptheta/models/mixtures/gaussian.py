"""A Gaussian of the sub-pixels, by maximum likelihood in closed form: right to second order.

It sees dequantised images in units of a level: level k becomes k + u, u uniform in [0, 1). The
noise is not drawn in fitting: it adds 1/2 to the mean and 1/12 to every variance (Sheppard 1898).
The density is then a bound on the probability of an image (Theis et al. 2016, arXiv:1511.01844).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Annotated

import torch
from torch import Tensor, nn

from ptheta.batch import Batch, Condition
from ptheta.compute import streams
from ptheta.conditions import ConditionSpec
from ptheta.config import AtLeastZero, OneOf, option
from ptheta.distributions.dequantisation import dequantise
from ptheta.distributions.gaussian import LOG_2PI
from ptheta.models.base import ImageModel
from ptheta.models.graph import Graph, Variable
from ptheta.models.mixtures.covariance import COVARIANCES, moments, wide
from ptheta.models.recipes import Recipes
from ptheta.specs import ImageSpec, from_levels, full, to_levels

BIN = 1 / 12  # the variance of dequantisation, in units of a level


@dataclass(frozen=True)
class GaussianConfig:
    covariance: Annotated[str, OneOf(COVARIANCES)] = option("full", "what is kept of it")
    ridge: AtLeastZero = option(
        0.0, "added to every variance, levels squared; dequantisation adds 1/12 in any case"
    )


class Gaussian(ImageModel):
    """p(k + u) = N(mean, F F^T). Samples are rounded to levels; a density of real numbers gives an
    image a bound on its probability."""

    def __init__(
        self, spec: ImageSpec, config: GaussianConfig, condition: ConditionSpec | None = None
    ) -> None:
        super().__init__(spec, config, condition)
        self.config = config
        self.kind = COVARIANCES[config.covariance]
        mean, factor = torch.full((spec.dims,), spec.levels / 2), self.kind.identity(spec.dims)
        self.mean = nn.Parameter(mean, requires_grad=False)
        self.factor = nn.Parameter(factor * spec.levels / 4, requires_grad=False)

    def fit(self, batches: Iterable[Batch]) -> Iterator[dict[str, float]]:
        """One pass. Gives -ELBO of the training images, nats/image."""
        found = moments((self.levels_of(batch.x) for batch in batches), self.kind)
        dims, ridge = self.spec.dims, self.config.ridge
        wider = (BIN + ridge) * self.kind.identity(dims).to(found.covariance)
        factor = self.kind.factor(found.covariance + wider)
        self.mean.copy_(found.mean + 0.5)
        self.factor.copy_(factor)
        # E |F^-1 (x - mean)|^2 = tr(C^-1 (C - ridge I)) = D - ridge tr C^-1
        distance = dims - ridge * self.kind.inverse_trace(factor, dims)
        density = -0.5 * (dims * LOG_2PI + distance) - self.kind.log_det(factor, dims)
        yield {"negative_elbo": -density.item()}

    def levels_of(self, x: Tensor) -> Tensor:
        """The level of every sub-pixel, float64 (B, D)."""
        k = to_levels(self.spec.check(x), self.spec.levels).flatten(1)
        return wide(k)

    def log_density(self, v: Tensor) -> Tensor:
        """log N(v; mean, F F^T) of dequantised images in units of a level: (B, D) -> (B,) nats,
        float64."""
        factor, mean = wide(self.factor), wide(self.mean)
        unit = self.kind.solve(factor, wide(v) - mean)
        distance = 0.5 * (unit.square() + LOG_2PI).sum(1)
        return -distance - self.kind.log_det(factor, self.spec.dims)

    def elbo(self, x: Tensor, condition: Condition | None = None) -> Tensor:
        return self.importance_bound(x, 1)

    def bound_terms(self, x: Tensor, condition: Condition | None = None) -> dict[str, Tensor]:
        return {"negative_log_density": -self.elbo(x)}

    def importance_bound(self, x: Tensor, k: int, condition: Condition | None = None) -> Tensor:
        self.spec.check(x)
        levels = self.spec.levels
        drawn = (dequantise(x, levels).mul(levels).flatten(1) for _ in range(k))
        each = torch.stack([self.log_density(v) for v in drawn])
        return (each.logsumexp(0) - math.log(k)).to(full(self.mean).dtype)

    def sample(self, n: int, condition: Condition | None = None) -> Tensor:
        noise = wide(streams.normal(n, self.spec.dims, device=self.mean.device))
        v = wide(self.mean) + self.kind.apply(wide(self.factor), noise)
        k = v.floor().clamp(0, self.spec.levels - 1)
        return from_levels(k, self.spec.levels).view(n, *self.spec.shape)

    def graph(self) -> Graph:
        law = f"image {self.spec}: one Gaussian, {self.config.covariance} covariance"
        return Graph((Variable("x", "observed", law),), ())


RECIPES: Recipes = {
    "default": {
        "about": "mean and full covariance, by one pass over the data",
        "model": {},
        "train": {"batch_size": 512, "epochs": 1.0, "log_every": 1},
    },
    "ridge": {
        "about": "the same with a ridge, for pixels that are constant in most images",
        "model": {"ridge": 1.0},
        "train": {"batch_size": 512, "epochs": 1.0, "log_every": 1},
    },
    "independent": {
        "about": "mean and variance of every sub-pixel",
        "model": {"covariance": "diagonal"},
        "train": {"batch_size": 512, "epochs": 1.0, "log_every": 1},
    },
}
