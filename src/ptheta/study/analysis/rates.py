"""Error rates: how often people take a generated image for real, and a real one for generated."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from ptheta.study.analysis.estimates import Estimate, mean
from ptheta.study.analysis.table import Bools, Ints, Table
from ptheta.study.files import REAL


@dataclass(frozen=True)
class Spread:
    """The deviation of an error rate over people, or over images.

    observed: standard deviation of the rates of the groups
    binomial: what it would be if all groups had the same rate and answers were independent
    groups: how many
    each: answers of a group to a kind of image (harmonic mean)
    """

    observed: float
    binomial: float
    groups: int
    each: float

    @property
    def true_variance(self) -> float:
        """Of the groups' own rates, unbiased, so that it can be negative: with
        observed^2 = true^2 + (p (1 - p) - true^2) / n, (observed^2 - binomial^2) n / (n - 1)."""
        left = self.observed**2 - self.binomial**2
        return left * self.each / (self.each - 1) if self.each > 1 else left

    @property
    def true(self) -> float:
        """Their deviation, without chance."""
        return math.sqrt(max(0.0, self.true_variance))


@dataclass(frozen=True)
class SourceRates:
    """Error rates of one source.

    fake: share of its images that are taken for real
    real: share of real images taken for generated, by the people who saw this source; None where
        a question shows a real and a generated image side by side
    both: the mean of the two: the HYPE score (Zhou et al. 2019), 50 % at chance
    people, images: their spread; None where they are not recorded
    """

    name: str
    fake: Estimate
    real: Estimate | None
    both: Estimate
    people: Spread | None
    images: Spread | None
    n_people: int
    n_images: int


def sources_of(table: Table) -> list[str]:
    """The names of the sources other than the reference, in order."""
    return sorted({str(name) for name in table.models[table.fake]} - {REAL})


def rates(table: Table) -> list[SourceRates]:
    """Error rates of every source, from answers that can be right or wrong."""
    return [_of(table, name) for name in sources_of(table)]


def _of(table: Table, name: str) -> SourceRates:
    fake = table.fake & (table.models == name)
    real = ~table.fake & _same_people(table, fake)
    on_fake = mean(table, fake, table.wrong)
    on_real = mean(table, real, table.wrong) if real.any() else None
    both = on_fake if on_real is None else on_fake.times(0.5) + on_real.times(0.5)
    return SourceRates(
        name,
        on_fake,
        on_real,
        both,
        _spread(table, table.person, [fake, real]),
        _image_spread(table, fake),
        _count(table.person, fake | real),
        _images(table, fake | real),
    )


def _same_people(table: Table, mask: Bools) -> Bools:
    """The answers of everybody who gave an answer in `mask`; where people are not recorded, those
    about the same experiment."""
    if table.person is None:
        return np.isin(table.source_b, np.unique(table.source_b[mask].astype(str)))
    return np.isin(table.person, np.unique(table.person[mask]))


def _spread(table: Table, groups: Ints | None, masks: list[Bools]) -> Spread | None:
    """Of the mean of the rates of real and of fake images, over groups that have both."""
    if groups is None:
        return None
    count = int(groups.max(initial=-1)) + 1
    rate, variance, inverse = np.zeros(count), np.zeros(count), np.zeros(count)
    every = np.ones(count, dtype=bool)
    there = [mask for mask in masks if mask.any()]
    for mask in there:
        n = np.bincount(groups[mask], minlength=count)
        share = float(table.wrong[mask].mean())
        with np.errstate(divide="ignore", invalid="ignore"):
            rate += np.bincount(groups[mask], table.wrong[mask], minlength=count) / n / len(there)
            variance += share * (1 - share) / n / len(there) ** 2
            inverse += 1 / n
        every &= n > 0
    if every.sum() < 2:
        return None
    expected = math.sqrt(float(variance[every].mean()))
    each = len(there) / float(inverse[every].mean())
    return Spread(float(rate[every].std(ddof=1)), expected, int(every.sum()), each)


def _image_spread(table: Table, mask: Bools) -> Spread | None:
    """Of the error rates of the images of a source."""
    if table.image is None or table.image_b is not None:
        return None
    return _spread(table, table.image, [mask])


def _count(groups: Ints | None, mask: Bools) -> int:
    return 0 if groups is None else len(np.unique(groups[mask]))


def _images(table: Table, mask: Bools) -> int:
    columns = [c[mask] for c in (table.image, table.image_b) if c is not None]
    return len(np.unique(np.concatenate(columns))) if columns else 0
