"""Adversarial variational Bayes, adaptive contrast (Mescheder et al. 2017, arXiv:1701.04722)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from ptheta.config import Count, Positive, option
from ptheta.errors import PthetaError
from ptheta.games import Game, Move, Player, Terms
from ptheta.latents import Posterior
from ptheta.losses.adversarial import LOSSES
from ptheta.losses.divergences import log_normal, log_standard_normal
from ptheta.models.vae import VAE, VAEConfig, active
from ptheta.nets.mlp import mlp
from ptheta.pixels import Batch, ImageSpec, to_symmetric

GAME = LOSSES["non_saturating"]
DRAWS = 512  # of the noise, for the moments of its features


@dataclass(frozen=True)
class AVBConfig(VAEConfig):
    noise: Count = option(32, "dimensions of each noise vector of the encoder")
    bases: Count = option(16, "noise vectors, each with its own network (m of appendix A.2)")
    critic: tuple[Count, ...] = option((500, 500), "units of the discriminator T(x, z)")
    critic_steps: Count = option(1, "moves of the discriminator in a step")
    critic_lr: Positive = option(1e-3, "its learning rate of Adam")


class AVB(VAE):
    """q(z | x) is whatever the encoder makes of noise: z_k = a_0k(x) + sum_i a_ik(x) v_ik(e_i).

    It has samples and moments but no density. A discriminator T(x, .) tells z, brought to zero mean
    and unit variance by those moments, from N(0, I), so at its best T = log q(z | x) - log r(z | x)
    with r(z | x) the Gaussian of the same moments (section 3.3, adaptive contrast), and
    -ELBO = T + log r(z | x) - log p(z) - log p(x | z).

    `posterior` is that r: bounds and estimates of log p(x) made with it as the proposal hold
    whatever T has learned.
    """

    config: AVBConfig
    eps: Tensor

    def __init__(self, spec: ImageSpec, config: AVBConfig) -> None:
        if config.prior != "normal":
            raise PthetaError(f"prior = {config.prior}: avb takes its codes from N(0, I) only")
        super().__init__(spec, config, outputs=1 + config.bases)
        m, latent = config.bases, config.latent
        self.basis = nn.ModuleList(mlp([config.noise, 64, latent]) for _ in range(m))
        self.critic = mlp([spec.dims + latent, *config.critic, 1])
        draws = torch.randn(DRAWS, config.noise, generator=torch.Generator().manual_seed(0))
        self.register_buffer("eps", draws, persistent=False)

    def parts(self, s: Tensor) -> tuple[Tensor, Posterior]:
        """What z is made of: a (B, 1 + m, L), and the Gaussian with the moments of z."""
        a = self.encoder(s).float().unflatten(1, (-1, self.config.latent))
        v = torch.stack([net(self.eps).float() for net in self.basis])  # (m, DRAWS, L)
        mean = a[:, 0] + (a[:, 1:] * v.mean(1)).sum(1)
        variance = (a[:, 1:].square() * v.var(1)).sum(1)
        return a, Posterior(mean, (variance + 1e-6).log())

    def mixed(self, a: Tensor) -> Tensor:
        """z drawn from q(z | x): (B, L)."""
        noise = torch.randn(len(self.basis), len(a), self.config.noise, device=a.device)
        v = torch.stack([net(e).float() for net, e in zip(self.basis, noise, strict=True)], 1)
        return a[:, 0] + (a[:, 1:] * v).sum(1)

    def q(self, s: Tensor, condition: Tensor | None = None) -> Posterior:
        """The Gaussian r(z | x) with the moments of q(z | x)."""
        return self.parts(s)[1]

    def contrast(self, s: Tensor, z: Tensor) -> Tensor:
        """T(x, z): (B,). z: brought to zero mean and unit variance."""
        return self.critic(torch.cat([s.flatten(1), z], 1)).float().squeeze(1)

    def loss(self, batch: Batch) -> Terms:
        s = to_symmetric(self.spec.check(batch.x))
        a, r = self.parts(s)
        z = self.mixed(a)
        unit = (z - r.mean) * torch.exp(-0.5 * r.log_var)
        batch.share["s"], batch.share["unit"] = s, unit
        batch.logs["active_units"] = active(r.mean.detach())
        log_p = self.likelihood(z).log_prob(batch.x).sum((1, 2, 3))
        kl = self.contrast(s, unit) + log_normal(z, r.mean, r.log_var) - log_standard_normal(z)
        return {"reconstruction": -log_p, "kl": kl}

    def critic_loss(self, batch: Batch) -> Terms:
        s, unit = batch.share["s"], batch.share["unit"]
        on_code = self.contrast(s, unit)
        on_noise = self.contrast(s, torch.randn_like(unit))
        batch.logs["T(x, z)"] = on_code
        return {"adversarial": GAME.discriminator(on_code, on_noise)}

    def game(self) -> Game:
        c = self.config
        inference = (self.encoder, self.basis, self.decoder, self.likelihood_head)
        return Game(
            players={
                "avb": Player(inference, c.lr),
                "critic": Player((self.critic,), c.critic_lr),
            },
            moves=(
                Move("avb", self.loss),
                *(Move("critic", self.critic_loss) for _ in range(c.critic_steps)),
            ),
        )


RECIPES: dict[str, dict[str, Any]] = {
    "default": {
        "about": "the default vae's decoder, 16 noise vectors in the encoder",
        "model": {},
        "train": {"batch_size": 128, "epochs": 50.0},
    },
}
