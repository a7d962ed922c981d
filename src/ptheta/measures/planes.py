"""Projections of points on a plane, highest-density regions, and accuracy of nearest-neighbour
labels."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ptheta.errors import PthetaError
from ptheta.measures.classification import IntervalEstimate, wilson
from ptheta.measures.covariance import Gaussian

CHUNK = 1000  # points whose distances to all others are in memory at a time
CHOSEN_BY = 2000  # maximum points for the choice of a bandwidth
FACTORS = (0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.6, 0.8, 1.0)  # candidate factors of Scott's bandwidth
FITTED = 5  # parameters of a Gaussian in a plane
FLAT = 1e-6  # minimum variance relative to the larger one, for points on a line


@dataclass(frozen=True, eq=False)
class Plane:
    """A plane in L dimensions.

    center: (L,); axes: (L, 2), orthonormal
    share: fraction of the variance of the points along each axis; dims: the dimensions of the axes,
        or None for principal components
    """

    center: Tensor
    axes: Tensor
    share: tuple[float, float]
    dims: tuple[int, int] | None

    def of(self, z: Tensor) -> Tensor:
        """Project points (N, L) on the plane: float64 (N, 2)."""
        return (z.double() - self.center) @ self.axes

    def covariances(self, std: Tensor) -> Tensor:
        """P diag(std^2) P^T for each row of std (N, L), with P the axes: (N, 2, 2)."""
        scaled = self.axes * std.double()[:, :, None]
        return scaled.mT @ scaled


def plane_of(z: Tensor, dims: tuple[int, int] | None = None) -> Plane:
    """The plane of two dimensions of points z (N, L), or of their first two principal components if
    L is more than 2 and no dimensions are given.

    Raises PthetaError for invalid dimensions, for points of one dimension, and for points that vary
    in fewer than two directions.
    """
    size = z.shape[1]
    if size < 2:
        raise PthetaError("a code of this model is 1 number: two are needed to draw a plane")
    if dims is None and size == 2:
        dims = (0, 1)
    if dims is None:
        found = Gaussian.of(z)
        if found.axes.shape[1] < 2:
            raise PthetaError("these codes vary in fewer than two directions: give --dims")
        center, axes = found.mean, _upright(found.axes[:, :2])
    else:
        if len({*dims}) != 2 or not all(0 <= d < size for d in dims):
            raise PthetaError(f"dimensions {dims[0]},{dims[1]}: give two of 0 to {size - 1}")
        center, axes = z.new_zeros(size).double(), torch.eye(size).double()[:, list(dims)]
    total = z.double().var(0).sum().clamp_min(1e-300)
    first, second = (((z.double() - center) @ axes).var(0) / total).tolist()
    return Plane(center, axes, (first, second), dims)


def _upright(axes: Tensor) -> Tensor:
    """Make the largest component of each axis positive, so that the signs are reproducible."""
    largest = axes.gather(0, axes.abs().argmax(0, keepdim=True))
    return axes * torch.where(largest < 0, -1.0, 1.0)


@dataclass(frozen=True, eq=False)
class Density:
    """A density estimate of points in a plane: the Gaussian with their mean and covariance, or a
    kernel density estimate, whichever has the higher leave-one-out likelihood. The kernel is
    Gaussian, with that covariance times the square of a factor of `FACTORS` times Scott's bandwidth
    N^(-1/6).

    center, whiten: (2,), (2, 2): y = (x - center) whiten has mean 0 and covariance 1
    kernels: centres y of the kernels, (K, 2); width: of the kernels; the Gaussian is one kernel of
        width 1
    own: the leave-one-out density at each point, (N,); box: (low, high), bounding box of the points
    """

    center: Tensor
    whiten: Tensor
    kernels: Tensor
    width: float
    own: Tensor
    box: tuple[Tensor, Tensor]

    @classmethod
    def of(cls, x: Tensor) -> Density:
        """Fit to points (N, 2). Raises PthetaError for fewer than three."""
        if len(x) < 3:
            raise PthetaError(f"{len(x)} codes have no density: give at least three")
        x = x.double()
        values, vectors = torch.linalg.eigh(x.T.cov())
        scales = values.clamp_min(max(float(values[1]) * FLAT, 1e-300)).rsqrt()
        whiten, center = vectors * scales, x.mean(0)
        y, box = (x - center) @ whiten, (x.min(0).values, x.max(0).values)
        factor = _best_factor(y[:CHOSEN_BY])
        if factor is None:
            one = y.new_zeros(1, 2)
            return cls(center, whiten, one, 1.0, _density(y, one, 1.0), box)
        width = factor * _scott(len(x))
        own = (_density(y, y, width) * len(x) - width**-2) / (len(x) - 1)  # without its own kernel
        return cls(center, whiten, y, width, own, box)

    def at(self, x: Tensor) -> Tensor:
        """The density, up to a constant, at points (M, 2): (M,)."""
        return _density((x.double() - self.center) @ self.whiten, self.kernels, self.width)

    def level(self, mass: float) -> float:
        """The density exceeded at a fraction `mass` of the points: the boundary of the
        highest-density region (Hyndman 1996, The American Statistician 50:120)."""
        return float(self.own.quantile(1 - mass))

    def holds(self, x: Tensor, mass: float) -> IntervalEstimate:
        """The fraction of points (M, 2) in the highest-density region, with its interval."""
        return wilson(int((self.at(x) >= self.level(mass)).sum()), len(x))

    def grid(self, cells: int) -> tuple[Tensor, Tensor, Tensor]:
        """The density on a grid around the points: horizontal (cells,) and vertical (cells,)
        coordinates, values (cells, cells)."""
        low, high = self.box
        edge = 0.15 * (high - low)
        across, down = (
            torch.linspace(float(a), float(b), cells).double()
            for a, b in zip(low - edge, high + edge, strict=True)
        )
        places = torch.cartesian_prod(down, across).flip(1)
        return across, down, self.at(places).view(cells, cells)


def _scott(n: int) -> float:
    """The bandwidth for n points with unit covariance (Scott 1992, Multivariate Density Estimation,
    section 6.3)."""
    return float(n ** (-1 / 6))


def _best_factor(y: Tensor) -> float | None:
    """The factor of `FACTORS` with the highest leave-one-out likelihood; None if N(0, I) is better
    by Akaike's criterion."""
    squared = torch.cdist(y, y).square().fill_diagonal_(torch.inf)
    scott, n = _scott(len(y)), len(y)
    every = [_kernels(squared, f * scott) * n / (n - 1) for f in FACTORS]
    each = torch.stack([density.clamp_min(1e-300).log().mean() for density in every])
    gaussian = -y.square().sum(1).mean() / 2 - FITTED / n
    return None if gaussian >= each.max() else FACTORS[int(each.argmax())]


def _density(y: Tensor, kernels: Tensor, width: float) -> Tensor:
    """The density at points y (M, 2), up to a constant: (M,)."""
    parts = [torch.cdist(some, kernels).square() for some in y.split(CHUNK)]
    return torch.cat([_kernels(part, width) for part in parts])


def _kernels(squared: Tensor, width: float) -> Tensor:
    """The mean of the kernels of squared distances (M, K), up to a constant common to all
    widths."""
    return (squared / (-2 * width**2)).exp().mean(1) / width**2


def by_neighbour(h: Tensor, y: Tensor) -> IntervalEstimate:
    """Accuracy of predicting the label of each point h (N, d) by its nearest neighbour. y: int64
    (N,)

    Raises PthetaError for fewer than two.
    """
    if len(h) < 2:
        raise PthetaError("one example has no neighbour: give at least two")
    h, hits = h.flatten(1).double(), 0
    for start in range(0, len(h), CHUNK):
        d = torch.cdist(h[start : start + CHUNK], h)
        here = torch.arange(len(d))
        d[here, start + here] = torch.inf
        hits += int((y[d.argmin(1)] == y[start : start + len(d)]).sum())
    return wilson(hits, len(h))
