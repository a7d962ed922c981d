"""Autoencoding beyond pixels, VAE-GAN (Larsen et al. 2016, arXiv:1512.09300)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ptheta.batch import Batch, Condition
from ptheta.conditions import ConditionSpec
from ptheta.config import AtLeastZero, option
from ptheta.distributions.active_units import active_units
from ptheta.distributions.kl import kl_standard_normal
from ptheta.distributions.latents import Normal
from ptheta.games import Clock, Game, Terms
from ptheta.losses.adversarial import non_saturating
from ptheta.models.hybrid.base import (
    Coded,
    Decoded,
    Discriminator,
    HybridConfig,
    WithDiscriminator,
)
from ptheta.models.variational.collapse import CollapseMonitor
from ptheta.specs import DataSpec, full


@dataclass(frozen=True)
class VAEGANConfig(HybridConfig):
    gamma: AtLeastZero = option(
        1e-2, "weight of the feature error in the decoder's loss, relative to the adversarial term"
    )


@dataclass(frozen=True)
class Drawn(Decoded):
    """q: q(z | x) of the step's examples, from which z is drawn."""

    q: Normal


class VAEGAN(WithDiscriminator):
    """A VAE with the reconstruction error measured in discriminator features.

    Encoder: KL + 1/2 |f(x) - f(x~)|^2. Decoder: gamma 1/2 |f(x) - f(x~)|^2 and fools D with x~ and
    with samples. D: x real; x~ and samples not (algorithm 1 of the paper, the decoder's adversarial
    term in its non-saturating form).
    """

    config: VAEGANConfig

    def __init__(
        self, spec: DataSpec, config: VAEGANConfig, condition: ConditionSpec | None = None
    ) -> None:
        super().__init__(spec, config, condition, outputs=2)
        self.discriminator = Discriminator(spec, config)

    def posterior(self, x: Tensor, condition: Condition | None = None) -> Normal:
        return self._q(self.seen(x))

    def _q(self, x: Tensor) -> Normal:
        return Normal(*full(self.encoder(x)).chunk(2, 1))

    def code(self, x: Tensor) -> Tensor:
        """The mean of q(z | x)."""
        return self._q(x).mean

    def prepare(self, batch: Batch, clock: Clock) -> Drawn:
        x = self.seen(batch.x)
        q = self._q(x)
        decoded = self.decoded(Coded(x, q.sample()))
        return Drawn(**vars(decoded), q=q)

    def encoder_loss(self, batch: Batch, shared: Drawn) -> Terms:
        q = shared.q
        batch.logs |= active_units(q)
        return {
            "features": self.feature_error(shared.x, self.generate(shared.z))[0],
            "kl": kl_standard_normal(q.mean, q.log_var),
        }

    def feature_error(self, x: Tensor, fake: Tensor) -> tuple[Tensor, Tensor]:
        """1/2 |f(x) - f(x~)|^2 and the logits of x~: (B,) each. The features of the real examples
        are a target."""
        with torch.no_grad():
            target = self.discriminator.features_and_logits(x)[0]
        features, logits = self.discriminator.features_and_logits(fake)
        return 0.5 * (features - target).square().sum(1), logits

    def decoder_loss(self, batch: Batch, shared: Drawn) -> Terms:
        error, logits = self.feature_error(shared.x, shared.reconstructed)
        fooled = non_saturating(logits) + non_saturating(self.discriminator.logits(shared.sampled))
        return {"features": self.config.gamma * error, "adversarial": fooled}

    def game(self) -> Game[Drawn]:
        return self.game_of(
            {
                "discriminator": (self.discriminator_loss, self.discriminator),
                "encoder": (self.encoder_loss, self.encoder),
                "decoder": (self.decoder_loss, self.decoder),
            },
            self.prepare,
            monitor=CollapseMonitor("encoder"),
        )


RECIPES: dict[str, dict[str, object]] = {
    "default": {
        "about": "convolutional, features of the discriminator's last map",
        "model": {},
        "train": {"batch_size": 64, "epochs": 30.0, "ema": 0.999},
    },
}
