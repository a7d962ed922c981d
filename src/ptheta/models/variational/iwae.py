"""Importance weighted autoencoder (Burda et al. 2016, arXiv:1509.00519)."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any, Literal

from torch import Tensor

from ptheta.batch import Batch
from ptheta.config import Count, option
from ptheta.distributions.latents import Posterior
from ptheta.games import Terms
from ptheta.models.graph import Arrow, Graph
from ptheta.models.variational.vae import VAE, VAEConfig


@dataclass(frozen=True)
class IWAEConfig(VAEConfig):
    samples: Count = option(50, "codes for each image, the k of the bound")
    gradient: Literal["standard", "doubly-reparametrised"] = option(
        "standard", "of the encoder; the second has less variance (arXiv:1810.04152)"
    )


class IWAE(VAE):
    """A VAE trained on the bound with k codes; with k = 1 it is the ELBO."""

    player = "iwae"
    config: IWAEConfig

    def loss(self, batch: Batch, shared: None = None) -> Terms:
        q = self.posterior(batch.x)
        batch.logs |= q.active()
        return {"bound": -self.bound(batch.x, q, None)}

    def bound(self, x: Tensor, q: Posterior, condition: Tensor | None = None) -> Tensor:
        """log 1/k sum_i w_i, (B,) nats, differentiable.

        Doubly reparametrised (Tucker et al. 2018, eq. 6): the encoder's gradient is
        sum_i w~_i^2 d log w_i / dz_i dz_i / dphi, w~ = w / sum w, the decoder's as ever. With q
        constant in log q(z), the gradient of sum_i w~_i log w_i has one factor w~_i; the hook on
        z gives the other on the way to the encoder.
        """
        k = self.config.samples
        many = q.repeat(k)
        z, prior = many.sample(), self.prior(condition).repeat(k)
        if self.config.gradient == "standard":
            log_w = self.log_weights(x, z, many, prior, condition)
            return log_w.logsumexp(0) - math.log(k)
        weights: list[Tensor] = []
        if z.requires_grad:
            z.register_hook(lambda g: g * weights[0].flatten()[:, None])
        log_w = self.log_weights(x, z, many.detach(), prior, condition)
        weights.append(log_w.detach().softmax(0))
        surrogate = (weights[0] * log_w).sum(0)
        value = log_w.logsumexp(0) - math.log(k)
        return surrogate + (value - surrogate).detach()

    def graph(self) -> Graph:
        """As a VAE's, with the codes of one image in a plate of their own."""
        samples = f"{self.config.samples} samples"
        z, x = super().graph().variables
        return Graph(
            (replace(z, plates=(*z.plates, samples)), x),
            (Arrow("z", "x", law="p(x | z)"), Arrow("x", "z", "inference", "q(z | x), reweighted")),
        )


RECIPES: dict[str, dict[str, Any]] = {
    "default": {
        "about": "50 codes for each image, two hidden layers of 500 units",
        "model": {},
        "train": {"batch_size": 64, "epochs": 50.0},
    },
    "burda-2016": {
        "about": "the one-layer IWAE of arXiv:1509.00519: 84.78 nats with k = 50, dynamic MNIST",
        "model": {"hidden": (200, 200), "latent": 50},
        "train": {"batch_size": 20, "epochs": 3280.0},
        "data": {"levels": 2, "dynamic": True},
    },
}
