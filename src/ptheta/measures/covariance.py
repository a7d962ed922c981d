"""A Gaussian fitted to points: Mahalanobis distances, densities and PCA residuals."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from ptheta.errors import PthetaError

LEAST = 1e-6  # relative to the largest variance: directions with less are ignored


@dataclass(frozen=True)
class Gaussian:
    """A fitted Gaussian.

    mean: (d,); axes: (d, r), orthonormal, most variance first; variance: (r,), along each
    rest: variance along every other direction
    """

    mean: Tensor
    axes: Tensor
    variance: Tensor
    rest: float

    @classmethod
    def of(cls, x: Tensor, shrink: float = 1e-3) -> Gaussian:
        """The mean and covariance of points x (N, d), in float64.

        shrink: fraction of the mean variance that is added to each, so that directions with little
            variance do not dominate
        """
        if len(x) < 2:
            raise PthetaError(f"{len(x)} example is too few for a covariance: give at least two")
        x = x.double()
        mean = x.mean(0)
        values, vectors = _principal(x - mean)
        share = float(values.sum()) / x.shape[1]
        base = max(share * shrink, LEAST * float(values[0]), 1e-12)
        return cls(mean, vectors, values + base, base)

    def distance(self, x: Tensor) -> Tensor:
        """The Mahalanobis distance of points x (N, d): float64 (N,)."""
        centred = x.double() - self.mean
        along = (centred @ self.axes).square()
        beyond = (centred.square().sum(1) - along.sum(1)).clamp(min=0) / self.rest
        missing = self.axes.shape[1] < len(self.mean)
        return ((along / self.variance).sum(1) + (beyond if missing else 0.0)).sqrt()

    def surprise(self, x: Tensor) -> Tensor:
        """-log density of points x (N, d), nats: float64 (N,)."""
        beyond = len(self.mean) - self.axes.shape[1]
        constant = self.variance.log().sum() + beyond * math.log(self.rest)
        constant = constant + len(self.mean) * math.log(2 * math.pi)
        return (self.distance(x).square() + constant) / 2

    def left_over(self, x: Tensor, count: int) -> Tensor:
        """The root mean square residual of points x (N, d) from the first `count` directions."""
        centred = x.double() - self.mean
        axes = self.axes[:, :count]
        return (centred - centred @ axes @ axes.T).square().mean(1).sqrt()


def _principal(centred: Tensor) -> tuple[Tensor, Tensor]:
    """The variances (r,) of points (N, d) along their principal directions (d, r), most first.

    For fewer points than dimensions, by the Gram matrix of the points.
    """
    n, d = centred.shape
    if n < d:
        _, scale, axes = torch.linalg.svd(centred, full_matrices=False)
        return scale.square() / (n - 1), axes.T
    values, vectors = torch.linalg.eigh(centred.T @ centred / (n - 1))
    return values.flip(0).clamp(min=0), vectors.flip(1)
