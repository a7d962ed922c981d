"""Precision, recall, density and coverage of samples by nearest neighbours in features.

The manifold of real or generated images is a set of balls: around every image, with its k-th
nearest neighbour in the same set on the boundary. Distances are Euclidean, an image is not its own
neighbour, and the boundary belongs to the ball.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from ptheta.errors import PthetaError
from ptheta.measures.intervals import Groups, draws
from ptheta.measures.results import Draws

PAIRS = 4_000_000  # distances in memory at a time
SPARE = 8  # additional neighbours, for when a group is left out


class Manifold(NamedTuple):
    """precision, recall: fraction of fakes in a real ball, and of reals in a fake ball
    (Kynkaanniemi et al. 2019, arXiv:1904.06991). density, coverage: mean number of real balls that
    contain a fake, divided by k, and fraction of real balls that contain a fake (Naeem et al. 2020,
    arXiv:2002.09797)."""

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


def radii_without(x: Tensor, k: int, groups: Groups) -> Tensor:
    """`radii` with each group left out in turn: (N, groups), from the first `k + SPARE` neighbours.
    The probability that a group of a twentieth contains `SPARE` of these is about 10^-8."""
    n, norms = len(x), _squares(x)
    near = min(k + SPARE, n - 1)
    rows = max(1, PAIRS // n)
    found = torch.empty(n, groups.count, dtype=x.dtype)
    for start in range(0, n, rows):
        part = slice(start, min(start + rows, n))
        d = _distances(x[part], norms[part], x, norms)
        own = torch.arange(start, part.stop)
        d[own - start, own] = torch.inf
        values, where = d.topk(near, 1, largest=False)
        of = groups.of[where]
        for g in range(groups.count):
            at = ((of != g).cumsum(1) >= k).int()
            at[:, -1] = 1
            found[part, g] = values.gather(1, at.argmax(1, keepdim=True))[:, 0]
    return found


def manifold(real: Tensor, fake: Tensor, k: int = 5) -> tuple[Manifold, tuple[Draws, ...] | None]:
    """The four metrics for features real (N, d) and fake (M, d), in float32 after centring, and
    their leave-one-group-out values; None for too few images.

    Memory: O(N + M) for each group, and `PAIRS` distances. Raises PthetaError if a set has no
    k-th neighbour, or if the numbers of features differ.
    """
    if real.shape[1] != fake.shape[1]:
        raise PthetaError(
            f"{real.shape[1]} and {fake.shape[1]} features: take both sets by the same extractor"
        )
    # centre to reduce norms, so that their differences keep precision
    centre = real.double().mean(0)
    x, y = (real.double() - centre).float(), (fake.double() - centre).float()
    met = _meet(_Side.of(x, k, Groups(len(x), "real")), _Side.of(y, k, Groups(len(y), "fake")))
    value = Manifold(
        (met.held.sum(1) > 0).double().mean().item(),
        (met.recalled.sum(1) > 0).double().mean().item(),
        (met.held.sum(1).double() / k).mean().item(),
        (met.nearest.amin(0) <= met.real.radii).double().mean().item(),
    )
    if not (met.real.can_lose and met.fake.can_lose):
        return value, None
    return value, _draws(met, k)


@dataclass(frozen=True)
class _Side:
    """Images x (n, d), the squared radii of their balls (n,), and the leave-one-group-out radii (n,
    G);
    can_lose: whether there is a k-th neighbour without any one group"""

    x: Tensor
    radii: Tensor
    without: Tensor
    groups: Groups
    can_lose: bool

    @classmethod
    def of(cls, x: Tensor, k: int, groups: Groups) -> _Side:
        r = radii(x, k)
        enough = groups.count > 0 and bool(groups.left.min() > k)
        return cls(x, r, radii_without(x, k, groups) if enough else r[:, None], groups, enough)


@dataclass(frozen=True)
class _Met:
    """Counts of balls. held (M, G): balls of the real images of each group that contain each fake;
    recalled (N, H): balls of the fakes of each group that contain each real image; more_held,
    more_recalled: additional balls that contain it due to larger radii without each group; nearest
    (H, N): squared distance of each real image to the nearest fake of each group"""

    real: _Side
    fake: _Side
    held: Tensor
    recalled: Tensor
    more_held: Tensor
    more_recalled: Tensor
    nearest: Tensor


def _meet(real: _Side, fake: _Side) -> _Met:
    """All pairs of a fake and a real image, a chunk at a time."""
    n, m = len(real.x), len(fake.x)
    member_real, member_fake = real.groups.member.float(), fake.groups.member.float()
    g, h = member_real.shape[1], member_fake.shape[1]
    met = _Met(
        real,
        fake,
        torch.zeros(m, g),
        torch.zeros(n, h),
        torch.zeros(m, g),
        torch.zeros(n, h),
        torch.full((h, n), torch.inf),
    )
    xx, yy = _squares(real.x), _squares(fake.x)
    rows = max(1, PAIRS // n)
    for start in range(0, m, rows):
        part = torch.arange(start, min(start + rows, m))
        d = _distances(fake.x[part], yy[part], real.x, xx)
        inside = d <= real.radii
        met.held[part] = inside.float() @ member_real
        i, j = ((d <= real.without.amax(1)) & ~inside).nonzero(as_tuple=True)
        met.more_held.index_add_(0, part[i], _grown(d[i, j], real, j))
        inside = d <= fake.radii[part, None]
        met.recalled.add_(inside.float().T @ member_fake[part])
        i, j = ((d <= fake.without[part].amax(1)[:, None]) & ~inside).nonzero(as_tuple=True)
        met.more_recalled.index_add_(0, j, _grown(d[i, j], fake, part[i]))
        for group in fake.groups.of[part].unique().tolist():
            least = d[fake.groups.of[part] == group].amin(0)
            met.nearest[group] = torch.minimum(met.nearest[group], least)
    return met


def _grown(d: Tensor, side: _Side, rows: Tensor) -> Tensor:
    """Whether each ball of these rows, with its radius without each group, contains a point at
    squared distance d and does not belong to that group: float (len(d), groups)."""
    own = side.groups.member[rows].bool()
    return ((d[:, None] <= side.without[rows]) & ~own).float()


def _draws(met: _Met, k: int) -> tuple[Draws, ...]:
    """Draws of precision, recall, density and coverage."""
    fakes, reals = met.fake.groups, met.real.groups
    held, recalled = met.held.sum(1).double(), met.recalled.sum(1)
    without = (held[:, None] - met.held + met.more_held).double()  # of real images: (M, G)
    again = recalled[:, None] - met.recalled + met.more_recalled > 0  # of fakes: (N, H)
    first = met.nearest.amin(0)
    # without the group of the nearest fake, the nearest one is that of the second nearest group
    two = met.nearest.topk(2, 0, largest=False)
    others = [torch.where(two.indices[0] == g, two.values[1], first) for g in range(fakes.count)]
    less = 1 - reals.member  # whether a real image remains

    def left(near: Tensor) -> Tensor:
        """Leave-one-group-out coverage of real images. near: distances to their nearest fakes
        (N,)"""
        return ((near[:, None] <= met.real.without) * less).sum(0) / reals.left

    return (
        draws(fakes.means(held > 0), (without > 0).double().mean(0), fakes.means(without > 0)),
        draws(again.double().mean(0), reals.means(recalled > 0), reals.means(again).T),
        draws(fakes.means(held / k), without.mean(0) / k, fakes.means(without / k)),
        draws(
            torch.stack([(near <= met.real.radii).double().mean() for near in others]),
            left(first),
            torch.stack([left(near) for near in others]),
        ),
    )
