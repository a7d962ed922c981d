"""Bootstrap resamples that all evaluations of one protocol share, and what follows from them.

Two models are scored on the same real images, and the luck of those is in both numbers. Resample b
draws the same real images for every model, so that this luck cancels in the difference of the two
numbers of resample b: the interval of the difference is that of a paired comparison (Efron 1979).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from ptheta.metrics.results import LEVEL, NORMAL, Result

REPEATS = 100
REPEATS_WIDE, WIDE = 20, 256  # of a distance in so many dimensions, whose resamples are costly
STREAMS = {"real": 0, "fake": 1}


@dataclass(frozen=True)
class Bootstrap:
    """real, fake: numbers of images. seed: of the resamples"""

    real: int
    fake: int
    seed: int = 0

    @cached_property
    def _counts(self) -> dict[str, Tensor]:
        found = {}
        for which, n in (("real", self.real), ("fake", self.fake)):
            generator = torch.Generator().manual_seed(2 * self.seed + STREAMS[which])
            counts = torch.zeros(REPEATS, n, dtype=torch.float64)
            for row in counts:
                drawn = torch.randint(n, (n,), generator=generator)
                row.copy_(torch.bincount(drawn, minlength=n))
            found[which] = counts
        return found

    def counts(self, which: str) -> Tensor:
        """How often each image is in each resample: float64 (REPEATS, n)."""
        return self._counts[which]

    def rows(self, which: str, repeat: int) -> Tensor:
        """The images of one resample, int64 (n,)."""
        counts = self._counts[which][repeat].long()
        return torch.arange(len(counts)).repeat_interleave(counts)

    def means(self, terms: Tensor, which: str) -> Tensor:
        """The mean of terms (n,) in each resample: (REPEATS,)."""
        return self._counts[which] @ terms.double() / len(terms)

    @staticmethod
    def repeats(dimensions: int) -> int:
        """How many resamples a distance in so many dimensions is worth."""
        return REPEATS if dimensions <= WIDE else REPEATS_WIDE


def mean_result(name: str, each: Tensor, boot: Bootstrap, which: str, **about: Any) -> Result:
    """The mean of what each image gives (n,), with its error and resamples. about: other fields."""
    return Result(
        name,
        each.mean().item(),
        error=(each.std() / len(each) ** 0.5).item(),
        draws=tuple(boot.means(each, which).tolist()),
        **about,
    )


@dataclass(frozen=True)
class Difference:
    """value = a - b, its 95 % interval, and whether that leaves 0 out."""

    value: float
    low: float
    high: float
    different: bool


def difference(a: Result, b: Result) -> Difference | None:
    """How far two results of the same metric are apart; None where one of them has no value.

    Paired where both hold the draws of common resamples; else from the errors of both, and where a
    number has none it is taken to be exact.
    """
    if a.value is None or b.value is None:
        return None
    gap = a.value - b.value
    if a.draws and len(a.draws) == len(b.draws):
        apart = torch.tensor(a.draws).double() - torch.tensor(b.draws).double()
        half = quantile(len(apart)) * apart.std().item()
    else:
        half = NORMAL * math.hypot(a.error or 0.0, b.error or 0.0)
    return Difference(gap, gap - half, gap + half, abs(gap) > half)


def quantile(repeats: int) -> float:
    """Half the width of a 95 % interval in standard deviations that were estimated from so many
    repeats (Student's t)."""
    from scipy.stats import t

    return float(t.ppf((1 + LEVEL) / 2, repeats - 1))
