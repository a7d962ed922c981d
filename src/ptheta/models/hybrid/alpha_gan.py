"""alpha-GAN (Rosca et al. 2017, arXiv:1706.04987)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from torch import Tensor

from ptheta.batch import Batch
from ptheta.conditions import ConditionSpec
from ptheta.config import Count, Positive, option
from ptheta.games import Clock, Game, Move, Terms
from ptheta.losses.adversarial import log_odds
from ptheta.models.hybrid.base import (
    Decoded,
    HybridConfig,
    ImageDiscriminator,
    JudgesCodes,
    JudgesImages,
)
from ptheta.nets.mlp import mlp
from ptheta.specs import ImageSpec, full


@dataclass(frozen=True)
class AlphaGANConfig(HybridConfig):
    critic: tuple[Count, ...] = option((500, 500), "units of the discriminator of codes")
    weight: Positive = option(0.1, "weight of the absolute error, summed over pixels in [-1, 1]")


class AlphaGAN(JudgesImages, JudgesCodes):
    """Both discriminators: of images (real against rebuilt and drawn) and of codes (drawn against
    encoded). They estimate the density ratios that a VAE would need in closed form."""

    config: AlphaGANConfig

    def __init__(
        self, spec: ImageSpec, config: AlphaGANConfig, condition: ConditionSpec | None = None
    ) -> None:
        super().__init__(spec, config, condition)
        self.discriminator = ImageDiscriminator(spec, config.features)
        self.critic = mlp([config.latent, *config.critic, 1])

    def error(self, s: Tensor, rebuilt: Tensor) -> Tensor:
        return self.config.weight * (rebuilt - s).abs().sum((1, 2, 3))

    def prepare(self, batch: Batch, clock: Clock) -> Decoded:
        return self.decoded(self.coded(batch))

    def encoder_loss(self, batch: Batch, shared: Decoded) -> Terms:
        return {
            "reconstruction": self.error(shared.s, self.generate(shared.z)),
            "adversarial": log_odds(full(self.critic(shared.z)).squeeze(1)),
        }

    def decoder_loss(self, batch: Batch, shared: Decoded) -> Terms:
        logits = self.discriminator.logits
        return {
            "reconstruction": self.error(shared.s, shared.rebuilt),
            "adversarial": log_odds(logits(shared.rebuilt)) + log_odds(logits(shared.drawn)),
        }

    def game(self) -> Game[Decoded]:
        return Game(
            players={
                "encoder": self.player(self.encoder),
                "decoder": self.player(self.decoder),
                "discriminator": self.player(self.discriminator),
                "critic": self.player(self.critic),
            },
            moves=(
                Move("discriminator", self.discriminator_loss),
                Move("critic", self.critic_loss),
                Move("encoder", self.encoder_loss),
                Move("decoder", self.decoder_loss),
            ),
            prepare=self.prepare,
        )


RECIPES: dict[str, dict[str, Any]] = {
    "default": {
        "about": "convolutional, discriminators of images and of codes",
        "model": {},
        "train": {"batch_size": 64, "epochs": 30.0, "ema": 0.999},
    },
}
