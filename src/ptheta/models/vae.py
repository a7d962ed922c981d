"""Variational autoencoder (Kingma & Welling 2014, arXiv:1312.6114)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor, nn

from ptheta.config import Count, Positive, option
from ptheta.games import Game, Move, Player, Terms
from ptheta.likelihoods import Head, Kind, PixelDistribution
from ptheta.losses.divergences import kl_standard_normal, log_normal, log_standard_normal
from ptheta.nets.convolutional import ConvDecoder, ConvEncoder
from ptheta.nets.mlp import mlp
from ptheta.pixels import ImageSpec, from_unit, to_symmetric


@dataclass(frozen=True)
class VAEConfig:
    latent: Count = option(40, "dimensions of the code z")
    net: Literal["mlp", "conv"] = option("mlp", "encoder and decoder: mlp or conv")
    hidden: tuple[Count, ...] = option((500, 500), "units of the encoder's layers (mlp)")
    features: Count = option(32, "channels of the largest feature map (conv)")
    likelihood: Kind = option(
        "auto",
        "p(x | z) of a pixel; auto: bernoulli for 2 levels, categorical up to 16, else logistic",
    )
    components: Count = option(1, "logistics mixed in each pixel (logistic)")
    lr: Positive = option(1e-3, "learning rate of Adam")


class Posterior(NamedTuple):
    """q(z | x) = N(mean, exp(log_var)); both (B, L)."""

    mean: Tensor
    log_var: Tensor

    def sample(self) -> Tensor:
        """One z for each x, differentiable in the parameters: (B, L)."""
        return self.mean + torch.exp(0.5 * self.log_var) * torch.randn_like(self.mean)


class VAE(nn.Module):
    """q(z | x) Gaussian, p(z) = N(0, I), p(x | z) independent over pixels."""

    classes = 0

    def __init__(self, spec: ImageSpec, config: VAEConfig) -> None:
        super().__init__()
        self.spec, self.config = spec, config
        self.likelihood_head = Head(spec, config.likelihood, config.components)
        per_pixel = self.likelihood_head.per_pixel
        c, h, w = spec.shape
        if config.net == "mlp":
            hidden = list(config.hidden)
            self.encoder: nn.Module = nn.Sequential(
                nn.Flatten(), mlp([spec.dims, *hidden, 2 * config.latent])
            )
            self.decoder: nn.Module = nn.Sequential(
                mlp([config.latent, *hidden[::-1], per_pixel * spec.dims]),
                nn.Unflatten(1, (per_pixel * c, h, w)),
            )
        else:
            f = config.features
            self.encoder = ConvEncoder(c, h, w, 2 * config.latent, features=f, dcgan=False)
            self.decoder = ConvDecoder(config.latent, h, w, per_pixel * c, features=f, dcgan=False)

    def posterior(self, x: Tensor) -> Posterior:
        """q(z | x) of an image batch."""
        mean, log_var = self.encoder(to_symmetric(self.spec.check(x))).float().chunk(2, 1)
        return Posterior(mean, log_var)

    def likelihood(self, z: Tensor) -> PixelDistribution:
        """p(x | z): z (B, L) -> distribution of shape (B, C, H, W)."""
        return self.likelihood_head(self.decoder(z).float())

    def terms(self, x: Tensor) -> Terms:
        """The two halves of -ELBO, (B,) nats each (eq. 3 of the paper, one z for each x)."""
        q = self.posterior(x)
        log_p = self.likelihood(q.sample()).log_prob(x).sum((1, 2, 3))
        return {"reconstruction": -log_p, "kl": kl_standard_normal(q.mean, q.log_var)}

    def elbo(self, x: Tensor, condition: Tensor | None = None) -> Tensor:
        terms = self.terms(x)
        return -(terms["reconstruction"] + terms["kl"])

    def importance_bound(self, x: Tensor, k: int, condition: Tensor | None = None) -> Tensor:
        """log 1/k sum_i p(x | z_i) p(z_i) / q(z_i | x), z_i ~ q: (B,) nats.

        Burda et al. 2016, eq. 8 (arXiv:1509.00519). Its expectation grows with k to log p(x). The k
        samples go through the decoder a few at a time, so memory does not grow with k.
        """
        q = self.posterior(x)
        total = x.new_full((len(x),), -math.inf, dtype=torch.float32)
        chunk = max(1, min(k, 2**22 // max(1, len(x) * self.spec.dims)))
        for done in range(0, k, chunk):
            m = min(chunk, k - done)
            mean, log_var = q.mean.repeat(m, 1), q.log_var.repeat(m, 1)  # (m B, L)
            z = Posterior(mean, log_var).sample()
            log_w = self.likelihood(z).log_prob(x.repeat(m, 1, 1, 1)).sum((1, 2, 3))
            log_w = log_w + log_standard_normal(z) - log_normal(z, mean, log_var)
            total = torch.logaddexp(total, log_w.view(m, len(x)).logsumexp(0))
        return total - math.log(k)

    def encode(self, x: Tensor) -> Tensor:
        """The mean of q(z | x): (B, L)."""
        return self.posterior(x).mean

    def decode(self, z: Tensor) -> Tensor:
        """The mean image of p(x | z), in 256 levels: uint8 (B, C, H, W)."""
        return from_unit(self.likelihood(z).mean())

    def sample_latent(self, n: int) -> Tensor:
        device = next(self.parameters()).device
        return torch.randn(n, self.config.latent, device=device)

    def sample(self, n: int, condition: Tensor | None = None) -> Tensor:
        """x ~ p(x | z) with z ~ p(z): pixels are drawn, not averaged (for means: decode)."""
        return self.likelihood(self.sample_latent(n)).sample()

    def game(self) -> Game:
        return Game(
            players={"vae": Player((self,), lr=self.config.lr)},
            moves=(Move("vae", lambda batch: self.terms(batch.x)),),
        )


RECIPES: dict[str, dict[str, Any]] = {
    "default": {
        "about": "two hidden layers of 500 units, 40 latent dimensions",
        "model": {},
        "train": {"batch_size": 128, "epochs": 50.0},
    },
    "burda-2016": {
        "about": "the one-layer VAE of arXiv:1509.00519: 86.76 nats (IS-5000) on dynamic MNIST",
        "model": {"hidden": (200, 200), "latent": 50},
        "train": {"batch_size": 20, "epochs": 3280.0},
        "data": {"levels": 2, "dynamic": True},
    },
    "demo": {
        "about": "digits in under a minute on two cores",
        "model": {"latent": 24},
        "train": {"batch_size": 128, "minutes": 0.8, "schedule": "cosine"},
        "data": {"levels": 4},
    },
}
