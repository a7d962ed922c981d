"""Fully visible sigmoid belief network (Neal 1992; Frey et al. 1996): a linear autoregression."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ptheta.batch import Condition
from ptheta.conditions import ConditionSpec
from ptheta.distributions.pixels import PixelDistribution
from ptheta.models.autoregressive.base import LikelihoodConfig, PixelModel
from ptheta.models.autoregressive.walk import Stepper
from ptheta.models.recipes import Recipes
from ptheta.nets.condition import embedding
from ptheta.nets.flat import flatten, scaled, unflatten
from ptheta.nets.heads import HeadOptions, head
from ptheta.specs import ImageSpec, full


@dataclass(frozen=True)
class FVSBNConfig(LikelihoodConfig):
    """Nothing of its own."""


class FVSBN(PixelModel):
    """Each sub-pixel's parameters are linear in the earlier sub-pixels."""

    mask: Tensor

    def __init__(
        self, spec: ImageSpec, config: FVSBNConfig, condition: ConditionSpec | None = None
    ) -> None:
        super().__init__(spec, config, condition)
        self.config = config
        self.distribution = head(spec, config.likelihood, HeadOptions(config.components or 1))
        d, p = spec.dims, self.distribution.per_pixel
        self.weight = nn.Parameter(torch.randn(d, p, d) * d**-0.5)  # (D, P, D): to, what, from
        self.bias = nn.Parameter(torch.zeros(d, p))
        self.register_buffer("mask", torch.ones(d, d).tril(-1)[:, None], persistent=False)
        self.label = embedding(condition, d * p, config)

    def biases(self, condition: Condition | None) -> Tensor:
        """(1 or B, D, P)"""
        asked = self.asked(condition)
        if self.label is None or asked is None:
            return self.bias[None]
        more: Tensor = self.label(asked)
        return self.bias + more.view(-1, *self.bias.shape)

    def conditionals(self, x: Tensor, condition: Condition | None = None) -> PixelDistribution:
        flat = scaled(flatten(self.spec.check(x)), self.spec.levels)
        weight = (self.weight * self.mask).flatten(0, 1)
        out = F.linear(flat, weight) + self.biases(condition).flatten(1)
        return self.distribution(unflatten(out, self.spec.shape))

    def stepper(self, n: int, condition: Condition | None = None) -> Stepper:
        return FVSBNStepper(self, n, condition)


class FVSBNStepper(Stepper):
    """The rows of the triangle, one after the other: each weight is used once."""

    def __init__(self, model: FVSBN, n: int, condition: Condition | None) -> None:
        self.distribution, self.colours = model.distribution, model.spec.channels
        self.levels = model.spec.levels
        self.weight = full(model.weight.detach())
        self.bias = full(model.biases(condition).detach())
        self.inputs = self.weight.new_zeros(n, model.spec.dims)

    def conditional(self, t: int, c: int, pixel: Tensor) -> PixelDistribution:
        d = t * self.colours + c
        self.inputs[:, d - c : d] = scaled(pixel[:, :c], self.levels)
        out = torch.addmm(self.bias[:, d], self.inputs[:, :d], self.weight[d, :, :d].t())
        return self.distribution(out[:, :, None, None])

    def observe(self, t: int, pixel: Tensor) -> None:
        d = t * self.colours
        self.inputs[:, d : d + self.colours] = scaled(pixel, self.levels)


RECIPES: Recipes = {
    "default": {
        "about": "20 epochs; others report 96.58 nats on dynamic MNIST",
        "model": {},
        "train": {"batch_size": 64, "epochs": 20.0},
    },
}
