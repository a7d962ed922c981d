"""PCA of images, the baseline for latent codes."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ptheta.measures.covariance import Gaussian
from ptheta.specs import from_unit

MOST = 10_000  # maximum number of images for the fit
VALUES = 2**23  # maximum number of values for the fit
FEWEST = 500  # minimum number of images, whatever their size


def enough(dims: int) -> int:
    """How many images of `dims` values the components are fitted to."""
    return min(MOST, max(FEWEST, VALUES // dims))


@dataclass(frozen=True, eq=False)
class Principal:
    """Fitted PCA. mean: (D,); axes: (D, R), orthonormal, most variance first; white - black = 1"""

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
        """The number of components for which projected damaged images have the least squared error
        from the clean ones, before clipping and rounding: 0 or more."""
        seen, true = ((_flat(x) - self.mean) @ self.axes for x in (damaged, clean))
        kept, dropped = (seen - true).square().sum(0), true.square().sum(0)
        # change in error with k components: their own error, less the norm that is no longer
        # omitted
        change = torch.cat([kept.new_zeros(1), (kept - dropped).cumsum(0)])
        return int(change.argmin())


def _flat(x: Tensor) -> Tensor:
    return x.flatten(1).double() / 255
