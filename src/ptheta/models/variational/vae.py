"""Variational autoencoder (Kingma & Welling 2014, arXiv:1312.6114)."""

from __future__ import annotations

from dataclasses import dataclass

from ptheta.batch import Batch
from ptheta.config import Count, option
from ptheta.distributions.active_units import active_units
from ptheta.games import Game, Move, Player, Terms
from ptheta.models.recipes import Recipes
from ptheta.models.variational.base import Variational, VariationalConfig
from ptheta.models.variational.collapse import CollapseMonitor


@dataclass(frozen=True)
class VAEConfig(VariationalConfig):
    draws: Count = option(
        1, "codes sampled per example, to average the reconstruction error (eq. 7)"
    )
    kl_only: bool = option(
        False, "minimise only the KL, to demonstrate codes that carry no information"
    )

    def learns_kl_alone(self) -> bool:
        return self.kl_only


class VAE(Variational):
    """Learns by the ELBO. With `--beta 0` in training the KL is left out, and with `kl_only` the
    reconstruction error: what either term does by itself."""

    player = "vae"
    config: VAEConfig

    def loss(self, batch: Batch, shared: None = None) -> Terms:
        condition = self.asked(batch.condition)
        q = self.posterior(batch.x, condition)
        batch.logs |= active_units(q)
        terms = self.negative_elbo(batch.x, q, condition, self.config.draws)
        return {"kl": terms["kl"]} if self.config.kl_only else terms

    def game(self) -> Game[None]:
        monitor = None if self.config.kl_only else CollapseMonitor(self.player)
        return Game(
            players={self.player: Player((self,), self.config.optimizer_factory())},
            moves=(Move(self.player, self.loss),),
            monitor=monitor,
        )


RECIPES: Recipes = {
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
    "points": {
        "about": "a two-dimensional code, mixtures of 5 Gaussians: points in a minute on one core",
        "model": {"hidden": (128, 128), "latent": 2, "components": 5, "lr": 5e-3},
        "train": {"batch_size": 256, "steps": 3000, "schedule": "cosine", "beta_warmup": 1000},
    },
}
