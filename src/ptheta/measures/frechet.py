"""Frechet distance between Gaussians fitted to features, in float64 (arXiv:1706.08500)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from ptheta.errors import PthetaError
from ptheta.measures.intervals import Groups, draws
from ptheta.measures.results import Draws

LEAST_TO_EXTRAPOLATE = 50  # minimum images of either side
CHUNK = 4096  # images whose features are converted to float64 at a time


@dataclass(frozen=True)
class Gaussian:
    """A Gaussian by its mean (d,) and a root of its covariance: root.T @ root = cov, root (r, d),
    float64."""

    mean: Tensor
    root: Tensor


def fit(features: Tensor) -> Gaussian:
    """Mean and unbiased covariance of features (N, d), N >= 2.

    With fewer images than features the root is the matrix of centred features; else the Cholesky
    factor, or for linearly dependent features the root from `eigh` (never complex).
    """
    n, d = features.shape
    if n < 2:
        raise PthetaError(f"{n} image has no covariance: give at least two")
    mean = features.new_zeros(d, dtype=torch.float64)
    for part in features.split(CHUNK):
        mean += part.double().sum(0) / n
    if n <= d:
        return Gaussian(mean, _finite((features.double() - mean) / (n - 1) ** 0.5))
    return Gaussian(mean, root_of(_finite(_squares(features, mean) / (n - 1))))


def _finite(spread: Tensor) -> Tensor:
    """Raise PthetaError for non-finite values."""
    if not bool(spread.square().sum().isfinite()):
        raise PthetaError(
            "the features hold NaN or infinity, or numbers whose squares do not fit into float64: "
            "leave these out, or scale them down"
        )
    return spread


def root_of(covariance: Tensor) -> Tensor:
    """A root r (d, d), with r.T @ r the covariance."""
    lower, failed = torch.linalg.cholesky_ex(covariance)
    if not failed:
        root: Tensor = lower.T
    else:
        values, vectors = torch.linalg.eigh(covariance)
        root = values.clamp(min=0).sqrt()[:, None] * vectors.T
    return root


def frechet(a: Gaussian, b: Gaussian) -> float:
    """|m_a - m_b|^2 + tr(C_a + C_b - 2 (C_a C_b)^(1/2)): Dowson & Landau 1982.

    tr (C_a C_b)^(1/2) is the sum of the singular values of root_a root_b^T. Computing them
    directly, not as roots of eigenvalues of a product, keeps float64 precision for dependent
    features.
    """
    between = (a.mean - b.mean).square().sum()
    within = a.root.square().sum() + b.root.square().sum()
    shared = torch.linalg.svdvals(a.root @ b.root.T).sum()
    return max(0.0, float(between + within - 2 * shared))


def frechet_draws(x: Tensor, y: Tensor, fakes: Groups, reals: Groups) -> Draws | None:
    """Leave-one-group-out distances of x (fake) and y (real); None for too few images.

    The bias for few images (Chong & Forsyth 2020, arXiv:1911.07023) is equal in all of these, and
    not part of the error.
    """
    if not fakes.count or not reals.count:
        return None
    on_fake, on_real = fit(x), fit(y)
    return draws(
        _values(frechet(part, on_real) for part in _without(x, fakes)),
        _values(frechet(on_fake, part) for part in _without(y, reals)),
    )


def _values(found: Iterable[float]) -> Tensor:
    return torch.tensor(list(found), dtype=torch.float64)


def _without(x: Tensor, groups: Groups) -> Iterator[Gaussian]:
    """Gaussians fitted to x (n, d) without each group in turn."""
    if groups.left.min() <= x.shape[1]:
        for g in range(groups.count):
            yield fit(x[groups.of != g])
        return
    # subtract the terms of each group from the global sums: all fits cost as much as two
    centre = fit(x).mean
    total = _squares(x, centre)
    for g in range(groups.count):
        part, left = x[groups.of == g], groups.left[g]
        mean = (
            -(part.double() - centre).sum(0) / left
        )  # mean of the rest, relative to the global mean
        squares = total - _squares(part, centre) - left * torch.outer(mean, mean)
        yield Gaussian(centre + mean, root_of(squares / (left - 1)))


def _squares(x: Tensor, centre: Tensor) -> Tensor:
    """Sum of the outer products of x (n, d) about a centre: (d, d), float64."""
    total = centre.new_zeros(len(centre), len(centre))
    for part in x.split(CHUNK):
        centred = part.double() - centre
        total.addmm_(centred.T, centred)
    return total


def frechet_infinity(
    value: float, found: Draws, fakes: Groups, reals: Groups
) -> tuple[float, Draws]:
    """The distance extrapolated to infinitely many samples and real images, and its replicates.

    value, found: the distance, and its leave-one-group-out values. To first order its bias is b / n
    for n samples (Chong & Forsyth 2020, arXiv:1911.07023) plus c / m for m real images. Both are
    estimated from leaving images out (Quenouille 1956) and subtracted; for equal distributions the
    result is near 0, of either sign.
    """
    for groups, kind in ((fakes, "samples"), (reals, "real images")):
        if groups.n < LEAST_TO_EXTRAPOLATE:
            raise PthetaError(
                f"{groups.n} {kind} are too few to extrapolate from: "
                f"give {LEAST_TO_EXTRAPOLATE} or more"
            )
    bias = sum(
        (groups.left / groups.n * (_values(without) - value)).sum().item()
        for groups, without in ((fakes, found.fake), (reals, found.real))
    )
    # to first order an image affects both equally
    moved = (tuple(v - bias for v in side) for side in (found.fake, found.real))
    return value - bias, Draws(*moved)
