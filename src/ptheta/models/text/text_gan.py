"""Generative adversarial text to image synthesis, GAN-INT-CLS (Reed et al. 2016,
arXiv:1605.05396), with DF-GAN's deep fusion and matching-aware penalty (Tao et al. 2022,
arXiv:2008.05865)."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from ptheta.batch import Batch, Condition
from ptheta.conditions import ConditionSpec
from ptheta.games import Clock, Game
from ptheta.models.recipes import Recipes
from ptheta.models.text.base import TextToImage, Turn
from ptheta.models.text.options import TextConfig
from ptheta.models.text.recipes import PAPERS, QUICK
from ptheta.models.text.stage import Made, Stage, Step
from ptheta.specs import ImageSpec


@dataclass(frozen=True)
class TextGANConfig(TextConfig):
    pass


class TextGAN(TextToImage):
    """A generator of images from a code and a caption against a discriminator that rates an image
    and a caption together, and is also shown real images with wrong captions."""

    config: TextGANConfig

    def __init__(
        self, spec: ImageSpec, config: TextGANConfig, condition: ConditionSpec | None = None
    ) -> None:
        super().__init__(spec, config, condition)
        self.stage = Stage(spec.scaled_shape, config)

    @property
    def drawn(self) -> int:
        return self.stage.noise

    def make(self, stage: Stage, sentences: Tensor) -> Made:
        return stage.make(self.sample_latent(len(sentences)), sentences)

    def made_of(self, z: Tensor, sentences: Tensor) -> Tensor:
        return self.stage.make(z, sentences).images

    def discriminate(self, x: Tensor, condition: Condition | None = None) -> Tensor:
        """Outputs d, higher for what looks real and is as its caption says: (B,)."""
        return self.stage.discriminator(self.seen(x), self.sentences(condition))

    def prepare(self, batch: Batch, clock: Clock) -> Step:
        real = self.spec.scaled(batch.x)
        return self.step(self.stage, batch, clock, real, "generator" in clock.movers)

    def game(self) -> Game[Step]:
        span = (self.config.matching, 1.0)
        return self.played([Turn(self.stage, "generator", "discriminator", span)])


RECIPES: Recipes = {
    "default": {**QUICK, "about": f"32 pixels {QUICK['about']}"},
    "paper": {
        "about": "the paper's 64 pixels, its networks, its loss and its three kinds of pairs",
        "model": {**PAPERS["model"], "interpolated": 1.0},
        "train": {**PAPERS["train"], "epochs": 600.0},
        "data": {"size": 64},
    },
}
