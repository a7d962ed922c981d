"""Standard errors, and intervals of differences, by the delete-a-group jackknife.

The samples of a model are divided at random into 20 groups, and so are the real images, in the same
way for every model of a protocol. A metric is recomputed without each group in turn; the spread of
these values gives its variance (Shao & Wu 1989, Ann. Stat. 17:1176), separately over the groups of
samples and of real images. Unlike a bootstrap, the jackknife creates no duplicates, which would
distort nearest neighbours.

Two models are evaluated on the same real images, so their errors are correlated. Both leave out the
same real images, so that this common error cancels in their difference.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import torch
from scipy.special import stdtrit
from torch import Tensor

from ptheta.measures.results import LEVEL, NORMAL, About, Draws, Estimate, Result

GROUPS = 20
LEAST = 4  # minimum images of a side for the jackknife
STREAMS = {"fake": 1, "real": 0}

Side = Literal["fake", "real"]


@dataclass(frozen=True)
class Groups:
    """The groups of one side. n: number of its images; side: "fake" or "real"; rows: a subset of
    the images, or None for all"""

    n: int
    side: Side
    rows: Tensor | None = None

    @property
    def count(self) -> int:
        """Number of groups; 0 if there are too few images for a jackknife."""
        return min(GROUPS, self.n) if self.n >= LEAST else 0

    @cached_property
    def of(self) -> Tensor:
        """The group of each image, int64 (n,); groups have equal sizes except for a remainder."""
        generator = torch.Generator().manual_seed(STREAMS[self.side])
        found = torch.randperm(self.n, generator=generator) % max(1, self.count)
        return found if self.rows is None else found[self.rows]

    def part(self, rows: Tensor) -> Groups:
        """The groups of a subset of images, by int64 indices or a bool mask (n,)."""
        return Groups(self.n, self.side, rows)

    @cached_property
    def member(self) -> Tensor:
        """Group membership: float64 (n, count); one group of all images if `count` is 0."""
        return torch.nn.functional.one_hot(self.of, max(1, self.count)).double()

    @cached_property
    def sizes(self) -> Tensor:
        """Number of images of each group: float64 (count,)."""
        return self.member.sum(0)

    @cached_property
    def left(self) -> Tensor:
        """Number of images outside each group: float64 (count,)."""
        return self.sizes.sum() - self.sizes

    def means(self, terms: Tensor) -> Tensor:
        """The leave-one-group-out means of terms (n, ...): (count, ...); empty if `count` is 0."""
        terms = terms.double()
        rest: Tensor = terms.sum(0) - torch.tensordot(self.member.T, terms, 1)
        return (rest.movedim(0, -1) / self.left).movedim(-1, 0)[: self.count]


def draws(
    fake: Tensor | None = None, real: Tensor | None = None, both: Tensor | None = None
) -> Draws:
    """Draws from leave-one-group-out values of each side; None for a side that is not involved.

    both: (groups of fakes, groups of real images), values without one of each
    """
    sides = (fake, real, None if both is None else both.flatten())
    return Draws(*(() if v is None else tuple(v.tolist()) for v in sides))


def estimate(
    value: float,
    found: Draws | None,
    about: About | None = None,
    *,
    relation: str = "=",
    note: str = "",
) -> Estimate:
    """An estimate with the error from its draws; without draws, without an error."""
    error = None if found is None else standard_error(found)
    return Estimate(value, error, found, relation, about or {}, note)


def mean_estimate(
    each: Tensor, groups: Groups, about: About | None = None, *, relation: str = "="
) -> Estimate:
    """The mean of per-image values of a side (n,), with its error."""
    found = draws(**{groups.side: groups.means(each)}) if groups.count else None
    return estimate(each.double().mean().item(), found, about, relation=relation)


@dataclass(frozen=True)
class Spread:
    """The variance of an estimate, and its degrees of freedom."""

    variance: float
    freedom: float

    @property
    def half(self) -> float:
        """Half the width of the 95 % interval (Student's t)."""
        if not self.variance:
            return 0.0
        return float(stdtrit(self.freedom, (1 + LEVEL) / 2)) * math.sqrt(self.variance)


def spread(found: Draws) -> Spread:
    """The variance from draws, summed over both sides.

    The interaction of fake and real images, such as whether one is in the ball of the other, is
    contained in the variances of both sides; with `both` it is counted only once (two-way analysis
    of variance). The degrees of freedom are those of a sum of two variances (Satterthwaite 1946).
    """
    fake, real, both = (
        torch.tensor(v, dtype=torch.float64) for v in (found.fake, found.real, found.both)
    )
    of_fake, of_real = _variance(fake), _variance(real)
    if len(both):
        g, h = len(fake), len(real)
        cells = both.view(g, h)
        cells = cells - cells.mean(0) - cells.mean(1, keepdim=True) + cells.mean()
        twice = (g - 1) * (h - 1) / (g * h) * cells.square().sum().item()
        of_real = max(0.0, of_real - twice)
    total = of_fake + of_real
    parts = [(v, len(side) - 1) for v, side in ((of_fake, fake), (of_real, real)) if v]
    return Spread(total, total**2 / sum(v**2 / df for v, df in parts) if total else 1.0)


def _variance(values: Tensor) -> float:
    """The jackknife variance of leave-one-group-out values."""
    g = len(values)
    return (g - 1) / g * (values - values.mean()).square().sum().item() if g else 0.0


def standard_error(found: Draws) -> float:
    return math.sqrt(spread(found).variance)


def span(draws: Tensor) -> tuple[float, float]:
    """The 95 % percentile interval of bootstrap replicates (B,)."""
    sides = torch.tensor([(1 - LEVEL) / 2, (1 + LEVEL) / 2], dtype=torch.float64)
    low, high = draws.quantile(sides).tolist()
    return low, high


def widened(low: float, high: float, n: int) -> tuple[float, float]:
    """The 95 % interval of a fraction of n examples; if the fraction is 0 or 1, which has no
    bootstrap variance, that of a binomial (Clopper and Pearson 1934)."""
    beyond = 1 - ((1 - LEVEL) / 2) ** (1 / n)
    ends = {1.0: (1 - beyond, 1.0), 0.0: (0.0, beyond)}
    return (low, high) if low < high else ends.get(low, (low, high))


@dataclass(frozen=True)
class Difference:
    """value = a - b, its 95 % interval, and whether that excludes 0."""

    value: float
    low: float
    high: float
    different: bool


def difference(a: Result, b: Result) -> Difference | None:
    """The difference of two results of the same metric (of their distances to 1 if values nearest
    to 1 are best); None if one of them has no value or no error, since the difference cannot be
    tested then. An exact value has the error 0.

    Paired if both have draws over the same groups; else from the errors of both.
    """
    if a.value is None or b.value is None:
        return None
    (of_a, draws_a), (of_b, draws_b) = a.judged, b.judged
    gap = of_a - of_b
    if draws_a is not None and draws_b is not None and draws_a.sizes == draws_b.sizes:
        half = spread(draws_a.minus(draws_b)).half
    elif a.error is None or b.error is None:
        return None
    else:
        half = NORMAL * math.hypot(a.error, b.error)
    return Difference(gap, gap - half, gap + half, abs(gap) > half)
