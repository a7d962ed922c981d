"""Denoising autoencoder (Vincent et al. 2010, JMLR 11)."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from ptheta.conditions import ConditionSpec
from ptheta.config import AtLeastZero, option
from ptheta.corruption import NOISES, NoiseName, corrupt, odd_level, odd_noise
from ptheta.models.autoencoders.ae import AE, AEConfig
from ptheta.models.graph import Arrow, Graph, Variable
from ptheta.models.recipes import Recipes
from ptheta.specs import DataSpec, filled


@dataclass(frozen=True)
class DAEConfig(AEConfig):
    noise: NoiseName = option("gaussian", "what damages the input")
    level: AtLeastZero = option(
        0.5, "gaussian: standard deviation, white - black = 1; else share of sub-pixels or cells"
    )

    def unsupported(self, spec: DataSpec, condition: ConditionSpec | None) -> str | None:
        odd = super().unsupported(spec, condition) or odd_level(self.noise, self.level)
        return odd or odd_noise(self.noise, spec)


class DAE(AE):
    """An autoencoder that is shown a damaged example and must give the clean one. A cell that is
    lost is 0 to its encoder, the mean of a number and no word."""

    config: DAEConfig

    def corrupted(self, x: Tensor) -> Tensor:
        return corrupt(x, self.config.noise, self.config.level, self.spec)

    def seen(self, x: Tensor) -> Tensor:
        return filled(self.spec.scaled(x))

    def checked(self, x: Tensor) -> Tensor:
        return self.spec.check(x) if NOISES[self.config.noise].loses else super().checked(x)

    def graph(self) -> Graph:
        x, *rest = super().graph().variables
        damaged = Variable(r"\tilde{x}", "latent", f"{self.config.noise} noise added")
        return Graph(
            (x, damaged, *rest),
            (
                Arrow("x", r"\tilde{x}", law="noise"),
                Arrow(r"\tilde{x}", "z", law="encoder"),
                Arrow("z", r"\hat{x}", law="decoder"),
            ),
        )


RECIPES: Recipes = {
    "default": {
        "about": "Gaussian noise of half the pixel range",
        "model": {},
        "train": {"batch_size": 128, "epochs": 30.0, "schedule": "cosine"},
    },
}
