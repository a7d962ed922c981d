"""Glow: invertible 1x1 convolutions (Kingma & Dhariwal 2018, arXiv:1807.03039)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from ptheta.conditions import ConditionSpec
from ptheta.config import OneOf, option
from ptheta.models.flows.base import Flow
from ptheta.models.flows.steps import CouplingConfig
from ptheta.models.recipes import Recipes
from ptheta.nets.flows.actnorm import ActNorm
from ptheta.nets.flows.conditioners import CONDITIONERS
from ptheta.nets.flows.couplings import FactoredOut, Halves
from ptheta.nets.flows.laws import SCALES
from ptheta.nets.flows.mixing import Mixing
from ptheta.nets.flows.shapes import Flatten, Squeeze, halvings
from ptheta.nets.flows.transform import Chain, Transform
from ptheta.specs import DataSpec, ImageSpec


@dataclass(frozen=True)
class GlowConfig(CouplingConfig):
    scale: Annotated[str, OneOf(SCALES)] = option(
        "sigmoid", "parametrisation of the scale s of affine maps"
    )
    conditioner: Annotated[str, OneOf(CONDITIONERS)] = option(
        "plain", "network in the couplings (images)", basic=True
    )

    def unsupported(self, spec: DataSpec, condition: ConditionSpec | None) -> str | None:
        odd = super().unsupported(spec, condition)
        if odd is not None or not isinstance(spec, ImageSpec):
            return odd
        if spec.channels == 1 and not halvings(spec.height, spec.width):
            return (
                f"{spec} has one channel and an odd side, so its channels cannot be split into "
                "halves: resize to even sides (--size), or use realnvp"
            )
        return None


class Glow(Flow):
    """At each scale a squeeze, then steps of activation normalisation, an invertible 1x1
    convolution and a coupling; half of the channels leaves, with a learned prior given the rest.

    Of vectors, the same steps, in which the 1x1 convolution is a linear map.
    """

    config: GlowConfig

    def transform(self) -> Transform:
        if isinstance(self.spec, ImageSpec):
            most = halvings(self.spec.height, self.spec.width)
            return self._scale(self.spec.shape, min(self.config.scales, most), 0)
        parts: list[Transform] = []
        for _ in range(self.config.depth):
            coupling = self.config.of_vectors(self.dims, flipped=False)
            parts += [ActNorm(self.dims), Mixing(self.dims), coupling]
        return Chain(parts)

    def _scale(self, shape: tuple[int, int, int], squeezes: int, scale: int) -> Transform:
        """squeezes: that are left; scale: 0, 1, ..."""
        c, h, w = shape
        parts: list[Transform] = []
        if squeezes:
            parts.append(Squeeze())
            c, h, w = 4 * c, h // 2, w // 2
        for _ in range(self.config.depth):
            coupling = self.config.coupling(Halves(c, flipped=False), scale)
            parts += [ActNorm(c), Mixing(c), coupling]
        if squeezes <= 1:
            return Chain([*parts, Flatten((c, h, w))])
        inner = self._scale((c // 2, h, w), squeezes - 1, scale + 1)
        return Chain([*parts, FactoredOut((c, h, w), inner, self.config.leaving(c, scale))])


RECIPES: Recipes = {
    "default": {
        "about": "three scales of 8 steps, 64 channels",
        "model": {"depth": 8, "features": (64,)},
        "train": {"batch_size": 64, "epochs": 50.0, "schedule": "cosine", "clip": 50.0},
    },
    "ten-minutes": {
        "about": "mixtures of 4, two scales of 7 steps, learned noise: 1.15 bits/dim on MNIST "
        "after five minutes on one core",
        "model": {
            "transform": "mixture",
            "input": "mixture-cdf",
            "edge": 1e-5,
            "dequantisation": "variational",
            "components": 4,
            "scale": "tanh",
            "conditioner": "residual",
            "scales": 2,
            "depth": 7,
            "features": (24, 64),
            "lr": 4e-3,
        },
        "train": {
            "batch_size": 32,
            "steps": 1500,
            "schedule": "cosine",
            "warmup": 100,
            "clip": 200.0,
            "ema": 0.998,
            "evaluate_every": 500,
            "sample_every": 500,
        },
    },
    "kingma-2018": {
        "about": "the sizes of arXiv:1807.03039 on 32x32: three scales of 32 steps, 512 channels",
        "model": {"depth": 32, "features": (512,), "input": "none"},
        "train": {"batch_size": 64, "epochs": 1800.0, "warmup": 5000, "clip": 50.0},
    },
    "points": {
        "about": "mixtures of 8 in six steps of 64 units: points in a minute on one core",
        "model": {
            "transform": "mixture",
            "scale": "tanh",
            "depth": 6,
            "hidden": (64, 64),
            "lr": 5e-3,
        },
        "train": {"batch_size": 256, "steps": 2000, "schedule": "cosine", "clip": 10.0},
    },
}
