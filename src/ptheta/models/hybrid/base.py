"""The base of autoencoders with discriminators: VAE-GAN, adversarial autoencoder, alpha-GAN."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from torch import Tensor, nn
from torch.nn.functional import softplus

from ptheta.batch import Batch, Condition
from ptheta.compute import streams
from ptheta.conditions import ConditionSpec
from ptheta.config import Positive, option
from ptheta.games import Clock, Game, Move, Player, S, Terms
from ptheta.losses.adversarial import accuracy, cross_entropy
from ptheta.models.base import Model, whole
from ptheta.models.graph import Arrow, Graph, Variable
from ptheta.nets.coders import CoderConfig, CoderNet, decoder, encoder, odd_net
from ptheta.nets.convolutional import ConvEncoder
from ptheta.nets.mlp import mlp
from ptheta.nets.outputs import OutputConfig, output
from ptheta.optimizers import OPTIMIZER_OPTIONS, Decay, OptimizerConfig
from ptheta.specs import DataSpec, ImageSpec, VectorSpec, full


@dataclass(frozen=True)
class HybridConfig(CoderConfig, OutputConfig, OptimizerConfig):
    net: CoderNet = option("conv", "encoder and decoder", basic=True)
    lr: Positive = option(3e-4, "learning rate of all players", basic=True)
    beta1: Decay | None = option(0.5, OPTIMIZER_OPTIONS["beta1"].help)

    def unsupported(self, spec: DataSpec, condition: ConditionSpec | None) -> str | None:
        return super().unsupported(spec, condition) or odd_net(spec, self.net)


class Hybrid(Model):
    """A model with codes of the prior N(0, I), and without a density of examples."""

    specs = (ImageSpec, VectorSpec)

    def __init__(
        self,
        spec: DataSpec,
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
        self.output = output(spec, config)

    def generate(self, z: Tensor, *, drawn: bool = True) -> Tensor:
        """z (B, L) -> examples as a network sees them, (B, *scaled_shape).

        drawn: whether words are drawn where a spec has categories, or are their probabilities
        """
        return self.output(full(self.decoder(z)), drawn)

    def prepare_codes(self, batch: Batch, clock: Clock) -> Coded:
        """The examples of a step, and their codes."""
        x = self.seen(batch.x)
        return Coded(x, self.code(x))

    def seen(self, x: Tensor) -> Tensor:
        """Examples x in network scale. Raises PthetaError if x does not match the spec."""
        return self.spec.scaled(whole(self.spec, x))

    def code(self, x: Tensor) -> Tensor:
        """Examples as a network sees them -> codes (B, L)."""
        return full(self.encoder(x))

    def encode(self, x: Tensor, condition: Condition | None = None) -> Tensor:
        return self.code(self.seen(x))

    def generated(self, z: Tensor, condition: Condition | None = None) -> Tensor:
        return self.generate(z, drawn=False)

    def decode(self, z: Tensor, condition: Condition | None = None) -> Tensor:
        return self.spec.unscaled(self.generate(z, drawn=False))

    def sample_latent(self, n: int, condition: Condition | None = None) -> Tensor:
        return streams.normal(n, self.config.latent, device=next(self.parameters()).device)

    def sample(self, n: int, condition: Condition | None = None) -> Tensor:
        return self.spec.unscaled(self.generate(self.sample_latent(n)))

    def decoded(self, coded: Coded) -> Decoded:
        """The same with examples of these codes, and of as many codes of the prior."""
        reconstructed = self.generate(coded.z.detach())
        sampled = self.generate(self.sample_latent(len(coded.x)))
        return Decoded(coded.x, coded.z, reconstructed, sampled)

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
                Variable("z", "latent", f"{self.config.latent} dimensions, N(0, I)"),
                Variable("x", "observed", self.spec.one),
            ),
            (Arrow("z", "x", law="G(z), implicit"), Arrow("x", "z", "inference", "encoder")),
        )


@dataclass(frozen=True)
class Coded:
    """Values shared by the moves of a step.

    x: the step's examples in network scale, (B, *scaled_shape)
    z: their codes (B, L), with the encoder's graph
    """

    x: Tensor
    z: Tensor


@dataclass(frozen=True)
class Decoded(Coded):
    """reconstructed, sampled: examples of these codes and of codes of the prior, with the decoder's
    graph."""

    reconstructed: Tensor
    sampled: Tensor


class Discriminator(nn.Module):
    """Example -> logit of "real", (B,), with the features before the last layer: convolutional for
    images, with the encoder's hidden layers for vectors."""

    def __init__(self, spec: DataSpec, config: CoderConfig) -> None:
        super().__init__()
        if isinstance(spec, ImageSpec):
            net = ConvEncoder(*spec.shape, 1, features=config.features, dcgan=True)
            self.body, self.head = net.body, net.head
        else:
            sizes = [*spec.scaled_shape, *config.hidden]
            self.body = nn.Sequential(mlp(sizes), nn.ReLU())
            self.head = nn.Linear(sizes[-1], 1)

    def features_and_logits(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Examples as a network sees them -> features (B, F), logits (B,)"""
        features = self.body(x).flatten(1)
        return full(features), full(self.head(features)).squeeze(1)

    def logits(self, x: Tensor) -> Tensor:
        return self.features_and_logits(x)[1]


class WithDiscriminator(Hybrid):
    """With a discriminator of examples: what its game shares, and its capability."""

    discriminator: Discriminator

    def discriminator_loss(self, batch: Batch, shared: Decoded) -> Terms:
        """-log D(x) - log(1 - D(reconstructed)) - log(1 - D(sampled))"""
        d = self.discriminator.logits
        real = d(shared.x)
        reconstructed, sampled = d(shared.reconstructed.detach()), d(shared.sampled.detach())
        batch.logs["D(x)"], batch.logs["D(G(z))"] = real.sigmoid(), sampled.sigmoid()
        batch.logs["accuracy"] = accuracy(real.detach(), sampled.detach(), 0.0)
        return {"adversarial": cross_entropy(real, reconstructed) + softplus(sampled)}

    def discriminate(self, x: Tensor, condition: Condition | None = None) -> Tensor:
        return self.discriminator.logits(self.seen(x))


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
