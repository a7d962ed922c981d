"""Numbers of a study with intervals over people and images.

An answer depends on who gives it and on what image is shown, and both are samples: of the people
who might have taken part, and of the images that a source might have produced. The variance of a
number theta is therefore a sum over all pairs of answers that share a person **or** an image
(Cameron, Gelbach & Miller 2011; for pairs of images, Aronow, Samii & Assenova 2015),

    V = sum_people (sum_k u_k)^2 + sum_images (sum_k u_k)^2 - sum_both (sum_k u_k)^2,

where u_k is the influence of answer k on theta: for a mean, (y_k - mean) / n. The first term is
the jackknife over people, the second the jackknife over images, and the third removes what both
contain. With as many people and images as answers, all three are p (1 - p) / (n - 1) and V is the
binomial variance; with P people who all see I images, V estimates

    sigma_people^2 / P + sigma_images^2 / I + sigma_rest^2 / (P I).

The third term is that of all effects and not of the rest alone, so that V would be too small by
(sigma_people^2 + sigma_images^2) / (P I); estimates of both are added. V is then the estimate of
the analysis of variance. A group with the share h of the answers draws their mean towards itself;
its sum is divided by sqrt(1 - h), which makes each term unbiased where groups are equally large.
Intervals use Student's t with the degrees of freedom of Satterthwaite (1946), and for shares the
form of Wilson (1927).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import combinations

import numpy as np

from ptheta.study.analysis.table import IMAGES, PAIRS, PEOPLE, Bools, Floats, Grouping, Table

LEVEL = 0.95  # of every interval
LEAST_VARIANCE = 0.5  # of that of independent answers: V can be smaller by chance, even negative
SHARE, DIFFERENCE, NUMBER = "share", "difference", "number"
RATED, RATED_DIFFERENCE = "rating", "difference of ratings"
RANGES = {
    SHARE: (0.0, 1.0),
    DIFFERENCE: (-1.0, 1.0),
    RATED: (1.0, 5.0),
    RATED_DIFFERENCE: (-4.0, 4.0),
}
DIFFERENCES = {SHARE: DIFFERENCE, DIFFERENCE: DIFFERENCE, RATED: RATED_DIFFERENCE}


@dataclass(frozen=True)
class Term:
    """Influences summed over the groups of a grouping.

    name: of the grouping
    sums: (G,); shares: the largest share that each group has in a mean (G,)
    """

    name: str
    sign: int
    sums: Floats
    shares: Floats

    @property
    def variance(self) -> float:
        return float(self.sums @ self.sums)

    @property
    def freedom(self) -> float:
        """Degrees of freedom: the number of groups, less one for each mean they are centred on.
        Groups whose influences cancel, as of images that both sides of a difference share, have
        none."""
        size = np.abs(self.sums)
        there = (self.shares > 0) & (size > 1e-12 * size.max(initial=0.0))
        return float(np.sum(1 - self.shares[there]))


@dataclass(frozen=True)
class Estimate:
    """A number of a study. Sums and differences of estimates are estimates.

    value: the number; NaN where there are no answers
    n: answers in it
    influence: of each answer of the table (N,)
    terms: influences summed over people, images and both
    smooth: variance of independent answers where all answers are equal, by (wrong + 1/2) / (n + 1)
    kind: one of the words above, which tells its range
    """

    value: float
    n: int
    influence: Floats
    terms: tuple[Term, ...]
    smooth: float
    kind: str

    def __add__(self, other: Estimate) -> Estimate:
        terms = tuple(
            Term(a.name, a.sign, a.sums + b.sums, np.maximum(a.shares, b.shares))
            for a, b in zip(self.terms, other.terms, strict=True)
        )
        return Estimate(
            self.value + other.value,
            self.n + other.n,
            self.influence + other.influence,
            terms,
            self.smooth + other.smooth,
            self.kind,
        )

    def __sub__(self, other: Estimate) -> Estimate:
        return replace(self + other.times(-1.0), kind=DIFFERENCES.get(self.kind, self.kind))

    def times(self, factor: float) -> Estimate:
        """The number multiplied by a constant."""
        terms = tuple(replace(t, sums=factor * t.sums) for t in self.terms)
        return replace(
            self,
            value=factor * self.value,
            influence=factor * self.influence,
            terms=terms,
            smooth=factor**2 * self.smooth,
        )

    @property
    def independent(self) -> float:
        """The variance that the number would have if all answers were independent."""
        return float(self.influence @ self.influence) or self.smooth

    @cached_property
    def variance(self) -> float:
        """NaN where there is one person or one image only: then it is unknown."""
        sharing = any(np.any(t.shares >= 1 - 1e-12) for t in self.terms if t.sign > 0)
        if sharing or self.n < 2 or not self.terms:
            return math.nan
        return max(self._summed(), LEAST_VARIANCE * self.independent)

    def _summed(self) -> float:
        """People plus images less both, and what both contain of the effects of either."""
        by_name = {t.name: t for t in self.terms}
        whole = sum(t.sign * t.variance for t in self.terms)
        if not {PEOPLE, IMAGES} <= by_name.keys():
            return whole
        people, images = by_name[PEOPLE], by_name[IMAGES]
        of_images = sum(t.sign * t.variance for t in self.terms if t.name in (IMAGES, PAIRS))
        both = people.variance + of_images - whole
        whole += max(0.0, people.variance - both) / max(1.0, images.freedom)
        return whole + max(0.0, of_images - both) / max(1.0, people.freedom)

    @property
    def error(self) -> float:
        """One standard error."""
        return math.sqrt(self.variance)

    @property
    def freedom(self) -> float:
        """Degrees of freedom of the variance (Satterthwaite)."""
        parts = [(t.variance, t.freedom) for t in self.terms if t.sign > 0]
        if len(parts) < len(self.terms):  # answers are subtracted
            parts.append((self.independent, float(self.n)))
        below = sum(v**2 / max(d, 1e-9) for v, d in parts)
        return max(1.0, self.variance**2 / below) if below > 0 else float(self.n)

    @cached_property
    def interval(self) -> tuple[float, float] | None:
        """The 95 % interval; None where the variance is unknown."""
        if math.isnan(self.variance) or math.isnan(self.value):
            return None
        t = quantile(self.freedom)
        if self.kind == SHARE:
            return wilson(self.value, self.variance, self.n, t)
        low, high = self.value - t * self.error, self.value + t * self.error
        least, most = RANGES.get(self.kind, (-math.inf, math.inf))
        return max(low, least), min(high, most)

    def p_value(self, null: float = 0.0) -> float | None:
        """Two-sided, of the hypothesis that the true number is `null`; None where the variance is
        unknown."""
        from scipy.special import stdtr  # slow to import

        if math.isnan(self.variance) or math.isnan(self.value):
            return None
        if self.variance == 0:
            return 1.0 if self.value == null else 0.0
        t = abs(self.value - null) / self.error
        return float(2 * stdtr(self.freedom, -t))


def quantile(freedom: float) -> float:
    """Of Student's t, for a two-sided interval at `LEVEL`."""
    from scipy.special import stdtrit

    return float(stdtrit(freedom, (1 + LEVEL) / 2))


