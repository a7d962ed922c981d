"""Principal components of images, the baseline of codes."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ptheta.measures.covariance import Gaussian
from ptheta.specs import from_unit

MOST = 10_000  # images that the components are fitted to
VALUES = 2**23  # and at most so many values of theirs
FEWEST = 500  # of them, however large


def enough(dims: int) -> int:
    """How many images of so many values the components are fitted to."""
    return min(MOST, max(FEWEST, VALUES // dims))


@dataclass(frozen=True, eq=False)
class Principal:
    """mean: (D,), axes: (D, R), orthonormal, most variance first; white - black = 1"""

    mean: Tensor
    axes: Tensor

    @classmethod
    def of(cls, x: Tensor) -> Principal:
        """Fit to images, uint8 (N, C, H, W). Raises PthetaError for fewer than two."""
        found = Gaussian.of(_flat(x))
        return cls(found.mean, found.axes)

    def image(self, x: Tensor, count: int) -> Tensor:
        """Project images, uint8 (B, C, H, W), on the first `count` components: the same shape."""
        axes = self.axes[:, :count]
        kept = self.mean + (_flat(x) - self.mean) @ axes @ axes.T
        return from_unit(kept).view_as(x)

    def best(self, damaged: Tensor, clean: Tensor) -> int:
        """How many components of damaged images are nearest to the clean ones, by the squared
        error before values are clipped and rounded: 0 or more."""
        seen, true = ((_flat(x) - self.mean) @ self.axes for x in (damaged, clean))
        kept, dropped = (seen - true).square().sum(0), true.square().sum(0)
        # with k of them: the first k have an error, and the others are missing
        change = torch.cat([kept.new_zeros(1), (kept - dropped).cumsum(0)])
        return int(change.argmin())


def _flat(x: Tensor) -> Tensor:
    return x.flatten(1).double() / 255
