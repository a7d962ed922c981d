"""Precision and recall of samples by the neighbourhoods of features, a chunk of pairs at a time.

Real and generated images are each a set of balls: around every image, out to its k-th nearest
neighbour in the same set. Distances are Euclidean, an image is no neighbour of itself, and what
lies on the border of a ball is inside.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from ptheta.errors import PthetaError

PAIRS = 4_000_000  # distances held at a time


class Manifold(NamedTuple):
    """precision, recall: shares of fakes in a real ball, and of reals in a fake ball (Kynkaanniemi
    et al. 2019, arXiv:1904.06991). density, coverage: real balls around a fake over k, and share of
    real balls that hold a fake (Naeem et al. 2020, arXiv:2002.09797)."""

    precision: float
    recall: float
    density: float
    coverage: float


def _squares(x: Tensor) -> Tensor:
    return x.square().sum(1)


def _distances(x: Tensor, xx: Tensor, y: Tensor, yy: Tensor) -> Tensor:
    """Squared distances (n, m) of x (n, d) and y (m, d) with their squared norms."""
    return torch.addmm(yy[None] + xx[:, None], x, y.T, alpha=-2).clamp_(min=0)


def radii(x: Tensor, k: int) -> Tensor:
    """Squared distance of each of x (N, d) to its k-th nearest neighbour among the others: (N,)."""
    n, norms = len(x), _squares(x)
    if not 1 <= k < n:
        raise PthetaError(f"k = {k} neighbours among {n} images: give a k from 1 to {n - 1}")
    rows = max(1, PAIRS // n)
    found = torch.empty(n, dtype=x.dtype)
    for start in range(0, n, rows):
        part = slice(start, min(start + rows, n))
        d = _distances(x[part], norms[part], x, norms)
        own = torch.arange(start, part.stop)
        d[own - start, own] = torch.inf
        found[part] = d.topk(k, 1, largest=False).values[:, -1]
    return found


class Terms(NamedTuple):
    """What each image adds to the four numbers, which are the means of these: precision and density
    (M,) of the fakes, recall and coverage (N,) of the real images."""

    precision: Tensor
    recall: Tensor
    density: Tensor
    coverage: Tensor


def manifold(real: Tensor, fake: Tensor, k: int = 5) -> tuple[Manifold, Manifold]:
    """The four numbers for features real (N, d) and fake (M, d), and their standard errors.

    An error is that of a mean over images; that the balls of other images would be others is not in
    it. Raises as `terms` does.
    """
    each = terms(real, fake, k)
    return (
        Manifold(*(v.mean().item() for v in each)),
        Manifold(*((v.std() / len(v) ** 0.5).item() for v in each)),
    )


def terms(real: Tensor, fake: Tensor, k: int = 5) -> Terms:
    """The terms for features real (N, d) and fake (M, d), in float32 about a common centre.

    Memory: O(N + M) and `PAIRS` distances. Raises PthetaError where a set has no k-th
    neighbour, or the features differ in number.
    """
    if real.shape[1] != fake.shape[1]:
        raise PthetaError(
            f"{real.shape[1]} and {fake.shape[1]} features: take both sets by the same extractor"
        )
    # centred, so that norms are no larger than they must be and their differences keep digits
    centre = real.double().mean(0)
    x, y = (real.double() - centre).float(), (fake.double() - centre).float()
    r_real, r_fake = radii(x, k), radii(y, k)
    xx, yy = _squares(x), _squares(y)
    rows = max(1, PAIRS // len(x))
    held = torch.zeros(len(y))  # real balls around each fake
    recalled = torch.zeros(len(x), dtype=torch.bool)
    covered = torch.zeros(len(x), dtype=torch.bool)
    for start in range(0, len(y), rows):
        part = slice(start, min(start + rows, len(y)))
        d = _distances(y[part], yy[part], x, xx)
        inside = d <= r_real
        held[part] = inside.sum(1).float()
        covered |= inside.any(0)
        recalled |= (d <= r_fake[part, None]).any(0)
    return Terms(*(v.double() for v in (held > 0, recalled, held / k, covered)))
