"""How many people tell the scores of two sources apart.

The score of a source is the mean of the error rates on its images and on real images. Its variance
over P people, who each judge m of the I images of a source, has three parts:

    people:  sigma^2 / P
    images:  tau^2 (1 / I + (1 - m / I) / (P m)),  of generated and of real images
    rest:    (p (1 - p) - tau^2 - 2 sigma^2) / (P m)

sigma is the deviation of a person's own score, tau that of the error rates of images. A person's
error rates on generated and on real images are taken as independent, so each deviates by
sqrt(2) sigma: in the public answers of Stein et al. 2023, a person's score deviates by .06 to .10,
the error rate on generated images by .09 to .11, and those of images by .15 to .19.

Where each person sees both sources, real images and a part of the person's error rate (the
correlation) cancel in the difference.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from ptheta.errors import PthetaError
from ptheta.study.analysis.estimates import LEVEL

MOST_PEOPLE = 1000
ENOUGH = 0.8  # power


@dataclass(frozen=True)
class Plan:
    """A study that is planned.

    trials: main trials of each person, half of them real
    images: number of images of each source
    between: whether each person sees one source, or all of them
    sources: number of sources other than the reference
    person, image: deviations of the error rates of people and of images
    correlation: of a person's error rates on two sources
    """

    trials: int = 100
    images: int = 50
    between: bool = True
    sources: int = 2
    person: float = 0.06
    image: float = 0.16
    correlation: float = 0.5

    def check(self) -> None:
        """Raises PthetaError for values that no study has."""
        if self.sources < 2:
            raise PthetaError(f"{self.sources} sources: a comparison needs at least 2")
        if self.trials < 2 * (1 if self.between else self.sources):
            raise PthetaError(
                f"{self.trials} trials of each person: too few to show every source; give more "
                "--trials"
            )
        if self.images < 2:
            raise PthetaError(f"{self.images} images of each source: at least 2 are needed")
        for name, value in (("person", self.person), ("image", self.image)):
            if not 0 <= value <= 0.5:
                raise PthetaError(f"--{name} {value:g}: a deviation of error rates is 0 to 0.5")
        if not 0 <= self.correlation <= 1:
            raise PthetaError(f"--correlation {self.correlation:g} is not between 0 and 1")


@dataclass(frozen=True)
class Parts:
    """The variance of a difference of two scores, by its causes, and its degrees of freedom."""

    people: float
    images: float
    rest: float
    freedom: float

    @property
    def whole(self) -> float:
        return self.people + self.images + self.rest


def parts(plan: Plan, first: float, second: float, people: int) -> Parts:
    """Of the difference of the scores `first` and `second`. people: all of them"""
    each = people / plan.sources if plan.between else float(people)
    m = plan.trials / 2 / (1 if plan.between else plan.sources)
    own, one = 1 / plan.images, max(0.0, 1 - m / plan.images) / (each * m)
    left = [max(0.0, p * (1 - p) - plan.image**2 - 2 * plan.person**2) for p in (first, second)]
    if plan.between:  # real images are the same, but not the part of them that each person sees
        of_people = 2 * plan.person**2 / each
        of_images = plan.image**2 / 4 * (2 * (own + one) + 2 * one)
        rest = 2 * sum(left) / 4 / (each * m)
    else:
        of_people = plan.person**2 * (1 - plan.correlation) / each
        of_images = plan.image**2 / 4 * 2 * (own + one)
        rest = sum(left) / 4 / (each * m)
    # as of an estimate, whose sums over people and over images both contain the rest
    groups = 2 * each - 2 if plan.between else each - 1
    below = (of_people + rest) ** 2 / max(groups, 1)
    below += (of_images + rest) ** 2 / (2 * plan.images - 2) + rest**2 / (2 * each * m)
    whole = of_people + of_images + rest
    return Parts(of_people, of_images, rest, max(1.0, whole**2 / below) if below > 0 else 1.0)


def power(plan: Plan, first: float, second: float, people: int) -> float:
    """The probability that a two-sided test at 5 % finds the scores different."""
    from scipy.special import nctdtr, stdtrit

    found = parts(plan, first, second, people)
    if found.whole <= 0:
        return 1.0 if first != second else 1 - LEVEL
    shift = abs(first - second) / math.sqrt(found.whole)
    t = float(stdtrit(found.freedom, (1 + LEVEL) / 2))
    below, above = nctdtr(found.freedom, shift, -t), nctdtr(found.freedom, shift, t)
    lower = 0.0 if math.isnan(below) else float(below)  # far in the tail
    upper = float(above) if not math.isnan(above) else float(shift < t)
    return min(1.0, 1 - upper + lower)


def least_people(plan: Plan, first: float, second: float, wanted: float = ENOUGH) -> int | None:
    """The fewest people that reach a power; None where `MOST_PEOPLE` do not: then more images are
    needed."""
    step = plan.sources if plan.between else 1
    low, high = 1, MOST_PEOPLE // step
    if power(plan, first, second, high * step) < wanted:
        return None
    while low < high:
        middle = (low + high) // 2
        if middle * step >= 2 * step and power(plan, first, second, middle * step) >= wanted:
            high = middle
        else:
            low = middle + 1
    return low * step


def check_scores(first: float, second: float) -> None:
    """Raises PthetaError for error rates that are none, or that are equal."""
    for value in (first, second):
        if not 0 < value < 1:
            raise PthetaError(f"{value:g} is not an error rate between 0 and 1, such as 0.25")
    if first == second:
        raise PthetaError(f"both error rates are {first:g}: there is nothing to tell apart")
