"""Importance weighted autoencoder (Burda et al. 2016, arXiv:1509.00519)."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Annotated, TypeAlias

from torch import Tensor

from ptheta.batch import Batch, Condition
from ptheta.config import Count, Entry, OneOf, option
from ptheta.distributions.active_units import active_units
from ptheta.distributions.latents import Normal
from ptheta.games import Game, Move, Player, Terms
from ptheta.models.graph import Arrow, Graph
from ptheta.models.recipes import Recipes
from ptheta.models.variational.base import Variational, VariationalConfig
from ptheta.models.variational.collapse import CollapseMonitor

LogWeights = Callable[[Normal], Tensor]  # log p(x | z) p(z) / q(z | x) by the q given: (k, B)


def standard_bound(log_weights: LogWeights, q: Normal, z: Tensor) -> Tensor:
    """log 1/k sum_i w_i, with its plain gradient: (B,) nats."""
    log_w = log_weights(q)
    return log_w.logsumexp(0) - math.log(len(log_w))


def doubly_reparameterised_bound(log_weights: LogWeights, q: Normal, z: Tensor) -> Tensor:
    """The same value with another gradient (Tucker et al. 2018, eq. 6, arXiv:1810.04152).

    The encoder's is sum_i w~_i^2 d log w_i / dz_i dz_i / dphi, w~ = w / sum w, the decoder's as
    ever. With q constant in log q(z), the gradient of sum_i w~_i log w_i has one factor w~_i; the
    hook on z gives the other on the way to the encoder.
    """
    weights: list[Tensor] = []
    if z.requires_grad:
        z.register_hook(lambda g: g * weights[0].flatten()[:, None])
    log_w = log_weights(q.detach())
    weights.append(log_w.detach().softmax(0))
    surrogate = (weights[0] * log_w).sum(0)
    value = log_w.logsumexp(0) - math.log(len(log_w))
    return surrogate + (value - surrogate).detach()


@dataclass(frozen=True)
class Gradient(Entry):
    """bound: (log-weights of z by a q, the q of the k B codes, the codes (k B, L)) -> (B,) nats,
    with this gradient"""

    bound: Callable[[LogWeights, Normal, Tensor], Tensor]


GRADIENTS: dict[str, Gradient] = {
    "standard": Gradient(standard_bound, about="gradient of the bound itself"),
    "doubly-reparametrised": Gradient(
        doubly_reparameterised_bound, about="doubly reparametrised, lower variance (1810.04152)"
    ),
}

GradientName: TypeAlias = Annotated[str, OneOf(GRADIENTS)]


@dataclass(frozen=True)
class IWAEConfig(VariationalConfig):
    samples: Count = option(50, "importance samples per example, the k of the bound")
    gradient: GradientName = option("standard", "gradient estimator of the encoder")


class IWAE(Variational):
    """A VAE trained on the bound with k codes; with k = 1 it is the ELBO."""

    config: IWAEConfig

    def loss(self, batch: Batch, shared: None = None) -> Terms:
        q = self.posterior(batch.x)
        batch.logs |= active_units(q)
        return {"bound": -self.bound(batch.x, q)}

    def bound(self, x: Tensor, q: Normal, condition: Condition | None = None) -> Tensor:
        """log 1/k sum_i w_i, (B,) nats, differentiable, by `GRADIENTS`."""
        rows = self.config.samples * len(x)
        many, prior = q.expand(rows), self.prior(condition).expand(rows)
        z = many.sample()

        def log_weights(q: Normal) -> Tensor:
            return self.log_importance_weights(x, z, q, prior, condition)

        return GRADIENTS[self.config.gradient].bound(log_weights, many, z)

    def game(self) -> Game[None]:
        player = Player((self,), self.config.optimizer_factory())
        monitor = CollapseMonitor("iwae")
        return Game({"iwae": player}, (Move("iwae", self.loss),), monitor=monitor)

    def graph(self) -> Graph:
        """The graph of a VAE, with the codes of an image in a separate plate."""
        samples = f"{self.config.samples} samples"
        z, x = super().graph().variables
        return Graph(
            (replace(z, plates=(*z.plates, samples)), x),
            (Arrow("z", "x", law="p(x | z)"), Arrow("x", "z", "inference", "q(z | x), reweighted")),
        )


RECIPES: Recipes = {
    "default": {
        "about": "50 codes per image, two hidden layers of 500 units",
        "model": {},
        "train": {"batch_size": 64, "epochs": 50.0},
    },
    "burda-2016": {
        "about": "the one-layer IWAE of arXiv:1509.00519: 84.78 nats with k = 50, dynamic MNIST",
        "model": {"hidden": (200, 200), "latent": 50},
        "train": {"batch_size": 20, "epochs": 3280.0},
        "data": {"levels": 2, "dynamic": True},
    },
    "table": {
        "about": "MIWAE (arXiv:1812.02633): tables of some hundred rows, incomplete",
        "model": {"hidden": (128,), "latent": 8, "samples": 20, "weight_decay": 1e-3, "lr": 2e-3},
        "train": {"batch_size": 128, "steps": 1500, "schedule": "cosine"},
    },
}
