"""Conditional variational autoencoder (Sohn et al. 2015, NeurIPS; Kingma et al. 2014,
arXiv:1406.5298): q(z | x, y), p(x | z, y), on any condition y."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ptheta.batch import Condition
from ptheta.conditions import GIVEN, ConditionSpec, Kinds
from ptheta.config import option
from ptheta.distributions.base import ElementDistribution
from ptheta.distributions.latents import LatentDistribution, Normal
from ptheta.models.base import EVERY_KIND
from ptheta.models.recipes import Recipes
from ptheta.models.variational.vae import VAE, VAEConfig
from ptheta.models.worded import ReadsBetween, TextConditional
from ptheta.nets.condition import ConditionVector
from ptheta.specs import DataSpec, ImageSpec


@dataclass(frozen=True)
class CVAEConfig(TextConditional, VAEConfig):
    condition: Kinds = option("labels", GIVEN, basic=True)
    learned_prior: bool = option(False, "learn the prior p(z | y) instead of N(0, I)")

    def unsupported(self, spec: DataSpec, condition: ConditionSpec | None) -> str | None:
        if condition is None:
            return (
                "cvae needs a condition: "
                "give condition=ptheta.Labels(names) or ptheta.Attributes(names)"
            )
        if self.prior != "normal":
            return (
                f"prior = {self.prior} cannot depend on a condition: leave it at normal for cvae; "
                "--learned-prior learns one per condition"
            )
        return super().unsupported(spec, condition)


class CVAE(ReadsBetween, VAE):
    """A VAE with the condition as input of both networks: for the encoder one more channel, linear
    in it (for vectors, more dimensions), for the decoder concatenated with the code."""

    takes = EVERY_KIND
    player = "cvae"
    condition: ConditionSpec

    def __init__(
        self, spec: DataSpec, config: CVAEConfig, condition: ConditionSpec | None = None
    ) -> None:
        vectors = None if condition is None else ConditionVector(condition, config)
        size = 0 if vectors is None else vectors.size
        places = math.prod(spec.shape[1:]) if isinstance(spec, ImageSpec) else 0
        extra = 1 if places else size
        super().__init__(spec, config, condition, planes=extra, cond_dim=size)
        self.vectors = vectors
        self.plane = nn.Linear(size, places) if places else None
        self.prior_net = nn.Linear(size, 2 * config.latent) if config.learned_prior else None

    def vector(self, condition: Condition | None) -> Tensor:
        """The condition as numbers: (B, size). Raises PthetaError where there is none."""
        assert self.vectors is not None  # a cvae has a condition
        vector = self.vectors(self.given(condition))
        return vector.to(next(self.parameters()).dtype)

    def infer(self, s: Tensor, condition: Condition | None = None) -> Normal:
        extra = self.vector(condition)
        if self.plane is not None:
            extra = self.plane(extra).view(-1, 1, *self.spec.shape[1:])
        return super().infer(torch.cat([s, extra], 1))

    def prior(self, condition: Condition | None = None) -> LatentDistribution:
        if self.prior_net is None:
            return super().prior()
        return Normal(*self.prior_net(self.vector(condition)).chunk(2, 1))

    def prior_depends(self) -> bool:
        return self.prior_net is not None

    def likelihood(self, z: Tensor, condition: Condition | None = None) -> ElementDistribution:
        return super().likelihood(torch.cat([z, self.vector(condition)], 1))


RECIPES: Recipes = {
    "default": {
        "about": "the default vae, conditioned on the label",
        "model": {},
        "train": {"batch_size": 128, "epochs": 50.0},
    },
}
