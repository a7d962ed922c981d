"""Frechet distance between Gaussians fitted to features, in float64 (arXiv:1706.08500)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from ptheta.errors import PthetaError
from ptheta.measures.intervals import Groups, draws
from ptheta.measures.results import Draws

LEAST_TO_EXTRAPOLATE = 50  # images of either side
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
        return Gaussian(mean, _finite((features.double() - mean) / (n - 1) ** 0.5))
    return Gaussian(mean, root_of(_finite(_squares(features, mean) / (n - 1))))


def _finite(spread: Tensor) -> Tensor:
    """Raises PthetaError for what no distance can be taken of."""
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

    tr (C_a C_b)^(1/2) is the sum of the singular values of root_a root_b^T. Taking them directly,
    not as roots of eigenvalues of a product, keeps float64's digits where features are dependent.
    """
    between = (a.mean - b.mean).square().sum()
    within = a.root.square().sum() + b.root.square().sum()
    shared = torch.linalg.svdvals(a.root @ b.root.T).sum()
    return max(0.0, float(between + within - 2 * shared))


def frechet_draws(x: Tensor, y: Tensor, fakes: Groups, reals: Groups) -> Draws | None:
    """The distance of x (fakes) and y (real) without each group; None for too few images.

    How the distance rises for fewer images (Chong & Forsyth 2020, arXiv:1911.07023) is in all of
    these alike, and not in the error.
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
    """Of x (n, d) without each group in turn."""
    if groups.left.min() <= x.shape[1]:
        for g in range(groups.count):
            yield fit(x[groups.of != g])
        return
    # what a group adds is taken from the sums over all, so all fits together cost what two would
    centre = fit(x).mean
    total = _squares(x, centre)
    for g in range(groups.count):
        part, left = x[groups.of == g], groups.left[g]
        mean = -(part.double() - centre).sum(0) / left  # of the rest, from the centre of all
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
    """The distance that infinitely many samples and real images would have, and its draws.

    value, found: the distance, and without each group. To first order it is too large by b / n of
    the n samples (Chong & Forsyth 2020, arXiv:1911.07023) and by c / m of the m real images. Both
    are read off what leaving images out adds (Quenouille 1956), and taken away; where nothing is
    between the two distributions the result is near 0 on either side.
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
    # to first order an image moves both alike
    moved = (tuple(v - bias for v in side) for side in (found.fake, found.real))
    return value - bias, Draws(*moved)
