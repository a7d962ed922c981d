"""Points in a plane: what is seen of points of more dimensions there, regions that hold a share of
them, and how well their nearest neighbours tell their labels."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ptheta.errors import PthetaError
from ptheta.measures.classification import IntervalEstimate, wilson
from ptheta.measures.covariance import Gaussian

CHUNK = 1000  # points whose distances to all others are in memory
CHOSEN_BY = 2000  # points, at most, by which a bandwidth is chosen
FACTORS = (0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.6, 0.8, 1.0)  # of Scott's bandwidth
FITTED = 5  # numbers of a Gaussian in a plane
FLAT = 1e-6  # of the larger variance in a plane: points on a line have a kernel, too


@dataclass(frozen=True, eq=False)
class Plane:
    """center: (L,); axes: (L, 2), orthonormal
    share: of the variance of the points, along each axis; dims: the dimensions that they are; None
        where they are principal components
    """

    center: Tensor
    axes: Tensor
    share: tuple[float, float]
    dims: tuple[int, int] | None

    def of(self, z: Tensor) -> Tensor:
        """Points (N, L) as they are seen there: float64 (N, 2)."""
        return (z.double() - self.center) @ self.axes

    def covariances(self, std: Tensor) -> Tensor:
        """P diag(std^2) P^T for each row of std (N, L), with P the axes: (N, 2, 2)."""
        scaled = self.axes * std.double()[:, :, None]
        return scaled.mT @ scaled


def plane_of(z: Tensor, dims: tuple[int, int] | None = None) -> Plane:
    """The plane of two dimensions of points z (N, L), or of their first two principal components
    where L is more than 2 and none are named.

    Raises PthetaError for dimensions that are not there, for points of one number, and for those
    that vary in fewer than two directions.
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
    """The same axes, the largest number of each above 0, so that they do not turn by chance."""
    largest = axes.gather(0, axes.abs().argmax(0, keepdim=True))
    return axes * torch.where(largest < 0, -1.0, 1.0)


@dataclass(frozen=True, eq=False)
class Density:
    """An estimate of the density of points in a plane: the Gaussian of their mean and covariance,
    or a kernel estimate, whichever is more likely to give a point that it has not seen. The kernel
    is Gaussian, with that covariance times the square of a factor of `FACTORS` times Scott's
    bandwidth N^(-1/6).

    center, whiten: (2,), (2, 2): y = (x - center) whiten has the mean 0 and the covariance 1
    kernels: their middles y, (K, 2); width: theirs; the Gaussian is one kernel of width 1
    own: the density at each point under the others, (N,); box: (low, high), what points lie in
    """

    center: Tensor
    whiten: Tensor
    kernels: Tensor
    width: float
    own: Tensor
    box: tuple[Tensor, Tensor]

    @classmethod
    def of(cls, x: Tensor) -> Density:
        """Of points (N, 2). Raises PthetaError for fewer than three."""
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
        """Up to one constant, at points (M, 2): (M,)."""
        return _density((x.double() - self.center) @ self.whiten, self.kernels, self.width)

    def level(self, mass: float) -> float:
        """The density that a share `mass` of the points reach: the border of the region of highest
        density that holds it (Hyndman 1996, The American Statistician 50:120)."""
        return float(self.own.quantile(1 - mass))

    def holds(self, x: Tensor, mass: float) -> IntervalEstimate:
        """The share of points (M, 2) in that region, with its interval."""
        return wilson(int((self.at(x) >= self.level(mass)).sum()), len(x))

    def grid(self, cells: int) -> tuple[Tensor, Tensor, Tensor]:
        """The density over the points and what is around them: across (cells,), down (cells,),
        values (cells, cells)."""
        low, high = self.box
        edge = 0.15 * (high - low)
        across, down = (
            torch.linspace(float(a), float(b), cells).double()
            for a, b in zip(low - edge, high + edge, strict=True)
        )
        places = torch.cartesian_prod(down, across).flip(1)
        return across, down, self.at(places).view(cells, cells)


def _scott(n: int) -> float:
    """The bandwidth of n points whose covariance is 1 (Scott 1992, Multivariate Density
    Estimation, section 6.3)."""
    return float(n ** (-1 / 6))


def _best_factor(y: Tensor) -> float | None:
    """Of `FACTORS`, the one of Scott's bandwidth by which points are most likely, each under the
    others; None where they are more likely under N(0, I), by Akaike's criterion."""
    squared = torch.cdist(y, y).square().fill_diagonal_(torch.inf)
    scott, n = _scott(len(y)), len(y)
    every = [_kernels(squared, f * scott) * n / (n - 1) for f in FACTORS]
    each = torch.stack([density.clamp_min(1e-300).log().mean() for density in every])
    gaussian = -y.square().sum(1).mean() / 2 - FITTED / n
    return None if gaussian >= each.max() else FACTORS[int(each.argmax())]


def _density(y: Tensor, kernels: Tensor, width: float) -> Tensor:
    """At points y (M, 2): (M,), up to one constant."""
    parts = [torch.cdist(some, kernels).square() for some in y.split(CHUNK)]
    return torch.cat([_kernels(part, width) for part in parts])


def _kernels(squared: Tensor, width: float) -> Tensor:
    """The mean of the kernels of squared distances (M, K), up to a constant that all widths
    share."""
    return (squared / (-2 * width**2)).exp().mean(1) / width**2


def by_neighbour(h: Tensor, y: Tensor) -> IntervalEstimate:
    """The share of points h (N, d) that have the label of the nearest other point. y: int64 (N,)

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
