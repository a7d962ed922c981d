"""DCGAN with the non-saturating loss (Radford et al. 2016, arXiv:1511.06434)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from ptheta.config import Count, Fraction, Positive, option
from ptheta.errors import PthetaError
from ptheta.games import Game, Move, Player, Terms
from ptheta.losses.adversarial import LOSSES
from ptheta.nets.convolutional import ConvDecoder, ConvEncoder, init_dcgan
from ptheta.pixels import Batch, ImageSpec, from_symmetric, to_symmetric


@dataclass(frozen=True)
class DCGANConfig:
    latent: Count = option(100, "dimensions of the code z")
    features: Count = option(64, "channels of the largest feature map of both networks")
    lr: Positive = option(2e-4, "learning rate of Adam, generator and discriminator")
    beta1: Fraction = option(0.5, "Adam's decay of the first moment")


class DCGAN(nn.Module):
    """A generator G(z) of transposed convolutions against a strided convolutional discriminator."""

    classes = 0

    def __init__(self, spec: ImageSpec, config: DCGANConfig) -> None:
        super().__init__()
        self.spec, self.config = spec, config
        c, h, w = spec.shape
        if not (min(h, w) >= 16 and max(h, w) <= 128):
            raise PthetaError(
                f"dcgan takes images of 16 to 128 pixels a side, not {h}x{w}: use --size"
            )
        f = config.features
        self.generator = ConvDecoder(config.latent, h, w, c, features=f, dcgan=True)
        self.discriminator = ConvEncoder(c, h, w, 1, features=f, dcgan=True)
        init_dcgan(self)

    def generate(self, z: Tensor) -> Tensor:
        """z (B, L) -> float images (B, C, H, W) in [-1, 1]."""
        return torch.tanh(self.generator(z).float())

    def logits(self, images: Tensor) -> Tensor:
        """Float images in [-1, 1] -> logits of "real", (B,)."""
        return self.discriminator(images).float().squeeze(1)

    def generator_loss(self, batch: Batch) -> Terms:
        fake = self.generate(self.sample_latent(len(batch)))
        batch.share["fake"] = fake
        d_fake = self.logits(fake)
        return {"adversarial": LOSSES["non_saturating"].generator(d_fake)}

    def discriminator_loss(self, batch: Batch) -> Terms:
        # the fakes that the generator's move made: drawn once a step, before that move's update
        d_real, d_fake = self.logits(to_symmetric(batch.x)), self.logits(batch.share["fake"])
        batch.logs["D(x)"] = d_real.sigmoid()
        batch.logs["D(G(z))"] = d_fake.sigmoid()
        return {"adversarial": LOSSES["non_saturating"].discriminator(d_real, d_fake)}

    def discriminate(self, x: Tensor) -> Tensor:
        return self.logits(to_symmetric(self.spec.check(x)))

    def decode(self, z: Tensor, condition: Tensor | None = None) -> Tensor:
        return from_symmetric(self.generate(z), self.spec.levels)

    def sample_latent(self, n: int, condition: Tensor | None = None) -> Tensor:
        device = next(self.parameters()).device
        return torch.randn(n, self.config.latent, device=device)

    def sample(self, n: int, condition: Tensor | None = None) -> Tensor:
        return self.decode(self.sample_latent(n))

    def game(self) -> Game:
        lr, betas = self.config.lr, (self.config.beta1, 0.999)
        return Game(
            players={
                "generator": Player((self.generator,), lr, betas),
                "discriminator": Player((self.discriminator,), lr, betas),
            },
            moves=(
                Move("generator", self.generator_loss),
                Move("discriminator", self.discriminator_loss),
            ),
        )


RECIPES: dict[str, dict[str, Any]] = {
    "default": {
        "about": "Radford et al. 2016: Adam 2e-4, beta1 0.5, batches of 128, N(0, 0.02) weights",
        "model": {},
        "train": {"batch_size": 128, "epochs": 25.0, "ema": 0.999},
    },
    "demo": {
        "about": "digits in under two minutes on two cores",
        "model": {"latent": 64, "features": 32, "lr": 5e-4},
        "train": {"batch_size": 64, "minutes": 1.7, "ema": 0.995},
        "data": {"levels": 4},
    },
}
