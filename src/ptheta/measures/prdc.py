"""Precision and recall of samples by the neighbourhoods of features, a chunk of pairs at a time.

Real and generated images are each a set of balls: around every image, out to its k-th nearest
neighbour in the same set. Distances are Euclidean, an image is no neighbour of itself, and what
lies on the border of a ball is inside.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from ptheta.errors import PthetaError
from ptheta.measures.intervals import Groups, draws
from ptheta.measures.results import Draws

PAIRS = 4_000_000  # distances held at a time
SPARE = 8  # neighbours beyond the k-th, for where some are left out


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


def radii_without(x: Tensor, k: int, groups: Groups) -> Tensor:
    """`radii` where each group is left out in turn: (N, groups). They are read off the first
    `k + SPARE` neighbours, of which a group of a twentieth holds `SPARE` once in 10^8 images."""
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
    """The four numbers for features real (N, d) and fake (M, d), in float32 about a common centre,
    and their values without each group of images; None where these are too few.

    Memory: O(N + M) for each group, and `PAIRS` distances. Raises PthetaError where a set has no
    k-th neighbour, or the features differ in number.
    """
    if real.shape[1] != fake.shape[1]:
        raise PthetaError(
            f"{real.shape[1]} and {fake.shape[1]} features: take both sets by the same extractor"
        )
    # centred, so that norms are no larger than they must be and their differences keep digits
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
    """Images x (n, d), the squared radii of their balls (n,), and those without each group (n, G);
    can_lose: whether a k-th neighbour is left without any group"""

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
    """held (M, G): balls of the real images of each group around each fake; recalled (N, H): balls
    of the fakes of each group around each real image; more_held, more_recalled: balls that have
    grown around it where each group is left out; nearest (H, N): squared distance of each real
    image to the nearest fake of each group"""

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
    """Whether the balls of these rows hold what lies at squared distance d without each group, and
    are not themselves of that group: float (len(d), groups)."""
    own = side.groups.member[rows].bool()
    return ((d[:, None] <= side.without[rows]) & ~own).float()


def _draws(met: _Met, k: int) -> tuple[Draws, ...]:
    """Of precision, recall, density and coverage."""
    fakes, reals = met.fake.groups, met.real.groups
    held, recalled = met.held.sum(1).double(), met.recalled.sum(1)
    without = (held[:, None] - met.held + met.more_held).double()  # of real images: (M, G)
    again = recalled[:, None] - met.recalled + met.more_recalled > 0  # of fakes: (N, H)
    first = met.nearest.amin(0)
    # the nearest fake without a group is the nearest one, or the second group's where it is its own
    two = met.nearest.topk(2, 0, largest=False)
    others = [torch.where(two.indices[0] == g, two.values[1], first) for g in range(fakes.count)]
    less = 1 - reals.member  # whether a real image is left

    def left(near: Tensor) -> Tensor:
        """Coverage without each group of real images, their nearest fakes at near (N,)."""
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
