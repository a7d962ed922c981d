"""Standard errors, and intervals of differences, by the delete-a-group jackknife.

The samples of a model are divided at random into 20 groups, and so are the real images, in the same
way for every model of a protocol. A number is taken again without each group in turn; how these
values spread is its variance (Shao & Wu 1989, Ann. Stat. 17:1176), once over the groups of samples
and once over those of real images. Nothing is drawn twice, so nearest neighbours stay what they
are, which a bootstrap with its duplicates makes wrong.

Two models are scored on the same real images, and the luck of those is in both numbers. Both leave
out the same real images, so that this luck cancels in the difference of the two.
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
LEAST = 4  # images of a side, below which nothing can be left out
STREAMS = {"fake": 1, "real": 0}

Side = Literal["fake", "real"]


@dataclass(frozen=True)
class Groups:
    """The groups of one side. n: its images; side: "fake" or "real"; rows: the images that are
    meant of these, or None for all"""

    n: int
    side: Side
    rows: Tensor | None = None

    @property
    def count(self) -> int:
        """How many groups there are; 0 where the images are too few to leave any out."""
        return min(GROUPS, self.n) if self.n >= LEAST else 0

    @cached_property
    def of(self) -> Tensor:
        """The group of each image, int64 (n,): as many images in each, but for the remainder."""
        generator = torch.Generator().manual_seed(STREAMS[self.side])
        found = torch.randperm(self.n, generator=generator) % max(1, self.count)
        return found if self.rows is None else found[self.rows]

    def part(self, rows: Tensor) -> Groups:
        """Of some of the images: those at int64 positions, or where a bool (n,) is true."""
        return Groups(self.n, self.side, rows)

    @cached_property
    def member(self) -> Tensor:
        """Whether an image is in a group: float64 (n, count); one group of all for `count` 0."""
        return torch.nn.functional.one_hot(self.of, max(1, self.count)).double()

    @cached_property
    def sizes(self) -> Tensor:
        """Images of each group: float64 (count,)."""
        return self.member.sum(0)

    @cached_property
    def left(self) -> Tensor:
        """Images that are left without each group: float64 (count,)."""
        return self.sizes.sum() - self.sizes

    def means(self, terms: Tensor) -> Tensor:
        """The mean of terms (n, ...) without each group: (count, ...); empty where `count` is 0."""
        terms = terms.double()
        rest: Tensor = terms.sum(0) - torch.tensordot(self.member.T, terms, 1)
        return (rest.movedim(0, -1) / self.left).movedim(-1, 0)[: self.count]


def draws(
    fake: Tensor | None = None, real: Tensor | None = None, both: Tensor | None = None
) -> Draws:
    """From the values without each group of a side; None for a side that is not in the number.

    both: (groups of fakes, groups of real images), without one of each
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
    """A number with the error that its draws give; without one where it has no draws."""
    error = None if found is None else standard_error(found)
    return Estimate(value, error, found, relation, about or {}, note)


def mean_estimate(
    each: Tensor, groups: Groups, about: About | None = None, *, relation: str = "="
) -> Estimate:
    """The mean of what each image of a side gives (n,), with its error."""
    found = draws(**{groups.side: groups.means(each)}) if groups.count else None
    return estimate(each.double().mean().item(), found, about, relation=relation)


@dataclass(frozen=True)
class Spread:
    """The variance of a number, and the degrees of freedom that it is known with."""

    variance: float
    freedom: float

    @property
    def half(self) -> float:
        """Half the width of the 95 % interval (Student's t)."""
        if not self.variance:
            return 0.0
        return float(stdtrit(self.freedom, (1 + LEVEL) / 2)) * math.sqrt(self.variance)


def spread(found: Draws) -> Spread:
    """The variance that draws give: of both sides together.

    What a pair of a fake and a real image adds beyond either, such as whether the one lies in the
    ball of the other, is in the variances of both sides; where `both` was taken it is counted once
    (the two-way analysis of variance). The degrees of freedom are those of a sum of two variances
    (Satterthwaite 1946).
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
    """Of a number, from its values without each group."""
    g = len(values)
    return (g - 1) / g * (values - values.mean()).square().sum().item() if g else 0.0


def standard_error(found: Draws) -> float:
    return math.sqrt(spread(found).variance)


def span(draws: Tensor) -> tuple[float, float]:
    """The 95 % interval of what a bootstrap gave (B,)."""
    sides = torch.tensor([(1 - LEVEL) / 2, (1 + LEVEL) / 2], dtype=torch.float64)
    low, high = draws.quantile(sides).tolist()
    return low, high


def widened(low: float, high: float, n: int) -> tuple[float, float]:
    """The 95 % interval of a share of n examples. Where all or none count nothing varies, and it is
    that of a binomial (Clopper and Pearson 1934)."""
    beyond = 1 - ((1 - LEVEL) / 2) ** (1 / n)
    ends = {1.0: (1 - beyond, 1.0), 0.0: (0.0, beyond)}
    return (low, high) if low < high else ends.get(low, (low, high))


@dataclass(frozen=True)
class Difference:
    """value = a - b, its 95 % interval, and whether that leaves 0 out."""

    value: float
    low: float
    high: float
    different: bool


def difference(a: Result, b: Result) -> Difference | None:
    """How far two results of the same metric are apart (where those nearest to 1 are best, in their
    distance to 1); None where one of them has no value, or no error: what cannot be tested is not
    judged. A number that is exact has the error 0.

    Paired where both hold draws over the same groups; else from the errors of both.
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
