"""alpha-GAN (Rosca et al. 2017, arXiv:1706.04987)."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from ptheta.batch import Batch
from ptheta.conditions import ConditionSpec
from ptheta.config import Count, Positive, option
from ptheta.games import Clock, Game, Terms
from ptheta.losses.adversarial import log_odds
from ptheta.models.hybrid.base import (
    Decoded,
    Discriminator,
    HybridConfig,
    WithCodeDiscriminator,
    WithDiscriminator,
)
from ptheta.nets.mlp import mlp
from ptheta.specs import DataSpec


@dataclass(frozen=True)
class AlphaGANConfig(HybridConfig):
    critic: tuple[Count, ...] = option(
        (500, 500), "units of the discriminator of codes", basic=True
    )
    weight: Positive = option(0.1, "weight of the absolute error, summed over a scaled example")


class AlphaGAN(WithDiscriminator, WithCodeDiscriminator):
    """Both discriminators: of examples (real against reconstructed and sampled) and of codes (drawn
    against encoded). They estimate the density ratios that a VAE would need in closed form."""

    config: AlphaGANConfig

    def __init__(
        self, spec: DataSpec, config: AlphaGANConfig, condition: ConditionSpec | None = None
    ) -> None:
        super().__init__(spec, config, condition)
        self.discriminator = Discriminator(spec, config)
        self.critic = mlp([config.latent, *config.critic, 1])

    def error(self, x: Tensor, reconstructed: Tensor) -> Tensor:
        return self.config.weight * (reconstructed - x).abs().flatten(1).sum(1)

    def prepare(self, batch: Batch, clock: Clock) -> Decoded:
        return self.decoded(self.prepare_codes(batch, clock))

    def encoder_loss(self, batch: Batch, shared: Decoded) -> Terms:
        return {
            "reconstruction": self.error(shared.x, self.generate(shared.z)),
            "adversarial": log_odds(self.code_logits(shared.z)),
        }

    def decoder_loss(self, batch: Batch, shared: Decoded) -> Terms:
        logits = self.discriminator.logits
        return {
            "reconstruction": self.error(shared.x, shared.reconstructed),
            "adversarial": log_odds(logits(shared.reconstructed))
            + log_odds(logits(shared.sampled)),
        }

    def game(self) -> Game[Decoded]:
        return self.game_of(
            {
                "discriminator": (self.discriminator_loss, self.discriminator),
                "critic": (self.critic_loss, self.critic),
                "encoder": (self.encoder_loss, self.encoder),
                "decoder": (self.decoder_loss, self.decoder),
            },
            self.prepare,
        )


RECIPES: dict[str, dict[str, object]] = {
    "default": {
        "about": "convolutional, discriminators of examples and of codes",
        "model": {},
        "train": {"batch_size": 64, "epochs": 30.0, "ema": 0.999},
    },
}
