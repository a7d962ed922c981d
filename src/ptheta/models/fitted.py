"""A sampler for autoencoders: a Gaussian mixture fitted to the codes of trained weights."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import torch
from torch import Tensor, nn

from ptheta.losses.divergences import LOG_2PI
from ptheta.pixels import quantise

if TYPE_CHECKING:
    from ptheta.capabilities import Decodes, Encodes
    from ptheta.pixels import ImageSpec


class Fitted(nn.Module):
    """A model that encodes and decodes, with a mixture of Gaussians as its prior.

    Density estimation of codes after training (Ghosh et al. 2020, arXiv:1903.12436). What the model
    can do beside encoding and decoding is asked of the model itself.

    weights: (K,); means: (K, L); factors: lower Cholesky factors of the covariances, (K, L, L)
    """

    def __init__(self, model: nn.Module, weights: Tensor, means: Tensor, factors: Tensor) -> None:
        super().__init__()
        self.model, self.spec = model, cast("ImageSpec", model.spec)
        self.classes = getattr(model, "classes", 0)
        self.attributes = getattr(model, "attributes", 0)
        self.weights: Tensor
        self.means: Tensor
        self.factors: Tensor
        self.register_buffer("weights", weights.float())
        self.register_buffer("means", means.float())
        self.register_buffer("factors", factors.float())

    def encode(self, x: Tensor, condition: Tensor | None = None) -> Tensor:
        return cast("Encodes", self.model).encode(x, condition)

    def decode(self, z: Tensor, condition: Tensor | None = None) -> Tensor:
        return cast("Decodes", self.model).decode(z, condition)

    def log_prior(self, z: Tensor) -> Tensor:
        """log p(z) of the mixture: (B, L) -> (B,) nats."""
        centred = (z[:, None] - self.means)[..., None]  # (B, K, L, 1)
        unit = torch.linalg.solve_triangular(self.factors, centred, upper=False)[..., 0]
        log_det = self.factors.diagonal(dim1=1, dim2=2).log().sum(1)
        each = -0.5 * (unit.square() + LOG_2PI).sum(2) - log_det
        return torch.logsumexp(each + self.weights.log(), 1)

    def sample_latent(self, n: int, condition: Tensor | None = None) -> Tensor:
        k = torch.multinomial(self.weights, n, replacement=True)
        noise = torch.randn(n, self.means.shape[1], 1, device=self.means.device)
        return self.means[k] + (self.factors[k] @ noise)[..., 0]

    def sample(self, n: int, condition: Tensor | None = None) -> Tensor:
        # an autoencoder says no distribution of pixels to draw from: its images, rounded to levels
        return quantise(self.decode(self.sample_latent(n, condition), condition), self.spec.levels)
