"""Image-to-image translation with conditional adversarial networks, pix2pix (Isola et al. 2017,
arXiv:1611.07004), with what pix2pixHD adds by option (Wang et al. 2018, arXiv:1711.11585)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from ptheta.batch import Batch
from ptheta.conditions import ConditionSpec
from ptheta.config import Fraction, Parts, option
from ptheta.games import Clock, Game, Move, Player, Terms
from ptheta.models.adversarial.monitor import GANMonitor
from ptheta.models.recipes import Recipes
from ptheta.models.translation.options import PairsConfig
from ptheta.models.translation.pairs import PairsModel
from ptheta.nets.translation.generators import GENERATORS, GeneratorOptions, ImageGeneratorName
from ptheta.nets.translation.hd import CoarseToFine
from ptheta.nets.translation.patch import halved
from ptheta.specs import DataSpec, ImageSpec


@dataclass(frozen=True)
class Pix2PixConfig(PairsConfig):
    generator: ImageGeneratorName = option("unet", "generator network", basic=True)
    blocks: Parts = option(9, "residual blocks (residual)", basic=True)
    coarse: Fraction = option(
        0.5,
        "share of the run that trains only the global network, at half the size (hd)",
    )

    def generator_options(self) -> GeneratorOptions:
        return GeneratorOptions(
            self.features,
            self.blocks,
            self.norm,
            dropout=self.dropout,
            noise_in_sampling=self.noise_in_sampling,
        )

    def unsupported(self, spec: DataSpec, condition: ConditionSpec | None) -> str | None:
        if self.dropout and not GENERATORS[self.generator].drops:
            able = [name for name, generator in GENERATORS.items() if generator.drops]
            return (
                f"generator = {self.generator} has no dropout: leave it out, or use generator = "
                f"{' or '.join(able)}"
            )
        return super().unsupported(spec, condition)


class Stage(NamedTuple):
    """make: what makes the images of a step; halves: whether they are of half the size"""

    make: Callable[[Tensor], Tensor]
    halves: bool = False


class Made(NamedTuple):
    """What the moves of a step share.

    given, real: inputs and targets as networks see them, (B, K, H, W) and (B, C, H, W)
    out, image: what the generator gives, no end, and the images that it stands for
    """

    given: Tensor
    real: Tensor
    out: Tensor
    image: Tensor


class Pix2Pix(PairsModel):
    """A generator from inputs to targets, which pays for the distance to the target and against a
    discriminator that rates pairs patch by patch. Its noise is dropout."""

    config: Pix2PixConfig

    def __init__(
        self, spec: ImageSpec, config: Pix2PixConfig, condition: ConditionSpec | None = None
    ) -> None:
        super().__init__(spec, config, condition)
        channels, *size = spec.scaled_shape
        make, (height, width) = GENERATORS[config.generator].make, size
        options = config.generator_options()
        self.generator = make(self.planes_given, channels, (height, width), options)
        self.discriminator = self.new_discriminator() if config.plays else None

    def varied(self) -> bool:
        return self.config.noise_in_sampling

    def answer(self, given: Tensor) -> Tensor:
        out: Tensor = self.generator(given)
        return out

    def prepare(self, batch: Batch, clock: Clock) -> Made:
        """The pairs of a step and the images made of their inputs."""
        given, real = self.pair(batch)
        with torch.set_grad_enabled("generator" in clock.movers):
            stage = self.stage(clock.share)
            if stage.halves:
                given, real = halved(given), halved(real)
            out: Tensor = stage.make(given)
            return Made(given, real, out, self.target.image(out))

    def stage(self, share: float) -> Stage:
        """What makes the images that are learned after a share of the run."""
        network = self.generator
        if not isinstance(network, CoarseToFine):
            return Stage(network)
        fine = share >= self.config.coarse
        network.fine.fill_(fine)
        return Stage(network.refined) if fine else Stage(network.coarse, halves=True)

    def present_stage(self) -> str:
        """Which network learns, where it is not all of them."""
        network = self.generator
        coarse = isinstance(network, CoarseToFine) and not network.fine
        return "global network, at half the size" if coarse else ""

    def generator_loss(self, batch: Batch, shared: Made) -> Terms:
        given, real, out, image = shared
        terms = self.error_term(out, image, real)
        if self.discriminator is not None:
            terms |= self.adversarial_terms(self.discriminator, given, real, image)
        return terms

    def discriminator_loss(self, batch: Batch, shared: Made) -> Terms:
        assert self.discriminator is not None
        fake = shared.image.detach()
        rated = self.rated_both(self.discriminator, shared.given, shared.real, fake)
        return {"adversarial": self.discriminator_term(batch, *rated)}

    def game(self) -> Game[Made]:
        c = self.config
        players = {"generator": Player((self.generator,), c.optimizer_factory())}
        moves = [Move("generator", self.generator_loss)]
        if self.discriminator is not None:
            players["discriminator"] = Player((self.discriminator,), c.optimizer_factory(c.d_lr))
            moves.insert(0, Move("discriminator", self.discriminator_loss))
        monitor = GANMonitor(self.loss.probability) if c.plays else None
        return Game(players, tuple(moves), self.prepare, monitor=monitor)


RECIPES: Recipes = {
    "default": {
        "about": "32 to 64 pixels in ten minutes on two cores",
        "model": {
            "features": 32,
            "receptive_field": "16",
            "lr": 1e-3,
            "d_lr": 2e-4,
            "augment": ("flip",),
        },
        "train": {"batch_size": 16, "minutes": 10.0, "schedule": "cosine", "ema": 0.99},
    },
    "paper": {
        "about": "the paper's 256 pixels: one pair per step, dropout in inference, jitter",
        "model": {"dropout": 0.5, "noise_in_sampling": True, "augment": ("flip", "jitter")},
        "train": {"batch_size": 1, "epochs": 200.0},
        "data": {"size": 256},
    },
}
