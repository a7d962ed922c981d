"""The log partition function of an energy, exact or with two-sided estimates."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class LogPartition:
    """log Z, nats.

    lower, upper: stochastic lower and upper bounds, such as annealed importance sampling from a
        tractable distribution and reverse (Grosse et al. 2015, arXiv:1511.02543); both are log Z if
        it was summed over all states
    errors: one standard error of each
    how: the method with its settings
    """

    lower: float
    upper: float
    errors: tuple[float, float] = (0.0, 0.0)
    how: str = "enumeration"

    @property
    def exact(self) -> bool:
        """Whether it is log Z itself."""
        return self.lower == self.upper and not any(self.errors)

    @property
    def value(self) -> float:
        """The middle of the two sides."""
        return 0.5 * (self.lower + self.upper)

    @property
    def error(self) -> float:
        """One standard error of the middle: of both sides, for either is drawn, and of log Z, which
        may be anywhere between them (the standard deviation of a uniform is its range / sqrt 12).
        """
        return math.hypot(0.5 * math.hypot(*self.errors), (self.upper - self.lower) / 12**0.5)