def wilson(share: float, variance: float, n: int, t: float) -> tuple[float, float]:
    """All shares p with |share - p| <= t sqrt(p (1 - p) / m).

    m = share (1 - share) / variance is the number of independent answers that would have this
    variance; n, where it is 0 / 0.
    """
    spread = share * (1 - share)
    m = spread / variance if spread > 0 else float(n)
    z = t * t / m
    middle = (share + z / 2) / (1 + z)
    half = math.sqrt(z * spread + z * z / 4) / (1 + z)
    return max(0.0, middle - half), min(1.0, middle + half)


def mean(table: Table, mask: Bools, y: Floats, kind: str = SHARE) -> Estimate:
    """The mean of y over the answers in `mask` (N,), with the groupings of the table."""
    n = int(mask.sum())
    value = float(y[mask].mean()) if n else math.nan
    influence = np.zeros(len(table))
    if n:
        influence[mask] = (y[mask] - value) / n
    member = mask / max(n, 1)
    terms = tuple(_term(g, influence, member) for g in table.groupings())
    spread = _smoothed(float(y[mask].sum()), n) if kind == SHARE else 0.0
    return Estimate(value, n, influence, terms, spread / max(n, 1), kind)


def from_influence(table: Table, value: float, influence: Floats, n: int) -> Estimate:
    """A number that is no mean, by the influence of each answer (N,)."""
    used = influence != 0
    terms = []
    for g in table.groupings():
        there = np.unique(np.concatenate([column[used] for column in g.columns]))
        shares = np.zeros(g.count)
        shares[there] = 1 / max(len(there), 1)
        terms.append(_corrected(g, _sums(g, influence), shares))
    return Estimate(value, n, influence, tuple(terms), 0.0, NUMBER)


def _smoothed(wrong: float, n: int) -> float:
    """p (1 - p), positive where all answers are equal, too."""
    p = (wrong + 0.5) / (n + 1)
    return p * (1 - p)


def _term(grouping: Grouping, influence: Floats, member: Floats) -> Term:
    return _corrected(grouping, _sums(grouping, influence), _sums(grouping, member))


def _corrected(grouping: Grouping, sums: Floats, shares: Floats) -> Term:
    left = np.maximum(1 - shares, 1e-12)
    return Term(grouping.name, grouping.sign, sums / np.sqrt(left), shares)


def _sums(grouping: Grouping, values: Floats) -> Floats:
    found = np.zeros(grouping.count)
    for column in grouping.columns:
        found += np.bincount(column, values, minlength=grouping.count)
    return found


@dataclass(frozen=True)
class Comparison:
    """Two sources: a less b. p: of the difference; adjusted: by Holm, over all that are compared"""

    a: str
    b: str
    difference: Estimate
    p: float | None
    adjusted: float | None

    @property
    def apart(self) -> bool:
        """Whether the two differ at 5 %, over all that are compared."""
        return self.adjusted is not None and self.adjusted < 1 - LEVEL


def compare(estimates: Sequence[tuple[str, Estimate]]) -> list[Comparison]:
    """All pairs of named estimates of one table."""
    found = [(a, b, x - y) for (a, x), (b, y) in combinations(estimates, 2)]
    return compared(found)


def compared(found: Iterable[tuple[str, str, Estimate]]) -> list[Comparison]:
    """Differences with their p-values, adjusted by Holm."""
    every = list(found)
    values = [difference.p_value() for *_, difference in every]
    adjusted = holm([p for p in values if p is not None])
    left = iter(adjusted)
    return [
        Comparison(a, b, difference, p, None if p is None else next(left))
        for (a, b, difference), p in zip(every, values, strict=True)
    ]


def holm(values: Sequence[float]) -> list[float]:
    """p-values adjusted for their number (Holm 1979): of m in increasing order, the i-th times
    m - i + 1, and never smaller than the one before it."""
    order = sorted(range(len(values)), key=values.__getitem__)
    adjusted, largest = [0.0] * len(values), 0.0
    for rank, i in enumerate(order):
        largest = max(largest, min(1.0, (len(values) - rank) * values[i]))
        adjusted[i] = largest
    return adjusted
