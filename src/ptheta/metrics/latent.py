"""Diagnostics of latent codes for a model with a posterior: active units, KL of each dimension, and
the distance of the aggregate posterior q(z) = E_x q(z | x) from the prior."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ptheta.batch import joined
from ptheta.capabilities import Encodes, HasPosterior, HasPrior
from ptheta.compute.streams import seeded
from ptheta.data.dataset import Dataset
from ptheta.data.turns import in_turn
from ptheta.distributions.active_units import ACTIVE_KL, ACTIVE_VARIANCE
from ptheta.distributions.kl import kl_standard_normal
from ptheta.errors import PthetaError
from ptheta.measures.kernel import kernel_distance
from ptheta.metrics.likelihood import batches
from ptheta.tasks.needs import require


@dataclass(frozen=True)
class LatentReport:
    """Statistics of the codes, by dimension.

    kl: mean KL(q(z_j | x) || N(0, 1)) of each dimension, nats; mean_variance: Var over x of its
        posterior mean; aggregate_mean, aggregate_variance: of q(z); all (L,)
    distance, error: squared MMD between samples of q(z) and of the prior; NaN without a prior
    codes, drawn: (n, L) samples of q(z) and of the prior (None without a prior)
    """

    kl: Tensor
    mean_variance: Tensor
    aggregate_mean: Tensor
    aggregate_variance: Tensor
    distance: float
    error: float
    codes: Tensor
    drawn: Tensor | None

    @property
    def active(self) -> int:
        """Number of active units by both criteria: variance of the posterior mean, and KL."""
        return int(((self.mean_variance > ACTIVE_VARIANCE) & (self.kl > ACTIVE_KL)).sum())

    @property
    def active_by_variance(self) -> int:
        """Number of active units by the variance of the posterior mean only."""
        return int((self.mean_variance > ACTIVE_VARIANCE).sum())

    def activity(self) -> str:
        """A sentence about the number of active units."""
        return (
            f"{self.active} of {len(self.kl)} units active: KL above {ACTIVE_KL} nats and "
            f"variance of the mean above {ACTIVE_VARIANCE} ({self.active_by_variance} by the "
            f"variance alone); KL {float(self.kl.sum()):.2f} nats in all"
        )

    def order(self) -> list[int]:
        """The dimensions, the one with the largest KL first."""
        return torch.argsort(self.kl, descending=True).tolist()

    def to_json(self) -> dict[str, object]:
        return {
            "dimensions": len(self.kl),
            "active_units": self.active,
            "active_by_variance": self.active_by_variance,
            "active_thresholds": {"kl": ACTIVE_KL, "mean_variance": ACTIVE_VARIANCE},
            "kl": self.kl.tolist(),
            "mean_variance": self.mean_variance.tolist(),
            "aggregate_mean": self.aggregate_mean.tolist(),
            "aggregate_variance": self.aggregate_variance.tolist(),
            "aggregate_to_prior_mmd2": [self.distance, self.error],
            "images": len(self.codes),
        }


@torch.no_grad()
def codes(model: nn.Module, data: Dataset, n: int, batch_size: int = 500) -> Tensor:
    """The codes of the first n images, (n, L). Raises PthetaError if the model cannot encode."""
    coder = require(model, Encodes, "encode images")
    if n < 1:
        raise PthetaError(f"n = {n}: ask for at least one image")
    some = in_turn(data.with_fixed_binarisation()).subset(slice(0, n))
    return torch.cat(
        [coder.encode(x, y).float().cpu() for x, y in batches(model, some, batch_size)]
    )


@torch.no_grad()
def latent_report(model: nn.Module, data: Dataset, *, n: int = 2000, seed: int = 0) -> LatentReport:
    """Compute the statistics on the first n images. Raises PthetaError if the model has no
    posterior."""
    if n < 2:
        raise PthetaError(f"n = {n}: ask for at least two images")
    encoder = require(model, HasPosterior, "say how its codes are used")
    some = in_turn(data.with_fixed_binarisation()).subset(slice(0, n))
    found = [(encoder.posterior(x, y), y) for x, y in batches(model, some, 500)]
    mean = torch.cat([q.mean for q, _ in found]).float().cpu()
    log_var = torch.cat([q.log_var for q, _ in found]).float().cpu()
    given = [y for _, y in found if y is not None]
    with seeded(seed):
        z = mean + (0.5 * log_var).exp() * torch.randn_like(mean)
        drawn = None
        if isinstance(model, HasPrior):
            drawn = model.sample_latent(len(z), joined(given) if given else None).float().cpu()
    distance, error = kernel_distance(z, drawn) if drawn is not None else (float("nan"),) * 2
    return LatentReport(
        kl=kl_standard_normal(mean, log_var).mean(0),
        mean_variance=mean.var(0),
        aggregate_mean=z.mean(0),
        aggregate_variance=z.var(0),
        distance=distance,
        error=error,
        codes=z,
        drawn=drawn,
    )
