"""RealNVP: affine couplings at several scales (Dinh et al. 2017, arXiv:1605.08803)."""

from __future__ import annotations

from dataclasses import dataclass

from ptheta.models.flows.base import Flow
from ptheta.models.flows.steps import CouplingConfig
from ptheta.models.recipes import Recipes
from ptheta.nets.flows.actnorm import ActNorm
from ptheta.nets.flows.couplings import Checkerboard, FactoredOut, Halves
from ptheta.nets.flows.shapes import Flatten, Squeeze, halvings
from ptheta.nets.flows.transform import Chain, Transform
from ptheta.specs import ImageSpec


@dataclass(frozen=True)
class RealNVPConfig(CouplingConfig):
    pass


class RealNVP(Flow):
    """At each scale couplings by a checkerboard, a squeeze, couplings by halves of the channels,
    then half of the channels leaves; at the last scale couplings by a checkerboard alone, one more.
    Between two of them activation normalisation, where the paper has batch normalisation.

    Of vectors, couplings in which the numbers in even places move those in odd ones, in turn.
    """

    config: RealNVPConfig

    def transform(self) -> Transform:
        if isinstance(self.spec, ImageSpec):
            h, w = self.spec.height, self.spec.width
            return self._scale(self.spec.shape, min(self.config.scales - 1, halvings(h, w)), 0)
        parts: list[Transform] = []
        for i in range(self.config.depth):
            parts += [ActNorm(self.dims), self.config.of_vectors(self.dims, bool(i % 2))]
        return Chain(parts)

    def _scale(self, shape: tuple[int, int, int], left: int, scale: int) -> Transform:
        """left: scales below this one; scale: 0, 1, ..."""
        c, h, w = shape
        parts: list[Transform] = []
        for i in range(self.config.depth + (left == 0)):
            board = Checkerboard(shape, bool(i % 2))
            parts += [ActNorm(c), self.config.coupling(board, scale)]
        if not left:
            return Chain([*parts, Flatten(shape)])
        parts.append(Squeeze())
        for i in range(self.config.depth):
            parts += [ActNorm(4 * c), self.config.coupling(Halves(4 * c, bool(i % 2)), scale)]
        squeezed = (4 * c, h // 2, w // 2)
        inner = self._scale((2 * c, h // 2, w // 2), left - 1, scale + 1)
        return Chain([*parts, FactoredOut(squeezed, inner, None)])


RECIPES: Recipes = {
    "default": {
        "about": "two scales, three couplings of each kind, 64 channels",
        "model": {"scales": 2, "depth": 3, "features": (64, 128), "blocks": 2},
        "train": {"batch_size": 64, "epochs": 50.0, "schedule": "cosine", "clip": 50.0},
    },
    "dinh-2016": {
        "about": "the sizes of arXiv:1605.08803 on 32x32: 64 channels, 8 residual blocks",
        "model": {
            "scales": 2,
            "depth": 3,
            "features": (64, 128),
            "blocks": 8,
            "weight_decay": 5e-5,
        },
        "train": {"batch_size": 64, "epochs": 500.0, "clip": 50.0},
    },
    "points": {
        "about": "mixtures of 8 in six couplings of 64 units: points in a minute on one core",
        "model": {"transform": "mixture", "depth": 6, "hidden": (64, 64), "lr": 5e-3},
        "train": {"batch_size": 256, "steps": 2000, "schedule": "cosine", "clip": 10.0},
    },
}
