"""Frechet distance between Gaussians fitted to features, in float64 (arXiv:1706.08500)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ptheta.errors import PthetaError
from ptheta.metrics.bootstrap import Bootstrap

LEAST_TO_EXTRAPOLATE = 50  # samples
CHUNK = 4096  # images whose features are held in float64 at a time


@dataclass(frozen=True)
class Gaussian:
    """mean (d,) and a root of the covariance: root.T @ root = cov, root (r, d), float64."""

    mean: Tensor
    root: Tensor


def fit(features: Tensor) -> Gaussian:
    """Mean and unbiased covariance of features (N, d), N >= 2.

    With fewer images than features the root is the centred features themselves; else Cholesky's
    factor, or where features are dependent the root from `eigh` (never complex).
    """
    n, d = features.shape
    if n < 2:
        raise PthetaError(f"{n} image has no covariance: give at least two")
    mean = features.new_zeros(d, dtype=torch.float64)
    for part in features.split(CHUNK):
        mean += part.double().sum(0) / n
    if n <= d:
        return Gaussian(mean, (features.double() - mean) / (n - 1) ** 0.5)
    covariance = mean.new_zeros(d, d)
    for part in features.split(CHUNK):
        centred = part.double() - mean
        covariance.addmm_(centred.T, centred, alpha=1 / (n - 1))
    return Gaussian(mean, root_of(covariance))


def root_of(covariance: Tensor) -> Tensor:
    """A root r (d, d), with r.T @ r the covariance."""
    lower, failed = torch.linalg.cholesky_ex(covariance)
    if not failed:
        return lower.T
    values, vectors = torch.linalg.eigh(covariance)
    return values.clamp(min=0).sqrt()[:, None] * vectors.T


def frechet(a: Gaussian, b: Gaussian) -> float:
    """|m_a - m_b|^2 + tr(C_a + C_b - 2 (C_a C_b)^(1/2)): Dowson & Landau 1982.

    tr (C_a C_b)^(1/2) is the sum of the singular values of root_a root_b^T. Taking them directly,
    not as roots of eigenvalues of a product, keeps float64's digits where features are dependent.
    """
    between = (a.mean - b.mean).square().sum()
    within = a.root.square().sum() + b.root.square().sum()
    shared = torch.linalg.svdvals(a.root @ b.root.T).sum()
    return max(0.0, (between + within - 2 * shared).item())


def frechet_draws(x: Tensor, y: Tensor, boot: Bootstrap) -> Tensor:
    """The distance of resamples of x (fakes) and y (real); their deviation is the standard error.

    The bias of the distance with N (Chong & Forsyth 2020, arXiv:1911.07023) is not in it.
    """
    repeats = boot.repeats(x.shape[1])
    values = [
        frechet(fit(x[boot.rows("fake", b)]), fit(y[boot.rows("real", b)])) for b in range(repeats)
    ]
    return torch.tensor(values, dtype=torch.float64)


def frechet_infinity(
    x: Tensor, reference: Gaussian, points: int = 15, seed: int = 0
) -> tuple[float, float]:
    """The distance that infinitely many samples would have, and how well the line fits.

    The distance of N samples is to first order linear in 1 / N (Chong & Forsyth 2020, algorithm 1,
    arXiv:1911.07023): a line through the distances of random parts of x is read off at 0. The parts
    reach from a tenth of x, or four times the dimensions where x has as many, to all of it; each
    weighs as many as it holds, since the fewer they are the more their distance varies. The error
    is that of the line alone: all parts share the luck of x.
    Raises PthetaError for fewer than `LEAST_TO_EXTRAPOLATE` samples.
    """
    n, d = x.shape
    if n < LEAST_TO_EXTRAPOLATE:
        raise PthetaError(
            f"{n} samples are too few to extrapolate from: give {LEAST_TO_EXTRAPOLATE} or more"
        )
    generator = torch.Generator().manual_seed(seed)
    least = max(10, n // 10, min(n // 2, 4 * d))
    sizes = torch.linspace(least, n, points).round().double()
    values = [
        frechet(fit(x[torch.randperm(n, generator=generator)[: int(size)]]), reference)
        for size in sizes
    ]
    y, t, w = torch.tensor(values, dtype=torch.float64), 1 / sizes, sizes / sizes.sum()
    middle, height = (w * t).sum(), (w * y).sum()
    spread = (w * (t - middle).square()).sum()
    slope = (w * (t - middle) * (y - height)).sum() / spread
    at_zero = height - slope * middle
    rest = y - at_zero - slope * t
    variance = (w * rest.square()).sum() / (points - 2)
    return max(0.0, at_zero.item()), (variance * (1 + middle**2 / spread)).sqrt().item()
