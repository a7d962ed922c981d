"""Samples selected by a calibrated discriminator, to be closer to the data distribution.

With r(x) = p_data / p_model and samples of the model,

- rejection keeps a sample with probability min(1, r(x) / M) (discriminator rejection sampling,
  Azadi et al. 2019, arXiv:1810.06758): what is kept is of the density p_model min(r, M), up to a
  constant, which is p_data where r <= M everywhere;
- Metropolis-Hastings moves a chain from x to the next sample x' with probability min(1, r(x') /
  r(x)) (Turner et al. 2019, arXiv:1811.11357): its stationary density is p_model r.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar, Protocol, runtime_checkable

import torch
from torch import Tensor, nn

from ptheta.batch import Condition
from ptheta.capabilities import HasLogRatio, Samples, condition_of
from ptheta.compute import streams
from ptheta.config import Entry
from ptheta.errors import PthetaError, unknown
from ptheta.models.base import EVERY_KIND, Model
from ptheta.specs import DataSpec, ImageSpec, VectorSpec
from ptheta.tasks.needs import require
from ptheta.tasks.ratio.find import VERB, Calibrated, Raw

LEAST = 0.02  # minimum fraction of samples kept: M is lowered if needed
AT_ONCE = 64  # minimum number of samples rated at a time
ROUNDS = 2000  # maximum rounds of rejection
STEPS = 100  # steps of a chain
HALVINGS = 60


@runtime_checkable
class Rates(Samples, HasLogRatio, Protocol):
    """A model that samples and has a discriminator."""

    spec: DataSpec


@dataclass(frozen=True)
class Bound:
    """The bound M. log_m: log M; share: expected fraction of samples kept; cut: the fraction of the
    mass of r above M, which is lost"""

    log_m: float
    share: float
    cut: float


def bound_of(log_r: Tensor, least: float = LEAST) -> Bound:
    """M from the log-ratios of samples (N,): their maximum, lowered if needed to keep a fraction of
    at least `least` of the samples."""
    high = log_r.max().item()
    low = log_r.min().item() if math.isfinite(log_r.min().item()) else high - 60.0
    if _kept(log_r, high) < least:
        for _ in range(HALVINGS):
            middle = (low + high) / 2
            low, high = (middle, high) if _kept(log_r, middle) >= least else (low, middle)
        high = low
    lost = (log_r.exp() - math.exp(high)).clamp(min=0).sum() / log_r.exp().sum()
    return Bound(high, _kept(log_r, high), lost.item())


def _kept(log_r: Tensor, log_m: float) -> float:
    return (log_r - log_m).clamp(max=0.0).exp().mean().item()


class Chosen(Model):
    """A model whose samples are selected by a calibrated density ratio. All other attributes are
    those of the wrapped model.

    about: a description of the acceptance rate
    """

    takes = EVERY_KIND
    specs = (ImageSpec, VectorSpec)
    takes_missing = True
    takes_label_maps = True
    name: ClassVar[str]

    def __init__(self, model: Rates, of: Callable[[Tensor], Tensor], bound: Bound) -> None:
        """of: maps the discriminator's log-ratio to the calibrated one; bound: on its samples"""
        super().__init__(model.spec, None, condition_of(model))
        self.model, self.of, self.bound = model, of, bound
        self.drawn = self.kept = 0  # samples so far

    @property
    @abstractmethod
    def about(self) -> str: ...

    @abstractmethod
    def sample(self, n: int, condition: Condition | None = None) -> Tensor: ...

    def proposed(self, n: int, condition: Condition | None) -> tuple[Tensor, Tensor]:
        """n samples of the model, and their calibrated log-ratios, float64 (n,)."""
        x = self.model.sample(n, condition)
        self.drawn += n
        return x, self.of(Raw(self.model)(x, condition))


class Rejection(Chosen):
    """Keeps a sample with probability min(1, r / M).

    All samples of one call use the same random stream: proposals are made for the remaining samples
    in turn, at least `AT_ONCE` at a time, and each sample takes its first accepted proposal.
    """

    name = "drs"

    @property
    def about(self) -> str:
        cut = f", {100 * self.bound.cut:.2g} % of p_data above M is cut off" * (self.bound.cut > 0)
        return (
            f"{100 * self.bound.share:.3g} % of samples kept, "
            f"M = {math.exp(self.bound.log_m):.3g}{cut}"
        )

    def sample(self, n: int, condition: Condition | None = None) -> Tensor:
        found: Tensor | None = None
        open_ = torch.arange(n)
        for _ in range(ROUNDS):
            size = max(AT_ONCE, len(open_))
            slot = open_[torch.arange(size) % len(open_)]
            asked = None if condition is None else condition[slot]
            x, log_r = self.proposed(size, asked)
            u = streams.uniform(size, dtype=torch.float64)
            kept = (u.log() < log_r - self.bound.log_m).nonzero()[:, 0]
            self.kept += len(kept)
            found = x.new_empty(n, *x.shape[1:]) if found is None else found
            filled, place = slot[kept].unique(return_inverse=True)
            first = torch.full_like(filled, size).scatter_reduce(0, place, kept, "amin")
            found[filled] = x[first]
            open_ = open_[~torch.isin(open_, filled)]
            if not len(open_):
                return found
        raise PthetaError(
            f"{len(open_):,} of {n:,} samples are still rejected after {self.drawn:,} proposals: "
            "the discriminator separates nearly all of them from data; sample without --reject"
        )


class Metropolis(Chosen):
    """One chain per sample, started at a sample of the model, with `STEPS` proposals."""

    name = "mh"

    @property
    def about(self) -> str:
        return f"chains of {STEPS} samples each"

    def sample(self, n: int, condition: Condition | None = None) -> Tensor:
        x, log_r = self.proposed(n, condition)
        for _ in range(STEPS):
            new, ratio = self.proposed(n, condition)
            taken = streams.uniform(n, dtype=torch.float64).log() < ratio - log_r
            x[taken], log_r[taken] = new[taken], ratio[taken]
            self.kept += int(taken.sum())
        return x


@dataclass(frozen=True)
class Way(Entry):
    """A selection method. make: builds the sampler from a model, its calibration and a bound"""

    make: type[Chosen] = Rejection


WAYS: dict[str, Way] = {
    "drs": Way(make=Rejection, about="rejection, by r / M (1810.06758)"),
    "mh": Way(make=Metropolis, about="Metropolis-Hastings over samples (1811.11357)"),
}


def chosen(model: nn.Module, way: str, found: Calibrated) -> Chosen:
    """The model with selected samples. way: a name of `WAYS`; found: its calibration

    Raises PthetaError for an unknown way.
    """
    check_way(way)
    rating = require(model, Rates, VERB)
    bound = bound_of(found.of(found.raw[~found.real]))
    return WAYS[way].make(rating, found.of, bound).eval()


def check_way(way: str) -> None:
    """Raise PthetaError for an unknown selection method."""
    if way not in WAYS:
        raise unknown("way to reject", way, WAYS)
