"""Wasserstein autoencoder with MMD (Tolstikhin et al. 2018, arXiv:1711.01558)."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from ptheta.batch import Batch
from ptheta.compute import streams
from ptheta.conditions import ConditionSpec
from ptheta.config import Count, Positive, option
from ptheta.games import Clock, Game, Terms
from ptheta.losses.mmd import KERNELS, mmd_terms
from ptheta.models.hybrid.base import Coded, Hybrid, HybridConfig
from ptheta.models.matching.options import KernelName, Widths, several
from ptheta.models.recipes import Recipes
from ptheta.nets.coders import CoderNet
from ptheta.optimizers import OPTIMIZER_OPTIONS, Decay
from ptheta.specs import DataSpec, full


@dataclass(frozen=True)
class WAEConfig(HybridConfig):
    net: CoderNet = option("mlp", "encoder and decoder", basic=True)
    latent: Count = option(8, "dimensions of the code z", basic=True)
    lr: Positive = option(1e-3, "learning rate", basic=True)
    beta1: Decay | None = option(None, OPTIMIZER_OPTIONS["beta1"].help)
    weight: Positive = option(100.0, "weight of MMD^2 relative to the squared error")
    kernel: KernelName = option(
        "inverse-multiquadric", "kernel that compares codes with prior samples"
    )
    widths: Widths = option(
        (0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0),
        "kernel widths, in units of 2 * latent (the mean squared distance of two prior samples) or "
        "of its root",
    )
    random: bool = option(
        False, "stochastic encoder: sample codes around its mean with its standard deviation"
    )


class WAE(Hybrid):
    """An autoencoder with the aggregate distribution of codes matched to N(0, I) by MMD.

    The squared reconstruction error bounds the Wasserstein distance of model and data if the codes
    have the prior's distribution (theorem 1), which is enforced by the second term of

        E |x - G(E(x))|^2 + weight * MMD^2(q(z), p(z))

    MMD^2 is estimated without bias from the codes of a batch and as many prior samples, and may be
    negative. A VAE instead pulls the posterior of each example towards the prior.
    """

    config: WAEConfig

    def __init__(
        self, spec: DataSpec, config: WAEConfig, condition: ConditionSpec | None = None
    ) -> None:
        super().__init__(spec, config, condition, outputs=2 if config.random else 1)

    def code(self, x: Tensor) -> Tensor:
        return self._said(x)[0]

    def _said(self, x: Tensor) -> tuple[Tensor, Tensor | None]:
        """Mean and log-variance of the code of each example, (B, L) each; no variance where the
        code is a function of the example."""
        out = full(self.encoder(x))
        if not self.config.random:
            return out, None
        mean, log_var = out.chunk(2, 1)
        return mean, log_var

    def prepare_codes(self, batch: Batch, clock: Clock) -> Coded:
        x = self.seen(batch.x)
        mean, log_var = self._said(x)
        if log_var is None:
            return Coded(x, mean)
        return Coded(x, mean + (0.5 * log_var).exp() * streams.normal_like(mean))

    def autoencoder_loss(self, batch: Batch, shared: Coded) -> Terms:
        """Squared error, summed over an example as a network sees it, and MMD^2."""
        c, x, z = self.config, shared.x, shared.z
        prior = self.sample_latent(len(z))
        both = several(streams.whole(z)), streams.whole(prior)
        each = mmd_terms(*both, KERNELS[c.kernel], c.widths, 2.0 * c.latent)
        return {
            "reconstruction": (self.generate(z, drawn=False) - x).square().flatten(1).sum(1),
            "mmd": c.weight * streams.back(each),
        }

    def game(self) -> Game[Coded]:
        moves = {"autoencoder": (self.autoencoder_loss, self.encoder, self.decoder)}
        return self.game_of(moves, self.prepare_codes)


RECIPES: Recipes = {
    "default": {
        "about": "two hidden layers of 500 units, 8 code dimensions, batches of 256",
        "model": {},
        "train": {"batch_size": 256, "epochs": 60.0, "schedule": "cosine"},
    },
    "paper": {
        "about": "MNIST as in the paper: convolutions, 8 dimensions, batches of 100, 100 epochs",
        "model": {"net": "conv", "features": 128},
        "train": {"batch_size": 100, "epochs": 100.0},
        "data": {"size": 32},
    },
    "points": {
        "about": "a two-dimensional code: points in a minute on one core",
        "model": {"hidden": (128, 128), "latent": 2, "weight": 10.0},
        "train": {"batch_size": 256, "steps": 3000, "schedule": "cosine"},
    },
}
