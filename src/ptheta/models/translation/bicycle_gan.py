"""Multimodal image-to-image translation, BicycleGAN (Zhu et al. 2017, arXiv:1711.11586): a code
selects one of many outputs for an input."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.func import functional_call

from ptheta.batch import Batch, Condition
from ptheta.compute import streams
from ptheta.conditions import ConditionSpec
from ptheta.conditions.base import tensor_of
from ptheta.config import AtLeastZero, Count, Parts, option
from ptheta.distributions.active_units import active_units
from ptheta.distributions.kl import kl_standard_normal
from ptheta.distributions.latents import Normal
from ptheta.games import Clock, Game, Move, Player, Terms
from ptheta.models.adversarial.monitor import GANMonitor
from ptheta.models.adversarial.options import LossName
from ptheta.models.base import whole
from ptheta.models.graph import Arrow, Graph, Variable
from ptheta.models.recipes import Recipes
from ptheta.models.translation.options import PairsConfig
from ptheta.models.translation.pairs import PairsModel
from ptheta.nets.convolutional import ConvEncoder
from ptheta.nets.modules import Modules
from ptheta.nets.norms import normalisation
from ptheta.nets.translation.patch import MultiScaleDiscriminator
from ptheta.nets.translation.unet import CodePlaceName, UNet, UNetOptions
from ptheta.specs import ImageSpec, full


@dataclass(frozen=True)
class BicycleGANConfig(PairsConfig):
    latent: Count = option(
        8, "dimensions of the code that selects one of several outputs", basic=True
    )
    code_place: CodePlaceName = option("all", "where the code enters the generator")
    latent_weight: AtLeastZero = option(
        0.5, "weight of the L1 distance between a sampled code and the one encoded from its output"
    )
    one_discriminator: bool = option(
        False, "share one discriminator between encoded and sampled codes, instead of two"
    )
    l1_weight: AtLeastZero = option(
        10.0, "weight of the L1 distance to the target (label maps: cross-entropy); 0: none"
    )
    loss: LossName = option(
        "least_squares", "adversarial loss of generator and discriminators", basic=True
    )
    discriminators: Parts = option(
        2, "discriminator scales, each half the size of the one before (1711.11585)"
    )

    def generator_options(self) -> UNetOptions:
        return UNetOptions(
            self.features,
            self.norm,
            self.dropout,
            self.noise_in_sampling,
            self.latent,
            self.code_place,
        )


@dataclass(frozen=True)
class Made:
    """What the moves of a step share.

    given, real: inputs and targets as networks see them, (B, K, H, W) and (B, C, H, W)
    q: q(z | target), with the encoder's graph; z: codes drawn from the prior, (B, L)
    out, found: what the generator gives for codes drawn from q, no end, and the images that it
        stands for
    drawn: the images of the codes z
    """

    given: Tensor
    real: Tensor
    q: Normal
    z: Tensor
    out: Tensor
    found: Tensor
    drawn: Tensor


class BicycleGAN(PairsModel):
    """A generator of an input and a code, an encoder from targets to codes, and discriminators.

    target -> code -> target (cVAE-GAN): the generator and the encoder pay for the distance to the
    target, for KL(q(z | target) || N(0, I)) and against a discriminator. code -> image -> code
    (cLR-GAN): the generator alone pays for the distance to the code, and against a discriminator.
    The term `kl` is weighed by the training's beta: 0.01 in the paper.
    """

    config: BicycleGANConfig

    def __init__(
        self, spec: ImageSpec, config: BicycleGANConfig, condition: ConditionSpec | None = None
    ) -> None:
        super().__init__(spec, config, condition)
        channels, height, width = spec.scaled_shape
        options = config.generator_options()
        self.generator = UNet(self.planes_given, channels, (height, width), options)
        self.encoder = ConvEncoder(
            *(channels, height, width, 2 * config.latent),
            features=config.features,
            dcgan=True,
            norm=lambda maps, dims: normalisation(config.norm, maps, dims),
        )
        count = (1 if config.one_discriminator else 2) if config.plays else 0
        self.discriminators: Modules[MultiScaleDiscriminator] = Modules(
            self.new_discriminator() for _ in range(count)
        )

    # -- codes

    def sample_latent(self, n: int, condition: Condition | None = None) -> Tensor:
        return streams.normal(n, self.config.latent, device=next(self.parameters()).device)

    def code_of(self, image: Tensor, *, frozen: bool = False) -> Normal:
        """q(z | image) of an image as networks see it. frozen: as if the encoder had no weights to
        learn and no statistics to keep"""
        own = self.encoder
        if not frozen:
            return Normal(*full(own(image)).chunk(2, 1))
        weights = {name: p.detach() for name, p in own.named_parameters()}
        kept = {name: b.clone() for name, b in own.named_buffers()}
        return Normal(*full(functional_call(own, weights | kept, image)).chunk(2, 1))

    def made(self, given: Tensor, z: Tensor) -> Tensor:
        """What the generator gives, no end."""
        return self.generator(given, z)

    # -- the game

    def prepare(self, batch: Batch, clock: Clock) -> Made:
        """The pairs of a step, and images of codes found in the targets and of drawn ones."""
        given, real = self.pair(batch)
        with torch.set_grad_enabled("generator" in clock.movers):
            q = self.code_of(real)
            found, z = q.sample(), self.sample_latent(len(real))
            if self.batchwise:
                out, other = self.made(given, found), self.made(given, z)
            else:
                both = self.made(torch.cat([given, given]), torch.cat([found, z]))
                out, other = both.chunk(2)
            image = self.target.image
            return Made(given, real, q, z, out, image(out), image(other))

    def generator_loss(self, batch: Batch, shared: Made) -> Terms:
        batch.logs |= active_units(shared.q)
        terms = self.error_term(shared.out, shared.found, shared.real)
        terms["kl"] = kl_standard_normal(shared.q.mean, shared.q.log_var)
        if self.config.latent_weight:
            code = self.code_of(shared.drawn, frozen=True).mean
            terms["code"] = self.config.latent_weight * (code - shared.z).abs().mean(1)
        for discriminator, fake in self.rated_apart(shared):
            rated = self.adversarial_terms(discriminator, shared.given, shared.real, fake)
            terms |= {name: terms.get(name, 0) + term for name, term in rated.items()}
        return terms

    def discriminator_loss(self, batch: Batch, shared: Made) -> Terms:
        terms = []
        for discriminator, fake in self.rated_apart(shared):
            rated = self.rated_both(discriminator, shared.given, shared.real, fake.detach())
            terms.append(self.discriminator_term(batch, *rated))
        return {"adversarial": torch.stack(terms).sum(0)}

    def rated_apart(self, shared: Made) -> list[tuple[MultiScaleDiscriminator, Tensor]]:
        """Images of found and of drawn codes, each with its discriminator; none without any."""
        judges = 2 * list(self.discriminators)  # one alone is of both
        return list(zip(judges, (shared.found, shared.drawn), strict=False))

    def game(self) -> Game[Made]:
        c = self.config
        players = {"generator": Player((self.generator, self.encoder), c.optimizer_factory())}
        moves = [Move("generator", self.generator_loss)]
        if c.plays:
            players["discriminator"] = Player((self.discriminators,), c.optimizer_factory(c.d_lr))
            moves.insert(0, Move("discriminator", self.discriminator_loss))
        monitor = GANMonitor(self.loss.probability) if c.plays else None
        return Game(players, tuple(moves), self.prepare, monitor=monitor)

    # -- capabilities

    def varied(self) -> bool:
        return True

    def answer(self, given: Tensor) -> Tensor:
        return self.made(given, self.sample_latent(len(given)))

    def posterior(self, x: Tensor, condition: Condition | None = None) -> Normal:
        return self.code_of(self.spec.scaled(whole(self.spec, x)))

    def encode(self, x: Tensor, condition: Condition | None = None) -> Tensor:
        return self.posterior(x).mean

    def generated(self, z: Tensor, condition: Condition | None = None) -> Tensor:
        given = self.seen(tensor_of(self.given(condition), self.condition.kind))
        return self.target.image(self.made(given, z))

    def decode(self, z: Tensor, condition: Condition | None = None) -> Tensor:
        return self.spec.unscaled(self.generated(z, condition))

    def graph(self) -> Graph:
        graph = super().graph()
        code = Variable("z", "latent", f"{self.config.latent} dimensions, N(0, I)")
        arrows = (Arrow("z", "y", law="G(x, z)"), Arrow("y", "z", "inference", "encoder"))
        return Graph((*graph.variables, code), (*graph.arrows, *arrows))


RECIPES: Recipes = {
    "default": {
        "about": "32 to 64 pixels in ten minutes on two cores",
        "model": {"features": 32, "receptive_field": "16", "augment": ("flip",)},
        "train": {"batch_size": 16, "minutes": 10.0, "beta": 0.01, "ema": 0.99},
    },
    "paper": {
        "about": "the paper's 256 pixels: code size 8 at all layers, least squares, L1 times 10",
        "model": {"augment": ("flip", "jitter")},
        "train": {"batch_size": 2, "epochs": 60.0, "beta": 0.01},
        "data": {"size": 256},
    },
}
