"""StackGAN (Zhang et al. 2017, arXiv:1612.03242): a first stage makes small images of a caption, a
second one images of full size of these and of the caption again."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import torch
from annotated_types import Gt, Lt
from torch import Tensor

from ptheta.batch import Batch, Condition
from ptheta.conditions import ConditionSpec
from ptheta.config import NonNegative, option
from ptheta.games import Clock, Game
from ptheta.models.recipes import Recipes
from ptheta.models.text.base import TextToImage, Turn
from ptheta.models.text.options import TextConfig
from ptheta.models.text.recipes import PAPERS, QUICK
from ptheta.models.text.stage import Made, Stage, Step
from ptheta.nets.resize import enlarged, halved
from ptheta.nets.text_to_image.generator import Coarse
from ptheta.specs import DataSpec, ImageSpec

Within = Annotated[float, Gt(0), Lt(1)]


@dataclass(frozen=True)
class StackGANConfig(TextConfig):
    augmented: NonNegative = option(
        32,
        "dimensions of conditioning augmentation, per generator, whose KL is a loss term "
        "(1612.03242, with 128); 0: the generators get the sentence embedding itself",
    )
    coarse: Within = option(
        0.5,
        "share of the run that trains the first stage, at half the size, before the second",
    )
    residual: bool = option(
        False,
        "the second stage predicts a residual on the upsampled first-stage image, initially zero "
        "(1506.05751)",
        basic=True,
    )

    def unsupported(self, spec: DataSpec, condition: ConditionSpec | None) -> str | None:
        if self.coarse <= self.matching:
            return (
                f"the encoder is trained up to {self.matching:g} of the run and the first stage up "
                f"to {self.coarse:g}, which leaves it no time: give --coarse above --matching"
            )
        return super().unsupported(spec, condition)


class StackGAN(TextToImage):
    """Two generators, each with its own discriminator. The first makes an image of half the size
    from the code and the caption; after its training, the second makes the full image from that one
    and the caption. Until then, samples are small images, enlarged.

    Conditioning augmentation samples around the caption embedding; its KL, summed over dimensions,
    is the term `kl`, weighted by the training's beta. Equation 4 of the paper has weight 1; its
    program takes the mean over 128 dimensions, twice, which is 1 / 64. With 1, hardly any
    information of the caption is left.

    fine: whether training of the second stage has begun
    """

    config: StackGANConfig
    fine: Tensor

    def __init__(
        self, spec: ImageSpec, config: StackGANConfig, condition: ConditionSpec | None = None
    ) -> None:
        super().__init__(spec, config, condition)
        channels, height, width = spec.scaled_shape
        half = ((height + 1) // 2, (width + 1) // 2)
        self.first = Stage((channels, *half), config)
        self.second = Stage(spec.scaled_shape, config, Coarse(half, config.residual))
        self.register_buffer("fine", torch.zeros((), dtype=torch.bool))

    @property
    def drawn(self) -> int:
        return self.first.noise + self.second.noise

    def coarse(self, z: Tensor, sentences: Tensor) -> Made:
        """What the first stage makes of its part of all that is drawn."""
        return self.first.make(z[:, : self.first.noise], sentences)

    def refined(self, z: Tensor, sentences: Tensor) -> Made:
        """What the second stage makes; the first one rests."""
        with torch.no_grad():
            coarse = self.coarse(z, sentences).images
        return self.second.make(z[:, self.first.noise :], sentences, coarse)

    def make(self, stage: Stage, sentences: Tensor) -> Made:
        z = self.sample_latent(len(sentences))
        return self.coarse(z, sentences) if stage is self.first else self.refined(z, sentences)

    def made_of(self, z: Tensor, sentences: Tensor) -> Tensor:
        if self.fine:
            return self.refined(z, sentences).images
        return enlarged(self.coarse(z, sentences).images, (self.spec.height, self.spec.width))

    def present_stage(self) -> str:
        """Which stage makes images, where it is not the last."""
        return "" if self.fine else "first stage, enlarged"

    def discriminate(self, x: Tensor, condition: Condition | None = None) -> Tensor:
        """Outputs d of the stage that makes images now, higher for what looks real and is as its
        caption says: (B,)."""
        images, sentences = self.seen(x), self.sentences(condition)
        if self.fine:
            return self.second.discriminator(images, sentences)
        return self.first.discriminator(halved(images), sentences)

    def prepare(self, batch: Batch, clock: Clock) -> Step:
        fine = clock.share >= self.config.coarse
        self.fine.fill_(fine)
        real = self.spec.scaled(batch.x)
        if fine:
            return self.step(self.second, batch, clock, real, "fine_generator" in clock.movers)
        return self.step(self.first, batch, clock, halved(real), "generator" in clock.movers)

    def game(self) -> Game[Step]:
        c = self.config
        return self.played(
            [
                Turn(self.first, "generator", "discriminator", (c.matching, c.coarse)),
                Turn(self.second, "fine_generator", "fine_discriminator", (c.coarse, 1.0)),
            ]
        )


RECIPES: Recipes = {
    "default": {
        "about": f"64 pixels {QUICK['about']}",
        "model": {**QUICK["model"], "residual": True},
        "train": {**QUICK["train"], "beta": 0.01},
        "data": {"size": 64},
    },
    "paper": {
        "about": "the paper's 256 pixels, its networks' norms, its loss and its wrong captions",
        "model": {**PAPERS["model"], "augmented": 128},
        "train": {**PAPERS["train"], "epochs": 1200.0, "schedule": "linear", "beta": 1 / 64},
        "data": {"size": 256},
    },
}
