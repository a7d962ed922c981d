"""Adversarial autoencoder (Makhzani et al. 2016, arXiv:1511.05644)."""

from __future__ import annotations

from dataclasses import dataclass

from ptheta.batch import Batch
from ptheta.conditions import ConditionSpec
from ptheta.config import Count, Positive, option
from ptheta.games import Game, Terms
from ptheta.losses.adversarial import non_saturating
from ptheta.models.hybrid.base import Coded, HybridConfig, WithCodeDiscriminator
from ptheta.nets.coders import CoderNet
from ptheta.nets.mlp import mlp
from ptheta.specs import DataSpec


@dataclass(frozen=True)
class AAEConfig(HybridConfig):
    net: CoderNet = option("mlp", "encoder and decoder", basic=True)
    latent: Count = option(8, "dimensions of the code z", basic=True)
    critic: tuple[Count, ...] = option(
        (500, 500), "units of the discriminator of codes", basic=True
    )
    category_temperature: Positive = option(
        1.0, "softmax temperature of categories; 1: sampled with the learned probabilities"
    )
    weight: Positive = option(10.0, "weight of the adversarial term relative to the squared error")


class AAE(WithCodeDiscriminator):
    """An autoencoder with codes matched to N(0, I) by a discriminator of codes."""

    config: AAEConfig

    def __init__(
        self, spec: DataSpec, config: AAEConfig, condition: ConditionSpec | None = None
    ) -> None:
        super().__init__(spec, config, condition)
        self.critic = mlp([config.latent, *config.critic, 1])

    def autoencoder_loss(self, batch: Batch, shared: Coded) -> Terms:
        """Squared error, summed over an example as a network sees it, and codes that the critic
        takes for drawn ones: one step for what the paper calls the reconstruction and
        regularisation phases."""
        x, z = shared.x, shared.z
        return {
            "reconstruction": (self.generate(z, drawn=False) - x).square().flatten(1).sum(1),
            "adversarial": self.config.weight * non_saturating(self.code_logits(z)),
        }

    def game(self) -> Game[Coded]:
        return self.game_of(
            {
                "critic": (self.critic_loss, self.critic),
                "autoencoder": (self.autoencoder_loss, self.encoder, self.decoder),
            },
            self.prepare_codes,
        )


RECIPES: dict[str, dict[str, object]] = {
    "default": {
        "about": "two hidden layers of 500 units, 8 code dimensions",
        "model": {},
        "train": {"batch_size": 128, "epochs": 50.0},
    },
}
