"""What autoencoders with discriminators share: VAE-GAN, adversarial autoencoder, alpha-GAN."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.functional import softplus

from ptheta.batch import Batch, Condition
from ptheta.compute import streams
from ptheta.conditions import ConditionSpec
from ptheta.config import Positive, option
from ptheta.games import Clock, Game, Move, Player, S, Terms
from ptheta.losses.adversarial import accuracy, cross_entropy
from ptheta.models.base import ImageModel
from ptheta.models.graph import Arrow, Graph, Variable
from ptheta.nets.coders import CoderConfig, CoderNet, decoder, encoder
from ptheta.nets.convolutional import ConvEncoder
from ptheta.optimizers import BESIDE_LR, Decay, OptimizerConfig
from ptheta.specs import ImageSpec, from_symmetric, full, to_symmetric


@dataclass(frozen=True)
class HybridConfig(CoderConfig, OptimizerConfig):
    net: CoderNet = option("conv", "encoder and decoder")
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

    def prepare_codes(self, batch: Batch, clock: Clock) -> Coded:
        """The images of a step, and their codes."""
        images = to_symmetric(self.spec.check(batch.x))
        return Coded(images, self.code(images))

    def code(self, images: Tensor) -> Tensor:
        """Float images in [-1, 1] -> codes (B, L)."""
        return full(self.encoder(images))

    def encode(self, x: Tensor, condition: Condition | None = None) -> Tensor:
        return self.code(to_symmetric(self.spec.check(x)))

    def decode(self, z: Tensor, condition: Condition | None = None) -> Tensor:
        return from_symmetric(self.generate(z), self.spec.levels)

    def sample_latent(self, n: int, condition: Condition | None = None) -> Tensor:
        return streams.normal(n, self.config.latent, device=next(self.parameters()).device)

    def sample(self, n: int, condition: Condition | None = None) -> Tensor:
        return self.decode(self.sample_latent(n))

    def decoded(self, coded: Coded) -> Decoded:
        """The same with images of these codes, and of as many codes of the prior."""
        reconstructed = self.generate(coded.z.detach())
        sampled = self.generate(self.sample_latent(len(coded.images)))
        return Decoded(coded.images, coded.z, reconstructed, sampled)

    def game_of(
        self,
        moves: Mapping[str, tuple[Callable[[Batch, S], Terms], *tuple[nn.Module, ...]]],
        prepare: Callable[[Batch, Clock], S],
        monitor: Callable[[Mapping[str, float]], Mapping[str, str]] | None = None,
    ) -> Game[S]:
        """moves: player -> its loss and modules, in the order of the moves."""
        factory = self.config.optimizer_factory()
        return Game(
            players={n: Player(tuple(own), factory) for n, (_, *own) in moves.items()},
            moves=tuple(Move(n, loss) for n, (loss, *_) in moves.items()),
            prepare=prepare,
            monitor=monitor,
        )

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

    images: the step's images, (B, C, H, W) in [-1, 1]
    z: their codes (B, L), with the encoder's graph
    """

    images: Tensor
    z: Tensor


@dataclass(frozen=True)
class Decoded(Coded):
    """reconstructed, sampled: images of these codes and of codes of the prior, with the decoder's
    graph."""

    reconstructed: Tensor
    sampled: Tensor


class ImageDiscriminator(ConvEncoder):
    """Image -> logit of "real", (B,), with the features before the last layer."""

    def __init__(self, spec: ImageSpec, features: int) -> None:
        super().__init__(*spec.shape, 1, features=features, dcgan=True)

    def features_and_logits(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """float images in [-1, 1] -> features (B, F), logits (B,)"""
        features = self.body(images).flatten(1)
        return full(features), full(self.head(features)).squeeze(1)

    def logits(self, images: Tensor) -> Tensor:
        return self.features_and_logits(images)[1]


class WithImageDiscriminator(Hybrid):
    """With a discriminator of images: what its game shares, and its capability."""

    discriminator: ImageDiscriminator

    def discriminator_loss(self, batch: Batch, shared: Decoded) -> Terms:
        """-log D(x) - log(1 - D(reconstructed)) - log(1 - D(sampled))"""
        d = self.discriminator.logits
        real = d(shared.images)
        reconstructed, sampled = d(shared.reconstructed.detach()), d(shared.sampled.detach())
        batch.logs["D(x)"], batch.logs["D(G(z))"] = real.sigmoid(), sampled.sigmoid()
        batch.logs["accuracy"] = accuracy(real.detach(), sampled.detach(), 0.0)
        return {"adversarial": cross_entropy(real, reconstructed) + softplus(sampled)}

    def discriminate(self, x: Tensor, condition: Condition | None = None) -> Tensor:
        return self.discriminator.logits(to_symmetric(self.spec.check(x)))


class WithCodeDiscriminator(Hybrid):
    """With a discriminator of codes, C: (B, L) -> (B, 1)."""

    critic: nn.Module  # the discriminator of codes

    def code_logits(self, z: Tensor) -> Tensor:
        """Codes (B, L) -> logits of "of the prior", (B,)."""
        return full(self.critic(z)).squeeze(1)

    def critic_loss(self, batch: Batch, shared: Coded) -> Terms:
        """-log C(z) - log(1 - C(E(x))) with z drawn from the prior."""
        on_prior = self.code_logits(self.sample_latent(len(batch)))
        on_code = self.code_logits(shared.z.detach())
        batch.logs["C(z)"], batch.logs["C(E(x))"] = on_prior.sigmoid(), on_code.sigmoid()
        batch.logs["accuracy"] = accuracy(on_prior.detach(), on_code.detach(), 0.0)
        return {"adversarial": cross_entropy(on_prior, on_code)}
