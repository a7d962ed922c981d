"""Denoising autoencoder (Vincent et al. 2010, JMLR 11)."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from ptheta.conditions import ConditionSpec
from ptheta.config import AtLeastZero, option
from ptheta.corruption import NoiseName, corrupt, odd_level
from ptheta.models.autoencoders.ae import AE, AEConfig
from ptheta.models.graph import Arrow, Graph, Variable
from ptheta.models.recipes import Recipes
from ptheta.specs import DataSpec


@dataclass(frozen=True)
class DAEConfig(AEConfig):
    noise: NoiseName = option("gaussian", "what damages the input")
    level: AtLeastZero = option(
        0.5, "gaussian: standard deviation, white - black = 1; else share of sub-pixels"
    )

    def unsupported(self, spec: DataSpec, condition: ConditionSpec | None) -> str | None:
        return super().unsupported(spec, condition) or odd_level(self.noise, self.level)


class DAE(AE):
    """An autoencoder that is shown a damaged image and must give the clean one."""

    config: DAEConfig

    def corrupted(self, x: Tensor) -> Tensor:
        return corrupt(x, self.config.noise, self.config.level)

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
