"""A Gaussian of points: distances from it, and what its first directions leave over."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from ptheta.errors import PthetaError

LEAST = 1e-6  # of the largest variance: directions below it are no directions of the data


@dataclass(frozen=True)
class Gaussian:
    """mean: (d,); axes: (d, r), orthonormal, most variance first; variance: (r,), along each

    rest: variance along every other direction
    """

    mean: Tensor
    axes: Tensor
    variance: Tensor
    rest: float

    @classmethod
    def of(cls, x: Tensor, shrink: float = 1e-3) -> Gaussian:
        """The mean and covariance of points x (N, d), in float64.

        shrink: share of the mean variance that is added to each, so that directions in which the
            points hardly vary do not decide alone
        """
        if len(x) < 2:
            raise PthetaError(f"{len(x)} example is too few for a covariance: give at least two")
        x = x.double()
        mean = x.mean(0)
        values, vectors = torch.linalg.eigh(torch.cov((x - mean).T).reshape(x.shape[1], -1))
        values, vectors = values.flip(0).clamp(min=0), vectors.flip(1)
        base = max(float(values.mean()) * shrink, LEAST * float(values[0]), 1e-12)
        return cls(mean, vectors, values + base, base)

    def distance(self, x: Tensor) -> Tensor:
        """The Mahalanobis distance of points x (N, d): float64 (N,)."""
        along = (x.double() - self.mean) @ self.axes
        return (along.square() / self.variance).sum(1).sqrt()

    def surprise(self, x: Tensor) -> Tensor:
        """-log density of points x (N, d), nats: float64 (N,)."""
        constant = self.variance.log().sum() + len(self.mean) * math.log(2 * math.pi)
        return (self.distance(x).square() + constant) / 2

    def left_over(self, x: Tensor, count: int) -> Tensor:
        """The root mean square of what the first `count` directions leave of points x (N, d)."""
        centred = x.double() - self.mean
        axes = self.axes[:, :count]
        return (centred - centred @ axes @ axes.T).square().mean(1).sqrt()
