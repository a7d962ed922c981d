"""Masked autoregressive flow (Papamakarios et al. 2017, arXiv:1705.07057)."""

from __future__ import annotations

from dataclasses import dataclass

from ptheta.config import Layers, Parts, option
from ptheta.models.flows.affine import AffineConfig
from ptheta.models.flows.base import Flow
from ptheta.models.recipes import Recipes
from ptheta.nets.flows.actnorm import ActNorm
from ptheta.nets.flows.masked import Autoregressive
from ptheta.nets.flows.shapes import Flatten
from ptheta.nets.flows.transform import Chain, Transform


@dataclass(frozen=True)
class MAFConfig(AffineConfig):
    transforms: Parts = option(
        5, "masked networks; each reverses the order of the one before", basic=True
    )
    hidden: Layers = option((512, 512), "units of each network's hidden layers", basic=True)


class MAF(Flow):
    """z_d = (x_d + t(x_{<d})) s(x_{<d}), several times, the order reversed in turn; between two of
    them activation normalisation, where the paper has batch normalisation. An image is one row.

    The density takes one pass, and a sample one of each number, in which every unit is computed
    once (`ptheta.nets.made_units`).
    """

    config: MAFConfig

    def transform(self) -> Transform:
        c = self.config
        parts: list[Transform] = [Flatten(self.inner)]
        for i in range(c.transforms):
            reverse = bool(i % 2)
            parts.append(ActNorm(self.dims))
            parts.append(Autoregressive(self.dims, c.hidden, c.law(), 0, reverse=reverse))
        return Chain(parts)


RECIPES: Recipes = {
    "default": {
        "about": "five networks of two layers of 512 units",
        "model": {},
        "train": {"batch_size": 128, "epochs": 50.0, "schedule": "cosine", "clip": 50.0},
    },
    "papamakarios-2017": {
        "about": "MAF(10) of arXiv:1705.07057 on MNIST: ten networks of one layer of 1024 units",
        "model": {"transforms": 10, "hidden": (1024,), "edge": 1e-6, "lr": 1e-4},
        "train": {"batch_size": 100, "epochs": 500.0, "clip": 50.0},
    },
    "points": {
        "about": "mixtures of 8 in three networks of 64 units: points in a minute on one core",
        "model": {"transform": "mixture", "transforms": 3, "hidden": (64, 64), "lr": 5e-3},
        "train": {"batch_size": 256, "steps": 2000, "schedule": "cosine", "clip": 10.0},
    },
}
