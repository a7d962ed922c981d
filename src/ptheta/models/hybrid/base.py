"""What autoencoders with discriminators share: VAE-GAN, adversarial autoencoder, alpha-GAN."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn.functional import softplus

from ptheta.batch import Batch, Condition
from ptheta.compute import streams
from ptheta.conditions import ConditionSpec
from ptheta.config import Positive, option
from ptheta.games import Player, Terms
from ptheta.losses.adversarial import accuracy, cross_entropy
from ptheta.models.base import ImageModel
from ptheta.models.graph import Arrow, Graph, Variable
from ptheta.nets.coders import CoderConfig, decoder, encoder
from ptheta.nets.convolutional import ConvEncoder
from ptheta.optimizers import BESIDE_LR, Decay, OptimizerConfig
from ptheta.specs import ImageSpec, from_symmetric, full, to_symmetric


@dataclass(frozen=True)
class HybridConfig(CoderConfig, OptimizerConfig):
    net: Literal["linear", "mlp", "conv", "resize"] = option(
        "conv", "encoder and decoder; conv: transposed convolutions on the way up, resize: resized"
    )
    lr: Positive = option(3e-4, "learning rate, all players")
    beta1: Decay | None = option(0.5, BESIDE_LR["beta1"].help)


class Hybrid(ImageModel):
    """Codes with a prior N(0, I), images without a density: what the three have in common."""

    def __init__(
        self,
        spec: ImageSpec,
        config: HybridConfig,
        condition: ConditionSpec | None = None,
        *,
        outputs: int = 1,
    ) -> None:
        """outputs: numbers that the encoder gives for each latent dimension."""
        super().__init__(spec, config, condition)
        self.config = config
        self.encoder = encoder(spec, config, outputs * config.latent, dcgan=True)
        self.decoder = decoder(spec, config, 1, dcgan=True)

    def generate(self, z: Tensor) -> Tensor:
        """z (B, L) -> float images (B, C, H, W) in [-1, 1]."""
        return torch.tanh(full(self.decoder(z)))

    def code(self, s: Tensor) -> Tensor:
        """Float images in [-1, 1] -> codes (B, L)."""
        return full(self.encoder(s))

    def encode(self, x: Tensor, condition: Condition | None = None) -> Tensor:
        return self.code(to_symmetric(self.spec.check(x)))

    def decode(self, z: Tensor, condition: Condition | None = None) -> Tensor:
        return from_symmetric(self.generate(z), self.spec.levels)

    def sample_latent(self, n: int, condition: Condition | None = None) -> Tensor:
        return streams.normal(n, self.config.latent, device=next(self.parameters()).device)

    def sample(self, n: int, condition: Condition | None = None) -> Tensor:
        return self.decode(self.sample_latent(n))

    def coded(self, batch: Batch) -> Coded:
        """The images of a step, and their codes."""
        s = to_symmetric(self.spec.check(batch.x))
        return Coded(s, self.code(s))

    def decoded(self, coded: Coded) -> Decoded:
        """The same with images of these codes, and of as many codes of the prior."""
        rebuilt = self.generate(coded.z.detach())
        drawn = self.generate(self.sample_latent(len(coded.s)))
        return Decoded(coded.s, coded.z, rebuilt, drawn)

    def player(self, *modules: nn.Module) -> Player:
        return Player(modules, self.config.optimizer_factory())

    def graph(self) -> Graph:
        return Graph(
            (
                Variable("z", "latent", f"{self.config.latent} numbers, N(0, I)"),
                Variable("x", "observed", f"image {self.spec}"),
            ),
            (Arrow("z", "x", law="G(z), implicit"), Arrow("x", "z", "inference", "encoder")),
        )


@dataclass(frozen=True)
class Coded:
    """What the moves of one step share.

    s: the step's images, (B, C, H, W) in [-1, 1]
    z: their codes (B, L), with the encoder's graph
    """

    s: Tensor
    z: Tensor


@dataclass(frozen=True)
class Decoded(Coded):
    """rebuilt, drawn: images of these codes and of codes of the prior, with the decoder's graph."""

    rebuilt: Tensor
    drawn: Tensor


class ImageDiscriminator(ConvEncoder):
    """Image -> logit of "real", (B,), with the features before the last layer."""

    def __init__(self, spec: ImageSpec, features: int) -> None:
        super().__init__(*spec.shape, 1, features=features, dcgan=True)

    def features_and_logits(self, s: Tensor) -> tuple[Tensor, Tensor]:
        """float images in [-1, 1] -> features (B, F), logits (B,)"""
        features = self.body(s).flatten(1)
        return full(features), full(self.head(features)).squeeze(1)

    def logits(self, s: Tensor) -> Tensor:
        return self.features_and_logits(s)[1]


class JudgesImages(Hybrid):
    """With a discriminator of images: what its game shares, and its capability."""

    discriminator: ImageDiscriminator

    def discriminator_loss(self, batch: Batch, shared: Decoded) -> Terms:
        """-log D(x) - log(1 - D(rebuilt)) - log(1 - D(drawn))"""
        d = self.discriminator.logits
        real = d(shared.s)
        rebuilt, drawn = d(shared.rebuilt.detach()), d(shared.drawn.detach())
        batch.logs["D(x)"], batch.logs["D(G(z))"] = real.sigmoid(), drawn.sigmoid()
        batch.logs["accuracy"] = accuracy(real.detach(), drawn.detach(), 0.0)
        return {"adversarial": cross_entropy(real, rebuilt) + softplus(drawn)}

    def discriminate(self, x: Tensor, condition: Condition | None = None) -> Tensor:
        return self.discriminator.logits(to_symmetric(self.spec.check(x)))


class JudgesCodes(Hybrid):
    """With a discriminator of codes, C: (B, L) -> (B, 1)."""

    critic: nn.Module

    def critic_loss(self, batch: Batch, shared: Coded) -> Terms:
        """-log C(z) - log(1 - C(E(x))) with z drawn from the prior."""
        on_prior = full(self.critic(self.sample_latent(len(batch)))).squeeze(1)
        on_code = full(self.critic(shared.z.detach())).squeeze(1)
        batch.logs["C(z)"], batch.logs["C(E(x))"] = on_prior.sigmoid(), on_code.sigmoid()
        batch.logs["accuracy"] = accuracy(on_prior.detach(), on_code.detach(), 0.0)
        return {"adversarial": cross_entropy(on_prior, on_code)}
